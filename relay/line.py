"""How frames travel between the relay and one browser: the port, and the line any ASGI server has.

A line never makes the room wait. Events queue up to a bound and then the browser is closed as a
slow reader; poses are skipped, since the next ones say more.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect

from vchat import limits

LINE_EXTENSION = "vchat.line"
"""The ASGI extension of a server with a line of its own; calling it before the accept gives it."""

_CLOSE_S = 2.0
_POSE_BACKLOG_BYTES = 16 * 1024


class Frame:
    """One message to browsers; `wire` is made once, however many get it."""

    __slots__ = ("binary", "payload", "wire")

    def __init__(self, payload: bytes, *, binary: bool = False) -> None:
        self.payload = payload
        self.binary = binary
        self.wire = _framed(0x82 if binary else 0x81, payload)
        """The message as one unmasked WebSocket frame (RFC 6455, section 5.2)."""


class Bundle(Frame):
    """Several messages that go out together."""

    __slots__ = ("frames",)

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.frames = tuple(frames)
        self.payload = b"".join(frame.payload for frame in frames)
        self.wire = b"".join(frame.wire for frame in frames)
        self.binary = False


def _framed(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


class Ear(Protocol):
    """Who listens to a line. Called from the transport: quick, and never raising."""

    def on_text(self, text: str) -> None: ...

    def on_binary(self, data: bytes) -> None: ...

    def on_gone(self, code: int) -> None:
        """The browser is gone, with this close code; nothing comes after."""

    def on_slow(self) -> None:
        """The browser left so much unread that an event could not be queued."""

    def on_flood(self) -> None:
        """The browser sends pings, or pieces of a message, without end; no more is taken in."""


class Line(Protocol):
    """A connection to one browser. `tick_hz` is how often a second it takes poses, at most."""

    tick_hz: int

    on_binary: Callable[[bytes], None]
    """Where binary messages go: to the ear, until somebody else is put here."""

    outlives_call: bool
    """Whether the line goes on when the ASGI call that took it has returned."""

    def start(self, ear: Ear) -> None: ...

    def hold(self) -> bool:
        """Stop telling the ear of what comes: it waits for `poll`. False, and all is as before,
        where a line cannot or does already."""

    def poll(self) -> bool:
        """Tell the ear what came since the last poll of a line that is held. False once it is
        held no more: it was silent for long, or is at its end."""

    def send(self, frame: Frame) -> None:
        """Send an event: in order, never skipped; too large a backlog calls `on_slow`."""

    @property
    def ready(self) -> bool:
        """Whether poses would go out now."""

    def offer(self, frame: Frame) -> bool:
        """Send poses unless the browser is behind; False when they were skipped."""

    async def close(self, code: int, reason: str) -> None:
        """Send what is queued, then close, within a deadline."""


def line_over(socket: WebSocket) -> Line:
    """The quickest line the server has; to be taken before the socket is accepted."""
    take = socket.scope.get("extensions", {}).get(LINE_EXTENSION)
    return AsgiLine(socket) if take is None else take()


class AsgiLine:
    """A line over Starlette's WebSocket, for any server: a task that reads and one that writes."""

    tick_hz = limits.TICK_HZ
    on_binary: Callable[[bytes], None]
    outlives_call = False

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._queue: deque[Frame] = deque()
        self._backlog = 0
        self._stirred = asyncio.Event()
        self._ending = False
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    def start(self, ear: Ear) -> None:
        self._ear, self.on_binary = ear, ear.on_binary
        self._tasks = (asyncio.create_task(self._read()), asyncio.create_task(self._write()))

    def hold(self) -> bool:
        return False

    def poll(self) -> bool:
        return False

    def send(self, frame: Frame) -> None:
        if self._backlog > limits.WRITE_BUFFER_BYTES:
            self._ear.on_slow()
            return
        self._put(frame)

    @property
    def ready(self) -> bool:
        return self._backlog <= _POSE_BACKLOG_BYTES

    def offer(self, frame: Frame) -> bool:
        if not self.ready:
            return False
        self._put(frame)
        return True

    def _put(self, frame: Frame) -> None:
        self._queue.extend(frame.frames if isinstance(frame, Bundle) else (frame,))
        self._backlog += len(frame.payload)
        self._stirred.set()

    async def close(self, code: int, reason: str) -> None:
        self._ending = True
        self._stirred.set()
        reader, writer = self._tasks
        with suppress(TimeoutError, WebSocketDisconnect, OSError):
            async with asyncio.timeout(_CLOSE_S):
                await writer
                await self._socket.close(code, reason)
        for task in (reader, writer):
            task.cancel()
        await asyncio.gather(reader, writer, return_exceptions=True)

    async def _read(self) -> None:
        # Not receive_text(): a binary frame would make that raise KeyError.
        while True:
            frame = await self._socket.receive()
            if frame["type"] == "websocket.disconnect":
                self._ear.on_gone(frame.get("code") or 1006)
                return
            if (text := frame.get("text")) is not None:
                self._ear.on_text(text)
            else:
                self.on_binary(frame["bytes"])

    async def _write(self) -> None:
        with suppress(WebSocketDisconnect, OSError):
            while self._queue or not self._ending:
                if not self._queue:
                    self._stirred.clear()
                    await self._stirred.wait()
                    continue
                frame = self._queue[0]
                if frame.binary:
                    await self._socket.send_bytes(frame.payload)
                else:
                    await self._socket.send_text(frame.payload.decode())
                self._queue.popleft()
                self._backlog -= len(frame.payload)
