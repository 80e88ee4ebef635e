"""What somebody else says on a room's topic is dropped and counted, and harms nobody."""

import asyncio

import msgspec
import pytest
from fakeredis import FakeAsyncRedis

from adapters.bus_memory import InProcessBus
from adapters.state_redis import RedisState
from relay.metrics import Sources, page
from tests.relays import new_room, running_relay
from vchat import limits
from vchat.bus_messages import Ephemeral, Events, Poses, encode
from vchat.events import Event
from vchat.gauges import BusGauges, StateGauges

POSE = b"\xc8x"


def said(*parts: object) -> bytes:
    """A message on the bus as a stranger may make it, who does not care what may be in one."""
    return msgspec.msgpack.encode(parts)


BAD = {
    "a seat that no u16 holds": said("poses", [(70_000, 1, POSE)]),
    "a number below all": said("poses", [(5, -1, POSE)]),
    "a pose of nothing": said("poses", [(5, 1, b"")]),
    "a pose beyond the limit": said("poses", [(5, 1, bytes(limits.POSE_BYTES + 1))]),
    "a signal that is no text": said("ephemeral", b'{"type":"signal","name":"\xff"}'),
    "a signal beyond the limit": said("ephemeral", bytes(limits.FRAME_BYTES + 1)),
}
BAD_EVENTS = {
    "not JSON": b"not json",
    "no type": b'{"seat":1}',
    "not text": b'{"type":"chat","text":"\xff"}',
    "no object at its very start": b' {"type":"chat"}',
    "a seat that is no number": b'{"type":"left","seat":"aya","userId":"aya"}',
}


@pytest.fixture(name="room")
def _room():
    return new_room()


@pytest.fixture(name="bus")
def _bus():
    return InProcessBus()


@pytest.fixture(name="relay")
async def _relay(room, bus):
    state = RedisState(FakeAsyncRedis())
    await state.show_room(room)
    async with running_relay(state, bus) as relay:
        yield relay


async def dropped(here) -> None:
    async with asyncio.timeout(20):
        while not here._topic.dropped:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def still_hears(bus, room, browser) -> None:
    """What an instance of ours says afterwards comes through."""
    await bus.instance("ours").publish(room.id, encode(Ephemeral(b'{"type":"signal"}')))
    assert await browser.text("signal") == {"type": "signal"}


@pytest.mark.parametrize("message", BAD.values(), ids=BAD)
async def test_no_message_makes_a_relay_deaf_or_costs_anybody_the_socket(relay, room, bus, message):
    aya = await relay.join(room.id, "aya")
    (here,) = relay.relay.hub.rooms
    await bus.instance("stranger").publish(room.id, message)
    await dropped(here)
    assert len(here._ticker.board) == 0
    await still_hears(bus, room, aya)


@pytest.mark.parametrize("body", BAD_EVENTS.values(), ids=BAD_EVENTS)
async def test_an_event_that_is_none_reaches_nobody_and_takes_no_place_in_the_order(
    relay, room, bus, body
):
    aya = await relay.join(room.id, "aya")
    (here,) = relay.relay.hub.rooms
    next_offset = aya.welcome["head"] + 1
    forged = said("events", aya.welcome["epoch"], [(next_offset, 1, body)])
    await bus.instance("stranger").publish(room.id, forged)
    await dropped(here)
    await aya.send(type="chat", id="m", text="mine")
    heard = await aya.text()
    assert (heard["type"], heard["offset"]) == ("chat", next_offset)
    await still_hears(bus, room, aya)


async def test_a_message_that_breaks_us_all_the_same_is_the_last_that_does(
    relay, room, bus, monkeypatch, caplog
):
    aya = await relay.join(room.id, "aya")
    (here,) = relay.relay.hub.rooms

    def broken(*_):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(here._ticker, "put", broken)
    for _ in range(2):
        await bus.instance("ours").publish(room.id, encode(Poses(((5, 1, POSE),))))
    await still_hears(bus, room, aya)
    assert "a fault of ours" in caplog.text
    assert caplog.text.count("Traceback") == 1


async def test_what_was_dropped_is_counted_also_when_the_room_is_closed(relay, room, bus):
    aya = await relay.join(room.id, "aya")
    (here,) = relay.relay.hub.rooms
    await bus.instance("stranger").publish(room.id, b"\x00")
    await dropped(here)
    counted = 'vchat_bus_lost_total{why="malformed"} 1.0'
    sources = Sources(relay.relay.hub, BusGauges(), StateGauges(), None)
    assert counted in page(sources).decode()
    await aya.leave()
    async with asyncio.timeout(20):
        while relay.relay.hub.rooms:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert counted in page(sources).decode()


async def test_what_nobody_of_ours_can_have_sent_is_counted_said_once_and_harms_nothing(
    relay, room, bus, caplog
):
    aya = await relay.join(room.id, "aya")
    (here,) = relay.relay.hub._rooms.values()
    stranger, epoch = bus.instance("stranger"), aya.welcome["epoch"]
    future = Event(aya.welcome["head"] + 1000, 1, b'{"type":"chat","text":"from the future"}')
    other = b'{"type":"chat","text":"of no log of ours"}'
    for _ in range(3):
        await stranger.publish(room.id, b"\x00 not ours")
        await stranger.publish(room.id, encode(Events.of("another", [Event(2, 1, other)])))
    await stranger.publish(room.id, encode(Events.of(epoch, [future])))
    async with asyncio.timeout(20):
        while len(here._topic.dropped) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await aya.send(type="chat", id="m", text="still here")
    assert (await aya.text("chat"))["text"] == "still here"
    assert sorted(here._topic.dropped.values()) == [1, 3]
    assert len([one for one in caplog.records if one.message.startswith("dropped")]) == 2
