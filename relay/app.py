"""The relay as an ASGI application: where browsers connect, and whether it is well."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from relay.door import Door
from relay.hub import Hub
from relay.line import Line, line_over
from relay.lobby import Lobby
from relay.session import Session
from relay.streams import Streams
from vchat.bus import Bus
from vchat.errors import Why
from vchat.idleness import USUAL, Idleness
from vchat.matching import Queue
from vchat.state import State

SUBPROTOCOL = "vchat.v1"


@dataclass(frozen=True, slots=True)
class Services:
    """What the relay needs from the world. `clock` gives seconds since the epoch; `keys` the public
    keys known now, by id; `name` is what people see of this relay."""

    state: State
    bus: Bus
    keys: Callable[[], Mapping[str, Ed25519PublicKey]]
    clock: Callable[[], float]
    issuer: str
    origins: frozenset[str]
    instance: str
    name: str
    idleness: Idleness = USUAL
    queue: Queue | None = None
    """Those who wait for a match; without it there is no lobby."""


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
        )
        self._door = Door(
            services.state, issuer=services.issuer, keys=services.keys, clock=services.clock
        )
        self.routes = [
            WebSocketRoute("/rooms/{room_id}", self._socket),
            Route("/rooms/{room_id}", self._no_upgrade),
            Route("/healthz", self._health),
        ]
        self.streams = Streams(
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

    def application(self) -> Starlette:
        """The relay as a deployable of its own."""
        return Starlette(routes=self.routes)

    async def _socket(self, socket: WebSocket) -> None:
        if SUBPROTOCOL not in socket.scope["subprotocols"]:
            await socket.send_denial_response(_upgrade_wanted())
            return
        line = line_over(socket)
        # Accept first: a refusal before that reaches a page as a bare 1006, without a reason.
        await socket.accept(SUBPROTOCOL)
        session = self._session(socket.path_params["room_id"], line)
        await session.run(self._refusal(socket))

    def _session(self, room_id: str, line: Line) -> Session:
        return Session(
            room_id,
            line,
            hub=self.hub,
            door=self._door,
            clock=self._services.clock,
            relay=self._services.name,
            idleness=self._services.idleness,
        )

    async def _lobby_socket(self, socket: WebSocket) -> None:
        if SUBPROTOCOL not in socket.scope["subprotocols"]:
            await socket.send_denial_response(_upgrade_wanted())
            return
        await socket.accept(SUBPROTOCOL)
        await self._lobby.attend(socket, self._refusal(socket))

    def _refusal(self, socket: WebSocket) -> Why | None:
        origin = socket.headers.get("origin")
        allowed = origin is None or origin in self._services.origins
        return None if allowed else Why.BAD_ORIGIN

    async def _no_upgrade(self, request: Request) -> Response:
        return _upgrade_wanted()

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok", "rooms": self.hub.rooms})


def _upgrade_wanted() -> Response:
    return PlainTextResponse(
        f"Expected a WebSocket with the subprotocol {SUBPROTOCOL}.\n", status_code=400
    )
