"""The janitor deletes what nobody uses, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from google.api_core.exceptions import GoogleAPICallError

from adapters.bus_pubsub import PubSubBus
from adapters.pubsub_janitor import PubSubJanitor
from adapters.pubsub_names import subscription_path, topic_path
from adapters.pubsub_wire import Wire
from tests.components import free_port
from tests.emulators import Server
from vchat.errors import Refused, Why
from vchat.ids import new_id, new_room_id

pytestmark = pytest.mark.xdist_group("emulators")


class World:
    """A project of its own, and who is alive in which room."""

    def __init__(self, server: Server) -> None:
        self.project = f"test-{new_id()}"
        self.alive: dict[str, set[str]] = {}
        self.wire = Wire(self.project, emulator=server.address)
        self.janitor = PubSubJanitor(self.project, emulator=server.address)

    async def hosts(self, room_id: str) -> set[str]:
        return self.alive.get(room_id, set())

    async def room(self, *instances: str, alive: tuple[str, ...] = ()) -> str:
        room_id = new_room_id()
        await self.wire.create_topic(room_id)
        for instance in instances:
            await self.wire.create_subscription(room_id, instance)
        self.alive[room_id] = set(alive)
        return room_id

    async def everything(self) -> set[str]:
        return {*await self.wire.topics(), *await self.wire.subscriptions()}


@pytest.fixture(name="world")
async def _world(pubsub) -> AsyncIterator[World]:
    made = World(pubsub)
    yield made
    await made.janitor.close()
    await made.wire.close()


async def test_orphans_and_empty_topics_go_and_all_else_stays(world):
    busy = await world.room("dead", "living", alive=("living",))
    await world.room("dead", "dead-too")
    await world.room()
    foreign = f"projects/{world.project}/topics/somebody-elses"
    await world.janitor.sweep(world.hosts)
    await world.wire._channels.publisher.create_topic(name=foreign)

    done = await world.janitor.sweep(world.hosts)

    kept = {
        topic_path(world.project, busy),
        subscription_path(world.project, busy, "living"),
        foreign,
    }
    assert await world.everything() == kept
    assert (done.topics, done.subscriptions, done.orphans, done.empty) == (2, 1, 0, 0)


async def test_it_says_what_it_found_and_did(world):
    await world.room("dead", "living", alive=("living",))
    await world.room("dead")
    done = await world.janitor.sweep(world.hosts)
    assert (done.topics, done.subscriptions, done.most) == (2, 3, 10_000)
    assert (done.orphans, done.empty) == (2, 1)
    assert (done.deleted_subscriptions, done.deleted_topics) == (2, 1)
    assert (done.failed, done.put_off) == (0, 0)


async def test_a_dry_run_counts_and_deletes_nothing(world):
    await world.room("dead")
    before = await world.everything()
    done = await world.janitor.sweep(world.hosts, dry_run=True)
    assert (done.orphans, done.empty) == (1, 1)
    assert (done.deleted_subscriptions, done.deleted_topics) == (0, 0)
    assert await world.everything() == before


async def test_two_janitors_at_once_do_no_harm(world, pubsub):
    for _ in range(15):
        await world.room("dead")
    other = PubSubJanitor(world.project, emulator=pubsub.address)
    both = await asyncio.gather(world.janitor.sweep(world.hosts), other.sweep(world.hosts))
    await other.close()
    assert [done.failed for done in both] == [0, 0]
    assert await world.everything() == set()


async def test_nothing_is_deleted_when_nobody_knows_who_is_alive(world):
    await world.room("who-knows")
    before = await world.everything()

    async def away(_):
        raise Refused(Why.UNAVAILABLE)

    with pytest.raises(Refused):
        await world.janitor.sweep(away)
    assert await world.everything() == before


async def test_what_there_is_no_time_for_is_put_off(world):
    await world.room("dead")
    done = await world.janitor.sweep(world.hosts, seconds=0)
    assert (done.put_off, done.deleted_topics) == (1, 0)


async def test_a_relay_at_work_keeps_hearing(world, pubsub):
    room_id = new_room_id()
    world.alive[room_id] = {"relay-a"}
    a = PubSubBus(world.project, instance="relay-a", emulator=pubsub.address)
    b = PubSubBus(world.project, instance="relay-b", emulator=pubsub.address)
    async with a.listen(room_id) as messages, asyncio.timeout(30):
        while a.gauges.subscriptions == 0:  # noqa: ASYNC110 - it is made in the background
            await asyncio.sleep(0.02)
        await world.janitor.sweep(world.hosts)
        await b.publish(room_id, b"still there?")
        assert await anext(messages) == b"still there?"
    await a.close()
    await b.close()


async def test_who_comes_to_a_room_while_its_topic_is_deleted_hears_all_the_same(world, pubsub):
    room_id = await world.room()
    late = PubSubBus(world.project, instance="late", emulator=pubsub.address)
    other = PubSubBus(world.project, instance="other", emulator=pubsub.address)
    delete = world.janitor._wire.delete_topic
    async with AsyncExitStack() as stack:

        async def come_in_first(path: str) -> None:
            world.alive[room_id] = {"late"}
            stack.messages = await stack.enter_async_context(late.listen(room_id))
            while late.gauges.subscriptions == 0:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            await delete(path)

        world.janitor._wire.delete_topic = come_in_first
        await world.janitor.sweep(world.hosts)
        hearing = asyncio.ensure_future(anext(stack.messages))
        async with asyncio.timeout(30):
            # Again and again: the new topic is there before what hears of it is.
            while not hearing.done():
                await other.publish(room_id, b"do you hear?")
                await asyncio.wait({hearing}, timeout=0.05)
        assert hearing.result() == b"do you hear?"
    await late.close()
    await other.close()


async def test_an_unreachable_server_is_named_with_its_setting(caplog):
    janitor = PubSubJanitor("test", emulator=f"127.0.0.1:{free_port()}")
    with pytest.raises(GoogleAPICallError):
        await janitor.sweep(World.hosts)
    await janitor.close()
    assert "PUBSUB_EMULATOR_HOST" in caplog.text
