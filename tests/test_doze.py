"""Giving up the socket and keeping the seat: away, back with all that was missed, or gone."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
import pytest
from fakeredis import FakeAsyncRedis

from adapters.bus_memory import InProcessBus
from adapters.state_redis import RedisState
from tests.conftest import ManualClock
from tests.relays import Browser, RunningRelay, new_room, running_relay, ticket
from vchat import limits, outbound
from vchat.idleness import Idleness
from vchat.model import Room, RoomStatus
from vchat.state import Reason

AWAY_S = 600


@dataclass
class House:
    """A relay, its bus, and a room; the state's time is turned by hand."""

    relay: RunningRelay
    bus: InProcessBus
    room: Room
    clock: ManualClock

    @property
    def state(self) -> RedisState:
        return self.relay.state

    async def join(self, user: str) -> Browser:
        return await self.relay.join(self.room.id, user, now=self.clock() / 1000)

    def ticket(self, user: str) -> str:
        return ticket(self.room.id, user, now=self.clock() / 1000)

    async def live(self, seconds: float) -> None:
        """Let time pass for a relay that renews its seats meanwhile."""
        for _ in range(int(seconds / limits.LEASE_S) + 1):
            self.clock.pass_s(limits.LEASE_S - 1)
            for room in list(self.relay.relay.hub._rooms.values()):
                await room.renew()

    async def doze(self, browser: Browser) -> int:
        """Ask to doze; the offset of the last event heard before the relay closed."""
        known = browser.welcome["offset"]
        await browser.send(type="doze")
        while True:
            frame = await browser.text()
            known = frame.get("offset", known)
            if frame["type"] == "member" and frame.get("away"):
                break
        closed = await browser.closed()
        assert (closed.code, closed.bye) == (4007, {"type": "bye", "code": 4007, "reason": "doze"})
        return known

    async def wake(self, browser: Browser, offset: int) -> Browser:
        return await self.relay.resume(browser, offset=offset)

    async def refused(self, browser: Browser, offset: int = 1) -> int:
        """Try to wake; the code one is refused with."""
        again = await self.relay.open(self.room.id)
        resume = {"token": browser.welcome["resume"], "epoch": browser.welcome["epoch"]}
        await again.send(type="hello", resume={**resume, "offset": offset})
        return (await again.closed()).code


@pytest.fixture(name="house", params=["socket", "stream"])
async def _house(clock: ManualClock, request: pytest.FixtureRequest) -> AsyncIterator[House]:
    state, bus, room = RedisState(FakeAsyncRedis(), clock=clock), InProcessBus(), new_room()
    await state.show_room(room)
    async with running_relay(
        state,
        bus,
        clock=lambda: clock() / 1000,
        idleness=Idleness(away_s=AWAY_S),
        way=request.param,
    ) as relay:
        yield House(relay, bus, room, clock)


async def test_a_welcome_says_when_to_doze_and_for_how_long_one_may_be_away(house):
    aya = await house.join("aya")
    assert aya.welcome["version"] == outbound.VERSION
    assert aya.welcome["doze"] == {"hiddenS": 60, "idleS": 900, "awayS": AWAY_S}


async def test_who_dozes_is_away_and_keeps_the_seat(house):
    aya, ben = await house.join("aya"), await house.join("ben")
    await house.doze(aya)

    told = await ben.text("member")
    assert (told["seat"], told["userId"], told["away"]) == (aya.welcome["seat"], "aya", True)
    cho = await house.join("cho")
    assert {one["userId"]: one["away"] for one in cho.welcome["members"]} == {
        "aya": True,
        "ben": False,
        "cho": False,
    }
    house.clock.pass_s(limits.SEAT_HOLD_S + 1)
    assert (await house.state.occupancy([house.room.id]))[house.room.id] >= 1


async def test_who_wakes_has_the_seat_and_hears_all_that_was_missed_once_and_in_order(house):
    aya, ben = await house.join("aya"), await house.join("ben")
    known = await house.doze(aya)
    for n in range(5):
        await ben.send(type="chat", id=f"m{n}", text=str(n))
        await ben.text("ack")
    house.clock.pass_s(5)

    again = await house.wake(aya, known)
    assert (again.welcome["recovered"], again.welcome["seat"]) == (True, aya.welcome["seat"])
    assert [one["away"] for one in again.welcome["members"] if one["userId"] == "aya"] == [False]
    heard = [await again.text() for _ in range(6)]
    assert [event["offset"] for event in heard] == list(range(known + 1, known + 7))
    assert [event["text"] for event in heard[:5]] == ["0", "1", "2", "3", "4"]
    assert heard[5]["away"] is False
    assert (await ben.text("member"))["away"] is False


async def test_when_all_are_away_the_relay_holds_nothing_and_all_can_wake(house):
    people = [await house.join(f"user{n}") for n in range(3)]
    known = [await house.doze(one) for one in people]

    await house.relay.relay.hub._until_empty(5)
    assert house.relay.relay.hub.rooms == []
    assert house.bus.rooms() == set()
    assert house.relay.relay.hub.stays() == []
    assert await house.state.hosts(house.room.id) == frozenset()
    mine = {task.get_name() for task in asyncio.all_tasks()}
    assert not [name for name in mine if house.room.id in name]

    house.clock.pass_s(AWAY_S - 1)
    assert await house.state.occupancy([house.room.id]) == {house.room.id: 3}
    for browser, offset in zip(people, known, strict=True):
        again = await house.wake(browser, offset)
        assert again.welcome["recovered"] is True
        assert again.welcome["seat"] == browser.welcome["seat"]


async def test_who_stays_away_too_long_is_gone_and_told_so_on_coming_back(house):
    aya, ben = await house.join("aya"), await house.join("ben")
    await house.doze(aya)
    await house.live(AWAY_S * 1.2)

    left = await ben.text("left")
    assert (left["userId"], left["reason"]) == ("aya", "idle")
    assert await house.refused(aya) == 4402
    fresh = await house.join("aya")
    assert fresh.welcome["seat"] != aya.welcome["seat"]


async def test_a_person_alone_who_stays_away_too_long_is_told_so_too(house):
    aya = await house.join("aya")
    await house.doze(aya)
    house.clock.pass_s(AWAY_S + 60)
    assert await house.refused(aya) == 4402


@pytest.mark.parametrize(("reason", "code"), [(Reason.KICKED, 4301), (Reason.BANNED, 4302)])
async def test_who_is_removed_while_away_cannot_wake(house, reason, code):
    aya = await house.join("aya")
    await house.doze(aya)
    if reason is Reason.BANNED:
        await house.state.ban(house.room.id, "aya", None)
    assert await house.state.leave(house.room.id, "aya", None, reason) is not None

    assert await house.refused(aya) == code
    # A kick bars the door for a minute; what it ended stays ended.
    house.clock.pass_s(AWAY_S - 60)
    assert await house.refused(aya) == code


async def test_a_ban_that_was_lifted_lets_in_with_a_new_ticket(house):
    aya = await house.join("aya")
    await house.doze(aya)
    await house.state.ban(house.room.id, "aya", None)
    await house.state.leave(house.room.id, "aya", None, Reason.BANNED)
    await house.state.unban(house.room.id, "aya")
    assert await house.refused(aya) == 4102
    await house.join("aya")


async def test_a_room_that_ended_meanwhile_is_ended_for_those_away(house):
    aya = await house.join("aya")
    await house.doze(aya)
    ended = msgspec.structs.replace(house.room, status=RoomStatus.ENDED)
    await house.state.end_room(ended, b'{"type":"ended","reason":"owner"}')
    assert await house.refused(aya) == 4303


async def test_a_log_that_no_longer_reaches_back_is_said_so(house):
    aya, ben = await house.join("aya"), await house.join("ben")
    known = await house.doze(aya)
    for text in ("before", "after"):
        await ben.send(type="chat", id=text, text=text)
        await ben.text("ack")
    await house.state._redis.xtrim(f"vchat:{{{house.room.id}}}:log", maxlen=1, approximate=False)

    again = await house.wake(aya, known)
    assert again.welcome["recovered"] is False
    assert again.welcome["seat"] == aya.welcome["seat"]
    assert [event["text"] for event in again.welcome["history"]] == ["before", "after"]


async def test_a_session_that_ran_out_while_away_can_be_refreshed_on_waking(house):
    aya = await house.join("aya")
    house.clock.pass_s(limits.SESSION_S - 10)
    known = await house.doze(aya)
    house.clock.pass_s(AWAY_S - 10)

    again = await house.wake(aya, known)
    assert again.welcome["recovered"] is True
    assert again.welcome["expiresIn"] == limits.WAKE_S
    await again.send(type="refresh", ticket=house.ticket("aya"))
    assert (await again.text("refreshed"))["expiresIn"] == limits.SESSION_S


async def test_a_session_is_not_prolonged_by_dozing_again_and_again(house):
    aya = await house.join("aya")
    house.clock.pass_s(limits.SESSION_S - 10)
    known = await house.doze(aya)
    house.clock.pass_s(AWAY_S - 10)
    again = await house.wake(aya, known)
    await house.doze(again)
    house.clock.pass_s(AWAY_S - 10)
    assert await house.refused(again) == 4100


async def test_another_device_takes_the_seat_of_someone_away(house):
    aya = await house.join("aya")
    await house.doze(aya)
    other = await house.join("aya")
    assert other.welcome["seat"] == aya.welcome["seat"]
    assert [one["away"] for one in other.welcome["members"]] == [False]
    assert await house.refused(aya) == 4304


async def test_while_the_state_is_away_nobody_dozes_and_nobody_is_closed(house, monkeypatch):
    aya = await house.join("aya")

    async def broken(*args, **options):
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(house.state, "_script", broken)
        await aya.send(type="doze")
        error = await aya.text("error")
    assert error["code"] == "unavailable"
    assert error["retryMs"] > 0
    await aya.send(type="chat", id="m", text="here")
    assert (await aya.text("ack"))["id"] == "m"


async def test_a_connection_that_does_nothing_is_removed_where_that_is_asked_for():
    state, room = RedisState(FakeAsyncRedis()), new_room()
    await state.show_room(room)
    idleness = Idleness(hidden_s=0, idle_s=0, away_s=0, kick=True)
    async with running_relay(state) as patient, running_relay(state, idleness=idleness) as relay:
        ben = await patient.join(room.id, "ben")
        aya = await relay.join(room.id, "aya")
        closed = await aya.closed()
        assert (closed.code, closed.bye["reason"]) == (4402, "idle")
        members = await state.members(room.id)
        assert [one.user_id for one in members] == ["ben"]
        await ben.nothing()
