"""People who chat through everything: they come back as the protocol says, and keep a history."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from relay.app import SUBPROTOCOL
from tests.faults.history import Acked, Entry, Heard, Welcomed
from tests.relays import ticket

_WELCOME_S = 4.0
_AGAIN_S = 1.5
"""An unacknowledged message is sent again after this long, under the same id."""
_UNACKED = 5
_EVENTS = frozenset({"joined", "left", "chat", "signal", "member", "room", "ended"})


class _Refused(Exception):
    """The relay said bye to a hello."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Resume:
    """A resume that recovered: where, from the opening of the socket to the welcome."""

    url: str
    start: float
    connected: float
    end: float

    @property
    def took_ms(self) -> float:
        return (self.end - self.start) * 1000

    def __str__(self) -> str:
        connect_ms = (self.connected - self.start) * 1000
        return f"{self.took_ms:.0f} ms at {self.url}, of them {connect_ms:.0f} to connect"


@dataclass(eq=False)
class Person:
    """One account in one room. `relays` gives the addresses to choose from, `show` shows the room
    to the relays as the functions do whenever they sign a ticket."""

    user: str
    room_id: str
    relays: Sequence[Callable[[], str]]
    show: Callable[[str], Any]
    chance: random.Random
    patience_s: float
    """How long a silent relay is borne before the next one is tried."""
    note: Callable[[float, str], None] = lambda *_: None
    """Takes down what happens to the person, with the time."""
    history: list[Entry] = field(default_factory=list)
    left: dict[str, float] = field(default_factory=dict)
    """When somebody's `left` came, by account."""
    resumes: list["Resume"] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)
    unacked: dict[str, tuple[str, float]] = field(default_factory=dict)
    epoch: str = ""
    offset: int = 0
    here: bool = False
    chatting: bool = True
    _token: str = ""
    _at: int = 0
    _said: int = 0

    async def live(self) -> None:
        """Come, chat, and come back until cancelled."""
        self._at = self.chance.randrange(len(self.relays))
        socket: ClientConnection | None = None
        wait = 0.05
        while True:
            try:
                if socket is None:
                    socket = await self._come_in()
                wait = 0.05
                self.here = True
                socket = await self._stay(socket)
            except _Refused as refused:
                self.note(time.monotonic(), f"{self.user} was closed with {refused.code}")
                self._heed(refused.code)
            except (OSError, TimeoutError, WebSocketException):
                socket = None
            else:
                continue
            socket = None
            self.here = False
            self._at += 1
            await asyncio.sleep(wait * (0.5 + self.chance.random()))
            wait = min(2.0, wait * 2)

    def _heed(self, code: int) -> None:
        """Do what the range of a close code says."""
        if 4100 <= code < 4200:
            self._token = ""
        elif 4300 <= code < 4500:
            self.surprises.append(f"{self.user} was closed with {code}")
            self._token = ""

    async def _come_in(self) -> ClientConnection:
        """A new connection and its welcome. What came on the one before is history."""
        resuming = bool(self._token)
        if resuming:
            hello = {"token": self._token, "epoch": self.epoch, "offset": self.offset}
            first: dict[str, Any] = {"type": "hello", "resume": hello}
        else:
            await self.show(self.room_id)
            first = {"type": "hello", "ticket": ticket(self.room_id, self.user)}
        url = self.relays[self._at % len(self.relays)]()
        start = time.monotonic()
        async with asyncio.timeout(_WELCOME_S):
            socket = await connect(
                f"{url}/rooms/{self.room_id}",
                subprotocols=[SUBPROTOCOL],
                compression=None,
                close_timeout=0.5,
                ping_interval=None,
            )
            connected = time.monotonic()
            try:
                await socket.send(json.dumps(first))
                welcome = json.loads(await socket.recv())
                if welcome["type"] == "bye":
                    raise _Refused(welcome["code"])
                assert welcome["type"] == "welcome", welcome
            except BaseException:
                socket.transport.abort()
                raise
        if resuming and welcome["recovered"]:
            self.resumes.append(Resume(url, start, connected, time.monotonic()))
        how = "resume" if resuming else "ticket"
        self.note(start, f"{self.user} came by {how}: recovered {welcome['recovered']}, at {url}")
        self._token = welcome["resume"]
        self.epoch, self.offset = welcome["epoch"], welcome["offset"]
        self.history.append(
            Welcomed(self.epoch, self.offset, welcome["recovered"], resumed=resuming)
        )
        self.unacked = {name: (text, 0.0) for name, (text, _) in self.unacked.items()}
        return socket

    async def _stay(self, socket: ClientConnection) -> ClientConnection | None:
        """Until the connection ends or another takes over, which is then returned."""
        talking = asyncio.create_task(self._talk(socket))
        code = 0
        try:
            while True:
                try:
                    # Not wait_for: in Python 3.11 it can swallow that we are cancelled.
                    async with asyncio.timeout(self.patience_s):
                        frame = await socket.recv()
                except TimeoutError:
                    if not self.chatting:
                        continue
                    # Someone always chats here: silence means that the relay is away.
                    self._at += 1
                    return None
                except ConnectionClosed as closed:
                    code = code or (closed.rcvd.code if closed.rcvd else 1006)
                    raise _Refused(code) from closed
                if isinstance(frame, bytes):
                    continue
                message = json.loads(frame)
                if message["type"] == "bye":
                    code = message["code"]
                elif message["type"] == "migrate":
                    await asyncio.sleep(message["afterMs"] / 1000)
                    self._at += 1
                    with suppress(OSError, TimeoutError, WebSocketException):
                        return await self._come_in()
                elif message["type"] == "ping":
                    await socket.send('{"type":"pong"}')
                else:
                    self._take(message, frame)
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
            socket.transport.abort()

    def _take(self, message: dict[str, Any], frame: str) -> None:
        if message["type"] in _EVENTS:
            self.history.append(Heard(message["offset"], frame))
            self.offset = max(self.offset, message["offset"])
            if message["type"] == "left":
                self.left[message["userId"]] = time.monotonic()
        elif message["type"] == "ack":
            if self.unacked.pop(message["id"], None) is not None:
                self.history.append(Acked(message["id"], message["offset"]))
        elif message["type"] == "error" and message["code"] not in (
            "unavailable",
            "too-fast",
            "session-unknown",
        ):
            self.surprises.append(f"{self.user} got {message}")

    async def _talk(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                now = time.monotonic()
                if self.chatting and len(self.unacked) < _UNACKED:
                    self._said += 1
                    self.unacked[f"m{self._said}"] = (f"{self._said} from {self.user}", 0.0)
                for name, (text, sent) in list(self.unacked.items()):
                    if now - sent > _AGAIN_S:
                        self.unacked[name] = (text, now)
                        await socket.send(json.dumps({"type": "chat", "id": name, "text": text}))
                await asyncio.sleep(0.4 + 0.6 * self.chance.random())
