"""A room on two relays: what they tell each other, and that one alone tells nobody."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fakeredis import FakeAsyncRedis

from adapters.bus_memory import InProcessBus
from adapters.state_redis import RedisState
from tests.relays import Browser, RunningRelay, new_room, running_relay
from tests.test_state import sit
from vchat import bus_messages
from vchat.bus import Bus
from vchat.state import Guest, Seated

OWN = bytes([200])


class CountedBus(InProcessBus):
    def __init__(self) -> None:
        super().__init__()
        self.sent: Counter[str] = Counter()

    def send(self, sender: str, room_id: str, message: bytes) -> None:
        self.sent[type(bus_messages.decode(message)).__name__] += 1
        super().send(sender, room_id, message)


class FrailBus(InProcessBus):
    """A bus as over a network: subscriptions after the first deliver from `begin` on, and all can
    be `cut` off and made again."""

    def __init__(self) -> None:
        super().__init__()
        self.begin = asyncio.Event()
        self.cut = False
        self._attached: list[Callable[[], None]] = []

    def instance(self, name: str) -> Bus:
        made = super().instance(name)
        listen = made.listen

        @asynccontextmanager
        async def frail(
            room_id: str, attached: Callable[[], None] = lambda: None
        ) -> AsyncIterator[AsyncIterator[bytes]]:
            if self.rooms():
                await self.begin.wait()
            self._attached.append(attached)
            async with listen(room_id, attached) as messages:
                yield messages

        made.listen = frail
        return made

    def send(self, sender: str, room_id: str, message: bytes) -> None:
        if not self.cut:
            super().send(sender, room_id, message)

    def mend(self) -> None:
        self.cut = False
        for attached in self._attached:
            attached()


async def sees(watcher: Browser, shown: Browser, seq: int) -> None:
    """Wait until a pose is shown to somebody."""
    async with asyncio.timeout(20):
        while (shown.welcome["seat"], seq) not in [pose[:2] for pose in (await watcher.tick())[1]]:
            pass


async def move(mover: Browser, watcher: Browser, seqs: range) -> None:
    """One pose a tick, each of them seen."""
    for seq in seqs:
        await mover.pose(seq, OWN + b"%d" % seq)
        while (mover.welcome["seat"], seq, OWN + b"%d" % seq) not in (await watcher.tick())[1]:
            pass


async def renew(relay: RunningRelay) -> None:
    for room in relay.relay.hub._rooms.values():
        await room.renew()


async def test_poses_are_on_the_bus_only_while_another_relay_has_the_room():
    state, bus, room = RedisState(FakeAsyncRedis()), CountedBus(), new_room()
    await state.show_room(room)
    async with running_relay(state, bus) as one, running_relay(state, bus) as two:
        aya, ben = await one.join(room.id, "aya"), await one.join(room.id, "ben")
        await renew(one)
        await move(aya, ben, range(1, 6))
        await aya.send(type="chat", id="m", text="nobody else is here")
        await aya.text("ack")
        # Two came in and one spoke; and the relay once asked whether it is the only one.
        assert bus.sent == {"Events": 3, "PosesWanted": 1}

        # Nobody moves now, and the newcomer sees them all the same.
        cho = await two.join(room.id, "cho")
        assert (aya.welcome["seat"], 5, OWN + b"5") in (await cho.tick())[1]
        await move(aya, cho, range(6, 9))
        assert bus.sent["Poses"] >= 3

        await cho.leave()
        while await state.hosts(room.id) != {one.relay.hub._instance}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await renew(one)
        quiet = bus.sent["Poses"]
        await move(aya, ben, range(9, 14))
        assert bus.sent["Poses"] == quiet


async def test_who_stands_still_is_seen_where_the_subscription_came_up_late():
    state, bus, room = RedisState(FakeAsyncRedis()), FrailBus(), new_room()
    await state.show_room(room)
    async with running_relay(state, bus) as one:
        aya, ben = await one.join(room.id, "aya"), await one.join(room.id, "ben")
        await aya.pose(1, OWN)
        await sees(ben, aya, 1)
        async with running_relay(state, bus) as two:
            cho = await two.join(room.id, "cho")
            await cho.pose(1, OWN)  # before anybody hears of it, and once
            await renew(one)
            await renew(two)
            await ben.pose(1, OWN)
            await sees(ben, ben, 1)
            bus.begin.set()
            await ben.pose(2, OWN)  # moves on; his tick is not the answer
            await sees(cho, aya, 1)
            await sees(aya, cho, 1)


async def test_newcomers_are_seen_though_they_stood_still_before_their_relay_knew_of_others():
    state, bus, room = RedisState(FakeAsyncRedis()), FrailBus(), new_room()
    await state.show_room(room)
    async with running_relay(state, bus) as one, running_relay(state, bus) as two:
        aya, ben = await one.join(room.id, "aya"), await two.join(room.id, "ben")
        bus.begin.set()
        await renew(one)
        await renew(two)
        await ben.pose(1, OWN)
        await sees(aya, ben, 1)
        await aya.pose(1, OWN)
        await sees(ben, aya, 1)
        bus.begin.clear()
        async with running_relay(state, bus) as three:
            cho = await three.join(room.id, "cho")
            await cho.pose(1, OWN)
            await sees(cho, cho, 1)
            bus.begin.set()
            await sees(aya, cho, 1)
            await sees(ben, cho, 1)


async def test_who_has_not_been_answered_asks_again_whoever_moves_meanwhile():
    class Forgetful(InProcessBus):
        forgets = True

        def send(self, sender: str, room_id: str, message: bytes) -> None:
            said = bus_messages.decode(message)
            if not self.forgets or (isinstance(said, bus_messages.Poses) and not said.held):
                super().send(sender, room_id, message)

    state, bus, room = RedisState(FakeAsyncRedis()), Forgetful(), new_room()
    await state.show_room(room)
    async with running_relay(state, bus) as one, running_relay(state, bus) as two:
        aya, ben = await one.join(room.id, "aya"), await one.join(room.id, "ben")
        await aya.pose(1, OWN)
        await sees(ben, aya, 1)
        cho = await two.join(room.id, "cho")
        await renew(one)
        await ben.pose(1, OWN)
        await sees(cho, ben, 1)
        bus.forgets = False
        await renew(two)
        await sees(cho, aya, 1)


async def test_who_moved_while_the_subscription_was_made_again_is_seen_where_they_are():
    state, bus, room = RedisState(FakeAsyncRedis()), FrailBus(), new_room()
    bus.begin.set()
    await state.show_room(room)
    async with running_relay(state, bus) as one, running_relay(state, bus) as two:
        aya, ben = await one.join(room.id, "aya"), await two.join(room.id, "ben")
        await renew(one)
        await aya.pose(1, OWN)
        await sees(ben, aya, 1)
        bus.cut = True
        await aya.pose(2, OWN)
        await sees(aya, aya, 2)
        bus.mend()
        await sees(ben, aya, 2)


async def test_a_pose_that_was_overtaken_by_its_persons_leaving_shows_no_ghost():
    state, bus, room = RedisState(FakeAsyncRedis()), InProcessBus(), new_room()
    await state.show_room(room)
    async with running_relay(state, bus) as one, running_relay(state, bus) as two:
        aya, ben = await one.join(room.id, "aya"), await two.join(room.id, "ben")
        await ben.leave()
        await aya.text("left")
        late = bus_messages.Poses(
            ((ben.welcome["seat"], 1, OWN), (aya.welcome["seat"] + 9, 1, OWN))
        )
        await bus.instance("late").publish(room.id, bus_messages.encode(late))
        assert (await aya.tick())[1] == [(aya.welcome["seat"] + 9, 1, OWN)]
        (here,) = one.relay.hub.rooms
        assert len(here._ticker.board) == 1


async def test_whoever_is_answered_after_the_log_went_on_misses_nothing_between():
    sat, answer = asyncio.Event(), asyncio.Event()

    class SlowAnswer(RedisState):
        async def sit(self, room_id: str, guest: Guest, **how: Any) -> Seated:
            seated = await super().sit(room_id, guest, **how)
            if guest.user_id == "aya":
                sat.set()
                await answer.wait()
            return seated

    state, room = SlowAnswer(FakeAsyncRedis()), new_room()
    await state.show_room(room)
    async with running_relay(state) as relay:
        coming = asyncio.create_task(relay.join(room.id, "aya"))
        await sat.wait()
        await sit(state, room, "ben", instance="elsewhere")
        await renew(relay)  # from which the relay follows the log, from ben on
        answer.set()
        aya = await coming
        assert aya.welcome["offset"] == 1
        assert (await aya.text("joined"))["userId"] == "ben"
