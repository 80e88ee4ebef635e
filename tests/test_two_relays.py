"""A room on two relays: what they tell each other, and that one alone tells nobody."""

import asyncio
from collections import Counter
from typing import Any

from fakeredis import FakeAsyncRedis

from adapters.bus_memory import InProcessBus
from adapters.state_redis import RedisState
from tests.relays import Browser, RunningRelay, new_room, running_relay
from tests.test_state import sit
from vchat import bus_messages
from vchat.state import Guest, Seated

OWN = bytes([200])


class CountedBus(InProcessBus):
    def __init__(self) -> None:
        super().__init__()
        self.sent: Counter[str] = Counter()

    def send(self, sender: str, room_id: str, message: bytes) -> None:
        self.sent[type(bus_messages.decode(message)).__name__] += 1
        super().send(sender, room_id, message)


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
