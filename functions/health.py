"""Whether what lasts and what is shared can be reached: for uptime checks, not for liveness."""

from functions.services import Services
from functions.shapes import Health
from functions.web import Call, Operation, SignIn

EVERY_TARGET = "every"
_NOBODY = "healthz"


async def healthz(call: Call, services: Services) -> Health:
    await services.store.account(_NOBODY)
    await services.state.occupancy([_NOBODY])
    return Health()


OPERATIONS = (
    Operation(
        target=EVERY_TARGET,
        method="GET",
        path="/healthz",
        summary="200 when accounts, rooms and the shared state can be reached, else 503",
        handler=healthz,
        answer=Health,
        sign_in=SignIn.NONE,
    ),
)
