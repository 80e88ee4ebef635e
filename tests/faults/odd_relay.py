"""A relay whose clock is wrong and whose bus delays, doubles and reorders what it sends.

`python -m tests.faults.odd_relay` is `python -m relay` otherwise. ODD_CLOCK is a file that says how
many seconds its clock is ahead, and may change; ODD_SEED decides what its bus does.
"""

import asyncio
import os
import random
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

import relay.__main__ as program
from relay.settings import Settings
from vchat.bus import Bus
from vchat.errors import Refused

_MOST_LATE_S = 1.5
_LOOK_S = 0.1


class OddBus:
    """Keeps the port's promises (at least once, in any order), and none beyond them."""

    def __init__(self, bus: Bus, seed: int) -> None:
        self.gauges = bus.gauges
        self.check = bus.check
        self._bus = bus
        self._chance = random.Random(seed)
        self._late: set[asyncio.Task[None]] = set()

    async def publish(self, room_id: str, message: bytes) -> None:
        what = self._chance.random()
        if what < 0.3:
            self._later(room_id, message)
        if not 0.1 <= what < 0.3:
            await self._bus.publish(room_id, message)

    def _later(self, room_id: str, message: bytes) -> None:
        task = asyncio.create_task(self._publish_late(room_id, message))
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _publish_late(self, room_id: str, message: bytes) -> None:
        await asyncio.sleep(self._chance.random() * _MOST_LATE_S)
        with suppress(Refused):
            await self._bus.publish(room_id, message)

    def listen(
        self, room_id: str, attached: Callable[[], None]
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._bus.listen(room_id, attached)

    async def close(self) -> None:
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)
        await self._bus.close()


def skew_clock(file: Path) -> None:
    right, skew_s = time.time, float(file.read_text())

    def follow() -> None:
        nonlocal skew_s
        while True:
            time.sleep(_LOOK_S)
            skew_s = float(file.read_text())

    time.time = lambda: right() + skew_s
    threading.Thread(target=follow, daemon=True).start()


def main() -> None:
    make = program._pubsub
    skew_clock(Path(os.environ["ODD_CLOCK"]))

    def odd(settings: Settings, instance: str) -> Bus:
        return OddBus(make(settings, instance), int(os.environ["ODD_SEED"]))

    program._pubsub = odd
    program.main()


if __name__ == "__main__":
    main()
