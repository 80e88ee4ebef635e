"""The line made for uvicorn: nothing waits for a task, nobody can fill the memory, and another
uvicorn gets the plain line. What it must share with the plain line is in the relay's suites."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from relay.fast_line import FastLine
from relay.line import AsgiLine, Frame, Line, line_over
from relay.serve import bind, config
from vchat import limits

BIG = Frame(bytes(64 * 1024), binary=True)


class Ear:
    """Writes down what it hears; `on_binary` can be told to fail."""

    def __init__(self, line: Line, transport: asyncio.Transport | None = None) -> None:
        self.line = line
        self.transport = transport
        self.heard: list[str | bytes] = []
        self.slow = self.floods = 0
        self.gone: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.fails = False

    def on_text(self, text: str) -> None:
        self.heard.append(text)
        self.line.send(Frame(b"heard"))

    def on_binary(self, data: bytes) -> None:
        if self.fails:
            raise RuntimeError("a mistake in the relay")
        self.heard.append(data)
        self.line.send(Frame(b"heard"))

    def on_gone(self, code: int) -> None:
        assert not self.gone.done(), "told twice"
        self.gone.set_result(code)

    def on_slow(self) -> None:
        self.slow += 1

    def on_flood(self) -> None:
        self.floods += 1


@asynccontextmanager
async def serving(
    app: Callable[[WebSocket], object], **options: object
) -> AsyncIterator[tuple[str, uvicorn.Server]]:
    listener = bind("127.0.0.1", 0)
    server = uvicorn.Server(config(Starlette(routes=[WebSocketRoute("/", app)]), **options))
    task = asyncio.create_task(server._serve([listener]))
    try:
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/", server
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def listening(
    before: Callable[[WebSocket], object] | None = None, **options: object
) -> AsyncIterator[tuple[ClientConnection, Ear]]:
    """A browser and the ear that hears it."""
    ears: asyncio.Queue[Ear] = asyncio.Queue()

    async def app(websocket: WebSocket) -> None:
        line = line_over(websocket)
        await websocket.accept()
        if before is not None:
            await before(websocket)
        ear = Ear(line, line._transport if isinstance(line, FastLine) else None)
        line.start(ear)
        ears.put_nowait(ear)
        await ear.gone
        await line.close(1000, "")

    async with (
        serving(app, **options) as (url, _),
        connect(url, compression=None, max_queue=1) as browser,
    ):
        yield browser, await ears.get()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 (what is waited for tells nobody)
            await asyncio.sleep(0.005)


def fill(ear: Ear) -> int:
    """Offer poses until the browser is behind; how many it took."""
    taken = 0
    while ear.line.offer(BIG):
        taken += 1
        assert taken < 1000, "the backlog has no bound"
    return taken


async def test_a_uvicorn_we_know_gives_the_fast_line_and_any_other_the_plain_one(
    monkeypatch, caplog
):
    async with listening() as (_, ear):
        assert isinstance(ear.line, FastLine)

    monkeypatch.setattr(uvicorn, "__version__", "0.99.0")
    with caplog.at_level(logging.WARNING, "vchat.relay"):
        async with listening() as (browser, ear):
            assert isinstance(ear.line, AsgiLine)
            await browser.send("hello")
            assert await browser.recv() == "heard"
    assert "this is not uvicorn" in caplog.text


async def test_an_application_that_takes_no_line_has_the_usual_websocket():
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("you said " + await websocket.receive_text())
        await websocket.send_bytes(await websocket.receive_bytes())
        await websocket.close(4000, "enough")

    async with serving(echo) as (url, _), connect(url) as browser:
        await browser.send("hello")
        assert await browser.recv() == "you said hello"
        await browser.send([b"in ", b"pieces"])
        assert await browser.recv() == b"in pieces"
        with pytest.raises(ConnectionClosed) as closed:
            await browser.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "enough")


@pytest.mark.parametrize("what", ["pings", "pieces"])
async def test_an_application_without_the_line_is_not_filled_either(what):
    protocols = []

    async def wait(websocket: WebSocket) -> None:
        await websocket.accept()
        protocols.append(websocket._receive.__self__)  # uvicorn's protocol
        with suppress(WebSocketDisconnect, RuntimeError):
            await websocket.receive_text()

    async with serving(wait) as (url, _), connect(url, max_queue=1) as browser:
        await until(lambda: protocols)
        own = protocols[0]
        browser.transport.pause_reading()
        for end, buffer in ((own, socket.SO_SNDBUF), (browser, socket.SO_RCVBUF)):
            end.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, buffer, 4096)
        if what == "pings":
            for _ in range(50):
                for _ in range(200):
                    browser.protocol.send_ping(bytes(125))
                browser.transport.write(b"".join(browser.protocol.data_to_send()))
                await asyncio.sleep(0)
            await until(lambda: not browser.transport.get_write_buffer_size())
            assert own.transport.get_write_buffer_size() < 2**18
        else:
            browser.protocol.send_binary(b"", fin=False)
            for _ in range(10_000):
                browser.protocol.send_continuation(b"", fin=False)
            browser.transport.write(b"".join(browser.protocol.data_to_send()))
            await until(lambda: own.disconnected)
            assert len(own.frames) <= limits.FRAGMENTS
        browser.transport.abort()


async def test_a_refusal_before_the_accept_is_an_http_answer():
    async def refuse(websocket: WebSocket) -> None:
        line_over(websocket)
        await websocket.close()

    async with serving(refuse) as (url, _):
        with pytest.raises(Exception, match="403"):
            await connect(url)


async def test_a_denied_handshake_is_an_answer_and_nothing_to_log(caplog):
    async def deny(websocket: WebSocket) -> None:
        await websocket.send_denial_response(PlainTextResponse("not now", 503))

    async with serving(deny) as (url, _):
        with pytest.raises(InvalidStatus) as denied:
            await connect(url)
    assert (denied.value.response.status_code, denied.value.response.body) == (503, b"not now")
    assert caplog.records == []


async def test_what_is_sent_before_anyone_listens_is_heard_first():
    sent = asyncio.Event()

    async def wait(_: WebSocket) -> None:
        await sent.wait()
        await asyncio.sleep(0.02)

    async def app(websocket: WebSocket) -> None:
        line = line_over(websocket)
        await websocket.accept()
        await wait(websocket)
        ear = Ear(line)
        line.start(ear)
        ears.put_nowait(ear)
        await ear.gone

    ears: asyncio.Queue[Ear] = asyncio.Queue()
    async with serving(app) as (url, _), connect(url) as browser:
        for n in range(10):
            await browser.send(f"{n}")
        sent.set()
        ear = await ears.get()
        await browser.send("last")
        await until(lambda: len(ear.heard) == 11)
        assert ear.heard == [*(f"{n}" for n in range(10)), "last"]


@pytest.mark.parametrize("message", [b"\xff", [b"\xe3\x81", b"\xff"]], ids=["whole", "in pieces"])
async def test_a_strangers_mistake_is_no_error_of_ours_to_log(caplog, message):
    async with listening() as (browser, ear):
        await browser.send(message, text=True)
        assert await ear.gone == 1007
    assert caplog.records == []


async def test_a_mistake_in_the_relay_ends_one_session_and_says_so(caplog):
    async with listening() as (browser, ear):
        ear.fails = True
        await browser.send(b"pose")
        with pytest.raises(ConnectionClosed) as closed:
            await browser.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011
        assert await ear.gone == 1011
    assert "a mistake in the relay" in caplog.text


async def test_poses_skip_a_browser_that_is_behind_and_come_again_when_it_has_read():
    async with listening() as (browser, ear):
        taken = fill(ear)
        assert not ear.line.offer(BIG)
        for _ in range(taken):
            assert await browser.recv() == BIG.payload

        await until(lambda: ear.line.offer(Frame(b"now", binary=True)))
        assert await browser.recv() == b"now"


async def test_events_are_kept_for_a_slow_browser_up_to_a_bound_and_in_order():
    async with listening() as (browser, ear):
        taken = fill(ear)
        kept = 0
        while not ear.slow:
            ear.line.send(Frame(b"%010d" % kept + bytes(1000)))
            kept += not ear.slow
            assert kept * 1000 < 2 * limits.WRITE_BUFFER_BYTES
        assert kept

        for _ in range(taken):
            await browser.recv()
        for n in range(kept):
            assert (await browser.recv()).startswith(f"{n:010}")


async def test_pings_of_a_browser_that_reads_nothing_do_not_pile_up(monkeypatch):
    monkeypatch.setattr(limits, "PINGS", limits.Rate(1000, 1))
    async with listening() as (browser, ear):
        fill(ear)
        before = ear.transport.get_write_buffer_size()
        for _ in range(200):
            browser.protocol.send_ping(bytes(100))
            browser.transport.write(b"".join(browser.protocol.data_to_send()))
        await browser.send("after the pings")
        await until(lambda: "after the pings" in ear.heard)

        assert ear.transport.get_write_buffer_size() < before + 1000
        browser.transport.abort()  # its unread frames would stand before the goodbye for long


async def test_a_flood_of_pings_is_told_once_and_nothing_more_is_taken_in():
    async with listening() as (browser, ear):
        for _ in range(limits.PINGS.burst + 50):
            browser.protocol.send_ping(b"")
        browser.transport.write(b"".join(browser.protocol.data_to_send()))
        await until(lambda: ear.floods)
        await browser.send("after the flood")
        await ear.line.close(4005, "too-fast")
        with pytest.raises(ConnectionClosed):
            await browser.recv()
        assert (ear.floods, ear.heard) == (1, [])


async def test_a_message_in_endless_pieces_is_given_up():
    async with listening() as (browser, ear):

        async def pieces():
            for _ in range(limits.FRAGMENTS - 1):
                yield b""

        await browser.send(pieces())
        await until(lambda: ear.heard == [b""])

        browser.protocol.send_binary(b"", fin=False)
        for _ in range(100 * limits.FRAGMENTS):
            browser.protocol.send_continuation(b"", fin=False)
        browser.transport.write(b"".join(browser.protocol.data_to_send()))
        await until(lambda: ear.floods)
        assert ear.line._parts is None, "the pieces are kept"
        assert ear.heard == [b""]
        browser.transport.abort()


async def test_a_message_in_pieces_is_too_large_as_soon_as_the_head_of_one_says_so():
    async with listening() as (browser, ear):
        browser.protocol.send_text(b"short", fin=False)
        head = b"\x80\xff" + (64 * 1024).to_bytes(8, "big") + b"mask"  # allowed, were it alone
        browser.transport.write(b"".join(browser.protocol.data_to_send()) + head)
        assert await ear.gone == 1009
        browser.transport.abort()


async def test_a_browser_that_never_reads_is_cut_off_when_the_relay_closes(monkeypatch):
    monkeypatch.setattr("relay.fast_line._CLOSE_S", 0.05)
    async with listening() as (browser, ear):
        fill(ear)
        await ear.line.close(4003, "slow-reader")
        await until(lambda: ear.transport.get_write_buffer_size() == 0)
        browser.transport.abort()


async def test_a_browser_that_never_reads_is_cut_off_when_it_says_close_itself(monkeypatch):
    monkeypatch.setattr("relay.fast_line._CLOSE_S", 0.05)
    async with listening() as (browser, ear):
        fill(ear)
        browser.protocol.send_close(1000)
        browser.transport.write(b"".join(browser.protocol.data_to_send()))
        assert await ear.gone == 1000
        await until(lambda: ear.transport.get_write_buffer_size() == 0)
        browser.transport.abort()


async def test_who_is_gone_is_sent_nothing_and_told_of_once():
    async with listening() as (browser, ear):
        await browser.close(4321)
        assert await ear.gone == 4321
        ear.line.send(Frame(b"late"))
        assert ear.line.offer(Frame(b"late", binary=True))  # not behind: gone
        await ear.line.close(1000, "")
        assert not ear.slow


async def test_a_line_goes_on_when_the_call_that_took_it_has_returned():
    ears: asyncio.Queue[Ear] = asyncio.Queue()

    async def app(websocket: WebSocket) -> None:
        line = line_over(websocket)
        await websocket.accept()
        ear = Ear(line)
        line.start(ear)
        ears.put_nowait(ear)

    async with serving(app) as (url, server), connect(url) as browser:
        ear = await ears.get()
        await until(lambda: not server.server_state.tasks)
        for size in (5, 125, 126, 60_000):
            await browser.send(bytes(size))
            assert await browser.recv() == "heard"
        ear.line.send(Frame(b"said"))
        assert await browser.recv() == "said"
        [left] = server.server_state.connections
        assert left is ear.line, "uvicorn's own object is kept"

        await ear.line.close(4001, "migrate")
        with pytest.raises(ConnectionClosed) as closed:
            await browser.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4001
        await until(lambda: not server.server_state.connections)


async def test_a_server_that_ends_says_so_to_lines_whose_call_has_returned():
    ears: asyncio.Queue[Ear] = asyncio.Queue()

    async def app(websocket: WebSocket) -> None:
        line = line_over(websocket)
        await websocket.accept()
        ear = Ear(line)
        line.start(ear)
        ears.put_nowait(ear)

    async with serving(app) as (url, server), connect(url) as browser:
        ear = await ears.get()
        server.should_exit = True
        with pytest.raises(ConnectionClosed) as closed:
            await browser.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert await ear.gone == 1012


@pytest.mark.parametrize("fast", [True, False])
async def test_accepted_sockets_name_tcp_so_that_any_loop_sends_at_once(fast):
    async def app(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive()

    async with serving(app, fast=fast) as (url, server), connect(url):
        await until(lambda: server.server_state.connections)
        made = [one.transport for one in server.server_state.connections]  # type: ignore[misc]
        [own] = [transport.get_extra_info("socket") for transport in made]
        assert own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
