"""What one browser says once it has its seat, and what time brings: pings, idleness, the end."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import msgspec

from relay.door import Admission, Door
from relay.line import Frame
from relay.room import Room
from relay.stay import Stay
from relay.tally import Tally
from relay.tasks import Tasks
from vchat import events, inbound, limits, outbound
from vchat.errors import Refused, Why
from vchat.idleness import Idleness
from vchat.inbound import Chat, Doze, Hello, Leave, Message, Pong, Refresh, Signal, Unusable
from vchat.model import Member
from vchat.policy import Action, may
from vchat.rates import Bucket
from vchat.text import clean_line, clean_text

_PING = Frame(outbound.PING)
_STRIKE_RATE = limits.Rate(burst=limits.STRIKES, per_s=limits.STRIKES / 60)
_COMPLAINTS = limits.Rate(burst=3, per_s=1)
_POSES_AHEAD = 20
_OUT = (Why.BANNED, Why.KICKED)
"""Found out when a session is refreshed, where no relay was told."""
_KEEP_RESUME_S = limits.RESUME_S / 3
_MIGRATE_S = 30.0
"""How long a browser that was asked to move may take."""


class Browser(Protocol):
    """Who is talked with."""

    def send(self, frame: Frame) -> None:
        """Say something to this browser alone."""

    def close(self, why: Why, retry_ms: int | None = None) -> None:
        """End the session: the browser hears why, and what to do."""

    async def next(self) -> str | None:
        """The next text frame; None when there will be no more."""


class Conversation:
    """Handles what a seated browser says, in order and at the speed that it may."""

    def __init__(
        self,
        browser: Browser,
        room: Room,
        stay: Stay,
        admission: Admission,
        resume: str,
        *,
        door: Door,
        clock: Callable[[], float],
        idleness: Idleness,
        tasks: Tasks,
    ) -> None:
        self._browser = browser
        self._room = room
        self._stay = stay
        self._admission = admission
        self._resume = resume
        self._door = door
        self._clock = clock
        self._idleness = idleness
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._active_at = now = self._loop.time()
        self._poses = Bucket(limits.POSE, now)
        self._chats = Bucket(limits.CHAT, now)
        self._signals = Bucket(limits.SIGNAL, now)
        self._control = Bucket(limits.CONTROL, now)
        self._strikes = Bucket(_STRIKE_RATE, now)
        self._complaints = Bucket(_COMPLAINTS, now)
        stay.judge, stay.migrate = self._may_pose, self._migrate

    async def hold(self, ends_at: int, *, draining: bool) -> bool:
        """Talk until it ends, at the latest at `ends_at` (ms); whether the person left."""
        if draining:  # it began while the browser was being welcomed
            self._migrate(0, _MIGRATE_S, Why.MIGRATE)
        self._expire_at(ends_at)
        # The first ping at a random point, so that those who came together do not ping together.
        self._later("ping", random.random() * limits.PING_MS / 1000, self._ping)  # noqa: S311
        self._later("resume", _KEEP_RESUME_S, self._keep_resume)
        age_s = random.uniform(*limits.AGE_S)  # noqa: S311
        self._later("age", age_s, lambda: self._migrate(0, _MIGRATE_S, Why.ROTATE))
        if self._idleness.kick:
            self._check_idle()
        try:
            return await self._converse()
        finally:
            for timer in self._timers.values():
                timer.cancel()

    async def _converse(self) -> bool:
        while (text := await self._browser.next()) is not None:
            message = inbound.parse(text)
            _count(self._room.tally, message, len(text.encode()))
            try:
                if isinstance(message, Leave):
                    self._browser.send(Frame(outbound.LEFT))
                    self._stay.mute()
                    return True
                await self._handle(message)
            except Refused as refused:
                if refused.why in _OUT:
                    self._browser.close(refused.why)
                else:
                    self._complain(refused, getattr(message, "id", None))
        return False

    # What a browser may say

    async def _handle(self, message: Message | Unusable) -> None:
        match message:
            case Chat():
                self._spend(self._chats)
                await self._chat(message)
            case Signal():
                self._spend(self._signals)
                await self._signal(message)
            case Refresh():
                self._spend(self._control)
                await self._refresh(message.ticket)
            case Doze():
                self._spend(self._control)
                await self._doze()
            case Pong():
                self._spend(self._control)
            case Hello():
                self._spend(self._control)
                raise Refused(Why.INVALID_REQUEST, "You said hello already.")
            case Unusable():
                self._spend(self._control)
                raise Refused(message.why, message.detail)

    async def _chat(self, message: Chat) -> None:
        me = self._allowed(Action.CHAT)
        with _telling("$.text"):
            text = clean_text(message.text, most=limits.TEXT_LENGTH)
        await self._room.pace(me)
        body = events.chat(
            message_id=message.id, seat=me.seat, user_id=me.user_id, name=me.name, text=text
        )
        await self._say(message.id, body, chat=True)

    async def _signal(self, message: Signal) -> None:
        me = self._allowed(Action.SIGNAL)
        with _telling("$.name"):
            name = clean_line(message.name, most=limits.SIGNAL_NAME_LENGTH)
        body = events.signal(
            message_id=message.id,
            seat=me.seat,
            user_id=me.user_id,
            name=me.name,
            signal=name,
            data=message.data,
        )
        if not message.ephemeral:
            await self._say(message.id, body, chat=False)
        else:
            self._room.whisper(b'{"time":%d,%b' % (int(self._clock() * 1000), body[1:]))

    async def _say(self, message_id: str, body: bytes, *, chat: bool) -> None:
        offset = await self._room.say(self._stay, message_id, body, chat=chat)
        self._browser.send(Frame(outbound.ack(message_id, offset)))

    async def _refresh(self, ticket: str) -> None:
        admission = await self._door.by_ticket(self._room.id, ticket)
        guest, me = admission.guest, self._stay.me
        if guest.user_id != me.user_id:
            raise Refused(Why.FORBIDDEN, "The ticket is another person's.")
        renewed = Admission(guest, self._stay.session, admission.expires_at)
        look = msgspec.to_builtins(guest.avatar)
        await self._room.amend(
            me.user_id, {"name": guest.name, "role": guest.role.value, "avatar": look}
        )
        self._admission = renewed
        self._resume = await self._door.give_resume(self._room.id, renewed)
        self._expire_at(renewed.expires_at)
        expires_in = expires_in_s(renewed.expires_at, self._clock())
        self._browser.send(Frame(outbound.refreshed(self._resume, expires_in)))

    async def _doze(self) -> None:
        """Give up this connection and keep the seat, as its browser asked."""
        away_s = self._idleness.away_s
        # The token first: a seat that is kept is of no use without a way back to it.
        await self._door.doze(self._room.id, self._admission, self._resume, away_s)
        await self._room.doze(self._stay, away_s)
        self._browser.close(Why.DOZE)

    def _allowed(self, action: Action) -> Member:
        self._active_at = self._loop.time()
        me = self._stay.me
        if not may(me.role, action):
            raise Refused(Why.FORBIDDEN, f"The role {me.role} may not {action}.")
        if me.muted:
            raise Refused(Why.MUTED)
        return me

    def _may_pose(self) -> bool:
        """Judge a pose by speed and role; if it may be, some of the next ones may be unjudged."""
        now = self._active_at = self._loop.time()
        if self._stay.over:
            return False
        if retry_ms := self._poses.take(now):
            self._strike(Refused(Why.TOO_FAST, retry_ms=retry_ms))
        elif not may(self._stay.me.role, Action.POSE):
            self._strike(Refused(Why.FORBIDDEN, "Spectators have no avatar."))
        else:
            self._stay.credit = self._poses.take_ahead(_POSES_AHEAD)
            return True
        return False

    # Speed, and what comes of too much of it

    def _spend(self, bucket: Bucket) -> None:
        if retry_ms := bucket.take(self._loop.time()):
            raise Refused(Why.TOO_FAST, retry_ms=retry_ms)

    def _complain(self, refused: Refused, message_id: str | None) -> None:
        """Tell the browser that its message was refused; those who go on too fast are closed."""
        if refused.why is Why.TOO_FAST and self._strikes.take(self._loop.time()):
            self._browser.close(Why.TOO_FAST)
            return
        self._browser.send(Frame(outbound.error(refused, message_id)))

    def _strike(self, refused: Refused) -> None:
        """Like `_complain` for poses, of which only some are answered."""
        if self._strikes.take(self._loop.time()):
            self._browser.close(Why.TOO_FAST)
        elif not self._complaints.take(self._loop.time()):
            self._browser.send(Frame(outbound.error(refused)))

    # Time

    def _later(self, name: str, seconds: float, action: Callable[[], None]) -> None:
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = self._loop.call_later(seconds, action)

    def _migrate(self, after_ms: int, grace_s: float, why: Why) -> None:
        """Ask the browser to open a second connection before this one goes."""
        self._browser.send(Frame(outbound.migrate(after_ms)))
        self._later("migrate", after_ms / 1000 + grace_s, lambda: self._browser.close(why))

    def _ping(self) -> None:
        self._stay.heard = False
        self._browser.send(_PING)
        self._later("pong", limits.PONG_S, self._check_pong)
        self._later("ping", limits.PING_MS / 1000, self._ping)

    def _check_pong(self) -> None:
        if not self._stay.heard:
            self._browser.close(Why.NO_PONG)

    def _check_idle(self) -> None:
        """Remove who has done nothing for too long, or look again when that may be so."""
        most = self._idleness.idle_s + self._idleness.away_s
        left_s = self._active_at + most - self._loop.time()
        if left_s <= 0:
            self._tasks.start(self._room.dismiss_idle(self._stay), "removing an idle person")
            left_s = limits.RENEW_S  # in case that fails
        self._later("idle", left_s, self._check_idle)

    def _keep_resume(self) -> None:
        self._tasks.start(self._door.keep_resume(self._resume), "keeping a resume token")
        self._later("resume", _KEEP_RESUME_S, self._keep_resume)

    def _expire_at(self, expires_at: int) -> None:
        seconds = expires_in_s(expires_at, self._clock())
        self._later("expiry", seconds, lambda: self._browser.close(Why.TICKET_EXPIRED))


@contextmanager
def _telling(where: str) -> Iterator[None]:
    """Refuse a ValueError, saying which part of the message it is about."""
    try:
        yield
    except ValueError as error:
        raise Refused(Why.INVALID_REQUEST, f"{error} - at `{where}`") from error


def expires_in_s(expires_at: int, now: float) -> int:
    """The whole seconds from `now` (s) until `expires_at` (ms), not less than none."""
    return max(0, round(expires_at / 1000 - now))


def _count(tally: Tally, message: Message | Unusable, size: int) -> None:
    if isinstance(message, Chat | Signal):
        tally.events_in += 1
        tally.event_bytes_in += size
    else:
        tally.controls_in += 1
        tally.control_bytes_in += size
