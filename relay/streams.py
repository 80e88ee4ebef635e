"""The way in for browsers whose network lets no WebSocket through: a stream, and POSTs beside it.

`POST /rooms/{roomId}/stream` has the hello as its body, and its answer is the stream of
server-sent events. `POST /rooms/{roomId}/frames` carries frames up, with the key that the stream
told. A ticket is never in an address: addresses are logged.
"""

import asyncio
import importlib
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from http import HTTPStatus

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from relay.gate import Knock
from relay.line import Line
from relay.problem import problem
from relay.session import Session
from relay.stream_line import StreamLine
from relay.tasks import Tasks
from vchat import limits
from vchat.errors import Refused, Why
from vchat.rates import Bucket

_PREFLIGHT_S = 7200
_HEARTBEAT_S = 15
"""Proxies give up a connection on which nothing comes, many of them after 30 s."""
_LATER_S = 5
"""Our own server cuts a stalled answer by itself, and is to be first: it logs nothing then."""


class _Open:
    """One open stream, and what its POSTs are held to."""

    def __init__(self, room_id: str, line: StreamLine, now: float) -> None:
        self.room_id = room_id
        self.line = line
        self.posts = Bucket(limits.POSTS, now)
        self.busy = False


class Streams:
    """All streams of this instance. `knock` counts a caller, and may refuse; `talk` makes the
    session of a request for a room."""

    def __init__(
        self,
        knock: Callable[[Scope], Knock],
        talk: Callable[[Scope, Line, Knock], Session],
        *,
        instance: str,
        origins: frozenset[str],
        tasks: Tasks,
    ) -> None:
        self._knock = knock
        self._talk = talk
        self._instance = instance
        self._origins = origins
        self._tasks = tasks
        self._open: dict[str, _Open] = {}
        pages = Middleware(
            CORSMiddleware,
            allow_origins=sorted(origins),
            allow_methods=["POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Retry-After"],
            max_age=_PREFLIGHT_S,
        )
        methods = ["POST", "OPTIONS"]
        self.routes = [
            Route("/rooms/{room_id}/stream", self._stream, methods=methods, middleware=[pages]),
            Route("/rooms/{room_id}/frames", self._frames, methods=methods, middleware=[pages]),
        ]

    def __len__(self) -> int:
        """How many streams are open."""
        return len(self._open)

    async def _stream(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return _no_preflight()
        try:
            self._judge_origin(request)
            with ExitStack() as at_the_door:
                knock = at_the_door.enter_context(self._knock(request.scope))
                if knock.refusal is not None:
                    raise knock.refusal
                hello = await _text(request, limits.HELLO_S)
                at_the_door.pop_all()
        except Refused as refused:
            return problem(refused, request.scope)
        return _Stream(self, request.path_params["room_id"], hello, knock)

    async def run(
        self, room_id: str, hello: str, knock: Knock, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Let one browser talk over its stream until either side ends it."""
        # Late: most relays never need it, and a start should be quick. In a thread, for people move
        # meanwhile.
        await asyncio.to_thread(importlib.import_module, "sse_starlette")
        from sse_starlette.event import ServerSentEvent
        from sse_starlette.sse import AppStatus, EventSourceResponse, SendTimeoutError

        # The hub closes streams as it does sockets; the library would cut them all at a signal.
        AppStatus.enable_automatic_graceful_drain = False
        line = StreamLine(f"{self._instance}.{secrets.token_urlsafe(24)}", hello)
        answer = EventSourceResponse(
            (ServerSentEvent(data, event=name, sep="\n") async for name, data in line.events()),
            ping=_HEARTBEAT_S,
            ping_message_factory=lambda: ServerSentEvent(comment="", sep="\n"),
            send_timeout=limits.STALL_S + _LATER_S,
        )
        self._open[line.key] = _Open(room_id, line, asyncio.get_running_loop().time())
        talk = self._talk(scope, line, knock)
        line.start(talk)
        session = self._tasks.start(talk.run(), f"a session over a stream in {room_id}")
        try:
            await answer(scope, receive, send)
        except SendTimeoutError:
            pass  # A browser that reads nothing, under a server that does not cut it by itself.
        finally:
            del self._open[line.key]
            line.lost()
        await asyncio.wait([session])

    async def _frames(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return _no_preflight()
        try:
            self._judge_origin(request)
            stream = self._stream_of(request)
            if retry_ms := stream.posts.take(asyncio.get_running_loop().time()):
                raise Refused(Why.TOO_FAST, retry_ms=retry_ms)
            if stream.busy:
                detail = "Wait for the answer to one request before the next: frames have an order."
                raise Refused(Why.TOO_FAST, detail, retry_ms=1000)
            stream.busy = True
            try:
                text = await _text(request, limits.BODY_S)
            finally:
                stream.busy = False
        except Refused as refused:
            return problem(refused, request.scope)
        stream.line.hear(line for line in text.split("\n") if line)
        return Response(status_code=HTTPStatus.ACCEPTED, headers={"Cache-Control": "no-store"})

    def _stream_of(self, request: Request) -> _Open:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise Refused(
                Why.UNAUTHENTICATED, "Expected Authorization: Bearer and the stream's key."
            )
        if not key.startswith(f"{self._instance}."):
            raise Refused(Why.ELSEWHERE)
        stream = self._open.get(key)
        if stream is None or stream.room_id != request.path_params["room_id"]:
            raise Refused(Why.STREAM_OVER)
        return stream

    def _judge_origin(self, request: Request) -> None:
        origin = request.headers.get("origin")
        if origin is not None and origin not in self._origins:
            raise Refused(Why.BAD_ORIGIN)


class _Stream(Response):
    """The answer that lasts as long as the session."""

    def __init__(self, streams: Streams, room_id: str, hello: str, knock: Knock) -> None:
        super().__init__()
        self._streams = streams
        self._room_id = room_id
        self._hello = hello
        self._knock = knock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._knock as knock:
            await self._streams.run(self._room_id, self._hello, knock, scope, receive, send)


async def _text(request: Request, seconds: float) -> str:
    """The body as text. Raises Refused for one that is too large, too slow, or no UTF-8."""
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limits.BODY_BYTES:
                    most = f"A body has at most {limits.BODY_BYTES} bytes."
                    raise Refused(Why.PAYLOAD_TOO_LARGE, most)
        return body.decode()
    except (TimeoutError, ClientDisconnect) as error:
        raise Refused(Why.INVALID_REQUEST, "The body did not arrive in time.") from error
    except UnicodeDecodeError as error:
        raise Refused(Why.INVALID_REQUEST, "Expected UTF-8.") from error


def _no_preflight() -> Response:
    return Response(status_code=HTTPStatus.NO_CONTENT, headers={"Allow": "OPTIONS, POST"})
