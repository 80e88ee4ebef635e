"""What a browser says: any text to the reader, and any frame to somebody's whole stay in a room."""

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import get_args

from tests.bare_seats import BareRoom, BareSeat, bare_room
from tests.fuzz.mutate import mutated, mutated_json
from tests.fuzz.target import Target
from vchat import inbound, limits, ticks
from vchat.errors import Refused, Why

_TEXTS = (
    {"type": "chat", "id": "m1", "text": "やあ\nhello"},
    {"type": "signal", "id": "s1", "name": "wave", "data": {"hand": ["left", 1, None]}},
    {"type": "signal", "id": "s2", "name": "typing", "ephemeral": True},
    {"type": "hello", "ticket": "a.b.c"},
    {"type": "hello", "resume": {"token": "t", "epoch": "e", "offset": 7}},
    {"type": "refresh", "ticket": "a.b.c"},
    {"type": "pong"},
    {"type": "doze"},
    {"type": "leave"},
)
_SEEDS = tuple(json.dumps(one, ensure_ascii=False).encode() for one in _TEXTS)
_POSES = tuple(
    ticks.pose(seq, body)
    for seq, body in ((1, b"\x80hi"), (2, b"\x01\x01"), (65_535, b"\x01\x07" + bytes(10)))
)
_NEVER = {Why.INTERNAL, Why.UNAVAILABLE, Why.BAD_ORIGIN, Why.MIGRATE, Why.ROTATE}


@asynccontextmanager
async def messages() -> AsyncIterator[Target]:
    """An input is one text frame, to the reader alone."""
    yield Target(_SEEDS, mutated_json, _parsed)


async def _parsed(data: bytes) -> Hashable:
    text = data.decode("utf-8", "replace")
    try:
        message = inbound.parse(text)
    except Refused as refused:
        assert refused.why is Why.PROTOCOL_ERROR
        assert not _is_object(text)
        return refused.detail
    if isinstance(message, inbound.Unusable):
        assert message.why in {Why.INVALID_REQUEST, Why.UNKNOWN_TYPE}
        return message.detail
    assert isinstance(message, get_args(inbound.Message))
    if isinstance(message, inbound.Chat | inbound.Signal):
        assert 1 <= len(message.id) <= limits.MESSAGE_ID_LENGTH
    if isinstance(message, inbound.Signal):
        json.loads(bytes(message.data))
    return type(message)


def _is_object(text: str) -> bool:
    try:
        found = isinstance(json.loads(text, parse_float=_finite, parse_constant=_finite), dict)
        return found and "\\ud" not in text.lower()  # half a pair is for Python alone
    except (ValueError, RecursionError):
        return False


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError("too large, or no JSON")
    return number


@asynccontextmanager
async def stays() -> AsyncIterator[Target]:
    """An input is one frame, text or binary, to whoever sits in a room right now; a listener beside
    them must be told nothing but whole events, each once and in order."""
    alarm = _Alarm()
    logging.getLogger("vchat").addHandler(alarm)
    try:
        async with bare_room() as room:
            listener, welcome = await room.sit("listener")
            talker, _ = await room.sit("talker-0")
            table = _Table(room, alarm, listener, welcome["offset"], talker)
            yield Target((*_SEEDS, *_POSES), _frame, table.attempt)
            await table.close()
    finally:
        logging.getLogger("vchat").removeHandler(alarm)


def _frame(rng: Random, known: Sequence[bytes]) -> bytes:
    return mutated_json(rng, known) if rng.random() < 0.7 else mutated(rng, known)


class _Alarm(logging.Handler):
    """Whatever is logged about a nonsense talker is too much."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class _Table:
    """A room with a listener, and a chair for one talker after the other."""

    def __init__(
        self, room: BareRoom, alarm: _Alarm, listener: BareSeat, offset: int, talker: BareSeat
    ) -> None:
        self._room = room
        self._alarm = alarm
        self._listener = listener
        self._offset = offset
        self._talker = talker
        self._talkers = 0

    async def close(self) -> None:
        for seat in (self._talker, self._listener):
            seat.ear.on_gone(1000)
            await seat.task

    async def attempt(self, data: bytes) -> Hashable:
        if self._talker.code is not None:
            self._talkers += 1
            self._talker, _ = await self._room.sit(f"talker-{self._talkers % 8}")
        talker = self._talker
        if data[:1] in (b"\x01", b"\x02", b"\x00"):
            talker.ear.on_binary(data)
        else:
            talker.ear.on_text(data.decode("utf-8", "replace"))
        # A pong is answered by nothing; an unknown type always is, and comes after.
        talker.ear.on_text('{"type":"sentinel","id":"sentinel"}')
        heard: list[dict[str, object]] = []
        while talker.code is None and not any(one.get("id") == "sentinel" for one in heard):
            await asyncio.sleep(0)
            heard += talker.texts()
        if talker.code is not None:
            await talker.task
            heard += talker.texts()
            assert talker.code not in {why.value.close for why in _NEVER}
        self._check_listener()
        assert not self._alarm.records, self._alarm.records
        return talker.code, tuple((one["type"], one.get("code")) for one in heard)

    def _check_listener(self) -> None:
        assert self._listener.code is None, self._listener.code
        for event in self._listener.texts():
            if "offset" in event:
                assert event["offset"] == self._offset + 1, event
                self._offset = event["offset"]
