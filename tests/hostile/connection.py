"""A connection by hand: sends and reads exactly what it is told to, and says how it was ended."""

import asyncio
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass

from tests.raw_frames import CLOSE, TEXT, frame

_BYE = re.compile(rb'"type":"bye","code":(\d{4})')
_STATUS = re.compile(rb"HTTP/1\.1 ([45]\d\d)")
_RECEIVE_BYTES = 4096
"""Of the kernel's buffer, so that not reading is felt soon."""
_SEGMENT_BYTES = 1460
"""As over Ethernet. For the loopback's own segments the other kernel would buffer megabytes."""


@dataclass(frozen=True, slots=True)
class Target:
    """A relay, and the room that is to be disturbed. `hello` is good for one more member of it."""

    port: int
    room_id: str
    hello: Callable[[], bytes]
    patience: float
    """Seconds that a peer who reads nothing goes on with that."""
    address: Callable[[], str] = lambda: "127.0.0.1"
    """Where the next peer comes from; Linux takes all of 127.0.0.0/8 for its own."""


class Connection:
    """A TCP connection to the target; what has been read is kept in `heard`."""

    def __init__(self, own: socket.socket) -> None:
        self._own = own
        self._loop = asyncio.get_running_loop()
        self.heard = b""
        self.over = False

    @classmethod
    async def open(cls, target: Target) -> "Connection":
        own = socket.socket()
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT_BYTES)
        own.setblocking(False)
        own.bind((target.address(), 0))
        await asyncio.get_running_loop().sock_connect(own, ("127.0.0.1", target.port))
        return cls(own)

    @classmethod
    async def socket(cls, target: Target) -> "Connection":
        """Past the upgrade, before the hello."""
        one = await cls.open(target)
        await one.send(
            f"GET /rooms/{target.room_id} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Protocol: vchat.v1\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in one.heard and not one.over:
            await one.read()
        return one

    @classmethod
    async def member(cls, target: Target) -> "Connection":
        """Past the welcome: somebody with a ticket who means harm."""
        one = await cls.socket(target)
        await one.send(frame(TEXT, target.hello()))
        while b'"type":"welcome"' not in one.heard and not one.over:
            await one.read()
        return one

    async def send(self, data: bytes) -> None:
        """Nothing happens when the other side has gone."""
        try:
            await self._loop.sock_sendall(self._own, data)
        except OSError:
            self.over = True

    async def read(self, most: int = 65536) -> None:
        try:
            data = await self._loop.sock_recv(self._own, most)
        except OSError:
            data = b""
        self.over = not data
        # The end is what counts; a member is shown a lot before it.
        self.heard = (self.heard + data)[-65536:]

    async def ended(self) -> str:
        """Read on until the other side ends it, and say how."""
        while not self.over:
            await self.read()
        self._own.close()
        if byes := _BYE.findall(self.heard):
            return str(byes[-1].decode())
        closing = self.heard.rfind(bytes((0x80 | CLOSE,)))
        if closing >= 0 and len(self.heard) - closing >= 4:
            code = int.from_bytes(self.heard[closing + 2 : closing + 4], "big")
            if 1000 <= code < 5000:
                return str(code)
        statuses = _STATUS.findall(self.heard)
        return statuses[-1].decode() if statuses else "cut"

    def abandon(self) -> None:
        self._own.close()
