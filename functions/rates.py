"""Who asks too often is told when to come back."""

import logging

from functions.services import Services
from vchat.errors import Refused, Why
from vchat.limits import Rate

_log = logging.getLogger("vchat.rates")


async def spend(services: Services, what: str, who: str, rate: Rate) -> None:
    """Take one from somebody's bucket; raises Refused(TOO_FAST) when it is empty.

    While the shared state is away nobody is refused for speed: people come before limits.
    """
    try:
        retry_ms = await services.state.spend(f"{what}:{who}", rate)
    except Refused as refused:
        _log.warning("rate not checked", extra={"what": what, "reason": str(refused)})
        return
    if retry_ms:
        raise Refused(Why.TOO_FAST, retry_ms=retry_ms)
