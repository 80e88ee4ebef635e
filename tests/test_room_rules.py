"""A room's rules under any order of what people and moderators do, against a model of a page."""

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

import msgspec
from fakeredis import FakeAsyncRedis
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from adapters.state_redis import RedisState
from tests.conftest import ManualClock
from tests.relays import new_room
from vchat import limits
from vchat.errors import Refused, Why
from vchat.model import RoomStatus
from vchat.policy import Role
from vchat.state import Guest, Position, Reason

PEOPLE = st.sampled_from(["aya", "ben", "cho", "dee"])
COOL_OFF_S = limits.TICKET_S + limits.CLOCK_LEEWAY_S
TIMES = (1.0, limits.SEAT_HOLD_S / 2, limits.LEASE_S, COOL_OFF_S, limits.RESUME_S, limits.AWAY_S)


class RoomRules(RuleBasedStateMachine):
    """`seats` is who sits: user -> [session, generation, end of the lease in ms]; `lost` who went
    without leaving: user -> (session, since when, why they may not resume)."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = ManualClock()
        self.redis = FakeAsyncRedis()
        self.state = RedisState(self.redis, clock=self.clock)
        self.room = new_room(capacity=2)
        self.sessions = 0
        self.seats: dict[str, list[Any]] = {}
        self.lost: dict[str, tuple[str, int, Why | None]] = {}
        self.away: set[str] = set()
        self.barred: dict[str, tuple[Why, int | None]] = {}
        self.said: dict[tuple[str, str], int] = {}
        self.log: list[tuple[str, str]] = []
        self.epoch = ""
        self.run(self.state.show_room(self.room))

    def run(self, step: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(step)

    def teardown(self) -> None:
        if self.epoch:
            told = self.run(self.state.read(self.room.id, Position(self.epoch, 0), 10_000))
            bodies = [json.loads(event.body) for event in told]
            assert [(one["type"], one.get("userId", "")) for one in bodies] == self.log
            assert [event.offset for event in told] == list(range(1, len(told) + 1))
        self.run(self.redis.aclose())
        self.runner.close()

    # The model

    @property
    def ended(self) -> bool:
        return self.room.status is RoomStatus.ENDED

    def bar(self, user: str) -> Why | None:
        why, until = self.barred.get(user, (None, None))
        return None if until is not None and until <= self.clock.now else why

    def inside(self) -> set[str]:
        return {user for user, seat in self.seats.items() if seat[2] > self.clock.now}

    def sweep(self) -> None:
        due = sorted((seat[2], user) for user, seat in self.seats.items())
        for until, user in due:
            if until <= self.clock.now:
                why = Why.IDLE if user in self.away else None
                self.away.discard(user)
                self.lost[user] = (self.seats.pop(user)[0], self.clock.now, why)
                self.log.append(("left", user))
        forgotten = self.clock.now - limits.RESUME_S * 1000
        self.lost = {user: was for user, was in self.lost.items() if was[1] > forgotten}

    def judge(self, user: str, session: str, *, admitted: bool, resume: bool) -> Why | None:
        """Why this person may not sit; the sweep that comes with being judged is done."""
        if self.ended:
            return Why.ROOM_ENDED
        if why := self.bar(user):
            return why
        self.sweep()
        if user in self.seats:
            return Why.REPLACED if resume and self.seats[user][0] != session else None
        if resume:
            was, _, why = self.lost.get(user, ("", 0, None))
            if was != session or why:
                return Why.SESSION_UNKNOWN if was != session else why
        if self.room.locked and not admitted:
            return Why.ROOM_LOCKED
        return Why.ROOM_FULL if len(self.seats) >= self.room.capacity else None

    # What people do

    def sit(self, user: str, session: str, *, admitted: bool, resume: bool) -> None:
        expected = self.judge(user, session, admitted=admitted, resume=resume)
        new = user not in self.seats
        try:
            seated = self.run(
                self.state.sit(
                    self.room.id,
                    Guest(user, user, Role.MEMBER, None, admitted),
                    session=session,
                    instance="relay",
                    relay="relay",
                    resume=resume,
                )
            )
        except Refused as refused:
            assert refused.why is expected
            return
        assert expected is None
        replaced = None if new or self.seats[user][0] == session else self.seats[user][0]
        assert seated.replaced == replaced
        if not new:
            assert seated.generation > self.seats[user][1]
        else:
            self.log.append(("joined", user))
        if user in self.away:
            self.away.remove(user)
            self.log.append(("member", user))
        self.lost.pop(user, None)
        until = self.clock.now + round(limits.LEASE_S * 1000)
        self.seats[user] = [session, seated.generation, until]
        self.epoch = seated.head.epoch
        assert seated.head.offset == len(self.log)

    @rule(user=PEOPLE, admitted=st.booleans())
    def join(self, user: str, admitted: bool) -> None:
        self.sessions += 1
        self.sit(user, f"{user}-{self.sessions}", admitted=admitted, resume=False)

    @rule(user=PEOPLE, admitted=st.booleans(), own=st.booleans())
    def resume(self, user: str, admitted: bool, own: bool) -> None:
        session = self.seats[user][0] if user in self.seats else self.lost.get(user, ["none"])[0]
        self.sit(user, session if own else "older", admitted=admitted, resume=True)

    @rule(user=PEOPLE, stale=st.booleans())
    def lose(self, user: str, stale: bool) -> None:
        seat = self.seats.get(user, ["", 1, 0])
        self.run(self.state.lose(self.room.id, user, seat[1] - stale))
        if user in self.seats and not stale and user not in self.away:
            seat[2] = self.clock.now + round(limits.SEAT_HOLD_S * 1000)

    @rule(user=PEOPLE, stale=st.booleans())
    def leave(self, user: str, stale: bool) -> None:
        generation = self.seats.get(user, ["", 1, 0])[1] - stale
        self.go(
            user, generation, Reason.LEFT, held=user in self.seats.keys() - self.away and not stale
        )

    @rule(user=PEOPLE)
    def kick(self, user: str) -> None:
        if self.bar(user) is not Why.BANNED:
            self.barred[user] = (Why.KICKED, self.clock.now + COOL_OFF_S * 1000)
        seat = self.seats.get(user) if user in self.away else None
        self.go(user, None, Reason.KICKED, held=user in self.seats)
        if seat is not None:  # hears of it on coming back, for as long as that could have been
            self.lost[user] = (seat[0], max(self.clock.now, seat[2]), Why.KICKED)

    @rule(user=PEOPLE, stale=st.booleans())
    def doze(self, user: str, stale: bool) -> None:
        seat = self.seats.get(user, ["", 1, 0])
        away_s = limits.AWAY_S
        try:
            told = self.run(self.state.doze(self.room.id, user, seat[1] - stale, away_s))
        except Refused as refused:
            assert refused.why is Why.SESSION_UNKNOWN
            assert stale or user not in self.seats.keys() - self.away
            return
        assert told is not None
        self.log.append(("member", user))
        self.away.add(user)
        seat[1] = -1  # a new generation, which nobody is told
        seat[2] = self.clock.now + away_s * 1000

    @rule(user=PEOPLE, for_ever=st.booleans())
    def ban(self, user: str, for_ever: bool) -> None:
        until = None if for_ever else self.clock.now + 60_000
        self.run(self.state.ban(self.room.id, user, until))
        self.barred[user] = (Why.BANNED, until)
        self.go(user, None, Reason.BANNED, held=user in self.seats)

    def go(self, user: str, generation: int | None, reason: Reason, *, held: bool) -> None:
        gone = self.run(self.state.leave(self.room.id, user, generation, reason))
        assert (gone is not None) == held
        self.lost.pop(user, None)
        if held:
            self.away.discard(user)
            del self.seats[user]
            self.log.append(("left", user))

    @rule(user=PEOPLE)
    def unban(self, user: str) -> None:
        self.run(self.state.unban(self.room.id, user))
        self.barred.pop(user, None)

    @rule(user=PEOPLE, message=st.sampled_from(["m1", "m2"]))
    def chat(self, user: str, message: str) -> None:
        body = json.dumps({"type": "chat", "userId": user}).encode()
        try:
            told = self.run(self.state.append(self.room.id, user, message, body, chat=True))
        except Refused as refused:
            assert refused.why is Why.SESSION_UNKNOWN
            assert user not in self.seats
            return
        assert user in self.seats
        assert told.fresh == ((user, message) not in self.said)
        if told.fresh:
            self.log.append(("chat", user))
            self.said[user, message] = len(self.log)
        assert told.at.offset == self.said[user, message]

    @rule(locked=st.booleans(), capacity=st.integers(1, 3), late=st.booleans())
    def change(self, locked: bool, capacity: int, late: bool) -> None:
        step = -1 if late else 1
        changed = msgspec.structs.replace(
            self.room, locked=locked, capacity=capacity, revision=self.room.revision + step
        )
        told = self.run(self.state.change_room(changed, b'{"type":"room"}'))
        if not self.ended and not late:
            self.room = changed
        self.sweep()
        assert (told is not None) == (bool(self.seats) and not late)
        if told:
            self.log.append(("room", ""))

    @precondition(lambda self: not self.ended and self.sessions > 6)
    @rule()
    def end(self) -> None:
        open_room = self.room
        self.room = msgspec.structs.replace(open_room, status=RoomStatus.ENDED)
        at, _ = self.run(self.state.end_room(self.room, b'{"type":"ended"}'))
        self.epoch = at.epoch
        self.log.append(("ended", ""))
        self.seats, self.lost, self.away = {}, {}, set()
        # A ticket request that began before the end still thinks that the room is open.
        self.run(self.state.show_room(open_room))

    @rule(seconds=st.sampled_from(TIMES))
    def time_passes(self, seconds: float) -> None:
        self.clock.pass_s(seconds)

    @rule()
    def renew(self) -> None:
        mine = {user: seat[1] for user, seat in self.seats.items()}
        renewal = self.run(self.state.renew(self.room.id, "relay", mine, hosting=True))
        assert set(renewal.gone) == self.away
        for user in self.seats.keys() - self.away:
            self.seats[user][2] = self.clock.now + round(limits.LEASE_S * 1000)
        self.sweep()
        self.epoch = renewal.head.epoch
        assert renewal.head.offset == len(self.log)

    # What always holds

    @invariant()
    def those_inside_are_those_who_should_be(self) -> None:
        members = self.run(self.state.members(self.room.id))
        assert {member.user_id for member in members} == self.inside()
        assert len({member.seat for member in members}) == len(members)

    @invariant()
    def nothing_stays_for_ever(self) -> None:
        async def kept() -> list[bytes]:
            return [key for key in await self.redis.keys() if await self.redis.ttl(key) < 0]

        assert self.run(kept()) == []

    @rule(user=PEOPLE)
    def the_barred_are_those_who_should_be(self, user: str) -> None:
        assert self.run(self.state.barred(self.room.id, user)) is self.bar(user)


TestRoomRules = RoomRules.TestCase
TestRoomRules.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],  # shrinking takes minutes, and thirty steps can be read
)
