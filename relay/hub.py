"""The rooms of this instance: opened by the first to come, renewed together, closed by the last."""

import asyncio
import dataclasses
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from relay.room import Room
from relay.stay import Stay
from relay.tally import Doors, Tally
from relay.tasks import Tasks
from vchat import limits
from vchat.bus import Bus
from vchat.errors import Refused, Why
from vchat.state import State

log = logging.getLogger("vchat.relay")

_AWAY_S = 0.5
_EXIT_S = 2.0
_LAST_END_S = 1.0
"""How long the last to leave waits for the end of the room's subscription."""
_LAST_WORDS_S = 1.0
"""What a drain keeps back to close those who did not move."""


class Hub:
    """Holds every room that has someone on this instance."""

    def __init__(
        self,
        *,
        instance: str,
        relay: str,
        state: State,
        bus: Bus,
        clock: Callable[[], float],
        closed: Callable[[Room, float], None] = lambda room, seconds: None,
    ) -> None:
        """`closed` is told of each room that was closed, and after how many seconds."""
        self._instance = instance
        self._relay = relay
        self.tasks = Tasks()
        self.tally = Tally()
        self.doors = Doors()
        self.draining = False
        self.sessions = Tasks()
        self._state = state
        self._bus = bus
        self._clock = clock
        self._closed = closed
        self._loop = asyncio.get_running_loop()
        self._rooms: dict[str, Room] = {}
        self._visitors: dict[str, int] = {}
        self._opened: dict[str, float] = {}
        self._closing: dict[str, asyncio.Event] = {}
        self._sweeps: dict[str, asyncio.TimerHandle] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self._state_away = False

    def start(self) -> None:
        self.tasks.start(self._renew_for_ever(), "renewing seats")

    async def stop(self) -> None:
        """End what runs; sessions whose connections are closed have a moment to end themselves."""
        await self.sessions.finish(_EXIT_S)
        await self.tasks.cancel()

    @asynccontextmanager
    async def room(self, room_id: str) -> AsyncIterator[Room]:
        """The room while someone is in it. The last to leave closes it before going."""
        while room_id in self._closing:
            # Its lease is being given up, and must not take a new one along.
            await self._closing[room_id].wait()
        if room_id not in self._rooms:
            self._rooms[room_id] = room = Room(
                room_id,
                instance=self._instance,
                relay=self._relay,
                state=self._state,
                bus=self._bus,
                clock=self._clock,
            )
            self._opened[room_id] = self._loop.time()
            self._empty.clear()
        room = self._rooms[room_id]
        self._visitors[room_id] = self._visitors.get(room_id, 0) + 1
        try:
            yield room
        finally:
            self._visitors[room_id] -= 1
            if not self._visitors[room_id]:
                del self._visitors[room_id], self._rooms[room_id]
                self.tally.add(room.tally)
                self._closed(room, self._loop.time() - self._opened.pop(room_id))
                self._closing[room_id] = closed = asyncio.Event()
                if room_id in self._sweeps:
                    self._sweeps.pop(room_id).cancel()
                try:
                    await room.close()
                finally:
                    ending = self.tasks.start(room.end(), f"ending {room_id}")
                    del self._closing[room_id]
                    closed.set()
                    if not self._rooms and not self._closing:
                        self._empty.set()
                        # Cloud Run gives an instance without requests no CPU to end anything with.
                        await asyncio.wait({ending}, timeout=_LAST_END_S)

    def stays(self) -> list[Stay]:
        """Everyone who is connected to this instance."""
        return [stay for room in self._rooms.values() for stay in room.stays()]

    @property
    def rooms(self) -> list[Room]:
        return list(self._rooms.values())

    def counted(self) -> Tally:
        """The counts of this instance up to now, with all its rooms."""
        tally = dataclasses.replace(self.tally)
        for room in self._rooms.values():
            tally.add(room.tally)
        return tally

    async def drain(self, seconds: float) -> None:
        """Move everybody to another instance: connections overlap, so that nobody is cut off.

        Browsers are asked in turn, room by room, spread over two thirds of the time. A room's
        subscription goes with its last person: without it, those who wait their turn would not see
        those who moved. Where somebody does not move it goes before the end all the same, since an
        instance that is killed before it is done would leave it behind for the janitor.
        """
        self.draining = True
        end = self._loop.time() + seconds
        stays = self.stays()
        spread_ms = seconds * 2 / 3 * 1000
        for n, stay in enumerate(stays):
            stay.migrate(round(n * spread_ms / len(stays)), seconds, Why.MIGRATE)
        await self._until_empty(seconds * 0.8)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds / 10):
                rooms = list(self._rooms.values())
                await asyncio.gather(*(room.unsubscribe() for room in rooms))
        await self._until_empty(end - self._loop.time() - _LAST_WORDS_S)
        await self.dismiss(_LAST_WORDS_S)

    async def dismiss(self, seconds: float) -> None:
        """Send away whoever is here, to come back when there is a relay again, and the more they
        are the further apart."""
        stays = self.stays()
        window_ms = round(len(stays) / limits.CONNECTS.per_s * 1000)
        for stay in stays:
            stay.close(Why.MIGRATE, random.randint(0, window_ms))  # noqa: S311
        await self._until_empty(seconds)

    async def _until_empty(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._empty.wait()

    async def _renew_for_ever(self) -> None:
        while True:
            # Without the state every second counts: leases go on running out there.
            await asyncio.sleep(_AWAY_S if self._state_away else limits.RENEW_S)
            await asyncio.gather(*(self._renew(room) for room in list(self._rooms.values())))

    def _sweep_at(self, room: Room, seconds: float) -> None:
        """Renew once more when the next seat is lost, so that nobody stays until the next round."""
        if room.id in self._sweeps:
            self._sweeps[room.id].cancel()
        self._sweeps[room.id] = self._loop.call_later(
            seconds, lambda: self.tasks.start(self._renew(room), f"sweeping {room.id}")
        )

    async def _renew(self, room: Room) -> None:
        try:
            next_s = await room.renew()
            if next_s is not None and next_s < limits.RENEW_S and self._rooms.get(room.id) is room:
                self._sweep_at(room, next_s)
            if self._state_away:
                log.warning("the shared state is back")
            self._state_away = False
        except Refused:
            # Poses keep flowing and events are refused; leases outlast a short absence.
            if not self._state_away:
                log.warning("the shared state is away")
            self._state_away = True
