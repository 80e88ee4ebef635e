"""A person as the SDK would be, by the thousand in one process: joins, comes back, moves, counts.

A WebSocket by hand, on asyncio's protocols: a library's tasks and queues would cost more than the
relay that is measured. What it does about losses, slots and `migrate` is what client/link.js does.
"""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, cast

from relay.app import SUBPROTOCOL
from vchat import ticks

_BASE_MS, _CAP_MS = 300, 15_000
_UPGRADE = (
    "GET /rooms/{room} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n"
    "X-Forwarded-For: {address}\r\n\r\n"
)
_BODY = bytes([200]) + bytes(31)


@dataclass
class Counts:
    """What all persons of a group saw. Times are seconds of the loop's clock."""

    gaps: list[float] = field(default_factory=list)
    """Between one tick and the next, while `watching`."""
    watching: bool = False
    refused: Counter[str] = field(default_factory=Counter)
    """Handshakes denied (503), and closes by code, of connections that were not welcomed."""
    closed: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    """Events left out. That none came twice follows from how they are counted."""
    unrecovered: int = 0
    back_at: list[float] = field(default_factory=list)


class Person:
    """One person in one room; `ports` are where the relays are, the present one first."""

    def __init__(self, room: str, hello: str, number: int, counts: Counts) -> None:
        self.room = room
        self.counts = counts
        self.ports: list[int] = []
        self.offset = -1
        self.inside = asyncio.Event()
        self._hello = hello
        self._address = f"203.0.{number >> 8 & 255}.{number & 255}"
        self._epoch = ""
        self._token = ""
        self._loop = asyncio.get_running_loop()
        self._current: _Wire | None = None
        self._candidate: _Wire | None = None
        self._failures = 0
        self._tick_at = 0.0
        self._seq = 0
        self._over = False

    def come(self, port: int) -> None:
        """Open a connection: the first one, or one that takes over."""
        if not self._over:
            self._loop.create_task(self._open(port))

    async def _open(self, port: int) -> None:
        wire = self._candidate = _Wire(self, port)
        try:
            await self._loop.create_connection(lambda: wire, "127.0.0.1", port)
        except OSError:
            self.ended(wire, "network", None)

    def end(self) -> None:
        self._over = True
        for wire in (self._current, self._candidate):
            if wire is not None:
                wire.abort()

    @property
    def port(self) -> int | None:
        """Where this person sits."""
        return None if self._current is None else self._current.port

    def pose(self) -> None:
        if self._current is not None:
            self._seq = (self._seq + 1) & 0xFFFF
            self._current.send(ticks.pose(self._seq, _BODY), binary=True)

    def say(self, message_id: str) -> None:
        if self._current is not None:
            said = {"type": "signal", "id": message_id, "name": "n", "data": 1}
            self._current.send(json.dumps(said).encode())

    # From the wires

    def upgraded(self, wire: "_Wire") -> None:
        hello = self._hello
        if self._token:
            resume: dict[str, Any] = {
                "token": self._token,
                "epoch": self._epoch,
                "offset": self.offset,
            }
            resume["moving"] = self._current is not None
            hello = json.dumps({"type": "hello", "version": 2, "resume": resume})
        wire.send(hello.encode())

    def text(self, wire: "_Wire", frame: dict[str, Any]) -> None:
        kind = frame["type"]
        if kind == "ping":
            wire.send(b'{"type":"pong"}')
        elif kind == "bye":
            wire.bye = (str(frame["code"]), frame.get("retryMs"))
        elif kind == "welcome":
            self._welcomed(wire, frame)
        elif wire is not self._current:
            return
        elif kind == "migrate":
            self._loop.call_later(frame["afterMs"] / 1000, self.come, self.ports[0])
        elif "offset" in frame and kind != "ack":
            if frame["offset"] > self.offset + 1:
                self.counts.lost += frame["offset"] - self.offset - 1
            self.offset = max(self.offset, frame["offset"])

    def _welcomed(self, wire: "_Wire", welcome: dict[str, Any]) -> None:
        if self._token and not welcome["recovered"]:
            self.counts.unrecovered += 1
        if not welcome["recovered"]:
            self.offset = welcome["offset"]
        self._epoch, self._token = welcome["epoch"], welcome["resume"]
        old, self._current, self._candidate = self._current, wire, None
        self._failures = 0
        self.counts.back_at.append(self._loop.time())
        self.inside.set()
        if old is not None:
            old.close()

    def tick(self, wire: "_Wire") -> None:
        if wire is self._current:
            now = self._loop.time()
            if self.counts.watching and self._tick_at:
                self.counts.gaps.append(now - self._tick_at)
            self._tick_at = now

    def ended(self, wire: "_Wire", code: str, retry_ms: int | None) -> None:
        if self._over:
            return
        if wire is self._current:
            self._current = None
            self.inside.clear()
            self.counts.closed[code] += 1
        elif wire is self._candidate:
            self._candidate = None
            self.counts.refused[code] += 1
        else:
            return  # replaced by a newer one
        if self._candidate is not None:
            return
        delay_ms = random.random() * min(_CAP_MS, _BASE_MS * 2**self._failures)
        if retry_ms is not None:
            delay_ms = retry_ms + random.random() * _BASE_MS
        self._failures += 1
        self._loop.call_later(delay_ms / 1000, self.come, self.ports[0])


class _Wire(asyncio.Protocol):
    """One connection: the handshake, and frames in and out."""

    def __init__(self, person: Person, port: int) -> None:
        self.port = port
        self.bye: tuple[str, int | None] | None = None
        self._person = person
        self._rest = b""
        self._open = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not inherit from it
        person = self._person
        head = _UPGRADE.format(room=person.room, address=person._address)  # noqa: SLF001
        self._transport.write(head.encode())

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        if not self._open:
            head, found, rest = data.partition(b"\r\n\r\n")
            if not found:
                self._rest = data
                return
            status = head.split(b" ", 2)[1].decode()
            if status != "101":
                self.bye = (status, None)  # a page is not told more than that it failed
                self.abort()
                return
            self._open, data = True, rest
            self._person.upgraded(self)
        at, size = 0, len(data)
        while size - at >= 2:
            length, head_size = data[at + 1], 2
            if length >= 126:
                head_size = 4 if length == 126 else 10
                if size - at < head_size:
                    break
                length = int.from_bytes(data[at + 2 : at + head_size], "big")
            end = at + head_size + length
            if end > size:
                break
            kind = data[at] & 0x0F
            if kind == 2:
                self._person.tick(self)
            elif kind == 1:
                self._person.text(self, json.loads(data[at + head_size : end]))
            elif kind == 8:
                if self.bye is None:
                    code = int.from_bytes(data[at + head_size : at + head_size + 2], "big")
                    self.bye = (str(code), None)
                self.abort()
                return
            at = end
        self._rest = data[at:]

    def send(self, payload: bytes, *, binary: bool = False) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        size = len(payload)  # the mask is all zeros, which changes nothing
        head = bytes((0x82 if binary else 0x81,))
        if size < 126:
            head += bytes((0x80 | size,))
        else:
            head += b"\xfe" + size.to_bytes(2, "big")
        self._transport.write(head + b"\0\0\0\0" + payload)

    def close(self) -> None:
        """As the SDK does it: with a code that keeps the seat."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"\x88\x82\0\0\0\0" + (3000).to_bytes(2, "big"))

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        code, retry_ms = self.bye or ("1006", None)
        self._person.ended(self, code, retry_ms)
