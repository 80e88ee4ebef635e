"""What the bus promises, over every adapter; then what only Pub/Sub can do wrong."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress

import pytest
from google.pubsub_v1 import PublisherAsyncClient, types
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport

from adapters.bus_inbox import MESSAGE_BYTES
from adapters.bus_memory import InProcessBus
from adapters.bus_pubsub import PubSubBus
from adapters.pubsub_channels import Channels
from adapters.pubsub_names import subscription_path, topic_path
from adapters.pubsub_wire import Wire
from tests.emulators import Server
from vchat.bus import Bus
from vchat.errors import Refused, Why
from vchat.ids import new_id, new_room_id

pytestmark = pytest.mark.xdist_group("emulators")

PROJECT = "vchat-tests"
PROBE = b"is anybody there?"
PATIENCE_S = 60
CAPACITY = 5


class InProcess:
    def __init__(self) -> None:
        self.shared = InProcessBus(CAPACITY)

    def bus(self, instance: str | None = None) -> Bus:
        return self.shared.instance(instance or new_id())

    async def left_behind(self, room_id: str) -> int:
        return len(self.shared.rooms() & {room_id})

    async def aclose(self) -> None:
        pass


class OverPubSub:
    """Instances over the emulator, and a look behind their backs."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.wire = Wire(PROJECT, emulator=server.address)
        self._made: list[PubSubBus] = []

    def bus(self, instance: str | None = None, **settings: float) -> PubSubBus:
        made = PubSubBus(
            PROJECT,
            instance=instance or new_id(),
            emulator=self.server.address,
            capacity=CAPACITY,
            **settings,
        )
        self._made.append(made)
        return made

    async def left_behind(self, room_id: str) -> int:
        return sum(room_id in path for path in await self.wire.subscriptions())

    async def aclose(self) -> None:
        for bus in self._made:
            await bus.close()
        await self.wire.close()


@pytest.fixture(params=["in-process", "pubsub"], name="buses")
async def _buses(request) -> AsyncIterator[InProcess | OverPubSub]:
    made = (
        InProcess()
        if request.param == "in-process"
        else OverPubSub(request.getfixturevalue("pubsub"))
    )
    yield made
    await made.aclose()


@pytest.fixture(name="cloud")
async def _cloud(pubsub) -> AsyncIterator[OverPubSub]:
    made = OverPubSub(pubsub)
    yield made
    await made.aclose()


async def meet(sender: Bus, room_id: str, *listeners: AsyncIterator[bytes]) -> None:
    """Say something until all of them have heard it."""
    waiting = {asyncio.ensure_future(anext(listener)) for listener in listeners}
    async with asyncio.timeout(PATIENCE_S):
        while waiting:
            with suppress(Refused):  # the bus may be away for a while
                await sender.publish(room_id, PROBE)
            _, waiting = await asyncio.wait(waiting, timeout=0.1)


async def heard(listener: AsyncIterator[bytes]) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        while (message := await anext(listener)) == PROBE:
            pass
    return message


async def until(what: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await what():  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.05)


async def test_a_message_reaches_every_other_instance_and_not_its_sender(buses):
    room_id, a, b, c = new_room_id(), buses.bus(), buses.bus(), buses.bus()
    async with a.listen(room_id) as at_a, b.listen(room_id) as at_b, c.listen(room_id) as at_c:
        await meet(c, room_id, at_a, at_b)
        await meet(a, room_id, at_c)
        await a.publish(room_id, b"from a")
        assert await heard(at_b) == b"from a"
        assert await heard(at_c) == b"from a"
        await b.publish(room_id, b"from b")
        assert await heard(at_a) == b"from b"  # and not "from a", which went out before


async def test_a_room_does_not_hear_another_room(buses):
    here, there, a, b = new_room_id(), new_room_id(), buses.bus(), buses.bus()
    async with b.listen(here) as at_here, b.listen(there) as at_there:
        await meet(a, here, at_here)
        await meet(a, there, at_there)
        await a.publish(there, b"for there")
        assert await heard(at_there) == b"for there"
        await a.publish(here, b"for here")
        assert await heard(at_here) == b"for here"


async def test_listeners_that_arrive_together_all_receive(buses):
    room_id, sender, several = new_room_id(), buses.bus(), [buses.bus() for _ in range(5)]
    async with AsyncExitStack() as stack:
        listeners = await asyncio.gather(
            *(stack.enter_async_context(bus.listen(room_id)) for bus in several),
            stack.enter_async_context(several[0].listen(room_id)),
        )
        await meet(sender, room_id, *listeners)
        await sender.publish(room_id, b"to all")
        assert [await heard(listener) for listener in listeners] == [b"to all"] * 6


async def test_a_slow_listener_loses_the_oldest_messages_and_not_the_bus(buses):
    room_id, sender, listener = new_room_id(), buses.bus(), buses.bus()
    async with listener.listen(room_id) as slow, listener.listen(room_id) as quick:
        await meet(sender, room_id, slow, quick)
        sent = [b"%d" % n for n in range(3 * CAPACITY)]
        for message in sent:
            await sender.publish(room_id, message)
            await heard(quick)
        assert sorted([await heard(slow) for _ in range(CAPACITY)]) == sorted(sent[-CAPACITY:])
        await sender.publish(room_id, b"still here")
        assert await heard(slow) == b"still here"


async def test_who_listens_is_told_from_when_on_messages_come(buses):
    room_id, sender, listener = new_room_id(), buses.bus(), buses.bus()
    first, second = asyncio.Event(), asyncio.Event()
    async with asyncio.timeout(PATIENCE_S), listener.listen(room_id, first.set) as messages:
        await first.wait()
        await sender.publish(room_id, b"once, and not in vain")
        assert await heard(messages) == b"once, and not in vain"
        async with listener.listen(room_id, second.set):
            await second.wait()


async def test_nobody_listening_is_no_error_and_makes_nothing(buses):
    room_id = new_room_id()
    await buses.bus().publish(room_id, b"hello?")
    assert await buses.left_behind(room_id) == 0


async def test_leaving_removes_all_that_was_made_for_it(buses):
    room_id, sender, listener = new_room_id(), buses.bus(), buses.bus()
    async with listener.listen(room_id) as messages:
        await meet(sender, room_id, messages)
        assert await buses.left_behind(room_id) == 1
    assert await buses.left_behind(room_id) == 0


async def test_leaving_before_anything_was_made_leaves_nothing_behind(buses):
    room_id, listener = new_room_id(), buses.bus()
    async with listener.listen(room_id):
        await asyncio.sleep(0)
    assert await buses.left_behind(room_id) == 0


async def test_one_who_comes_back_at_once_hears_again(buses):
    room_id, sender, listener = new_room_id(), buses.bus(), buses.bus()
    async with listener.listen(room_id) as messages:
        await meet(sender, room_id, messages)
    async with listener.listen(room_id) as messages:
        await meet(sender, room_id, messages)
        assert await buses.left_behind(room_id) == 1


async def test_closing_ends_what_is_listened_to_and_leaves_nothing_behind(buses):
    room_id, sender, listener = new_room_id(), buses.bus(), buses.bus()
    async with listener.listen(room_id) as messages:
        await meet(sender, room_id, messages)
        await listener.close()
        if isinstance(buses, OverPubSub):
            assert await buses.left_behind(room_id) == 0
        async with asyncio.timeout(PATIENCE_S):
            assert {message async for message in messages} <= {PROBE}
    await listener.close()


async def test_no_task_outlives_the_bus(buses):
    before = asyncio.all_tasks()
    room_id, sender, listener = new_room_id(), buses.bus(), buses.bus()
    async with listener.listen(room_id) as messages:
        await meet(sender, room_id, messages)
    await sender.close()
    await listener.close()
    leftovers = asyncio.all_tasks() - before
    if leftovers:  # cancelled ones need one more turn of the loop
        await asyncio.wait(leftovers, timeout=1)
    assert asyncio.all_tasks() <= before


@pytest.mark.parametrize("size", [0, MESSAGE_BYTES + 1])
async def test_a_message_of_an_impossible_size_is_its_senders_mistake(buses, size):
    with pytest.raises(ValueError, match="bytes"):
        await buses.bus().publish(new_room_id(), bytes(size))


async def test_a_message_that_is_refused_for_its_size_leaves_nothing_to_be_sent(cloud):
    bus = cloud.bus()
    for size in (0, MESSAGE_BYTES + 1):
        with pytest.raises(ValueError, match="bytes"):
            await bus.publish(new_room_id(), bytes(size))
    assert bus._outboxes == {}


async def test_the_largest_message_arrives_whole(buses):
    room_id, sender, listener = new_room_id(), buses.bus(), buses.bus()
    largest = bytes(range(256)) * (MESSAGE_BYTES // 256)
    async with listener.listen(room_id) as messages:
        await meet(sender, room_id, messages)
        await sender.publish(room_id, largest)
        assert await heard(messages) == largest


# Pub/Sub


async def test_what_the_emulator_ignores_is_asked_of_the_service(cloud):
    room_id, sender, listener = new_room_id(), cloud.bus(), cloud.bus("relay-d")
    async with listener.listen(room_id) as messages:
        await meet(sender, room_id, messages)
        await cloud.wire._channels.connected()
        made = await cloud.wire._channels.subscriber.get_subscription(
            subscription=subscription_path(PROJECT, room_id, "relay-d")
        )
    assert made.filter == 'attributes.instance != "relay-d"'
    assert made.expiration_policy.ttl.total_seconds() == 24 * 3600
    assert made.message_retention_duration.total_seconds() == 600
    assert dict(made.labels) == {"app": "vchat", "instance": "relay-d"}


async def test_an_instance_is_named_so_that_it_cannot_break_a_filter():
    for wrong in ("", "Relay", 'a" OR "', "a" * 64, "-a"):
        with pytest.raises(ValueError, match="instance"):
            PubSubBus(PROJECT, instance=wrong)


async def test_a_room_id_that_is_none_never_becomes_a_name(cloud):
    bus = cloud.bus()
    for wrong in ("", "lobby", "r/../x", "r" + "0" * 19, "r" + "0" * 20 + "/"):
        with pytest.raises(ValueError, match="room id"):
            await bus.publish(wrong, b"x")
        with pytest.raises(ValueError, match="room id"):
            async with bus.listen(wrong):
                pass


async def test_leaving_while_the_subscription_is_being_made_leaves_nothing_behind(cloud):
    room_id, listener = new_room_id(), cloud.bus()
    create, asked, go_on = listener._wire.create_subscription, asyncio.Event(), asyncio.Event()

    async def slowly(*names):
        asked.set()
        await go_on.wait()
        await create(*names)

    making: list[asyncio.Future[None]] = []

    async def unstoppably(*names):  # as on a server, which does not learn of our cancelling
        making.append(asyncio.ensure_future(slowly(*names)))
        await asyncio.shield(making[-1])

    await cloud.wire.create_topic(room_id)
    listener._wire.create_subscription = unstoppably
    stay = listener.listen(room_id)
    await stay.__aenter__()
    await asked.wait()
    leaving = asyncio.ensure_future(stay.__aexit__(None, None, None))
    await asyncio.wait({leaving}, timeout=0.1)
    go_on.set()
    await asyncio.gather(leaving, *making)
    assert await cloud.left_behind(room_id) == 0


async def test_one_who_comes_back_while_the_subscription_goes_waits_for_a_new_one(cloud):
    room_id, sender, listener = new_room_id(), cloud.bus(), cloud.bus()
    delete, asked, go_on = listener._wire.delete_subscription, asyncio.Event(), asyncio.Event()

    async def slowly(path):
        asked.set()
        await go_on.wait()
        await delete(path)

    stay = listener.listen(room_id)
    await meet(sender, room_id, await stay.__aenter__())
    listener._wire.delete_subscription = slowly
    leaving = asyncio.ensure_future(stay.__aexit__(None, None, None))
    await asked.wait()
    async with listener.listen(room_id) as messages:
        await asyncio.wait({leaving}, timeout=0.1)
        go_on.set()
        await leaving
        await meet(sender, room_id, messages)
        assert listener.gauges.reattached == 0


async def test_messages_of_one_moment_share_one_request(cloud):
    room_id, sender, listener = new_room_id(), cloud.bus(), cloud.bus()
    requests: list[int] = []
    publish = sender._wire.publish

    async def counted(room_id, messages, **rest):
        requests.append(len(messages))
        await publish(room_id, messages, **rest)

    sender._wire.publish = counted
    async with listener.listen(room_id) as messages:
        await meet(sender, room_id, messages)
        requests.clear()
        await asyncio.gather(*(sender.publish(room_id, b"%d" % n) for n in range(CAPACITY)))
        assert requests == [CAPACITY]
        assert {await heard(messages) for _ in range(CAPACITY)} == {
            b"%d" % n for n in range(CAPACITY)
        }


async def test_a_deleted_subscription_is_made_again_and_who_listens_is_told(cloud):
    room_id, sender, listener = new_room_id(), cloud.bus(), cloud.bus("relay-a")
    attached: list[None] = []
    async with listener.listen(room_id, lambda: attached.append(None)) as messages:
        await meet(sender, room_id, messages)
        await cloud.wire.delete_subscription(subscription_path(PROJECT, room_id, "relay-a"))
        await until(lambda: _exists(cloud, room_id))
        await meet(sender, room_id, messages)
    assert len(attached) == 2


async def _exists(cloud: OverPubSub, room_id: str) -> bool:
    return await cloud.left_behind(room_id) == 1


async def test_publishing_finds_that_the_topic_is_gone(cloud):
    room_id, a, b = new_room_id(), cloud.bus(), cloud.bus()
    async with a.listen(room_id) as at_a:
        await meet(b, room_id, at_a)
        await cloud.wire.delete_topic(topic_path(PROJECT, room_id))
        await a.publish(room_id, b"lost, as nobody can be reached")
        await meet(b, room_id, at_a)
    assert a.gauges.reattached == 1


async def test_a_topic_that_was_deleted_and_made_again_is_noticed_in_silence(cloud):
    room_id, sender, listener = new_room_id(), cloud.bus(), cloud.bus(check_s=0.2)
    async with listener.listen(room_id) as messages:
        await meet(sender, room_id, messages)
        await cloud.wire.delete_topic(topic_path(PROJECT, room_id))
        await cloud.wire.create_topic(room_id)
        await meet(sender, room_id, messages)
    assert listener.gauges.reattached == 1


async def test_a_subscription_left_cut_off_under_our_name_is_replaced(cloud):
    room_id, sender = new_room_id(), cloud.bus()
    await cloud.wire.create_topic(room_id)
    await cloud.wire.create_subscription(room_id, "relay-b")
    await cloud.wire.delete_topic(topic_path(PROJECT, room_id))
    async with cloud.bus("relay-b").listen(room_id) as messages:
        await meet(sender, room_id, messages)


async def test_a_server_that_crashed_and_forgot_everything_is_taught_again(cloud):
    room_id, sender, listener = new_room_id(), cloud.bus(), cloud.bus()
    async with listener.listen(room_id) as messages:
        await meet(sender, room_id, messages)
        cloud.server.kill()
        with pytest.raises(Refused) as refused:
            await sender.publish(room_id, b"into the void")
        assert refused.value.why is Why.UNAVAILABLE
        await asyncio.to_thread(cloud.server.start)
        await meet(sender, room_id, messages)
    assert await cloud.left_behind(room_id) == 0


async def test_a_server_that_was_reset_is_taught_again(cloud):
    room_id, sender, listener = new_room_id(), cloud.bus(), cloud.bus()
    async with listener.listen(room_id) as messages:
        await meet(sender, room_id, messages)
        await asyncio.to_thread(cloud.server.reset)
        await meet(sender, room_id, messages)


async def test_what_no_instance_can_have_sent_is_counted_and_dropped(cloud):
    room_id, sender, listener = new_room_id(), cloud.bus(), cloud.bus("relay-c")
    channel = Channels(cloud.server.address)._channel()
    stranger = PublisherAsyncClient(transport=PublisherGrpcAsyncIOTransport(channel=channel))
    strange = [
        types.PubsubMessage(data=b"foreign"),
        types.PubsubMessage(data=b"foreign too", attributes={"from": "a stranger"}),
        types.PubsubMessage(data=b"", attributes={"instance": "relay-x"}),
        types.PubsubMessage(data=bytes(MESSAGE_BYTES + 1), attributes={"instance": "relay-x"}),
        types.PubsubMessage(data=b"our own", attributes={"instance": "relay-c"}),
    ]
    async with listener.listen(room_id) as messages:
        await meet(sender, room_id, messages)
        for message in strange:
            await stranger.publish(topic=topic_path(PROJECT, room_id), messages=[message])
        await sender.publish(room_id, b"ours")
        assert await heard(messages) == b"ours"
        await until(lambda: _counted(listener, malformed=4, own=1))
    await channel.close()


async def _counted(bus: PubSubBus, *, malformed: int, own: int) -> bool:
    return (bus.gauges.malformed, bus.gauges.own) == (malformed, own)


async def test_150_rooms_cost_no_threads_and_close_without_a_trace(cloud):
    rooms, sender, listener = [new_room_id() for _ in range(150)], cloud.bus(), cloud.bus()
    async with AsyncExitStack() as stack:
        listeners = [await stack.enter_async_context(listener.listen(room)) for room in rooms]
        await asyncio.gather(
            *(meet(sender, room, at) for room, at in zip(rooms, listeners, strict=True))
        )
        assert threading.active_count() <= 5  # Python's; gRPC's core has some, however many rooms
        # Google allows about 100 streams in a connection.
        assert [entry.streams for entry in listener._wire._channels._streams] == [80, 70]
        assert (listener.gauges.topics, listener.gauges.subscriptions) == (150, 150)
        await listener.close()
    assert (listener.gauges.topics, listener.gauges.subscriptions) == (0, 0)
    left = await cloud.wire.subscriptions()
    assert not [path for path in left if any(room in path for room in rooms)]


async def test_an_unreachable_server_is_named_with_its_setting(caplog):
    bus = PubSubBus(PROJECT, instance="relay-a", emulator="127.0.0.1:1")
    sentence = await bus.check()
    assert sentence is not None
    assert "127.0.0.1:1" in sentence
    assert "PUBSUB_EMULATOR_HOST" in sentence
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            with pytest.raises(Refused) as refused:
                await bus.publish(new_room_id(), b"x")
            assert refused.value.why is Why.UNAVAILABLE
    assert [record.message for record in caplog.records] == [sentence]
    await bus.close()


async def test_a_reachable_server_passes_the_check(cloud):
    assert await cloud.bus().check() is None
