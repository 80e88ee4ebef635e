"""The page and, under /api, the functions at one address: a browser has one origin to trust."""

import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from functions.problems import problem_response
from local import pages
from relay.serve import config
from vchat.errors import Refused, Why
from vchat.ids import new_id
from vchat.page_policy import Beyond

_PREFIX = b"/api"
_DEADLINE_S = 30.0
_KEPT_S = 2.0
"""The functions close an idle connection after 5 s, and a request may be on its way then."""
_BETWEEN_HOPS = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
"""RFC 9110, section 7.6.1: said to the next hop, not to the end."""


@contextmanager
def front(listener: socket.socket, allowed: Beyond, api: str) -> Iterator[None]:
    """Serve in a thread of its own, for signals are the main thread's; `api` is a base URL, and
    the page may go to what is `allowed`."""
    proxy = _Proxy(api)
    app = Starlette(
        routes=[Mount(_PREFIX.decode(), proxy), *pages.routes(allowed)],
        lifespan=proxy.lifespan,
    )
    server = uvicorn.Server(config(app, lifespan="on"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    try:
        thread.start()
        yield
    finally:
        server.should_exit = True
        thread.join()


class _Proxy:
    """Hands requests over with the prefix taken off, as the functions' own address has none."""

    def __init__(self, api: str) -> None:
        self._api = httpx.URL(api)
        kept = httpx.Limits(keepalive_expiry=_KEPT_S)
        self._client = httpx.AsyncClient(timeout=_DEADLINE_S, limits=kept)

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        async with self._client:
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = request.scope["raw_path"].removeprefix(_PREFIX) or b"/"
        query = request.scope["query_string"]
        has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
        asked = self._client.build_request(
            request.method,
            self._api.copy_with(raw_path=path + (b"?" + query if query else b"")),
            headers=[pair for pair in request.headers.items() if pair[0] not in _BETWEEN_HOPS],
            content=request.stream() if has_body else None,
        )
        try:
            answer = await self._client.send(asked, stream=True)
        except httpx.HTTPError:
            return problem_response(Refused(Why.UNAVAILABLE), new_id())
        response = StreamingResponse(answer.aiter_raw(), answer.status_code)
        response.raw_headers = [
            (name.lower(), value)
            for name, value in answer.headers.raw
            if name.lower().decode() not in _BETWEEN_HOPS
        ]
        return response
