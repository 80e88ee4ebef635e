"""Peers that mean harm, one of each kind: each is ended in its way, leaves nothing behind, and the
others in the room notice nothing. `make hostile` is the same with a thousand of them."""

import asyncio
import itertools
import json

import pytest
from fakeredis import FakeAsyncRedis

from adapters.state_redis import RedisState
from tests.hostile.connection import Target
from tests.hostile.peers import KINDS, OWN, Kind, stopped_newcomer
from tests.relays import Browser, new_room, running_relay, ticket
from vchat import limits


@pytest.fixture(autouse=True)
def _impatience(monkeypatch):
    """Deadlines of a test's length; sizes and rates are the real ones."""
    for name, value in {"HELLO_S": 0.2, "HEAD_S": 0.2, "PONG_S": 0.2, "STALL_S": 0.3}.items():
        monkeypatch.setattr(limits, name, value)
    monkeypatch.setattr(limits, "PING_MS", 300)
    monkeypatch.setattr("relay.fast_line._CLOSE_S", 0.1)
    monkeypatch.setattr("relay.stream_line._CLOSE_S", 0.1)


async def live(browser: Browser, numbers: list[int]) -> None:
    """Answer pings and write down the events, as a page does."""
    while True:
        frame = await browser.next(60)
        if isinstance(frame, dict) and "offset" in frame:
            numbers.append(frame["offset"])


async def say_a_lot(browser: Browser) -> None:
    """More than kernels take in for somebody who does not read: newcomers are shown it."""
    for n in range(20):
        await browser.send(type="chat", id=f"c{n}", text="\U0001f98a" * limits.TEXT_LENGTH)
        await browser.text("ack")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_who_means_harm_is_ended_and_the_room_goes_on(kind: Kind):
    state, room = RedisState(FakeAsyncRedis()), new_room()
    await state.show_room(room)
    async with running_relay(state) as relay:
        aya, ben = [await relay.join(room.id, name) for name in ("aya", "ben")]
        numbers: list[int] = []
        listening = [asyncio.create_task(live(ben, numbers))]
        if kind is stopped_newcomer:
            await say_a_lot(aya)
        listening.append(asyncio.create_task(live(aya, [])))
        target = Target(
            port=int(relay.url.split(":")[-1]),
            room_id=room.id,
            hello=lambda: json.dumps({"type": "hello", "ticket": ticket(room.id, "mal")}).encode(),
            patience=2.0,
        )
        harm = asyncio.create_task(kind(target))
        said = 0
        while not harm.done():
            await aya.send(type="signal", id=f"s{said}", name="n", data=said)
            await aya.pose(said, OWN + bytes(100))
            said += 1
            await asyncio.wait({harm}, timeout=0.1)

        assert await harm in KINDS[kind]
        await aya.send(type="chat", id="last", text="calm")
        async with asyncio.timeout(20):
            while len(relay.server.server_state.connections) > 2:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.02)
            while len(numbers) < said:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.02)
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
        assert {stay.me.user_id for stay in relay.relay.hub.stays()} == {"aya", "ben"}
        assert len(relay.relay.streams) == 0
        assert all(after == before + 1 for before, after in itertools.pairwise(numbers))
