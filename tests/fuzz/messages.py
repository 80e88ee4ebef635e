"""What a browser says: any text to the reader, and any frame to somebody's whole stay in a room."""

import asyncio
import json
import logging
import math
import time
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import get_args
from unittest.mock import patch

from fakeredis import FakeAsyncRedis

from adapters.bus_memory import InProcessBus
from adapters.state_redis import RedisState
from relay.door import Door
from relay.hub import Hub
from relay.line import Ear, Frame
from relay.session import Session
from tests.fuzz.mutate import mutated, mutated_json
from tests.fuzz.target import Target
from tests.relays import ISSUER, RING, new_room, ticket
from vchat import inbound, limits, outbound, ticks
from vchat.errors import Refused, Why
from vchat.idleness import USUAL
from vchat.limits import Rate

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
_FREE = Rate(10**9, 10**9)


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
    redis = FakeAsyncRedis()
    state = RedisState(redis)
    hub = Hub(
        instance="fuzz",
        relay="fuzz",
        state=state,
        bus=InProcessBus().instance("fuzz"),
        clock=time.time,
    )
    door = Door(state, issuer=ISSUER, keys=lambda: RING.public, clock=time.time)
    alarm = _Alarm()
    logging.getLogger("vchat").addHandler(alarm)
    table = _Table(state, hub, door, alarm)
    free = dict.fromkeys(("CHAT", "SIGNAL", "CONTROL", "POSE"), _FREE)
    with patch.multiple(limits, **free):
        try:
            await table.open()
            yield Target((*_SEEDS, *_POSES), _frame, table.attempt)
            await table.close()
        finally:
            logging.getLogger("vchat").removeHandler(alarm)
            await hub.stop()
            await redis.aclose()


def _frame(rng: Random, known: Sequence[bytes]) -> bytes:
    return mutated_json(rng, known) if rng.random() < 0.7 else mutated(rng, known)


class _Alarm(logging.Handler):
    """Whatever is logged about a nonsense talker is too much."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class _Seat:
    """One session over a line that goes nowhere, and what it was sent."""

    def __init__(self, room_id: str, hub: Hub, door: Door) -> None:
        self.sent: list[Frame] = []
        self.code: int | None = None
        self.ear: Ear
        session = Session(
            room_id, self, hub=hub, door=door, clock=time.time, relay="fuzz", idleness=USUAL
        )
        self.task = asyncio.create_task(session.run())

    def start(self, ear: Ear) -> None:
        self.ear = ear

    def send(self, frame: Frame) -> None:
        if frame.payload == outbound.PING:
            asyncio.get_running_loop().call_soon(self.ear.on_text, '{"type":"pong"}')
        else:
            self.sent.append(frame)

    def offer(self, frame: Frame) -> bool:
        self.sent.append(frame)
        return True

    async def close(self, code: int, reason: str) -> None:
        self.code = code

    def texts(self) -> list[dict[str, object]]:
        """What was sent as text since the last time."""
        sent, self.sent = self.sent, []
        for frame in sent:
            if frame.binary:
                ticks.parse_tick(frame.payload)
        return [json.loads(frame.payload) for frame in sent if not frame.binary]


class _Table:
    """A room with a listener, and a chair for one talker after the other."""

    def __init__(self, state: RedisState, hub: Hub, door: Door, alarm: _Alarm) -> None:
        self._state = state
        self._hub = hub
        self._door = door
        self._alarm = alarm
        self._room = new_room()
        self._talkers = 0

    async def open(self) -> None:
        await self._state.show_room(self._room)
        self._listener = await self._sit("listener")
        self._offset = self._listener_offset
        self._talker = await self._sit("talker-0")

    async def close(self) -> None:
        for seat in (self._talker, self._listener):
            seat.ear.on_gone(1000)
            await seat.task

    async def _sit(self, user: str) -> _Seat:
        seat = _Seat(self._room.id, self._hub, self._door)
        await asyncio.sleep(0)
        hello = {"type": "hello", "ticket": ticket(self._room.id, user)}
        seat.ear.on_text(json.dumps(hello))
        while not seat.sent:  # noqa: ASYNC110 (a line tells nobody what it was sent)
            await asyncio.sleep(0)
        (welcome, *_) = seat.texts()
        assert welcome["type"] == "welcome", welcome
        self._listener_offset = welcome["offset"]
        return seat

    async def attempt(self, data: bytes) -> Hashable:
        if self._talker.code is not None:
            self._talkers += 1
            self._talker = await self._sit(f"talker-{self._talkers % 8}")
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
        assert self._listener.code is None
        for event in self._listener.texts():
            if "offset" in event:
                assert event["offset"] == self._offset + 1, event
                self._offset = event["offset"]
