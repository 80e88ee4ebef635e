"""A connection to a room, as docs/protocol.md has it: hello, welcome, frames, close."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

SUBPROTOCOL = Subprotocol("vchat.v1")
_VERSION = 3
WELCOME_S = 15.0
_LARGEST = 4 * 1024 * 1024
_UNTOLD = (1006, "")


class Ended(Exception):
    """The connection is over; `code` says what to do, as the protocol's close codes do."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code

    @property
    def resumable(self) -> bool:
        """Whether to come back with the resume token."""
        return not 4100 <= self.code < 4500

    @property
    def final(self) -> bool:
        return 4300 <= self.code < 4500


class Seat:
    """Someone who is in a room. Pings are answered while frames are read."""

    def __init__(self, socket: ClientConnection, welcome: dict[str, Any], size: int) -> None:
        self._socket = socket
        self.welcome = welcome
        self.bytes = size
        """What came so far, payloads."""
        self._bye = _UNTOLD

    @classmethod
    async def take(cls, url: str, **hello: Any) -> "Seat":
        """Connect and say hello. Raises Ended when the relay refuses, or cannot be reached."""
        try:
            async with asyncio.timeout(WELCOME_S):
                socket = await connect(
                    url,
                    subprotocols=[SUBPROTOCOL],
                    compression=None,
                    max_size=_LARGEST,
                    ping_interval=None,
                    close_timeout=1,
                )
        except (OSError, TimeoutError, WebSocketException) as error:
            raise Ended(1006, f"no connection: {error!r}") from error
        try:
            async with asyncio.timeout(WELCOME_S):
                await socket.send(json.dumps({"type": "hello", "version": _VERSION, **hello}))
                frame = await socket.recv()
                said = json.loads(frame)
                parts = []
                while said["type"] == "part":  # of a large room's lists, before the welcome
                    parts.append(said)
                    frame = await socket.recv()
                    said = json.loads(frame)
            for part in reversed(parts):
                said["members"][:0], said["history"][:0] = part["members"], part["history"]
            if said["type"] != "welcome":
                raise Ended(said.get("code", 1006), said.get("reason", "no welcome"))
        except BaseException as error:
            # Also when cancelled: nobody else would close it.
            socket.transport.abort()
            if isinstance(error, ConnectionClosed):
                raise _ended(error, _UNTOLD) from error
            if isinstance(error, TimeoutError):
                raise Ended(1006, "no welcome in time") from error
            raise
        return cls(socket, said, len(frame))

    async def frames(self) -> AsyncIterator[dict[str, Any] | bytes]:
        """What comes: text frames as JSON, ticks as bytes. Ends by raising Ended."""
        while True:
            try:
                frame = await self._socket.recv()
            except ConnectionClosed as error:
                raise _ended(error, self._bye) from error
            self.bytes += len(frame)
            if isinstance(frame, bytes):
                yield frame
                continue
            said = json.loads(frame)
            if said["type"] == "ping":
                await self.say(type="pong")
            elif said["type"] == "bye":
                self._bye = (said["code"], said["reason"])
            else:
                yield said

    async def say(self, **message: Any) -> None:
        """Send a text frame; to a connection that is over, in vain."""
        with suppress(ConnectionClosed):
            await self._socket.send(json.dumps(message))

    async def pose(self, frame: bytes) -> None:
        with suppress(ConnectionClosed):
            await self._socket.send(frame)

    async def leave(self) -> None:
        """Give the seat up and close."""
        await self.say(type="leave")
        await self._socket.close()

    async def let_go(self) -> None:
        """Close, and keep the seat for a while: another connection has it, or soon will."""
        await self._socket.close(3000)

    def vanish(self) -> None:
        """The network goes away: no closing handshake."""
        self._socket.transport.abort()


def _ended(error: ConnectionClosed, bye: tuple[int, str]) -> Ended:
    if bye is not _UNTOLD:
        return Ended(*bye)
    return Ended(error.rcvd.code, error.rcvd.reason) if error.rcvd else Ended(*bye)
