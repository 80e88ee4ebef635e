"""RFC 6455 under the relay, by hand-made frames: the cases of the Autobahn suite that matter here,
once over the line made for uvicorn and once over the plain one."""

import asyncio
import os
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pytest
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from relay.line import Frame, Line, line_over
from relay.serve import MESSAGE_BYTES, bind, config
from tests.raw_frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, closing, frame


class Echo:
    """An ear that sends everything back, so that what it heard can be seen from outside."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.gone: Future[int] = Future()

    def on_text(self, text: str) -> None:
        self.line.send(Frame(text.encode()))

    def on_binary(self, data: bytes) -> None:
        self.line.send(Frame(data, binary=True))

    def on_gone(self, code: int) -> None:
        assert not self.gone.done(), "told twice"
        self.gone.set_result(code)

    def on_slow(self) -> None:
        raise AssertionError("nobody is slow here")


@dataclass
class Raw:
    """A connection past its handshake, read frame by frame."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: list[Echo]
    number: int
    fast: bool

    def send(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))

    async def drip(self, data: bytes) -> None:
        for byte in data:
            self.writer.write(bytes((byte,)))
            await self.writer.drain()
            await asyncio.sleep(0)

    async def next(self) -> tuple[int, bytes]:
        """(opcode, payload) of the next frame, which must be whole, unmasked and plain."""
        async with asyncio.timeout(5):
            first, second = await self.reader.readexactly(2)
            assert first & 0xF0 == 0x80
            assert not second & 0x80
            size = second
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await self.reader.readexactly(8), "big")
            return first & 0x0F, await self.reader.readexactly(size)

    async def closed(self) -> int:
        """The code of the close frame that comes next; then the connection ends."""
        opcode, payload = await self.next()
        assert opcode == CLOSE, (opcode, payload)
        self.send(frame(CLOSE, payload))
        async with asyncio.timeout(5):
            with suppress(ConnectionResetError):  # it answered a close that was answered already
                assert await self.reader.read() == b""
        return int.from_bytes(payload[:2], "big") if payload else 1005

    async def told(self) -> int:
        """The code the application was told."""
        async with asyncio.timeout(5):
            return await asyncio.wrap_future(self.heard[self.number].gone)


@contextmanager
def echoing(*, fast: bool) -> Iterator[tuple[int, list[Echo]]]:
    """A server on the event loop the relay has, beside the test's own."""
    heard: list[Echo] = []

    async def echo(socket: WebSocket) -> None:
        line = line_over(socket)
        await socket.accept()
        ear = Echo(line)
        heard.append(ear)
        line.start(ear)
        await asyncio.wrap_future(ear.gone)
        await line.close(1000, "")

    listener = bind("127.0.0.1", 0)
    server = uvicorn.Server(config(Starlette(routes=[WebSocketRoute("/", echo)]), fast=fast))
    thread = threading.Thread(target=uvloop.run, args=[server._serve([listener])])
    thread.start()
    try:
        yield listener.getsockname()[1], heard
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module", params=[True, False], ids=["fast", "plain"], name="server")
def _server(request) -> Iterator[tuple[int, list[Echo], bool]]:
    with echoing(fast=request.param) as (port, heard):
        yield port, heard, request.param


@pytest.fixture(name="raw")
async def _raw(server) -> AsyncIterator[Raw]:
    port, heard, fast = server
    number = len(heard)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"GET / HTTP/1.1\r\nHost: relay.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    answer = await reader.readuntil(b"\r\n\r\n")
    assert b" 101 " in answer
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer  # RFC 6455, section 1.3
    yield Raw(reader, writer, heard, number, fast)
    writer.transport.abort()


# Sizes, and how they arrive


SIZES = [0, 1, 124, 125, 126, 127, 128, 65534, 65535, MESSAGE_BYTES]


@pytest.mark.parametrize("size", SIZES)
async def test_a_message_of_any_allowed_size_comes_back_the_same(raw, size):
    text, data = b"*" * size, os.urandom(size)
    raw.send(frame(TEXT, text), frame(BINARY, data))

    assert await raw.next() == (TEXT, text)
    assert await raw.next() == (BINARY, data)


async def test_frames_that_arrive_together_are_heard_one_by_one_and_in_order(raw):
    sent = [(BINARY if n % 3 else TEXT, b"%d" % n) for n in range(100)]
    raw.send(*(frame(opcode, payload) for opcode, payload in sent))

    assert [await raw.next() for _ in sent] == sent


@pytest.mark.parametrize("size", [5, 125, 200])
async def test_frames_that_arrive_byte_by_byte_are_heard_whole(raw, size):
    data = os.urandom(size)
    await raw.drip(frame(PING, b"!") + frame(BINARY, data) + frame(TEXT, b"x" * size))

    assert await raw.next() == (PONG, b"!")
    assert await raw.next() == (BINARY, data)
    assert await raw.next() == (TEXT, b"x" * size)


async def test_a_frame_may_be_cut_anywhere(raw):
    whole = frame(BINARY, b"a" * 130) + frame(TEXT, b"b")
    for cut in range(1, len(whole)):
        raw.send(whole[:cut])
        await raw.writer.drain()
        await asyncio.sleep(0)
        raw.send(whole[cut:])
        assert await raw.next() == (BINARY, b"a" * 130)
        assert await raw.next() == (TEXT, b"b")


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_a_message_over_the_limit_is_too_big(raw, opcode):
    whole = frame(opcode, b"x" * (MESSAGE_BYTES + 1))
    # uvicorn's own line hangs up on what is still coming, so that its close may be lost.
    raw.send(whole if raw.fast else whole[:14])

    assert await raw.closed() == 1009
    assert await raw.told() == 1009


async def test_a_size_that_is_only_claimed_is_refused_before_it_is_sent(raw):
    raw.send(struct.pack("!BBQ", 0x82, 0xFF, 1 << 40) + b"mask")

    assert await raw.closed() == 1009


async def test_fragments_that_add_up_to_too_much_are_too_big(raw):
    second = frame(CONT, b"x" * 40_000)
    raw.send(frame(BINARY, b"x" * 40_000, fin=False), second if raw.fast else second[:8])

    assert await raw.closed() == 1009


# Fragments


async def test_fragments_are_heard_as_one_message(raw):
    raw.send(frame(TEXT, b"one ", fin=False), frame(CONT, b"", fin=False), frame(CONT, b"message"))
    raw.send(frame(BINARY, b"\0", fin=False), frame(CONT, b"\1"), frame(BINARY, b"after"))

    assert await raw.next() == (TEXT, b"one message")
    assert await raw.next() == (BINARY, b"\0\1")
    assert await raw.next() == (BINARY, b"after")


async def test_many_fragmented_messages_follow_each_other(raw):
    for n in range(50):
        raw.send(frame(BINARY, b"%d" % n, fin=False), frame(CONT, b"!"))
    for n in range(50):
        assert await raw.next() == (BINARY, b"%d!" % n)


async def test_fragments_that_arrive_byte_by_byte_are_one_message(raw):
    await raw.drip(frame(TEXT, b"slow", fin=False) + frame(PING) + frame(CONT, b"ly"))

    assert await raw.next() == (PONG, b"")
    assert await raw.next() == (TEXT, b"slowly")


async def test_control_frames_may_come_between_fragments(raw):
    raw.send(
        frame(TEXT, b"a", fin=False),
        frame(PING, b"1"),
        frame(CONT, b"b", fin=False),
        frame(PONG, b"not asked for"),
        frame(PING, b"2"),
        frame(CONT, b"c"),
    )
    assert await raw.next() == (PONG, b"1")
    assert await raw.next() == (PONG, b"2")
    assert await raw.next() == (TEXT, b"abc")


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(frame(CONT, b"x"), id="a continuation of nothing"),
        pytest.param(frame(CONT, b"x", fin=False), id="an unfinished continuation of nothing"),
        pytest.param(frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), id="text within text"),
        pytest.param(frame(BINARY, b"a", fin=False) + frame(BINARY, b"b"), id="binary in binary"),
        pytest.param(frame(PING, b"x", fin=False), id="a fragmented ping"),
        pytest.param(frame(PING, b"x" * 126), id="a ping of 126 bytes"),
        pytest.param(frame(CLOSE, closing(1000) + b"x" * 124), id="a close of 126 bytes"),
        pytest.param(frame(TEXT, b"x", rsv=4), id="RSV1 without an extension"),
        pytest.param(frame(BINARY, b"x", rsv=2), id="RSV2"),
        pytest.param(frame(PING, b"x", rsv=1), id="RSV3 on a ping"),
        pytest.param(frame(3), id="a reserved data opcode"),
        pytest.param(frame(7, b"x"), id="the last reserved data opcode"),
        pytest.param(frame(11), id="a reserved control opcode"),
        pytest.param(frame(15, b"x"), id="the last reserved control opcode"),
        pytest.param(frame(TEXT, b"x", mask=False), id="an unmasked text"),
        pytest.param(frame(BINARY, mask=False), id="an unmasked empty frame"),
        pytest.param(frame(PING, b"x", mask=False), id="an unmasked ping"),
        pytest.param(frame(CLOSE, b"\x03"), id="half a close code"),
    ],
)
@pytest.mark.parametrize("after", [b"", frame(TEXT, b"before")], ids=["alone", "after a message"])
async def test_what_the_protocol_forbids_ends_the_connection(raw, wrong, after):
    raw.send(after + wrong + frame(TEXT, b"never heard"))

    if after and raw.fast:  # the plain line answers a moment later, when it is over already
        assert await raw.next() == (TEXT, b"before")
    assert await raw.closed() == 1002
    assert await raw.told() == 1002


async def test_what_lies_within_a_ping_that_is_too_long_is_never_heard(raw):
    raw.send(frame(PING) + struct.pack("!BBH", 0x80 | PING, 0xFE, 300))
    assert await raw.next() == (PONG, b"")
    raw.send(bytes((0x80 | TEXT, 0x80 | 8)) + bytes(302))  # its mask and payload, or a text

    assert await raw.closed() == 1002
    assert await raw.told() == 1002


# Control frames


@pytest.mark.parametrize("payload", [b"", b"hello", bytes(range(125))])
async def test_a_ping_is_answered_with_its_payload(raw, payload):
    raw.send(frame(PING, payload))

    assert await raw.next() == (PONG, payload)


async def test_ten_pings_are_answered_in_order(raw):
    raw.send(*(frame(PING, b"%d" % n) for n in range(10)))

    assert [await raw.next() for _ in range(10)] == [(PONG, b"%d" % n) for n in range(10)]


async def test_pongs_nobody_asked_for_are_ignored(raw):
    raw.send(frame(PONG), frame(PONG, b"payload"), frame(TEXT, b"still here"))

    assert await raw.next() == (TEXT, b"still here")


# Text


@pytest.mark.parametrize("text", ["κόσμε", "日本語", "\U0010ffff", "\x00", "￾", "a\r\nb"])
async def test_text_of_any_script_comes_back_the_same(raw, text):
    raw.send(frame(TEXT, text.encode()))

    assert await raw.next() == (TEXT, text.encode())


async def test_a_character_may_be_split_over_fragments(raw):
    data = "κόσμε🙂".encode()
    raw.send(frame(TEXT, data[:1], fin=False))
    raw.send(*(frame(CONT, data[n : n + 1], fin=False) for n in range(1, len(data))))
    raw.send(frame(CONT))

    assert await raw.next() == (TEXT, data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xff", id="never a start"),
        pytest.param(b"\xce", id="cut short"),
        pytest.param(b"\xc0\xaf", id="overlong"),
        pytest.param(b"\xed\xa0\x80", id="a surrogate"),
        pytest.param(b"\xf4\x90\x80\x80", id="beyond Unicode"),
        pytest.param(b"fine until \x80 here", id="in the middle"),
    ],
)
@pytest.mark.parametrize("split", [False, True])
async def test_text_that_is_not_utf8_ends_the_connection(raw, data, split):
    if split:
        raw.send(frame(TEXT, data[:1], fin=False), frame(CONT, data[1:]))
    else:
        raw.send(frame(TEXT, data))

    assert await raw.closed() == 1007
    assert await raw.told() == 1007


# Closing


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", 1005),
        (closing(1000), 1000),
        (closing(1000, "またね".encode()), 1000),
        (closing(1001), 1001),
        (closing(3000), 3000),
        (closing(4999, b"x" * 123), 4999),
    ],
)
async def test_a_close_is_answered_with_the_same_code(raw, payload, code):
    raw.send(frame(CLOSE, payload))

    assert await raw.closed() == code
    assert await raw.told() in {code, 1006}  # a plain line tells no code as 1006


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
async def test_a_close_with_a_code_nobody_may_send_is_an_error(raw, code):
    raw.send(frame(CLOSE, closing(code)))

    assert await raw.closed() == 1002


async def test_a_close_whose_reason_is_not_utf8_is_an_error(raw):
    raw.send(frame(CLOSE, closing(1000, b"\xce\xba\xe1")))

    assert await raw.closed() == 1007


async def test_nothing_is_heard_after_a_close(raw):
    raw.send(frame(CLOSE, closing(1000)), frame(TEXT, b"too late"), frame(PING))

    assert await raw.closed() == 1000


async def test_a_connection_that_breaks_off_is_told(raw):
    raw.send(frame(TEXT, b"hello"))
    await raw.next()
    raw.writer.transport.abort()

    assert await raw.told() != 1000


async def test_a_connection_that_ends_within_a_frame_is_told(raw):
    raw.send(frame(BINARY, b"x" * 200)[:50])
    raw.writer.write_eof()

    assert await raw.told() != 1000
