"""The line under uvicorn: frames go from the socket to the ear, and back, without a task between.

uvicorn's own protocol queues each message for a task and pauses the socket meanwhile; that costs
more than all the rest of a pose's way. Here whole data frames are read in place. Whatever is not
plain (control frames, fragments, mistakes) is left to the WebSocket core uvicorn uses, which knows
RFC 6455 better. The application asks for the line before it accepts; one that does not gets
uvicorn's own behaviour. docs/decisions/2026-11-23-hot-path.md says what was measured.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Any

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.speedups import apply_mask

from relay.line import LINE_EXTENSION, Ear, Frame
from vchat import limits

log = logging.getLogger("vchat.relay")

UVICORN = "0.54.0"
"""The version whose inside this file was written against; another gets the plain line."""

_CLOSE_S = 2.0
_BEHIND_BYTES = 32 * 1024
"""Unread bytes above which a browser is behind: poses skip it until it has read most of them."""
_TEXT, _BINARY = 0x81, 0x82
_CONTROL = 0x08
_MASKED = 0x80
_SHORT = 126


def fits() -> bool:
    """Whether the installed uvicorn is the one this file knows from the inside."""
    return uvicorn.__version__ == UVICORN


class FastProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, which gives its line to the application that wants it."""

    _line: "FastLine | None" = None
    _ear: Ear | None = None
    _rest = b""
    _fragmented = False

    async def run_asgi(self) -> None:
        self.scope["extensions"][LINE_EXTENSION] = self.take  # type: ignore[typeddict-item]
        await super().run_asgi()

    def take(self) -> "FastLine":
        """From here on messages go to the line's ear, and none to `receive`."""
        self._line = FastLine(self, self.transport)
        return self._line

    def begin(self, ear: Ear) -> None:
        waiting, self.queue = self.queue, _ToEar(ear)  # type: ignore[assignment]
        self._ear = ear
        while not waiting.empty():
            self.queue.put_nowait(waiting.get_nowait())
        if self._rest:
            early, self._rest = self._rest, b""
            self.transport.resume_reading()
            self.data_received(early)

    # From the socket

    def data_received(self, data: bytes) -> None:
        ear = self._ear
        if ear is None or self.close_sent:
            self._before_or_after(data)
            return
        try:
            # A pose nearly always comes alone and whole.
            if data[0] == _BINARY and not self._rest and not self._fragmented:
                size = data[1] & 0x7F
                if size < _SHORT and len(data) == size + 6 and data[1] & _MASKED:
                    ear.on_binary(apply_mask(data[6:], data[2:6]))
                    return
            self._parse(ear, data)
        except Exception:
            log.exception("a session failed on what its browser sent")
            self._fail()

    def _parse(self, ear: Ear, data: bytes) -> None:
        if self._rest:
            data, self._rest = self._rest + data, b""
        at, have = 0, len(data)
        while have - at >= 2 and not self.close_sent and not self.disconnected:
            first, second = data[at], data[at + 1]
            size, head = second & 0x7F, 6
            if size >= _SHORT:
                head = 8 if size == _SHORT else 14
                if have - at < head - 4:
                    break
                size = int.from_bytes(data[at + 2 : at + head - 4], "big")
            if (
                not second & _MASKED
                or size > self.config.ws_max_size
                or (first & _CONTROL and size >= _SHORT)
            ):
                # Wrong already: the core says why, and need not wait for the rest.
                super().data_received(data[at:])
                return
            end = at + head + size
            if end > have:
                break
            if self._fragmented or (first != _BINARY and first != _TEXT):
                if not first & _CONTROL:
                    self._fragmented = not first & 0x80
                super().data_received(data[at:end])
            else:
                payload = apply_mask(data[at + head : end], data[at + head - 4 : at + head])
                if first == _BINARY:
                    ear.on_binary(payload)
                else:
                    try:
                        text = payload.decode()
                    except UnicodeDecodeError:
                        super().data_received(data[at:end])
                        return
                    ear.on_text(text)
            at = end
        self._rest = data[at:]

    def _before_or_after(self, data: bytes) -> None:
        if self._line is None or not self.handshake_initiated:
            super().data_received(data)
        elif self._ear is None:
            # Frames that came before anyone listens. One read at most: then the socket waits.
            self._rest += data
            self.transport.pause_reading()
        elif self.conn.parser_exc is None:
            # We said close: only the answer to that is of interest.
            rest, self._rest = self._rest, b""
            super().data_received(rest + data)

    def send_receive_event_to_app(self) -> None:
        # A fragmented message. uvicorn pauses the socket until the application has received it,
        # unless it is paused already.
        self.read_paused = self._ear is not None
        super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        if self._line is None or self._line.ready:
            super().handle_ping()
        else:
            # Who reads nothing gets no pong either, or pings would fill the memory.
            self.conn.data_to_send()

    def _fail(self) -> None:
        self._close(1011, "internal error")
        self.transport.close()

    def _close(self, code: int, reason: str) -> None:
        if not self.close_sent and not self.transport.is_closing():
            self.conn.send_close(code, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
        if self._line is not None:
            self._line.ready = self._line.open = False

    # To the socket

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._line is not None:
            self._line.ready = False

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._line is not None:
            self._line.ready = self._line.open

    def connection_lost(self, exc: Exception | None) -> None:
        if self._line is not None:
            self._line.ready = self._line.open = False
            self._line.lost.set()
        super().connection_lost(exc)
        self._ear = None
