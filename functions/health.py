"""Whether what lasts and what is shared can be reached: for uptime checks, not for liveness.

Cloud Run keeps some paths that end in z for itself, so this is not /healthz.
"""

from functions.services import Services
from functions.shapes import Health
from functions.web import Call, Operation, SignIn

EVERY_TARGET = "every"
_NOBODY = "nobody"


async def health(call: Call, services: Services) -> Health:
    await services.store.account(_NOBODY)
    await services.state.occupancy([_NOBODY])
    return Health()


OPERATIONS = (
    Operation(
        target=EVERY_TARGET,
        method="GET",
        path="/health",
        summary="200 when accounts, rooms and the shared state can be reached, else 503",
        handler=health,
        answer=Health,
        sign_in=SignIn.NONE,
    ),
)
