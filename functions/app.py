"""All operations in one table, and the apps made of it.

`build(services)` is the whole API, as the target `api` and the local server have it; mount it
where you like: `Mount("/api", app=build(services))`.
"""

from starlette.applications import Starlette

from functions import (
    account,
    auth,
    avatars,
    exchange,
    health,
    hooks,
    identities,
    invites,
    matching,
    moderation,
    rooms,
    tokens,
    voice,
    vroid,
)
from functions.callable import routes as callable_routes
from functions.services import Services
from functions.web import Operation, application

OPERATIONS: tuple[Operation, ...] = (
    *auth.OPERATIONS,
    *exchange.OPERATIONS,
    *vroid.OPERATIONS,
    *account.OPERATIONS,
    *identities.OPERATIONS,
    *avatars.OPERATIONS,
    *rooms.OPERATIONS,
    *invites.OPERATIONS,
    *moderation.OPERATIONS,
    *matching.OPERATIONS,
    *tokens.OPERATIONS,
    *voice.OPERATIONS,
    *hooks.OPERATIONS,
    *health.OPERATIONS,
)


def build(services: Services, target: str | None = None) -> Starlette:
    """The API, or only the part that one target answers."""
    chosen = (target, health.EVERY_TARGET)
    app = application(
        [one for one in OPERATIONS if target is None or one.target in chosen], services
    )
    if target is None:
        app.router.routes.extend(callable_routes(services))
    return app
