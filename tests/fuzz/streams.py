"""Bytes of a connection: our reading of frames hears what the WebSocket core itself would hear."""

import asyncio
import socket
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from uvicorn.server import ServerState
from websockets.frames import Frame as CoreFrame
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from relay.fast_line import FastProtocol
from relay.line import line_over
from relay.serve import MESSAGE_BYTES, config
from tests.bare_seats import FREE
from tests.fuzz.mutate import mutated
from tests.fuzz.target import Target
from tests.raw_frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, closing, frame
from vchat import limits

_HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: relay.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_KEY = b"\x11\xa2\x00\xff"


@asynccontextmanager
async def streams() -> AsyncIterator[Target]:
    """An input is all that a browser sends after its handshake, and, first, how it is cut."""
    settings = config(Starlette(routes=[WebSocketRoute("/", _listen)]))
    settings.load()
    with patch.multiple(limits, PINGS=FREE, FRAGMENTS=10**9):  # the core counts neither
        yield Target(_seeds(), _make, lambda data: _attempt(settings, data))


def _seeds() -> tuple[bytes, ...]:
    def of(*frames: bytes) -> bytes:
        return b"\0\0" + b"".join(frames)

    def one(opcode: int, payload: bytes = b"", **more: Any) -> bytes:
        return frame(opcode, payload, key=_KEY, **more)

    pose = one(BINARY, b"\x01\x00\x01\x00\x80hi")
    chat = one(TEXT, '{"type":"chat","id":"1","text":"やあ"}'.encode())
    return (
        of(pose, pose, chat, pose),
        of(one(TEXT, b"x" * 126), one(BINARY, bytes(200)), one(PING, b"?"), pose),
        of(one(TEXT, "が".encode()[:1], fin=False), one(PING), one(CONT, "が".encode()[1:])),
        of(one(BINARY, b"a", fin=False), one(CONT, b"b", fin=False), one(CONT, b"c"), chat),
        of(one(BINARY, bytes(70_000))),
        of(one(BINARY, bytes(MESSAGE_BYTES)), one(TEXT, b"\xff\xfe")),
        of(one(PONG), one(CLOSE, closing(1000, b"done")), chat),
        of(one(CLOSE), one(CLOSE, b"\x03"), one(3), one(11)),
        of(one(BINARY, b"x", mask=False), one(TEXT, b"x", rsv=4), one(PING, bytes(126))),
        of(b"\x82\xff" + (2**63).to_bytes(8, "big") + _KEY),
        of(b"\x82\xfe\x00\x05" + _KEY + b"short", b"\x81\xff" + bytes(8) + _KEY),
    )


def _make(rng: Random, known: Sequence[bytes]) -> bytes:
    data = mutated(rng, known)
    return rng.randbytes(2) + data[2:]


async def _attempt(settings: Any, data: bytes) -> Hashable:
    cuts, stream = Random(data[:2]), data[2:]
    expected = _reference(stream)
    heard, end = await _heard(settings, stream, cuts)
    messages, code = expected
    assert heard == messages, f"heard {heard!r}, the core {messages!r}"
    waiting = end is None and code == 1002 and _ends_within_a_frame(stream)
    assert end == code or waiting, f"ended with {end}, the core with {code}"
    return code, tuple(type(one) for one in messages[:6])


def _reference(stream: bytes) -> tuple[list[str | bytes], int | None]:
    """(messages, close code) as the core sees them; None while the connection goes on.

    The core refuses a frame as soon as its head is wrong, our reading when it is whole.
    """
    core = ServerProtocol(max_size=MESSAGE_BYTES, state=State.OPEN)
    core.receive_data(stream)
    messages: list[str | bytes] = []
    parts: list[bytes] = []
    text = False
    for event in core.events_received():
        assert isinstance(event, CoreFrame)
        if event.opcode is Opcode.CLOSE:
            assert core.close_rcvd is not None
            return messages, core.close_rcvd.code
        if event.opcode in (Opcode.PING, Opcode.PONG):
            continue
        if event.opcode is not Opcode.CONT:
            parts, text = [], event.opcode is Opcode.TEXT
        parts.append(bytes(event.data))
        if event.fin:
            whole = b"".join(parts)
            try:
                messages.append(whole.decode() if text else whole)
            except UnicodeDecodeError:
                return messages, 1007
    return messages, None if core.parser_exc is None else core.close_sent and core.close_sent.code


def _ends_within_a_frame(stream: bytes) -> bool:
    at = 0
    while len(stream) - at >= 2:
        size = stream[at + 1] & 0x7F
        more = {126: 2, 127: 8}.get(size, 0)
        if more:
            size = int.from_bytes(stream[at + 2 : at + 2 + more], "big")
        at += 6 + more + size
    return at != len(stream)


class _Ear:
    def __init__(self) -> None:
        self.heard: list[str | bytes] = []
        self.gone: int | None = None
        self.over = asyncio.Event()

    def on_text(self, text: str) -> None:
        assert self.gone is None, "heard after the end"
        self.heard.append(text)

    def on_binary(self, data: bytes) -> None:
        assert self.gone is None, "heard after the end"
        self.heard.append(data)

    def on_gone(self, code: int) -> None:
        assert self.gone is None, "told twice"
        self.gone = code
        self.over.set()

    def on_flood(self) -> None:
        raise AssertionError("nobody counts here")

    def on_slow(self) -> None:
        raise AssertionError("nothing was sent")


_ears: asyncio.Queue[_Ear] = asyncio.Queue()


async def _listen(websocket: WebSocket) -> None:
    line = line_over(websocket)
    await websocket.accept()
    ear = _Ear()
    line.start(ear)
    _ears.put_nowait(ear)
    await ear.over.wait()
    await line.close(1000, "")


_SOCKET = SimpleNamespace(
    family=socket.AF_UNIX, getsockname=lambda: "", getpeername=lambda: ("192.0.2.1", 1)
)


class _Transport:
    """What a protocol needs of a socket; written bytes go nowhere, and reading can be paused."""

    def __init__(self) -> None:
        self.closing = False
        self.reading = True
        self.protocol: Any = None

    def set_protocol(self, protocol: object) -> None:
        self.protocol = protocol

    def get_extra_info(self, name: str, default: object = None) -> object:
        return _SOCKET if name == "socket" else default

    def set_write_buffer_limits(self, high: int) -> None: ...
    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes) -> None: ...
    def write_eof(self) -> None: ...
    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    abort = close


async def _heard(
    settings: Any, stream: bytes, cuts: Random
) -> tuple[list[str | bytes], int | None]:
    """Let our protocol hear the stream in pieces: (messages, close code), as of `_reference`."""
    transport: Any = _Transport()
    transport.protocol = handshake = FastProtocol(settings, ServerState(), {})
    handshake.connection_made(transport)
    handshake.data_received(_HANDSHAKE)
    ear = await _ears.get()
    at = 0
    while at < len(stream) and not transport.closing:
        assert transport.reading, "the socket stays paused"
        end = at + cuts.choice((1, 2, 5, 13, 100, 1000, 100_000))
        transport.protocol.data_received(stream[at:end])
        at = end
    end = ear.gone
    transport.protocol.connection_lost(None)
    await asyncio.gather(*handshake.tasks)
    assert ear.gone is not None, "nobody was told of the end"
    return ear.heard, end
