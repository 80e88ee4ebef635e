"""A bus whose library is loaded after the first client was let in, not before.

Loading Pub/Sub's client takes longer than the rest of a cold start, and nobody who joins an empty
relay needs it: what other instances say meanwhile is in the room's log, and is read from there.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module

from vchat.bus import Bus
from vchat.gauges import BusGauges

PATIENCE_S = 0.3
"""How long after its first use the loading begins: about what a welcome takes on a cold start."""


class LateBus:
    """The bus that `make` makes, once the module `library` is loaded in a thread of its own."""

    def __init__(self, library: str, make: Callable[[], Bus]) -> None:
        self._library = library
        self._make = make
        self._loading: asyncio.Task[Bus] | None = None
        self.gauges = BusGauges()

    async def publish(self, room_id: str, message: bytes) -> None:
        await (await self._loaded()).publish(room_id, message)

    @asynccontextmanager
    async def listen(
        self, room_id: str, attached: Callable[[], None] = lambda: None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        bus = await self._loaded()
        async with bus.listen(room_id, attached) as messages:
            yield messages

    async def check(self) -> str | None:
        """Nothing is wrong with a bus that nobody has needed yet."""
        if self._loading is None or not self._loading.done():
            return None
        return await self._loading.result().check()

    async def close(self) -> None:
        if self._loading is not None:
            bus = await self._loading
            await bus.close()

    async def load(self) -> None:
        """Load it now, for a moment when nobody waits."""
        await self._loaded()

    async def _loaded(self) -> Bus:
        if self._loading is None:
            self._loading = asyncio.create_task(self._load(), name=f"loading {self._library}")
        # One caller that is cancelled must not end the loading for all.
        return await asyncio.shield(self._loading)

    async def _load(self) -> Bus:
        await asyncio.sleep(PATIENCE_S)
        await asyncio.to_thread(import_module, self._library)
        bus = self._make()
        self.gauges = bus.gauges
        return bus
