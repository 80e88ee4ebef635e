"""The line under uvicorn: frames go from the socket to the ear, and back, with no task between.

uvicorn's own protocol queues each message for a task and pauses the socket meanwhile, which costs
more than all the rest of a pose's way. It does the handshake; then the line takes the transport
over, and nothing of uvicorn's object stays in memory. Whole data frames are read in place. What is
not plain (control frames, fragments, mistakes) is left to the WebSocket core that uvicorn uses,
which knows RFC 6455 better. An application that does not ask for the line, before it accepts, gets
uvicorn's own behaviour.

A room where many move does not wait to be told of each pose: it holds their lines and polls them
once a tick. The loop then is not woken for every frame, and what is read is read in one go. What is
unread meanwhile is in the kernel, which bounds it.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame as CoreFrame
from websockets.frames import Opcode
from websockets.protocol import Protocol as Core
from websockets.protocol import Side
from websockets.speedups import apply_mask

from relay.line import LINE_EXTENSION, Ear, Frame
from vchat import limits
from vchat.errors import Why
from vchat.rates import Bucket

log = logging.getLogger("vchat.relay")

UVICORN = "0.54.0"
"""The version whose inside this file was written against."""

_CLOSE_S = 2.0
_BEHIND_BYTES = 32 * 1024
"""A browser with more than this unread is behind: poses skip it until it has read most of it."""
_READ, _READS = 4096, 16
"""What one poll takes in: so many bytes, so many times at most. A pose has a fiftieth of the first;
who sends more than all is a flood, or waits for the next tick."""
_SILENT = 10
"""After so many polls for nothing a line listens by itself again."""
_TEXT, _BINARY, _CLOSE = 0x81, 0x82, 0x88
_FIN, _MASKED, _CONTROL = 0x80, 0x80, 0x08
_LONG = 126
_core_log = logging.getLogger("websockets.server")


def fits() -> bool:
    """Whether the installed uvicorn is the one this file knows from the inside."""
    return uvicorn.__version__ == UVICORN


class FastProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, whose application may take the transport from it."""

    _line: "FastLine | None" = None
    _early = b""

    async def run_asgi(self) -> None:
        extensions: dict[str, Any] = self.scope["extensions"]
        extensions[LINE_EXTENSION] = self._take
        await super().run_asgi()

    async def send(self, message: Any) -> None:
        await super().send(message)
        if self.close_sent:
            # A denied handshake is answered, which uvicorn would log as the application's mistake.
            self.handshake_complete = True

    def _take(self) -> "FastLine":
        self._line = FastLine(self)
        return self._line

    def data_received(self, data: bytes) -> None:
        if self._line is None:
            super().data_received(data)
        else:
            # Nobody listens before the line starts: one read at most; then the socket waits.
            self._early += data
            self.transport.pause_reading()

    # The following is for an application without the line, such as the lobby.

    def start_keepalive(self) -> None:
        if self._line is None:
            super().start_keepalive()

    def keepalive_timeout(self) -> None:
        # uvicorn would say that something broke here, and the application would hear of nothing
        # until somebody reads that.
        self.stop_keepalive()
        code = Why.NO_PONG.value.close
        assert code is not None
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code})

    def handle_ping(self) -> None:
        # Who reads nothing gets no pong either, or pings would fill the memory.
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def handle_cont(self, event: CoreFrame) -> None:
        super().handle_cont(event)
        if len(self.frames) > limits.FRAGMENTS:
            self.frames.clear()
            self.transport.abort()

    def hand_over(self, line: "FastLine") -> None:
        """From here on the transport is the line's; it hears first what came too early."""
        if self.disconnected:
            line.connection_lost(None)
            return
        # Without such a timer uvicorn closes the transport when the application returns.
        self.close_timer = self.loop.call_later(0, self.connections.discard, self)
        self.connections.add(line)  # type: ignore[arg-type]
        self.transport.set_protocol(line)
        while not self.queue.empty():
            message: dict[str, Any] = dict(self.queue.get_nowait())
            if line.ear is not None and message["type"] == "websocket.receive":
                text = message.get("text")
                line.ear.on_binary(message["bytes"]) if text is None else line.ear.on_text(text)
        if self.read_paused or self._early:
            self.transport.resume_reading()
        if self._early:
            line.data_received(self._early)


class FastLine(asyncio.Protocol):
    """A line that is the transport's protocol. `ready` until the browser is behind."""

    __slots__ = (
        "_core",
        "_deadline",
        "_fd",
        "_flooded",
        "_lost",
        "_max_size",
        "_parts",
        "_pings",
        "_plain",
        "_rest",
        "_silent",
        "_start",
        "_transport",
        "_write",
        "ear",
        "on_binary",
        "open",
        "ready",
    )

    on_binary: Callable[[bytes], None]
    outlives_call = True
    tick_hz = limits.TICK_HZ

    def __init__(self, protocol: FastProtocol) -> None:
        self._start: Callable[[FastLine], None] | None = protocol.hand_over
        self._transport = protocol.transport
        self._write = protocol.transport.write
        self._lost = protocol.connections.discard
        self._max_size = protocol.config.ws_max_size
        self._core: Core | None = None
        self._parts: list[bytes] | None = None
        self._pings: Bucket | None = None
        self._rest = b""
        self._deadline: asyncio.TimerHandle | None = None
        self._fd = -1  # while the line is held: the socket's, which the transport still owns
        self._silent = 0
        self.ear: Ear | None = None
        self._plain = self._flooded = self.open = False
        self.ready = protocol.writable.is_set()

    def start(self, ear: Ear) -> None:
        self.ear, self.on_binary = ear, ear.on_binary
        self._plain = self.open = not self._transport.is_closing()
        self.ready = self.ready and self.open
        self._transport.set_write_buffer_limits(high=_BEHIND_BYTES)
        hand_over, self._start = self._start, None
        assert hand_over is not None
        hand_over(self)

    # From the socket

    def data_received(self, data: bytes) -> None:
        try:
            # A pose nearly always comes alone and whole.
            size = len(data) - 6
            if (
                0 <= size < _LONG
                and data[0] == _BINARY
                and data[1] == size | _MASKED
                and self._plain
            ):
                hear = self.on_binary  # not called as a method: Python 3.11 looks that up anew
                hear(apply_mask(data[6:], data[2:6]))
            else:
                self._parse(data)
        except Exception:
            log.exception("a session failed on what its browser sent")
            self._end(1011, "internal-error", told=1011)

    def hold(self) -> bool:
        if self._fd >= 0 or not self.open or self._transport.is_closing():
            return False
        if self._transport.get_extra_info("sslcontext") is not None:
            return False  # what the socket has is not yet what was said
        self._transport.pause_reading()
        self._fd = self._transport.get_extra_info("socket").fileno()
        self._silent = 0
        return True

    def poll(self) -> bool:
        for _ in range(_READS):
            # The line is let go of before the transport closes the socket, whose number may then
            # be another one's: so it is looked at anew each time.
            if self._fd < 0 or self._transport.is_closing():
                return False
            try:
                data = os.read(self._fd, _READ)
            except BlockingIOError:
                self._silent += 1
                break
            except OSError:
                data = b""
            if not data:
                self._release()  # the transport finds the end, and says so
                return False
            self._silent = 0
            self.data_received(data)
            if len(data) < _READ:
                break
        if self._silent >= _SILENT:
            self._release()
        return self._fd >= 0

    def _release(self) -> None:
        """Listen again."""
        if self._fd >= 0:
            self._fd = -1
            self._transport.resume_reading()

    def _parse(self, data: bytes) -> None:
        if self._flooded:
            return
        if self._rest:
            data, self._rest = self._rest + data, b""
        at, have = 0, len(data)
        while have - at >= 2 and self.ear is not None:
            first, second = data[at], data[at + 1]
            size, head = second & 0x7F, 6
            if size >= _LONG:
                head = 8 if size == _LONG else 14
                if have - at < head - 4:
                    break
                size = int.from_bytes(data[at + 2 : at + head - 4], "big")
            if not second & _MASKED or size > self._max_size - self._kept(first):
                # Wrong already. The core says why, and need not wait for the rest: so it must not
                # be given a head of which it does wait for the rest.
                self._ask_core(data[at:])
                return
            end = at + head + size
            if end > have:
                break
            if self._parts is not None or (first != _BINARY and first != _TEXT):
                if self._floods(first):
                    self._plain, self._flooded, self._parts = False, True, None
                    self.ear.on_flood()
                    return
                self._ask_core(data[at:end])
            else:
                payload = apply_mask(data[at + head : end], data[at + head - 4 : at + head])
                if first == _BINARY:
                    self.on_binary(payload)
                elif (text := _decoded(payload)) is not None:
                    self.ear.on_text(text)
                else:
                    self._end(1007, "invalid UTF-8", told=1007, failed=True)
            at = end
        self._rest = data[at:]
        self._plain = self.open and not self._rest and self._parts is None
        if not self.open and self._rest and self._core is not None:
            # Only the answer to our close is of interest now, and the core finds it.
            rest, self._rest = self._rest, b""
            self._ask_core(rest)

    def _kept(self, first: int) -> int:
        """How much of a message in pieces is here already, of which this frame is to be one."""
        if self._parts is None or first & _CONTROL:
            return 0
        return sum(map(len, self._parts[1:]))

    def _floods(self, first: int) -> bool:
        """Count what costs its sender nearly nothing: pings, and pieces that may be empty."""
        if first == _CLOSE:
            return False
        if not first & _CONTROL:
            pieces = len(self._parts or ())  # the first of the list only names the kind
            return not first & _FIN and pieces >= limits.FRAGMENTS
        now = asyncio.get_running_loop().time()
        if self._pings is None:
            self._pings = Bucket(limits.PINGS, now)
        return self._pings.take(now) > 0

    def _ask_core(self, data: bytes) -> None:
        core = self._the_core()
        if _failed(core):
            return
        core.receive_data(data)
        for event in core.events_received():
            if isinstance(event, CoreFrame):
                self._hear(event)
        answer = b"".join(core.data_to_send())
        if _failed(core):
            assert core.close_sent is not None
            self._fail(answer, core.close_sent.code)
        elif core.close_rcvd is not None:
            if answer:
                self._transport.write(answer)
            self._transport.close()
            self._let_go(core.close_rcvd.code)
        elif answer and self.ready:
            # Who reads nothing gets no pong either, or pings would fill the memory.
            self._transport.write(answer)

    def _hear(self, frame: CoreFrame) -> None:
        """Part of a fragmented message; control frames the core has answered itself."""
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._parts = [b"t" if frame.opcode is Opcode.TEXT else b"b"]
        elif frame.opcode is not Opcode.CONT:
            return
        assert self._parts is not None
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return
        (kind, *parts), self._parts = self._parts, None
        if self.ear is None:
            return
        whole = b"".join(parts)
        if kind == b"b":
            self.on_binary(whole)
        elif (text := _decoded(whole)) is not None:
            self.ear.on_text(text)
        else:
            self._end(1007, "invalid UTF-8", told=1007, failed=True)

    def _the_core(self) -> Core:
        if self._core is None:
            self._core = Core(Side.SERVER, max_size=self._max_size, logger=_core_log)
        return self._core

    # The end

    async def close(self, code: int, reason: str) -> None:
        self._end(code, reason)

    def shutdown(self) -> None:
        """The server ends."""
        self._end(1012, "", told=1012)
        self._transport.close()

    def _end(
        self, code: int, reason: str, *, told: int | None = None, failed: bool = False
    ) -> None:
        """Send a close after all that was sent, and cut the connection if that takes too long."""
        if self.open and not self._transport.is_closing():
            core = self._the_core()
            core.send_close(code, reason)
            self._transport.write(b"".join(core.data_to_send()))
            if failed:
                self._transport.write_eof()
        self._let_go(told)

    def _fail(self, answer: bytes, code: int) -> None:
        # To hang up at once would reset a connection on which more is arriving, and then the
        # browser never reads why. So only our half ends, and the rest is read and dropped.
        if self.open and not self._transport.is_closing():
            self._transport.write(answer)
            self._transport.write_eof()
        self._let_go(code)

    def _let_go(self, told: int | None) -> None:
        self._release()
        ear, self.ear, self.on_binary = self.ear, None, _unheard
        self._plain = self.open = self.ready = False
        # A closing transport waits for what is unread, and a stranger may never read it.
        if self._deadline is None:
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(_CLOSE_S, self._transport.abort)
        if ear is not None and told is not None:
            ear.on_gone(told)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(self)
        self._let_go(1006)
        assert self._deadline is not None
        self._deadline.cancel()

    # To the socket

    def pause_writing(self) -> None:
        self.ready = False

    def resume_writing(self) -> None:
        self.ready = self.open

    def send(self, frame: Frame) -> None:
        if self.ready:
            write = self._write
            write(frame.wire)
        elif self.open:
            if self._transport.get_write_buffer_size() > limits.WRITE_BUFFER_BYTES:
                assert self.ear is not None
                self.ear.on_slow()
            else:
                self._transport.write(frame.wire)

    def offer(self, frame: Frame) -> bool:
        if self.ready:
            write = self._write
            write(frame.wire)
            return True
        return not self.open  # Who is gone missed nothing.


def _unheard(data: bytes) -> None:
    pass


def _failed(core: Core) -> bool:
    return core.parser_exc is not None


def _decoded(payload: bytes) -> str | None:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None
