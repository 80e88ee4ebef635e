"""HTTP with an end to patience: slow heads, endless heads, unread answers. Peers are sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from relay.serve import bind, config
from relay.strict_http import StrictHttp
from vchat import limits

ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Peer:
    """One connection that sends and reads only what it is told to."""

    def __init__(self, own: socket.socket) -> None:
        own.setblocking(False)
        self.own = own

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.own, data)

    async def until_closed(self) -> bytes:
        """All that comes until the other side ends it, however it does."""
        told = b""
        async with asyncio.timeout(10):
            try:
                while data := await asyncio.get_running_loop().sock_recv(self.own, 65536):
                    told += data
            except ConnectionError:
                pass
        return told

    async def answer(self) -> bytes:
        async with asyncio.timeout(10):
            return await asyncio.get_running_loop().sock_recv(self.own, 65536)


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[uvicorn.Server, "Connect"]]:
    async def hello(request: Request) -> Response:
        return PlainTextResponse("hello")

    async def echo(request: Request) -> Response:
        return PlainTextResponse(await request.body())

    async def endless(request: Request) -> Response:
        async def much() -> AsyncIterator[bytes]:
            while True:
                yield bytes(64 * 1024)
                await asyncio.sleep(0)

        return StreamingResponse(much())

    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())

    app = Starlette(
        routes=[
            Route("/", hello),
            Route("/echo", echo, methods=["POST"]),
            Route("/endless", endless),
            WebSocketRoute("/talk", talk),
        ]
    )
    listener = bind("127.0.0.1", 0)
    server = uvicorn.Server(config(app, timeout_keep_alive=60))
    task = asyncio.create_task(server._serve([listener]))
    connect = Connect(listener.getsockname()[1])
    try:
        yield server, connect
    finally:
        connect.close()
        server.should_exit = True
        await task


class Connect:
    def __init__(self, port: int) -> None:
        self._port = port
        self._peers: list[Peer] = []

    def __call__(self) -> Peer:
        own = socket.socket()
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        own.connect(("127.0.0.1", self._port))
        self._peers.append(Peer(own))
        return self._peers[-1]

    def close(self) -> None:
        for peer in self._peers:
            peer.own.close()


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n", b"\r\n\r\n"])
async def test_a_head_that_does_not_end_is_not_waited_for(monkeypatch, begun):
    monkeypatch.setattr(limits, "HEAD_S", 0.1)
    async with serving() as (server, connect):
        peer = connect()
        await peer.send(begun)
        told = await peer.until_closed()
        assert told.startswith(b"HTTP/1.1 408" if b"GET" in begun else b"")
        assert not server.server_state.connections


async def test_the_second_head_has_the_same_deadline_however_it_drips(monkeypatch):
    monkeypatch.setattr(limits, "HEAD_S", 0.2)
    async with serving() as (server, connect):
        peer = connect()
        await peer.send(ASK)
        assert b"hello" in await peer.answer()

        async def drip() -> None:
            for sign in ASK + b"GET" * 1000:
                await peer.send(bytes([sign]))
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        assert b"hello" not in await peer.until_closed()
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
        assert not server.server_state.connections


@pytest.mark.parametrize(
    "endless",
    [
        b"X: " + b"y" * 1000,
        (b"X: " + b"y" * 50 + b"\r\n") * 20,
    ],
    ids=["one header", "many headers"],
)
async def test_a_head_without_end_is_cut_by_size(endless):
    async with serving() as (_, connect):
        peer = connect()
        await peer.send(b"GET / HTTP/1.1\r\n")
        for _ in range(2 * limits.HEAD_BYTES // len(endless)):
            try:
                await peer.send(endless)
            except ConnectionError:
                break
        told = await peer.until_closed()
        assert not told or told.startswith(b"HTTP/1.1 431")


async def test_trailers_without_end_are_cut_by_size():
    async with serving() as (server, connect):
        peer = connect()
        await peer.send(
            b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        )
        with pytest.raises(ConnectionError):
            await peer.send(b"X: " + b"y" * 2**26)
        assert not server.server_state.connections


async def test_pipelined_requests_are_answered_and_long_answers_are_no_slow_heads(monkeypatch):
    monkeypatch.setattr(limits, "HEAD_S", 0.1)
    async with serving() as (_, connect):
        peer = connect()
        await peer.send(ASK * 3)
        told = b""
        while told.count(b"hello") < 3:
            told += await peer.answer()

        peer = connect()
        await peer.send(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        until = asyncio.get_running_loop().time() + 0.5
        while asyncio.get_running_loop().time() < until:
            assert await peer.answer()


async def test_requests_that_are_not_waited_for_do_not_pile_up(monkeypatch):
    seen = []
    real = StrictHttp.on_message_begin

    def counted(self: StrictHttp) -> None:
        real(self)
        seen.append(len(self.pipeline))

    monkeypatch.setattr(StrictHttp, "on_message_begin", counted)
    async with serving() as (_, connect):
        peer = connect()
        await peer.send(ASK * 1000)
        await peer.until_closed()
        assert len(seen) < 10


async def test_an_answer_that_is_not_read_is_given_up(monkeypatch):
    monkeypatch.setattr(limits, "STALL_S", 0.2)
    async with serving() as (server, connect):
        peer = connect()
        await peer.send(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        while not server.server_state.connections:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.01)
        async with asyncio.timeout(10):
            while server.server_state.connections:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.01)


async def test_a_socket_outlives_the_deadlines_of_heads(monkeypatch):
    monkeypatch.setattr(limits, "HEAD_S", 0.05)
    from websockets.asyncio.client import connect as websocket

    async with serving() as (_, connect), websocket(f"ws://127.0.0.1:{connect._port}/talk") as one:
        await asyncio.sleep(0.3)
        await one.send("still here")
        assert await one.recv() == "still here"
