"""Who is gone is told in time, and a relay owns nothing in a room without its lease there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fakeredis import FakeAsyncRedis

from adapters.bus_memory import InProcessBus
from adapters.state_redis import RedisState
from tests.relays import Browser, new_room, running_relay, ticket
from tests.test_state import bodies, sit
from vchat import events, limits
from vchat.bus import Bus
from vchat.errors import Refused, Why
from vchat.state import Reason, Seated


class Bystander(InProcessBus):
    """A bus with one instance on it, which hears nothing."""

    def instance(self, name: str) -> Bus:
        return self

    async def publish(self, room_id: str, message: bytes) -> None:
        pass

    @asynccontextmanager
    async def listen(
        self, room_id: str, attached: Callable[[], None]
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        async def nothing() -> AsyncIterator[bytes]:
            await asyncio.Event().wait()
            yield b""

        yield nothing()

    async def check(self) -> str | None:
        return None

    async def close(self) -> None:
        pass


async def test_a_renewal_tells_when_the_next_seat_is_lost(state, clock):
    room = new_room()
    await state.show_room(room)
    aya = await sit(state, room, "aya", instance="relay-dead")
    clock.pass_s(limits.RENEW_S)
    ben = await sit(state, room, "ben", instance="relay-live")
    seats = {"ben": ben.generation}

    first = await state.renew(room.id, "relay-live", seats, hosting=True)
    assert first.next_s == limits.LEASE_S - limits.RENEW_S
    clock.pass_s(first.next_s)
    swept = await state.renew(room.id, "relay-live", seats, hosting=True)
    assert [event["seat"] for event in bodies(swept.events)] == [aya.me.seat]
    assert swept.next_s == limits.LEASE_S


async def test_nobody_outlives_their_relay_or_their_hold_by_a_round_of_renewals(monkeypatch):
    monkeypatch.setattr(limits, "RENEW_S", 0.5)
    state, bus, room = RedisState(FakeAsyncRedis()), InProcessBus(), new_room()
    await state.show_room(room)
    async with running_relay(state, bus) as relay:
        # The first round has just begun when somebody with little time left is known to be lost.
        ben = await relay.join(room.id, "ben")
        monkeypatch.setattr(limits, "RENEW_S", 3600)
        aya = await sit(state, room, "aya", instance="relay-dead")
        monkeypatch.setattr(limits, "SEAT_HOLD_S", 1.0)
        await state.lose(room.id, "aya", aya.generation)
        assert (await ben.text("left", 30))["userId"] == "aya"


class Watched(Bystander):
    """Writes down who hosts a room when it begins to be listened to."""

    def __init__(self, state: RedisState) -> None:
        super().__init__()
        self.state = state
        self.hosts: list[frozenset[str]] = []

    @asynccontextmanager
    async def listen(
        self, room_id: str, attached: Callable[[], None]
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        self.hosts.append(await self.state.hosts(room_id))
        async with super().listen(room_id, attached) as messages:
            yield messages


class SlowSeats(RedisState):
    async def sit(self, *args: Any, **kwargs: Any) -> Seated:
        await asyncio.sleep(0.1)
        return await super().sit(*args, **kwargs)


async def test_who_is_refused_a_seat_makes_nothing_on_the_bus():
    state, room = SlowSeats(FakeAsyncRedis()), new_room(capacity=1)
    await state.show_room(room)
    await sit(state, room, "aya", instance="relay-b")
    bus = Watched(state)
    async with running_relay(state, bus) as relay:
        refused = await relay.open(room.id)
        await refused.send(type="hello", ticket=ticket(room.id, "ben"))
        assert (await refused.closed()).code == Why.ROOM_FULL.value.close
    assert bus.hosts == []
    assert await state.hosts(room.id) == {"relay-b"}


async def test_the_lease_is_taken_before_the_subscription_is_made():
    state, room = SlowSeats(FakeAsyncRedis()), new_room()
    await state.show_room(room)
    bus = Watched(state)
    async with running_relay(state, bus) as relay:
        await relay.join(room.id, "aya")
        while not bus.hosts:  # noqa: ASYNC110 - it is made in the background
            await asyncio.sleep(0.01)
    assert bus.hosts == [{relay.relay.hub._instance}]


class Sticky(Bystander):
    """A bus that takes its time to let go of a room."""

    def __init__(self) -> None:
        super().__init__()
        self.leaving = asyncio.Event()
        self.let_go = asyncio.Event()

    @asynccontextmanager
    async def listen(
        self, room_id: str, attached: Callable[[], None]
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        try:
            async with super().listen(room_id, attached) as messages:
                yield messages
        finally:
            self.leaving.set()
            await self.let_go.wait()


async def test_a_bus_that_is_slow_to_let_go_keeps_nobody_waiting():
    state, bus, room = RedisState(FakeAsyncRedis()), Sticky(), new_room()
    await state.show_room(room)
    async with running_relay(state, bus) as relay:
        aya: Browser = await relay.join(room.id, "aya")
        aya.vanish()
        while relay.relay.hub.rooms:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        back = await relay.resume(aya, offset=aya.welcome["head"])
        assert back.welcome["recovered"] is True
        bus.let_go.set()


async def test_the_last_to_leave_a_relay_stay_until_their_subscription_is_gone():
    """Afterwards no request runs there, and Cloud Run gives it no CPU to delete one with."""
    state, bus, room = RedisState(FakeAsyncRedis()), Sticky(), new_room()
    await state.show_room(room)
    async with running_relay(state, bus) as relay:
        aya = await relay.join(room.id, "aya")
        await aya.send(type="leave")
        await bus.leaving.wait()
        await aya.nothing()
        bus.let_go.set()
        assert (await aya.closed()).code == 1000


async def test_while_the_state_is_away_it_is_asked_often(monkeypatch):
    monkeypatch.setattr(limits, "RENEW_S", 0.05)
    state, room = RedisState(FakeAsyncRedis()), new_room()
    await state.show_room(room)
    async with running_relay(state) as relay:
        await relay.join(room.id, "aya")
        asked: list[float] = []

        async def away(*_: object, **__: object) -> None:
            asked.append(asyncio.get_running_loop().time())
            monkeypatch.setattr(limits, "RENEW_S", 3600)
            raise Refused(Why.UNAVAILABLE)

        monkeypatch.setattr(state, "renew", away)
        async with asyncio.timeout(30):
            while len(asked) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_whoever_is_put_out_while_the_bus_is_away_still_hears_why():
    state, room = RedisState(FakeAsyncRedis()), new_room()
    await state.show_room(room)
    async with running_relay(state) as relay:
        people = {name: await relay.join(room.id, name) for name in ("aya", "ben")}
        (here,) = relay.relay.hub._rooms.values()
        await state.leave(room.id, "ben", None, Reason.KICKED)
        await here.renew()
        assert (await people["ben"].closed()).code == Why.KICKED.value.close
        await state.end_room(room, events.ended("expired"))
        await here.renew()
        assert (await people["aya"].text("ended"))["reason"] == "expired"
        assert (await people["aya"].closed()).code == Why.ROOM_ENDED.value.close


async def test_a_hello_that_was_given_up_takes_no_seat_however_late_it_is_heard():
    heard, slow = asyncio.Event(), asyncio.Event()

    class SlowDoor(RedisState):
        async def burn(self, jti: str, life_s: int) -> bool:
            heard.set()
            await slow.wait()
            return await super().burn(jti, life_s)

    state, room = SlowDoor(FakeAsyncRedis()), new_room()
    await state.show_room(room)
    async with running_relay(state) as relay:
        browser = await relay.open(room.id)
        await browser.send(type="hello", ticket=ticket(room.id, "aya"))
        await heard.wait()
        browser.vanish()
        while relay.server.server_state.connections:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        slow.set()
        await relay.join(room.id, "ben")
        assert await state.occupancy([room.id]) == {room.id: 1}
