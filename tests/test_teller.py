"""Events reach each listener once and in order: at once where few listen, and together where many
do, over both kinds of line."""

import asyncio
from dataclasses import dataclass

import pytest
from fakeredis import FakeAsyncRedis

from adapters.state_redis import RedisState
from relay import teller
from relay.line import Bundle, Frame
from relay.tally import Tally
from relay.teller import Teller
from tests.relays import new_room, running_relay
from vchat.events import Event


class Line:
    def __init__(self) -> None:
        self.writes: list[Frame] = []

    def send(self, frame: Frame) -> None:
        self.writes.append(frame)


@dataclass
class Someone:
    line: Line
    known: int = 0

    def heard(self) -> list[bytes]:
        frames = []
        for one in self.line.writes:
            frames += one.frames if isinstance(one, Bundle) else (one,)
        return [frame.payload for frame in frames]


def event(offset: int) -> Event:
    return Event(offset, 1000, b'{"type":"chat"}')


def frames(*offsets: int) -> list[bytes]:
    return [event(offset).frame() for offset in offsets]


def people(count: int) -> list[Someone]:
    return [Someone(Line()) for _ in range(count)]


async def until_told(someone: Someone, count: int) -> None:
    async with asyncio.timeout(5):
        while len(someone.heard()) < count:  # noqa: ASYNC110 (what is waited for tells nobody)
            await asyncio.sleep(0.005)


async def test_few_listeners_hear_each_event_at_once():
    here = people(teller.MANY)
    telling = Teller(lambda: here, Tally())
    for offset in (1, 2, 3):
        telling.tell(event(offset), urgent=False)

        assert here[-1].heard() == frames(*range(1, offset + 1))


async def test_many_hear_the_first_at_once_and_the_next_together():
    here = people(teller.MANY + 1)
    telling = Teller(lambda: here, Tally())
    for offset in (1, 2, 3, 4):
        telling.tell(event(offset), urgent=False)
    assert here[0].heard() == frames(1)

    await until_told(here[0], 4)

    assert all(someone.heard() == frames(1, 2, 3, 4) for someone in here)
    assert len(here[0].line.writes) == 2
    assert here[0].line.writes[1].wire == b"".join(Frame(one).wire for one in frames(2, 3, 4))


async def test_an_urgent_event_takes_those_that_wait_with_it():
    here = people(teller.MANY + 1)
    telling = Teller(lambda: here, Tally())
    for offset in (1, 2, 3):
        telling.tell(event(offset), urgent=offset == 3)

    assert here[0].heard() == frames(1, 2, 3)


async def test_who_came_while_events_waited_hears_only_what_the_welcome_did_not_tell():
    here = people(teller.MANY + 1)
    telling = Teller(lambda: here, Tally())
    for offset in (1, 2, 3, 4):
        telling.tell(event(offset), urgent=False)
    here += [Someone(Line(), known=2), Someone(Line(), known=4)]

    await until_told(here[0], 4)

    assert here[-2].heard() == frames(3, 4)
    assert here[-1].heard() == []


async def test_nothing_is_told_after_the_room_closed():
    here = people(teller.MANY + 1)
    telling = Teller(lambda: here, Tally())
    telling.tell(event(1), urgent=False)
    telling.tell(event(2), urgent=False)
    telling.stop()

    await asyncio.sleep(0.06)

    assert here[0].heard() == frames(1)


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "plain"])
async def test_a_full_room_hears_a_burst_of_chat_whole_and_in_order(fast, monkeypatch):
    monkeypatch.setattr(teller, "MANY", 0)
    redis = FakeAsyncRedis()
    state = RedisState(redis)
    room = new_room()
    await state.show_room(room)
    async with running_relay(state, fast=fast) as relay:
        aya, ben = [await relay.join(room.id, name) for name in ("aya", "ben")]
        for n in range(30):
            await aya.send(type="chat", id=f"m{n}", text=f"{n}")

        heard = [await ben.text("chat") for _ in range(30)]
    await redis.aclose()

    assert [chat["text"] for chat in heard] == [f"{n}" for n in range(30)]
    first = heard[0]["offset"]
    assert [chat["offset"] for chat in heard] == list(range(first, first + 30))
