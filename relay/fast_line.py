"""The line under uvicorn: frames go from the socket to the ear, and back, with no task between.

uvicorn's own protocol queues each message for a task and pauses the socket meanwhile, which costs
more than all the rest of a pose's way. Here whole data frames are read in place. Whatever is not
plain (control frames, fragments, mistakes) is left to the WebSocket core that uvicorn uses, which
knows RFC 6455 better. The application takes the line before it accepts; one that does not gets
uvicorn's own behaviour.
"""

import asyncio
import logging
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame as CoreFrame
from websockets.speedups import apply_mask

from relay.line import LINE_EXTENSION, Ear, Frame
from vchat import limits
from vchat.rates import Bucket

log = logging.getLogger("vchat.relay")

UVICORN = "0.54.0"
"""The version whose inside this file was written against."""

_CLOSE_S = 2.0
_BEHIND_BYTES = 32 * 1024
"""A browser with more than this unread is behind: poses skip it until it has read most of it."""
_TEXT, _BINARY, _CLOSE = 0x81, 0x82, 0x88
_FIN, _MASKED, _CONTROL = 0x80, 0x80, 0x08
_LONG = 126


def fits() -> bool:
    """Whether the installed uvicorn is the one this file knows from the inside."""
    return uvicorn.__version__ == UVICORN


class FastProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, whose application may take the messages as they come."""

    _line: "FastLine | None" = None
    _ear: Ear | None = None
    _over = False
    _rest = b""
    _fragmented = False
    _pieces = 0
    _flooded = False
    _pings: Bucket
    _deadline: asyncio.TimerHandle | None = None

    async def run_asgi(self) -> None:
        extensions: dict[str, Any] = self.scope["extensions"]
        extensions[LINE_EXTENSION] = self.take
        await super().run_asgi()

    def take(self) -> "FastLine":
        """From here on messages wait for the line to start, and `receive` gives none."""
        # uvloop does this by itself; asyncio forgets it for sockets made without a protocol number.
        own = self.transport.get_extra_info("socket")
        if own.family in (socket.AF_INET, socket.AF_INET6):
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.transport.set_write_buffer_limits(high=_BEHIND_BYTES)
        self._line = FastLine(self)
        return self._line

    def start(self, ear: Ear) -> None:
        waiting, self.queue = self.queue, _Mouth(self)  # type: ignore[assignment]
        del self.request, self.response  # some kilobytes that nobody asks for any more
        self._ear = ear
        self._pings = Bucket(limits.PINGS, self.loop.time())
        while not waiting.empty():
            self.queue.put_nowait(waiting.get_nowait())
        if self._rest:
            early, self._rest = self._rest, b""
            self.transport.resume_reading()
            self.data_received(early)

    # From the socket

    def data_received(self, data: bytes) -> None:
        ear = self._ear
        if ear is None:
            self._unheard(data)
            return
        try:
            # A pose nearly always comes alone and whole.
            size = len(data) - 6
            if (
                0 <= size < _LONG
                and data[0] == _BINARY
                and data[1] == size | _MASKED
                and not self._rest
                and not self._fragmented
            ):
                ear.on_binary(apply_mask(data[6:], data[2:6]))
            else:
                self._parse(ear, data)
        except Exception:
            log.exception("a session failed on what its browser sent")
            self.fail()

    def _parse(self, ear: Ear, data: bytes) -> None:
        if self._flooded:
            return
        if self._rest:
            data, self._rest = self._rest + data, b""
        at, have = 0, len(data)
        while have - at >= 2 and self._ear is not None:
            first, second = data[at], data[at + 1]
            size, head = second & 0x7F, 6
            if size >= _LONG:
                head = 8 if size == _LONG else 14
                if have - at < head - 4:
                    break
                size = int.from_bytes(data[at + 2 : at + head - 4], "big")
            if not second & _MASKED or size > self.config.ws_max_size:
                # Wrong already. The core says why, and need not wait for the rest: so it must not
                # be given a head of which it does wait for the rest.
                super().data_received(data[at:])
                return
            end = at + head + size
            if end > have:
                break
            if self._fragmented or (first != _BINARY and first != _TEXT):
                if self._floods(first):
                    self._flooded, self._rest = True, b""
                    ear.on_flood()
                    return
                super().data_received(data[at:end])
            else:
                payload = apply_mask(data[at + head : end], data[at + head - 4 : at + head])
                if first == _BINARY:
                    ear.on_binary(payload)
                elif (text := _decoded(payload)) is not None:
                    ear.on_text(text)
                else:
                    self._refuse_text()
            at = end
        self._rest = data[at:]

    def _floods(self, first: int) -> bool:
        """Count what costs its sender nearly nothing: pings, and pieces that may be empty."""
        if first & _CONTROL:
            return first != _CLOSE and self._pings.take(self.loop.time()) > 0
        self._fragmented = not first & _FIN
        self._pieces = self._pieces + 1 if self._fragmented else 0
        return self._pieces >= limits.FRAGMENTS

    def _unheard(self, data: bytes) -> None:
        """What comes while nobody listens: before the line starts, or after it ended."""
        if self._line is None:
            super().data_received(data)
        elif not self._over:
            # One read at most; then the socket waits.
            self._rest += data
            self.transport.pause_reading()
        elif self.conn.parser_exc is None:
            # Only the answer to our close is of interest, and the core finds it.
            rest, self._rest = self._rest, b""
            super().data_received(rest + data)

    def send_receive_event_to_app(self) -> None:
        # Of a fragmented message. uvicorn pauses the socket until the application has received
        # it, unless it is paused already; an ear has heard it when this returns.
        self.read_paused = self._ear is not None
        if (
            self._ear is not None
            and self.curr_msg_data_type == "text"
            and _decoded(b"".join(self.frames)) is None
        ):
            self._refuse_text()
        else:
            super().send_receive_event_to_app()

    def _refuse_text(self) -> None:
        # uvicorn would log a stranger's mistake as an error, traceback and all.
        self.conn.send_close(1007)
        self.handle_parser_exception()

    def handle_ping(self) -> None:
        if self._line is None or self._line.ready:
            super().handle_ping()
        else:
            # Who reads nothing gets no pong either, or pings would fill the memory.
            self.conn.data_to_send()

    def handle_parser_exception(self) -> None:
        if self._line is None:
            super().handle_parser_exception()
            return
        # uvicorn hangs up at once, which resets a connection on which more is arriving, and then
        # the browser never reads why. Here only our half ends, and the rest is read and dropped.
        assert self.conn.close_sent is not None
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.write_eof()
        self.close_sent = True
        self._wait_for_close()
        self.hear({"type": "websocket.disconnect", "code": self.conn.close_sent.code})

    def handle_close(self, event: CoreFrame) -> None:
        super().handle_close(event)
        self._let_go()

    def hear(self, message: dict[str, Any]) -> None:
        """What uvicorn would queue for the application."""
        ear = self._ear
        if ear is None:
            return
        if message["type"] == "websocket.disconnect":
            self._let_go()
            ear.on_gone(message["code"])
        elif (text := message.get("text")) is not None:
            ear.on_text(text)
        else:
            ear.on_binary(message["bytes"])

    # The end

    def close(self, code: int, reason: str) -> None:
        """Send a close after all that was sent, and cut the connection if that takes too long."""
        if self._line is not None and self._line.open and not self.transport.is_closing():
            self.conn.send_close(code, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
            self._wait_for_close()
        self._let_go()

    def fail(self) -> None:
        ear = self._ear
        self.close(1011, "internal-error")
        if ear is not None:
            ear.on_gone(1011)

    def _wait_for_close(self) -> None:
        # uvicorn leaves a connection that has this timer to its browser's answer.
        self.close_timer = self.loop.call_later(_CLOSE_S, self.transport.abort)

    def _let_go(self) -> None:
        self._ear, self._over = None, True
        if self._line is not None:
            self._line.open = self._line.ready = False
            # A closing transport waits for what is unread, and a stranger may never read it.
            if self._deadline is None and not self.disconnected:
                self._deadline = self.loop.call_later(_CLOSE_S, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._let_go()
        if self._deadline is not None:
            self._deadline.cancel()

    # To the socket

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._line is not None:
            self._line.ready = False

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._line is not None:
            self._line.ready = self._line.open


class FastLine:
    """A line that writes whole frames to the transport. `ready` until the browser is behind."""

    __slots__ = ("_ear", "_protocol", "_transport", "open", "ready")
    tick_hz = limits.TICK_HZ

    def __init__(self, protocol: FastProtocol) -> None:
        self._protocol = protocol
        self._transport = protocol.transport
        self.open = self.ready = False

    def start(self, ear: Ear) -> None:
        self._ear = ear
        self.open = not self._transport.is_closing()
        self.ready = self.open and self._protocol.writable.is_set()
        self._protocol.start(ear)

    def send(self, frame: Frame) -> None:
        if self.ready:
            self._transport.write(frame.wire)
        elif self.open:
            if self._transport.get_write_buffer_size() > limits.WRITE_BUFFER_BYTES:
                self._ear.on_slow()
            else:
                self._transport.write(frame.wire)

    def offer(self, frame: Frame) -> bool:
        if self.ready:
            self._transport.write(frame.wire)
            return True
        return not self.open  # Who is gone missed nothing.

    async def close(self, code: int, reason: str) -> None:
        self._protocol.close(code, reason)


class _Mouth:
    """Stands where uvicorn's queue was, and passes on at once."""

    __slots__ = ("put_nowait",)

    def __init__(self, protocol: FastProtocol) -> None:
        self.put_nowait = protocol.hear


def _decoded(payload: bytes) -> str | None:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None
