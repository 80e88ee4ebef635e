"""The relay as an ASGI application: where browsers connect, and whether it is well."""

import hmac
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Scope
from starlette.websockets import WebSocket

from relay.door import Door
from relay.gate import Gate, Knock
from relay.hub import Hub
from relay.line import Line, line_over
from relay.lobby import Lobby
from relay.minutes import Minutes
from relay.problem import no_such_route, problem
from relay.readiness import Readiness
from relay.session import Session
from relay.streams import Streams
from vchat import admitting, idleness
from vchat.admitting import Admitting
from vchat.bus import Bus
from vchat.caller import caller_address
from vchat.errors import Refused, Why
from vchat.idleness import Idleness
from vchat.matching import Queue
from vchat.state import State
from vchat.trace import trace_of

SUBPROTOCOL = "vchat.v1"


@dataclass(frozen=True, slots=True)
class Services:
    """What the relay needs from the world. `clock` gives seconds since the epoch; `keys` the public
    keys known now, by id; `name` is what people see of this relay; `proxies` how many proxies in
    front append to X-Forwarded-For."""

    state: State
    bus: Bus
    keys: Callable[[], Mapping[str, Ed25519PublicKey]]
    clock: Callable[[], float]
    issuer: str
    origins: frozenset[str]
    instance: str
    name: str
    proxies: int = 0
    idleness: Idleness = idleness.USUAL
    admitting: Admitting = admitting.USUAL
    queue: Queue | None = None
    """Those who wait for a match; without it there is no lobby."""
    metrics_token: str | None = None
    """What whoever reads /metrics must show; "" lets everybody read, None nobody."""
    usd_per_gib: float | None = None
    """The price of traffic to browsers, for the estimates of what rooms cost."""


class Relay:
    """The application and the hub behind it, which outlives the requests."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.hub = Hub(
            instance=services.instance,
            relay=services.name,
            state=services.state,
            bus=services.bus,
            clock=services.clock,
            closed=lambda room, seconds: self._minutes.room_closed(room, seconds),
        )
        self._minutes = Minutes(
            self.hub,
            lambda: services.bus.gauges,
            services.state.gauges,
            relay=services.name,
            usd_per_gib=services.usd_per_gib,
        )
        self._readiness = Readiness(self.hub, services.state, services.bus)
        self._door = Door(
            services.state, issuer=services.issuer, keys=services.keys, clock=services.clock
        )
        self._gate = Gate(services.admitting, time.monotonic, self.hub.doors.refused)
        self.routes = [
            WebSocketRoute("/rooms/{room_id}", self._socket),
            Route("/rooms/{room_id}", self._no_upgrade),
            Route("/live", self._live),
            Route("/ready", self._ready),
            Route("/metrics", self._metrics),
        ]
        self.streams = Streams(
            self._knock,
            self._session,
            instance=services.instance,
            origins=services.origins,
            tasks=self.hub.tasks,
        )
        self.routes += self.streams.routes
        if services.queue is not None:
            self._lobby = Lobby(
                services.queue,
                services.state,
                issuer=services.issuer,
                keys=services.keys,
                clock=services.clock,
            )
            self.routes += [
                WebSocketRoute("/lobby", self._lobby_socket),
                Route("/lobby", self._no_upgrade),
            ]
        # The framework would say 403, and nothing more.
        self.routes.append(WebSocketRoute("/{path:path}", self._no_such_socket))

    def start(self) -> None:
        """Begin the work that goes on beside the requests."""
        self.hub.start()
        self.hub.tasks.start(self._minutes.keep(), "keeping the minutes")

    async def stop(self) -> None:
        await self.hub.stop()
        self._minutes.write()

    def application(self) -> Starlette:
        """The relay as a deployable of its own."""
        return Starlette(routes=self.routes, exception_handlers={HTTPException: no_such_route})

    async def _socket(self, socket: WebSocket) -> None:
        if SUBPROTOCOL not in socket.scope["subprotocols"]:
            await socket.send_denial_response(_upgrade_wanted(socket.scope))
            return
        try:
            knock = self._knock(socket.scope)
        except Refused as refused:
            await socket.send_denial_response(problem(refused, socket.scope))
            return
        with ExitStack() as at_the_door:
            at_the_door.enter_context(knock)
            line = line_over(socket)
            # Other refusals come after: before, they would reach a page as a bare 1006.
            await socket.accept(SUBPROTOCOL)
            session = self._session(socket.scope, line, knock)
            line.start(session)
            at_the_door.pop_all()
        stay = _within(knock, session.run(self._refusal(socket) or knock.refusal))
        if line.outlives_call:
            # What the server and the framework keep for this call is let go of.
            self.hub.sessions.start(stay, "a session")
        else:
            await stay

    def _knock(self, scope: Scope) -> Knock:
        address = caller_address(scope, self._services.proxies)
        return self._gate.knock(address, draining=self.hub.draining)

    def _session(self, scope: Scope, line: Line, knock: Knock) -> Session:
        return Session(
            scope["path_params"]["room_id"],
            line,
            trace=trace_of(scope),
            knock=knock,
            hub=self.hub,
            door=self._door,
            clock=self._services.clock,
            relay=self._services.name,
            idleness=self._services.idleness,
        )

    async def _lobby_socket(self, socket: WebSocket) -> None:
        if SUBPROTOCOL not in socket.scope["subprotocols"]:
            await socket.send_denial_response(_upgrade_wanted(socket.scope))
            return
        try:
            knock = self._knock(socket.scope)
        except Refused as refused:
            await socket.send_denial_response(problem(refused, socket.scope))
            return
        with knock:
            await socket.accept(SUBPROTOCOL)
            with self.hub.doors.passing():
                await self._lobby.attend(socket, knock, self._refusal(socket) or knock.refusal)

    def _refusal(self, socket: WebSocket) -> Refused | None:
        origin = socket.headers.get("origin")
        allowed = origin is None or origin in self._services.origins
        return None if allowed else Refused(Why.BAD_ORIGIN)

    async def _no_such_socket(self, socket: WebSocket) -> None:
        await socket.send_denial_response(problem(Refused(Why.NOT_FOUND), socket.scope))

    async def _no_upgrade(self, request: Request) -> Response:
        return _upgrade_wanted(request.scope)

    async def _live(self, request: Request) -> Response:
        """That the process answers: asked by whoever would restart it, so nothing else counts."""
        return JSONResponse({"status": "ok"})

    async def _ready(self, request: Request) -> Response:
        if away := await self._readiness.away():
            return JSONResponse({"status": "not-ready", "away": away}, status_code=503)
        return JSONResponse({"status": "ready"})

    async def _metrics(self, request: Request) -> Response:
        token = self._services.metrics_token
        if token is None:
            raise HTTPException(404)
        shown = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token and not hmac.compare_digest(shown.encode(), token.encode()):
            detail = "Expected Authorization: Bearer and the token for metrics."
            return problem(Refused(Why.UNAUTHENTICATED, detail), request.scope)
        from relay import metrics  # kept out of the start; nobody who joins needs it

        sources = metrics.Sources(
            hub=self.hub,
            bus=self._services.bus.gauges,
            state=self._services.state.gauges,
            usd_per_gib=self._services.usd_per_gib,
        )
        return Response(metrics.page(sources), media_type=metrics.CONTENT_TYPE)


async def _within(knock: Knock, stay: Awaitable[None]) -> None:
    with knock:
        await stay


def _upgrade_wanted(scope: Scope) -> Response:
    detail = f"Expected a WebSocket with the subprotocol {SUBPROTOCOL}."
    return problem(Refused(Why.INVALID_REQUEST, detail), scope)
