"""From an HTTP request to a handler's call and back: the order of judgement, once for all.

404 and 405, then JSON that does not parse, then who calls (401). The handler judges the rest: 403,
bad fields, the state of things, and rates last.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from functions import fields
from functions.body import bounded_body, json_object
from functions.edge import Edge, request_id
from functions.lookup import find_room
from functions.problems import problem_response
from functions.services import Services
from vchat import tokens
from vchat.caller import caller_address
from vchat.errors import Refused, Why
from vchat.model import Account, Room
from vchat.times import rfc3339

T = TypeVar("T", bound=msgspec.Struct)
_PREFLIGHT_S = 7200
_EXPECTED = "Expected Authorization: Bearer <accessToken>."
_OF_FIREBASE = ("Firebase-Instance-ID-Token", "X-Firebase-AppCheck")
"""What Firebase's SDK may send along with a callable; we read neither."""


class SignIn(Enum):
    """Whether an operation wants an access token. A bad one is refused wherever one is read."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as a handler sees it. `now` is in seconds since the epoch."""

    now: float
    address: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    body: Mapping[str, Any]
    raw: bytes
    caller: Account | None
    found_room: Room | None

    @property
    def account(self) -> Account:
        if self.caller is None:
            raise Refused(Why.UNAUTHENTICATED)
        return self.caller

    @property
    def room(self) -> Room:
        assert self.found_room is not None, "only for operations on a room"
        return self.found_room

    @property
    def today(self) -> str:
        return rfc3339(self.now)

    def read(self, kind: type[T]) -> T:
        """The body as a `kind`; after 401 and 403, as the order of judgement wants."""
        return fields.read(kind, self.body)

    def read_query(self, kind: type[T]) -> T:
        return fields.read(kind, self.query, strict=False)


class Redirect(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that sends the browser elsewhere, and may leave it a cookie."""

    location: str
    cookie: tuple[str, str, int] | None = None
    """Name, value, and life in seconds."""


Handler = Callable[[Call, Services], Awaitable[msgspec.Struct | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method at one path: what it takes, what it answers, and why it may refuse.

    `target` is the deployed function it belongs to. `signed_body` hands the handler the bytes as
    they came, where a signature covers them. `refusals` are those beyond what follows from
    the other fields; they are for the OpenAPI file.
    """

    target: str
    method: str
    path: str
    summary: str
    handler: Handler
    answer: type[msgspec.Struct] | None = None
    status: int = 200
    body: type[msgspec.Struct] | None = None
    query: type[msgspec.Struct] | None = None
    signed_body: bool = False
    sign_in: SignIn = SignIn.REQUIRED
    refusals: tuple[Why, ...] = ()
    cache: str = "no-store"

    @property
    def reads_json(self) -> bool:
        """Whether a body is judged as JSON, even where none has to be there."""
        return self.method in ("POST", "PUT", "PATCH") and not self.signed_body


def application(operations: Iterable[Operation], services: Services) -> Starlette:
    """These operations as an app; it may be mounted at any path."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    app = Starlette(
        routes=[
            Route(path, _endpoint(methods, services), methods=[*methods, "OPTIONS"])
            for path, methods in by_path.items()
        ],
        exception_handlers={Refused: _refused, HTTPException: _no_such_route},
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=sorted(services.origins),
                allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
                allow_headers=["Authorization", "Content-Type", *_OF_FIREBASE],
                expose_headers=["Retry-After", "X-Request-Id"],
                max_age=_PREFLIGHT_S,
            ),
            Middleware(Edge),
        ],
    )
    app.router.redirect_slashes = False  # a redirected POST loses its body in some clients
    return app


def _endpoint(
    operations: Mapping[str, Operation], services: Services
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": _allow(operations)})
        operation = operations["GET" if request.method == "HEAD" else request.method]
        answer = await operation.handler(await _call(request, operation, services), services)
        response = Response(status_code=operation.status)
        if isinstance(answer, Redirect):
            response.headers["Location"] = answer.location
            if answer.cookie is not None:
                _set_cookie(response, *answer.cookie, secure=services.issuer.startswith("https:"))
        elif answer is not None:
            response = Response(
                msgspec.json.encode(answer), operation.status, media_type="application/json"
            )
        response.headers["Cache-Control"] = operation.cache
        return response

    return endpoint


def _set_cookie(response: Response, name: str, value: str, life_s: int, *, secure: bool) -> None:
    # Lax: it must come along when another site sends the browser back to us.
    response.set_cookie(
        name, value, max_age=life_s, path="/", httponly=True, samesite="lax", secure=secure
    )


def _allow(methods: Iterable[str]) -> str:
    return ", ".join(sorted({*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))


async def _call(request: Request, operation: Operation, services: Services) -> Call:
    address = caller_address(request.scope, services.proxies)
    signed_in = None if operation.sign_in is SignIn.NONE else _signed_in(request, services)
    room_id = request.path_params.get("room_id")
    room = None if room_id is None else await _room(services, room_id, signed_in, address)
    body = await json_object(request) if operation.reads_json else {}
    if signed_in is None and operation.sign_in is SignIn.REQUIRED:
        raise Refused(Why.UNAUTHENTICATED, _EXPECTED)
    caller = None if signed_in is None else await _account(services, signed_in)
    return Call(
        now=services.clock(),
        address=address,
        params=request.path_params,
        query=request.query_params,
        headers=request.headers,
        cookies=request.cookies,
        body=body,
        raw=await bounded_body(request) if operation.signed_body else b"",
        caller=caller,
        found_room=room,
    )


def _signed_in(request: Request, services: Services) -> str | Refused | None:
    """Whose access token the request carries; None when it carries none. That it is not valid is
    not raised, since a room that is not there and bad JSON are told first."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        return Refused(Why.UNAUTHENTICATED, _EXPECTED)
    try:
        claims = tokens.verify(
            tokens.ACCESS,
            token.strip(),
            issuer=services.issuer,
            keys=services.keys.public,
            now=services.clock(),
        )
    except tokens.TokenExpired:
        return Refused(Why.TOKEN_EXPIRED)
    except tokens.TokenError:
        return Refused(Why.UNAUTHENTICATED, "The access token is not valid.")
    return str(claims["sub"])


async def _room(
    services: Services, room_id: str, signed_in: str | Refused | None, address: str
) -> Room:
    try:
        return await find_room(
            services, room_id, signed_in if isinstance(signed_in, str) else address
        )
    except Refused as refused:
        # A page that only has to refresh must hear so, whoever else guesses from its address.
        if refused.why is Why.TOO_FAST and isinstance(signed_in, Refused):
            raise signed_in from refused
        raise


async def _account(services: Services, signed_in: str | Refused) -> Account:
    if isinstance(signed_in, Refused):
        raise signed_in
    account = await services.store.account(signed_in)
    if account is None:
        raise Refused(Why.UNAUTHENTICATED, "The account no longer exists.")
    return account


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    response = problem_response(error, request_id(request.scope))
    if response.status_code == 401:
        sent = "authorization" in request.headers
        response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"' if sent else "Bearer"
    return response


async def _no_such_route(request: Request, error: Exception) -> Response:
    """What the router itself raises: 404, and 405 with Allow."""
    assert isinstance(error, HTTPException)
    why = Why.METHOD_NOT_ALLOWED if error.status_code == 405 else Why.NOT_FOUND
    response = problem_response(Refused(why), request_id(request.scope))
    response.headers.update({"Allow": _sorted(error)} if why is Why.METHOD_NOT_ALLOWED else {})
    return response


def _sorted(error: HTTPException) -> str:
    return ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))
