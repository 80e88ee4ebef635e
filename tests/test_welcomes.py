"""What newcomers are given at once, however many they are and however large the room is."""

import asyncio
import json
from operator import itemgetter
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis

from adapters.state_redis import RedisState
from tests.bare_seats import bare_room
from tests.relays import RunningRelay, new_room, running_relay, ticket
from vchat import limits, outbound
from vchat.model import Room


class CountingState(RedisState):
    """Counts the seats that were taken, and for which of them the last chats were asked for."""

    sat = 0
    asked = 0

    async def sit(self, *args: Any, history: bool = True, **options: Any) -> Any:
        self.sat += 1
        self.asked += history
        return await super().sit(*args, history=history, **options)


@pytest.fixture(name="state")
async def _state():
    redis = FakeAsyncRedis()
    yield CountingState(redis)
    await redis.aclose()


@pytest.fixture(name="room")
async def _room(state) -> Room:
    room = new_room(capacity=100)
    await state.show_room(room)
    return room


async def say(browser, *texts: str) -> None:
    for text in texts:
        await browser.send(type="chat", id=text, text=text)
        await browser.text("ack")


def texts(welcome: dict[str, Any]) -> list[str]:
    return [chat["text"] for chat in welcome["history"]]


async def test_the_last_chats_are_asked_for_once_a_room_while_many_join(state, room, monkeypatch):
    monkeypatch.setattr(limits, "HISTORY", 3)
    async with running_relay(state) as relay:
        first = await relay.join(room.id, "first")
        await say(first, "one", "two")
        many = await asyncio.gather(*(relay.join(room.id, f"user{n}") for n in range(20)))
        await say(first, "three", "four")
        last = await relay.join(room.id, "last")

    assert (state.sat, state.asked) == (22, 1)
    assert all(texts(one.welcome) == ["one", "two"] for one in many)
    assert texts(last.welcome) == ["two", "three", "four"]


async def test_who_comes_to_another_relay_gets_what_was_said_at_the_first(state, room):
    async with running_relay(state) as here, running_relay(state) as there:  # no bus between
        speaker = await here.join(room.id, "speaker")
        await there.join(room.id, "early")
        await say(speaker, "said")
        late = await there.join(room.id, "late")

        assert texts(late.welcome) == ["said"]
        assert late.welcome["offset"] == late.welcome["head"]


async def welcomed(
    relay: RunningRelay, room: Room, user: str, version: int = outbound.VERSION
) -> list[dict[str, Any]]:
    browser = await relay.open(room.id)
    await browser.send(type="hello", ticket=ticket(room.id, user), version=version)
    frames = [await browser.text()]
    while frames[-1]["type"] != "welcome":
        frames.append(await browser.text())
    return frames


async def test_a_long_list_comes_in_parts_before_the_welcome(state, room, monkeypatch):
    async with running_relay(state) as relay:
        for n in range(5):
            browser = await relay.join(room.id, f"user{n}")
            await say(browser, f"hello {n}")
        whole = await welcomed(relay, room, "before")
        monkeypatch.setattr(limits, "WELCOME_BYTES", 500)
        *parts, welcome = await welcomed(relay, room, "after")
        [old] = await welcomed(relay, room, "older", version=2)

    assert len(whole) == 1
    assert {part["type"] for part in parts} == {"part"}
    seat = itemgetter("seat")  # in no order: a relay that renews its lease reads them anew
    members = [one for frame in (*parts, welcome) for one in frame["members"]]
    history = [one for frame in (*parts, welcome) for one in frame["history"]]
    assert sorted(members[:-1], key=seat) == sorted(whole[0]["members"], key=seat)
    assert members[-1]["userId"] == "after"
    assert history == whole[0]["history"]
    assert welcome["room"]["occupancy"] == len(members)
    assert sorted(old["members"][:-1], key=seat) == sorted(members, key=seat)
    assert old["history"] == history


def test_parts_are_as_large_as_allowed_and_hold_at_least_one_entry(monkeypatch):
    monkeypatch.setattr(limits, "WELCOME_BYTES", 10)
    entries = [b"12345", b"12345", b"x", b"a long entry indeed", b"y"]

    assert outbound.in_parts(entries, [b"z", b"12345678"]) == [
        ((b"12345", b"12345"), ()),
        ((b"x",), ()),
        ((b"a long entry indeed",), ()),
        ((b"y",), (b"z", b"12345678")),
    ]
    assert outbound.in_parts([], []) == [((), ())]


async def test_who_does_not_read_the_parts_is_slow(monkeypatch):
    monkeypatch.setattr(limits, "WELCOME_BYTES", 1)
    async with bare_room() as room:
        await room.sit("aya")
        monkeypatch.setattr(limits, "HELLO_S", 0.05)
        seat = await room.sit_down("bee", ready=False)
        async with asyncio.timeout(5):
            await seat.task
        assert seat.code == 4003


async def test_who_does_not_read_the_parts_keeps_nobody_else_from_coming_in(monkeypatch):
    monkeypatch.setattr(limits, "WELCOME_BYTES", 1)
    async with bare_room() as room:
        await room.sit("aya")
        stopped = [await room.sit_down(f"bee{n}", ready=False) for n in range(limits.ENTERING)]
        while not all(seat.sent for seat in stopped):  # noqa: ASYNC110 (a line tells nobody)
            await asyncio.sleep(0)
        cho = await room.sit_down("cho")
        async with asyncio.timeout(limits.HELLO_S / 2):
            while "welcome" not in (one["type"] for one in cho.texts()):  # noqa: ASYNC110 (as above)
                await asyncio.sleep(0)


async def test_what_happens_during_a_welcome_that_is_not_read_is_kept_only_up_to_a_bound(
    monkeypatch,
):
    monkeypatch.setattr(limits, "WELCOME_BYTES", 1)
    monkeypatch.setattr(limits, "WRITE_BUFFER_BYTES", 1000)
    async with bare_room() as room:
        aya, _ = await room.sit("aya")
        bee = await room.sit_down("bee", ready=False)
        while not bee.sent:  # noqa: ASYNC110 (a line tells nobody)
            await asyncio.sleep(0)
        for n in range(3):
            chat = {"type": "chat", "id": f"c{n}", "text": "x" * 500}
            aya.ear.on_text(json.dumps(chat))
        async with asyncio.timeout(limits.HELLO_S / 2):
            await bee.task
        assert bee.code == 4003
