"""Whether this relay can serve newcomers: not on its way out, and Redis and the bus answer."""

import asyncio
import logging
import time

from relay.hub import Hub
from vchat.bus import Bus
from vchat.errors import Refused
from vchat.state import State

log = logging.getLogger("vchat.relay")

DEADLINE_S = 2.5
FRESH_S = 2.0
"""An answer is given again for this long: strangers may ask as well, and each look is a call."""
_NOBODY = "nobody"


class Readiness:
    """Looks when asked. Who asks is told which part is away; the log says more, once."""

    def __init__(self, hub: Hub, state: State, bus: Bus) -> None:
        self._hub = hub
        self._state = state
        self._bus = bus
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")
        self._away: tuple[str, ...] = ()

    async def away(self) -> tuple[str, ...]:
        """What keeps this relay from serving: `draining`, `state`, `bus`; nothing when ready."""
        if self._hub.draining:
            return ("draining",)
        async with self._looking:
            if time.monotonic() - self._looked_at >= FRESH_S:
                found = await asyncio.gather(self._look_at_state(), self._look_at_bus())
                away = tuple(part for part in found if part)
                if away != self._away:
                    log.warning("readiness changed", extra={"away": away})
                self._away, self._looked_at = away, time.monotonic()
            return self._away

    async def _look_at_state(self) -> str:
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self._state.occupancy([_NOBODY])
        except (Refused, TimeoutError):
            return "state"
        return ""

    async def _look_at_bus(self) -> str:
        try:
            async with asyncio.timeout(DEADLINE_S):
                problem = await self._bus.check()
        except TimeoutError:
            problem = f"The bus did not answer within {DEADLINE_S:g} s."
        if problem is not None and "bus" not in self._away:
            log.warning(problem)
        return "bus" if problem else ""
