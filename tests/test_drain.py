"""Make before break: a relay that ends moves its people to another, and nobody loses a thing."""

import asyncio
from typing import Any

import httpx
import pytest
from fakeredis import FakeAsyncRedis

from adapters.bus_memory import InProcessBus
from adapters.matching_redis import RedisQueue
from adapters.state_redis import RedisState
from tests.relays import Browser, Closed, RunningRelay, new_room, open_socket, running_relay
from tests.test_two_relays import FrailBus
from vchat import limits, ticks
from vchat.state import Seated

OWN = bytes([200])


class Mover:
    """A person who follows `migrate` as the SDK does, and writes down every event."""

    def __init__(self, browser: Browser, elsewhere: RunningRelay) -> None:
        self.browser = browser
        self.elsewhere = elsewhere
        self.offsets = [browser.welcome["offset"]]
        self.shown: list[int] = []
        self.moved = False

    async def live(self, last: int) -> None:
        while self.offsets[-1] < last:
            frame = await self.browser.next(20)
            if isinstance(frame, bytes):
                self.shown += [seq for _, seq, _ in ticks.parse_tick(frame)[3]]
            elif frame["type"] == "migrate":
                await asyncio.sleep(frame["afterMs"] / 1000)
                await self.move()
            elif "offset" in frame:
                self.offsets.append(frame["offset"])

    async def move(self) -> None:
        old = self.browser
        # What arrived on the old connection meanwhile comes again on the new one.
        new = await self.elsewhere.resume(old, offset=self.offsets[-1])
        assert new.welcome["recovered"] is True
        assert new.welcome["offset"] == self.offsets[-1]
        self.browser, self.moved = new, True
        await old.leave()


@pytest.mark.parametrize(("way", "many"), [("socket", 40), ("stream", 10)])
async def test_everyone_moves_and_no_event_is_lost_or_repeated(way, many):
    redis, bus, room = FakeAsyncRedis(), InProcessBus(), new_room(capacity=100)
    state = RedisState(redis)
    await state.show_room(room)
    async with running_relay(state, bus) as old, running_relay(state, bus) as new:
        speaker = await new.join(room.id, "speaker")
        old.way = new.way = way
        people = [Mover(await old.join(room.id, f"user{n}"), new) for n in range(many)]
        said = 0

        async def speak() -> None:
            nonlocal said
            while not draining.done():
                await speaker.send(type="signal", id=f"m{said}", name="n", data=said)
                await speaker.pose(said, OWN)
                said += 1
                await speaker.text("ack")
                await asyncio.sleep(0.06)

        draining = asyncio.create_task(old.relay.hub.drain(6))
        lives = [asyncio.create_task(one.live(10**6)) for one in people]
        await speak()
        await draining
        assert old.relay.hub.rooms == []
        assert bus.rooms() == {room.id}
        await speaker.send(type="chat", id="last", text="last")
        last = (await speaker.text("ack"))["offset"]
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)
        await asyncio.gather(*(one.live(last) for one in people))

        assert all(one.moved for one in people)
        assert all(one.offsets == list(range(one.offsets[0], last + 1)) for one in people)
        assert len(await state.members(room.id)) == many + 1


async def test_who_moves_is_welcomed_when_everyones_poses_are_there():
    redis, bus, room = FakeAsyncRedis(), FrailBus(), new_room()
    state = RedisState(redis)
    await state.show_room(room)
    async with running_relay(state, bus) as old, running_relay(state, bus) as new:
        aya, ben = await old.join(room.id, "aya"), await old.join(room.id, "ben")
        await aya.pose(1, OWN)
        await ben.tick()
        mover = await new.open(room.id)
        resume = {"token": ben.welcome["resume"], "epoch": ben.welcome["epoch"], "offset": 2}
        await mover.send(type="hello", resume={**resume, "moving": True})
        await mover.nothing()
        bus.begin.set()
        frame = await mover.next()
        assert isinstance(frame, dict)
        assert frame["type"] == "welcome"
        # No tick of aya's is sent any more: this is what the new relay asked for beforehand.
        assert await mover.tick() == (True, [(aya.welcome["seat"], 1, OWN)])
        assert bus.rooms() == {room.id}


async def test_who_comes_to_a_relay_that_goes_away_is_sent_on_at_once():
    redis, room = FakeAsyncRedis(), new_room()
    state = RedisState(redis)
    await state.show_room(room)
    async with running_relay(state, queue=RedisQueue(redis)) as relay:
        aya = await relay.join(room.id, "aya")
        stream = await relay.join(room.id, "ben", way="stream")
        draining = asyncio.create_task(relay.relay.hub.drain(3))
        await aya.text("migrate")

        for path in (f"rooms/{room.id}", "lobby"):
            closed = await (await open_socket(f"{relay.url}/{path}")).closed()
            assert (closed.code, closed.bye["code"]) == (1013, 1013)
            # Time enough to ask again, and to find another relay before the old connection goes.
            assert closed.bye["retryMs"] <= 500
        async with httpx.AsyncClient(verify=False) as http:
            url = relay.url.replace("ws:", "http:")
            answer = await http.post(f"{url}/rooms/{room.id}/stream", content="{}")
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert relay.relay.hub.doors.refused == {"draining": 3}

        for one in (aya, stream):  # who is inside is served to the end
            await one.send(type="chat", id="m", text="still here")
            assert (await one.text("ack"))["id"] == "m"
            await one.leave()
        await draining


async def test_who_was_entering_when_the_relay_began_to_go_is_asked_to_move_as_well(monkeypatch):
    state, room = RedisState(FakeAsyncRedis()), new_room()
    await state.show_room(room)
    async with running_relay(state) as relay:
        sit, going = state.sit, asyncio.Event()

        async def sit_slowly(*args: Any, **options: Any) -> Seated:
            going.set()
            await asyncio.sleep(0.05)
            return await sit(*args, **options)

        monkeypatch.setattr(state, "sit", sit_slowly)
        coming = asyncio.create_task(relay.join(room.id, "late"))
        await going.wait()
        draining = asyncio.create_task(relay.relay.hub.drain(2))
        late = await coming
        assert late.welcome["type"] == "welcome"
        assert (await late.text("migrate"))["afterMs"] == 0
        await late.leave()
        await draining


@pytest.mark.parametrize("way", ["socket", "stream"])
async def test_who_does_not_move_is_closed_and_told_to_come_back(way):
    state, room = RedisState(FakeAsyncRedis()), new_room()
    await state.show_room(room)
    async with running_relay(state, way=way) as relay:
        stubborn = await relay.join(room.id, "aya")
        draining = asyncio.create_task(relay.relay.hub.drain(1.2))
        assert (await stubborn.text())["type"] == "migrate"
        closed = await stubborn.closed()
        assert isinstance(closed, Closed)
        assert (closed.code, closed.bye["code"]) == (4001, 4001)
        await draining
        assert relay.relay.hub.rooms == []


async def test_the_more_are_sent_away_at_once_the_further_apart_they_come_back(monkeypatch):
    monkeypatch.setattr(limits, "CONNECTS", limits.Rate(burst=400, per_s=2))
    state, room = RedisState(FakeAsyncRedis()), new_room(capacity=30)
    await state.show_room(room)
    async with running_relay(state) as relay:
        people = [await relay.join(room.id, f"user{n}") for n in range(8)]
        dismissing = asyncio.create_task(relay.relay.hub.dismiss(2))
        slots = [(await one.closed()).bye["retryMs"] for one in people]
        await dismissing
    assert len(set(slots)) > 4
    assert 500 < max(slots) <= 4000


async def test_an_old_connection_is_asked_to_move(monkeypatch):
    monkeypatch.setattr(limits, "AGE_S", (0.05, 0.1))
    state, room = RedisState(FakeAsyncRedis()), new_room()
    await state.show_room(room)
    async with running_relay(state) as relay:
        aya = await relay.join(room.id, "aya")
        assert (await aya.text("migrate"))["afterMs"] == 0
        monkeypatch.undo()
        again = await relay.resume(aya, offset=1)
        assert again.welcome["seat"] == aya.welcome["seat"]
