"""Around every request: its id, its line in the log, and an answer when we broke."""

import logging
import time

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from functions.problems import problem_response
from vchat.errors import Refused, Why
from vchat.ids import new_id
from vchat.trace import trace_of

_log = logging.getLogger("vchat.http")


def request_id(scope: Scope) -> str:
    """The id that the answer's X-Request-Id header, its problem and the log share."""
    return str(scope["vchat.request_id"])


class Edge:
    """ASGI middleware. Log lines hold no query, body or header: these hold tokens and names."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["vchat.request_id"] = new_id()
        trace = trace_of(scope)
        about = {"requestId": request_id(scope), **({"trace": trace} if trace else {})}
        began = time.perf_counter()
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id(scope)
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            await self._app(scope, receive, send_marked)
        except Exception:
            _log.exception("unhandled", extra=about)
            if status:  # part of the answer is out: the server cuts the connection
                raise
            await problem_response(Refused(Why.INTERNAL), request_id(scope))(
                scope, receive, send_marked
            )
        finally:
            _log.info(
                "request",
                extra={
                    **about,
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "ms": round((time.perf_counter() - began) * 1000, 1),
                },
            )
