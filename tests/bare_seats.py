"""Sessions of a relay with no socket: a line that goes nowhere, and a room to sit in."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch

from fakeredis import FakeAsyncRedis

from adapters.bus_memory import InProcessBus
from adapters.state_redis import RedisState
from relay.door import Door
from relay.gate import Gate, Knock
from relay.hub import Hub
from relay.line import Ear, Frame
from relay.session import Session
from tests.relays import ISSUER, RING, new_room, ticket
from vchat import limits, outbound, ticks
from vchat.admitting import Admitting
from vchat.idleness import USUAL
from vchat.limits import Rate

FREE = Rate(10**9, 10**9)
"""As good as no limit."""
SPEEDS = ("CHAT", "SIGNAL", "CONTROL", "POSE")


class BareSeat:
    """One session over a line that goes nowhere, and what it was sent."""

    tick_hz = limits.TICK_HZ
    outlives_call = False
    ready = True

    def __init__(self, room_id: str, hub: Hub, door: Door, knock: Knock) -> None:
        self.sent: list[Frame] = []
        self.code: int | None = None
        session = Session(
            room_id,
            self,
            hub=hub,
            door=door,
            clock=time.time,
            relay="bare",
            idleness=USUAL,
            knock=knock,
        )
        self.start(session)
        self.task = asyncio.create_task(self._stay(session, knock))

    async def _stay(self, session: Session, knock: Knock) -> None:
        with knock:
            await session.run()

    def start(self, ear: Ear) -> None:
        self.ear, self.on_binary = ear, ear.on_binary

    def send(self, frame: Frame) -> None:
        if frame.payload == outbound.PING:
            asyncio.get_running_loop().call_soon(self.ear.on_text, '{"type":"pong"}')
        else:
            self.sent.append(frame)

    def offer(self, frame: Frame) -> bool:
        self.sent.append(frame)
        return True

    async def close(self, code: int, reason: str) -> None:
        self.code = code

    def texts(self) -> list[dict[str, Any]]:
        """What was sent as text since the last time."""
        sent, self.sent = self.sent, []
        for frame in sent:
            if frame.binary:
                ticks.parse_tick(frame.payload)
        return [json.loads(frame.payload) for frame in sent if not frame.binary]


class BareRoom:
    """A room on a relay of its own; `sit` takes a seat in it."""

    def __init__(self, state: RedisState, hub: Hub) -> None:
        self._hub = hub
        self._door = Door(state, issuer=ISSUER, keys=lambda: RING.public, clock=time.time)
        self.gate = Gate(Admitting(connects=FREE), time.monotonic, Counter())
        self.room = new_room()

    async def sit_down(self, user: str, *, ready: bool = True) -> BareSeat:
        """Somebody who has said hello; without `ready` nothing that is sent is read."""
        seat = BareSeat(self.room.id, self._hub, self._door, self.gate.knock("192.0.2.1"))
        seat.ready = ready
        await asyncio.sleep(0)
        seat.ear.on_text(
            json.dumps(
                {"type": "hello", "version": outbound.VERSION, "ticket": ticket(self.room.id, user)}
            )
        )
        return seat

    async def sit(self, user: str) -> tuple[BareSeat, dict[str, Any]]:
        """Somebody's seat, and the welcome that came first."""
        seat = await self.sit_down(user)
        while not seat.sent:  # noqa: ASYNC110 (a line tells nobody what it was sent)
            await asyncio.sleep(0)
        (welcome, *_) = seat.texts()
        assert welcome["type"] == "welcome", welcome
        return seat, welcome


@asynccontextmanager
async def bare_room() -> AsyncIterator[BareRoom]:
    """Somewhere to sit, where nobody is too fast, and seats last without being renewed."""
    redis = FakeAsyncRedis()
    state = RedisState(redis)
    bus = InProcessBus().instance("bare")
    hub = Hub(instance="bare", relay="bare", state=state, bus=bus, clock=time.time)
    with patch.multiple(limits, LEASE_S=3600.0, **dict.fromkeys(SPEEDS, FREE)):
        try:
            where = BareRoom(state, hub)
            await state.show_room(where.room)
            yield where
        finally:
            await hub.stop()
            await redis.aclose()
