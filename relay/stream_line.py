"""The line of a browser without WebSockets: frames go down one long answer, and come up by POST.

Poses are coarser here: a stream takes a tick only every so often, and what it skipped makes the
next one a snapshot, as for any browser that is behind.
"""

import asyncio
import base64
import binascii
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress

from relay.line import Bundle, Ear, Frame
from vchat import limits

_CLOSE_S = 2.0
_POSE_BACKLOG_BYTES = 16 * 1024
_BEAT_S = 1 / limits.TICK_HZ
BINARY = ":"
"""Begins a line of a POST that holds a binary frame, as base64; no JSON object begins so."""

Event = tuple[str | None, str]
"""Name and data of one server-sent event; a text frame's has no name."""


class StreamLine:
    """A line of two halves. `key` is what the requests with frames must show."""

    tick_hz = limits.FALLBACK_TICK_HZ
    outlives_call = False
    on_binary: Callable[[bytes], None]

    def __init__(self, key: str, hello: str) -> None:
        self.key = key
        self._hello = hello
        self._loop = asyncio.get_running_loop()
        self._ear: Ear | None = None
        self._queue: deque[Event] = deque()
        self._backlog = 0
        self._stirred = asyncio.Event()
        self._written = asyncio.Event()
        self._ending = self._over = False
        self._next_pose_at = float("-inf")

    # What comes up

    def start(self, ear: Ear) -> None:
        if self._over:
            ear.on_gone(1006)
            return
        self._ear, self.on_binary = ear, ear.on_binary
        self.hear((self._hello,))

    def hear(self, lines: Iterable[str]) -> None:
        """Take in the frames of one POST, in order."""
        for line in lines:
            if self._ear is None:
                return
            if not line.startswith(BINARY):
                self._ear.on_text(line)
                continue
            try:
                self.on_binary(base64.b64decode(line[1:], validate=True))
            except (binascii.Error, ValueError):
                self.on_binary(b"")  # no frame of ours, as on a socket

    def hold(self) -> bool:
        return False

    def poll(self) -> bool:
        return False

    def lost(self) -> None:
        """The stream broke, or has been written to its end."""
        self._over = True
        self._written.set()
        ear, self._ear = self._ear, None
        if ear is not None:
            ear.on_gone(1006)

    # What goes down

    @property
    def ready(self) -> bool:
        early = self._loop.time() < self._next_pose_at
        return not early and self._backlog <= _POSE_BACKLOG_BYTES

    def send(self, frame: Frame) -> None:
        if self._backlog <= limits.WRITE_BUFFER_BYTES:
            self._put(frame)
        elif self._ear is not None:
            self._ear.on_slow()

    def offer(self, frame: Frame) -> bool:
        if self._ear is None:
            return True  # Who is gone missed nothing.
        if not self.ready:
            return False
        apart_s = max(
            1 / limits.FALLBACK_TICK_HZ, len(frame.payload) / limits.FALLBACK_POSE_BYTES_S
        )
        # Ticks come at beats of their own, and one that is a little early is not to be skipped.
        self._next_pose_at = self._loop.time() + apart_s - _BEAT_S / 2
        self._put(frame)
        return True

    def _put(self, frame: Frame) -> None:
        for one in frame.frames if isinstance(frame, Bundle) else (frame,):
            if one.binary:
                self._queue.append(("tick", base64.b64encode(one.payload).decode()))
            else:
                self._queue.append((None, one.payload.decode()))
            self._backlog += len(self._queue[-1][1])
        self._stirred.set()

    async def close(self, code: int, reason: str) -> None:
        self._ear = None
        self._queue.append(("close", f'{{"code":{code},"reason":"{reason}"}}'))
        self._ending = True
        self._stirred.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await self._written.wait()
        # Who does not read keeps nothing here; the server cuts the connection itself.
        self._queue.clear()

    async def events(self) -> AsyncIterator[Event]:
        """What the browser is to be told, until the end."""
        yield "stream", f'{{"key":"{self.key}"}}'
        while self._queue or not self._ending:
            if not self._queue:
                self._stirred.clear()
                await self._stirred.wait()
                continue
            event = self._queue.popleft()
            yield event
            # Only now, for the server takes the next one when this one was written.
            self._backlog -= len(event[1])
