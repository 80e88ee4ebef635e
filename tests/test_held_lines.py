"""Lines that a room holds and polls once a tick, since many move in it: what comes is heard all the
same, whole and in order, and an end is noticed."""

import asyncio
import gc
import socket
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fakeredis import FakeAsyncRedis
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from adapters.state_redis import RedisState
from relay import ticker
from relay.fast_line import FastLine
from tests.relays import RunningRelay, new_room, running_relay
from tests.test_fast_line import Ear, listening, until
from vchat import limits
from vchat.model import Room

BODY = bytes([200])


@asynccontextmanager
async def holding() -> AsyncIterator[tuple[ClientConnection, Ear]]:
    async with listening() as (browser, ear):
        assert ear.line.hold()
        yield browser, ear
        browser.transport.abort()  # a closing handshake would wait for polls
        while ear.line.poll():
            pass


async def sent(browser) -> None:
    """Until the kernel has taken all that the browser wrote."""
    await until(lambda: not browser.transport.get_write_buffer_size())


async def poll_until(ear: Ear, heard: int) -> None:
    def enough() -> bool:
        ear.line.poll()
        return len(ear.heard) >= heard

    await until(enough)


async def test_a_held_line_tells_what_came_when_it_is_polled_and_not_before():
    async with holding() as (browser, ear):
        assert not ear.line.hold(), "held already"
        await browser.send(b"pose")
        await browser.send("chat")
        await browser.send([b"in ", b"pieces"])
        await sent(browser)
        assert ear.heard == []
        await poll_until(ear, 3)
        assert ear.heard == [b"pose", "chat", b"in pieces"]
        assert await browser.recv() == "heard"


async def test_a_message_larger_than_one_read_comes_whole():
    async with holding() as (browser, ear):
        large = "x" * 15_000
        await browser.send(large)
        await browser.send(b"after")
        await poll_until(ear, 2)
        assert ear.heard == [large, b"after"]


async def test_one_poll_takes_in_so_much_and_the_kernel_keeps_the_rest():
    async with holding() as (browser, ear):
        for _ in range(40):
            await browser.send(bytes(8000))
        await sent(browser)
        ear.line.poll()
        assert 0 < len(ear.heard) <= 8
        await poll_until(ear, 40)
        assert [len(heard) for heard in ear.heard] == [8000] * 40


async def test_who_is_silent_for_long_is_listened_to_again():
    async with holding() as (browser, ear):
        polls = 0
        while ear.line.poll():
            polls += 1
        assert polls == 9
        await browser.send(b"pose")
        await until(lambda: ear.heard == [b"pose"])  # without a poll


async def test_a_browser_that_closes_while_it_is_held_is_answered():
    async with holding() as (browser, ear):
        closing = asyncio.create_task(browser.close(1000))
        await until(lambda: not ear.line.poll())
        assert await ear.gone == 1000
        await closing
        assert browser.close_code == 1000


async def test_a_browser_that_vanishes_while_it_is_held_is_found_gone():
    async with holding() as (browser, ear):
        browser.transport.abort()
        await until(lambda: not ear.line.poll())
        assert await ear.gone == 1006


async def test_a_relay_closes_a_held_line_as_any_other():
    async with holding() as (browser, ear):
        await ear.line.close(4301, "kicked")
        assert not ear.line.poll()
        with pytest.raises(ConnectionClosed) as closed:
            await browser.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4301
        ear.on_gone(1006)


async def test_a_poll_never_reads_from_a_socket_that_has_taken_the_number_of_a_closed_one():
    async with holding() as (browser, ear):
        number = ear.transport.get_extra_info("socket").fileno()
        ear.transport.abort()
        assert not ear.line.poll(), "closing already"
        assert await ear.gone == 1006
        ours, theirs = socket.socketpair()
        with ours, theirs:
            assert number in (ours.fileno(), theirs.fileno())
            ours.send(b"\x82\x80....")
            theirs.send(b"\x82\x80....")
            assert not ear.line.poll()
        assert ear.heard == []
        browser.transport.abort()


async def test_a_line_that_is_over_is_not_held():
    async with listening() as (browser, ear):
        browser.transport.abort()
        await ear.gone
        assert not ear.line.hold()


class Encrypted:
    def __init__(self, transport: asyncio.Transport) -> None:
        self.is_closing = transport.is_closing

    def get_extra_info(self, name: str) -> object:
        return name == "sslcontext" or None


async def test_a_line_that_the_server_itself_encrypts_is_not_held():
    async with listening() as (browser, ear):
        transport, ear.line._transport = ear.line._transport, Encrypted(ear.line._transport)
        assert not ear.line.hold()
        ear.line._transport = transport
        await browser.send("heard at once")
        assert await browser.recv() == "heard"


@pytest.fixture(name="relay")
async def _relay(monkeypatch):
    """One in whose rooms two are many."""
    monkeypatch.setattr(ticker, "MANY_MOVE", 2)
    async with FakeAsyncRedis() as redis, running_relay(RedisState(redis)) as relay:
        yield relay


@pytest.fixture(name="room")
async def _room(relay: RunningRelay) -> Room:
    room = new_room()
    await relay.state.show_room(room)
    return room


def held(relay: RunningRelay) -> set[str]:
    """Who is not listened to but polled."""
    stays = relay.relay.hub.stays()
    return {s.me.user_id for s in stays if isinstance(s.line, FastLine) and s.line._fd >= 0}


async def test_where_many_move_they_are_polled_and_miss_nothing(relay, room):
    people = [await relay.join(room.id, name) for name in ("aya", "mei", "ren")]
    seats = [one.welcome["seat"] for one in people]
    *movers, ren = people
    seen: dict[int, list[int]] = {seat: [] for seat in seats}
    for seq in range(1, 13):
        for one in movers:
            await one.pose(seq, BODY)
        await movers[0].send(type="chat", id=f"c{seq}", text=f"{seq}")
        while any(seen[seat][-1:] != [seq] for seat in seats[:2]):
            _, poses = await ren.tick()
            for seat, number, _ in poses:
                seen[seat].append(number)
    assert held(relay) == {"aya", "mei"}
    assert seen[seats[0]] == seen[seats[1]] == list(range(1, 13))
    for n in range(1, 13):
        assert (await movers[0].text("ack"))["id"] == f"c{n}"

    await movers[0].send(type="leave")
    assert (await movers[0].closed()).code == 1000
    movers[1].vanish()
    await until(lambda: held(relay) == set())


async def test_where_many_stood_still_for_a_while_nobody_is_polled_and_no_timer_runs(relay, room):
    people = [await relay.join(room.id, name) for name in ("aya", "mei")]
    for one in people:
        await one.pose(1, BODY)
    await until(lambda: len(held(relay)) == 2)
    await until(lambda: held(relay) == set())
    (live,) = relay.relay.hub.rooms
    await until(lambda: live._ticker._timer is None)
    await people[0].send(type="chat", id="c", text="hello")
    assert (await people[1].text("chat"))["text"] == "hello"


async def test_who_floods_a_room_that_polls_is_stopped_as_anywhere(relay, room):
    people = [await relay.join(room.id, name) for name in ("aya", "mei")]
    for one in people:
        await one.pose(1, BODY)
    await until(lambda: len(held(relay)) == 2)
    for seq in range(limits.POSE.burst * 20):
        await people[0].pose(seq, BODY)
    assert (await people[0].closed()).code == 4005
    await people[1].pose(2, BODY)
    await people[1].tick()


async def test_a_session_that_is_over_is_gone_without_the_garbage_collector(relay, room):
    aya = await relay.join(room.id, "aya")
    await aya.pose(1, BODY)
    await aya.send(type="chat", id="c", text="hello")
    await aya.text("ack")
    (stay,) = relay.relay.hub.stays()
    session = weakref.ref(stay.close.__self__)
    conversation = weakref.ref(stay.judge.__self__)
    del stay
    gc.collect()
    gc.disable()
    try:
        await aya.send(type="leave")
        await aya.closed()
        await until(lambda: session() is None and conversation() is None)
    finally:
        gc.enable()
