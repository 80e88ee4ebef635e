"""A relay on a real socket for tests, and browsers to talk to it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from adapters.bus_memory import InProcessBus
from adapters.state_redis import RedisState
from relay.app import SUBPROTOCOL, Relay, Services
from relay.serve import bind, config
from tests.brief_server import BriefServer
from tests.streams import StreamConnection
from vchat import ticks, tokens
from vchat.admitting import USUAL as ADMITTING
from vchat.admitting import Admitting
from vchat.idleness import USUAL, Idleness
from vchat.ids import new_id, new_room_id
from vchat.keys import KeyRing, new_ring
from vchat.matching import Queue
from vchat.model import Room, RoomStatus, Visibility
from vchat.policy import Role

ISSUER = "https://api.test"
ORIGIN = "https://page.test"
RING = new_ring()


def ticket(
    room_id: str,
    user: str,
    *,
    role: Role = Role.MEMBER,
    admitted: bool = False,
    now: float | None = None,
    kind: tokens.Kind = tokens.TICKET,
    issuer: str = ISSUER,
) -> str:
    """A ticket as the functions would make it."""
    claims = tokens.ticket_claims(
        user_id=user,
        room_id=room_id,
        role=role,
        name=user.title(),
        avatar=None,
        admitted=admitted,
    )
    return tokens.sign(
        kind,
        claims,
        issuer=issuer,
        kid=RING.kid,
        key=RING.signing,
        now=int(time.time() if now is None else now),
    )


def new_room(**changes: Any) -> Room:
    room = Room(
        id=new_room_id(),
        name="Atrium",
        description="",
        visibility=Visibility.PUBLIC,
        capacity=20,
        owner_id="owner",
        status=RoomStatus.OPEN,
        locked=False,
        created_at="2026-11-23T00:00:00Z",
        ended_at=None,
        expires_at="2026-12-23T00:00:00Z",
    )
    return msgspec.structs.replace(room, **changes)


class Closed(Exception):
    """The relay closed: the code of the close, and of the bye before it."""

    def __init__(self, code: int, bye: dict[str, Any] | None) -> None:
        super().__init__(code, bye)
        self.code = code
        self.bye = bye


@dataclass
class Browser:
    """One connection, speaking the protocol by hand. Pings are answered and set aside."""

    socket: ClientConnection | StreamConnection
    welcome: dict[str, Any] = field(default_factory=dict)
    bye: dict[str, Any] | None = None
    answering: bool = True

    async def send(self, **message: Any) -> None:
        await self._send(json.dumps(message, ensure_ascii=False))

    async def pose(self, seq: int, body: bytes) -> None:
        await self._send(ticks.pose(seq, body))

    async def _send(self, frame: str | bytes) -> None:
        # As in a browser: what is sent to a closed socket is lost without a word.
        with suppress(ConnectionClosed):
            await self.socket.send(frame)

    async def next(self, seconds: float = 5) -> dict[str, Any] | bytes:
        """The next frame; raises Closed when the relay closed, TimeoutError when nothing came."""
        async with asyncio.timeout(seconds):
            while True:
                try:
                    frame = await self.socket.recv()
                except ConnectionClosed as error:
                    code = error.rcvd.code if error.rcvd else 1006
                    raise Closed(code, self.bye) from error
                if isinstance(frame, bytes):
                    return frame
                message: dict[str, Any] = json.loads(frame)
                if message["type"] == "ping":
                    if self.answering:
                        await self.send(type="pong")
                elif message["type"] == "bye":
                    self.bye = message
                else:
                    return message

    async def text(self, kind: str | None = None, seconds: float = 5) -> dict[str, Any]:
        """The next text message, or the next of a kind, skipping others and ticks."""
        while True:
            message = await self.next(seconds)
            if isinstance(message, dict) and kind in (None, message["type"]):
                return message

    async def tick(self, seconds: float = 5) -> tuple[bool, list[tuple[int, int, bytes]]]:
        """The next tick as (snapshot, poses), skipping text."""
        while True:
            frame = await self.next(seconds)
            if isinstance(frame, bytes):
                snapshot, _, _, poses = ticks.parse_tick(frame)
                return snapshot, poses

    async def nothing(self, seconds: float = 0.15) -> None:
        """Assert that no frame comes for a while."""
        try:
            frame = await self.next(seconds)
        except TimeoutError:
            return
        raise AssertionError(f"expected silence, got {frame!r}")

    async def closed(self) -> Closed:
        """How the relay closed; frames before that are skipped."""
        try:
            while True:
                await self.next()
        except Closed as closed:
            return closed

    def vanish(self) -> None:
        """The network goes away: no closing handshake."""
        self.socket.transport.abort()

    async def leave(self) -> None:
        await self.socket.close()


_opened: list[ClientConnection | StreamConnection] = []


async def open_socket(url: str, **options: Any) -> Browser:
    """Open a socket without saying hello. It is closed after the test (conftest.py)."""
    options = {"subprotocols": [SUBPROTOCOL], "compression": None, "max_size": 2**22, **options}
    socket = await connect(url, **options)
    _opened.append(socket)
    return Browser(socket)


def open_stream(url: str, **options: Any) -> Browser:
    """The same for a browser without WebSockets: its stream opens with the hello."""
    stream = StreamConnection(url, **options)
    _opened.append(stream)
    return Browser(stream)


async def close_sockets() -> None:
    """Let go of every socket that was opened, as abruptly as a test's end is."""
    while _opened:
        socket = _opened.pop()
        socket.transport.abort()
        await socket.wait_closed()


@dataclass
class RunningRelay:
    """A relay under test; `url` has no path."""

    url: str
    relay: Relay
    state: RedisState
    server: uvicorn.Server
    way: str = "socket"
    """How browsers come: over a `socket`, or over a `stream`."""

    async def open(self, room_id: str, *, way: str | None = None, **options: Any) -> Browser:
        """Connect without saying hello."""
        url = f"{self.url}/rooms/{room_id}"
        if (way or self.way) == "stream":
            return open_stream(url, **options)
        return await open_socket(url, **options)

    async def join(
        self, room_id: str, user: str, *, way: str | None = None, **claims: Any
    ) -> Browser:
        """Connect, say hello with a fresh ticket, and take the welcome."""
        browser = await self.open(room_id, way=way)
        await browser.send(type="hello", ticket=ticket(room_id, user, **claims))
        browser.welcome = await browser.text()
        return browser

    async def resume(self, old: Browser, *, offset: int, epoch: str | None = None) -> Browser:
        """Open a socket and resume where `old` was."""
        browser = await self.open(old.welcome["room"]["id"])
        await browser.send(
            type="hello",
            resume={
                "token": old.welcome["resume"],
                "epoch": epoch or old.welcome["epoch"],
                "offset": offset,
            },
        )
        browser.welcome = await browser.text()
        return browser


@asynccontextmanager
async def running_relay(
    state: RedisState,
    bus: InProcessBus | None = None,
    *,
    clock: Callable[[], float] = time.time,
    origins: frozenset[str] = frozenset({ORIGIN}),
    queue: Queue | None = None,
    idleness: Idleness = USUAL,
    admitting: Admitting = ADMITTING,
    proxies: int = 0,
    issuer: str = ISSUER,
    keys: KeyRing = RING,
    way: str = "socket",
    metrics_token: str | None = None,
    usd_per_gib: float | None = None,
    **server: Any,
) -> AsyncIterator[RunningRelay]:
    """A relay on port 0. Relays that share `state` and `bus` share their rooms."""
    instance = new_id()
    relay = Relay(
        Services(
            state=state,
            bus=(bus or InProcessBus()).instance(instance),
            keys=lambda: keys.public,
            clock=clock,
            issuer=issuer,
            origins=origins,
            instance=instance,
            name=instance,
            queue=queue,
            idleness=idleness,
            metrics_token=metrics_token,
            usd_per_gib=usd_per_gib,
            admitting=admitting,
            proxies=proxies,
        )
    )
    listener = bind("127.0.0.1", 0)
    serving = BriefServer(config(relay.application(), **server))
    await serving.begin(listener)
    relay.hub.start()
    port = listener.getsockname()[1]
    try:
        yield RunningRelay(f"ws://127.0.0.1:{port}", relay, state, serving, way)
    finally:
        await relay.hub.dismiss(2)
        await relay.hub.stop()
        await serving.end()
