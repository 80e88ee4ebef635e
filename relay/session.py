"""One browser's stay in one room, from its hello to the bye."""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable

import msgspec

from relay.door import Admission, Door
from relay.gate import Knock
from relay.hub import Hub
from relay.line import Frame, Line
from relay.room import Room
from relay.stay import Stay
from vchat import events, inbound, limits, outbound
from vchat.errors import Refused, Why
from vchat.idleness import Idleness
from vchat.ids import is_room_id
from vchat.inbound import Chat, Doze, Hello, Leave, Message, Pong, Refresh, Signal, Unusable
from vchat.model import Member
from vchat.policy import Action, may
from vchat.rates import Bucket
from vchat.text import clean_line, clean_text

log = logging.getLogger("vchat.relay")

_PING = Frame(outbound.PING)
_STRIKE_RATE = limits.Rate(burst=limits.STRIKES, per_s=limits.STRIKES / 60)
_COMPLAINTS = limits.Rate(burst=3, per_s=1)
_POSES_AHEAD = 20
_OUT = (Why.BANNED, Why.KICKED)
"""Found out when a session is refreshed, where no relay was told."""
_KEEP_RESUME_S = limits.RESUME_S / 3
_LOOK_S = 0.01
_MIGRATE_S = 30.0
"""How long a browser that was asked to move may take."""


class Session:
    """Talks with one browser. Poses go straight from the transport to the room; everything else
    waits in a bounded inbox and is handled in order."""

    def __init__(
        self,
        room_id: str,
        line: Line,
        *,
        hub: Hub,
        door: Door,
        clock: Callable[[], float],
        relay: str,
        idleness: Idleness,
        knock: Knock,
        trace: str | None = None,
    ) -> None:
        self._room_id = room_id
        self._line = line
        self._hub = hub
        self._door = door
        self._clock = clock
        self._relay = relay
        self._idleness = idleness
        self._knock = knock
        self._trace = trace
        self._loop = asyncio.get_running_loop()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._inbox: deque[tuple[str, int]] = deque()
        self._inbox_bytes = 0
        self._stirred = asyncio.Event()
        self._gone: int | None = None
        self._left = False
        self._takes_parts = False
        self._welcomed = False
        self._bye: tuple[Why, int | None] | None = None
        self._room: Room | None = None
        self._tally = hub.tally
        self._stay: Stay | None = None
        self._admission: Admission | None = None
        self._resume = ""
        self._quiet = False
        self._active_at = now = self._loop.time()
        self._poses = Bucket(limits.POSE, now)
        self._chats = Bucket(limits.CHAT, now)
        self._signals = Bucket(limits.SIGNAL, now)
        self._control = Bucket(limits.CONTROL, now)
        self._strikes = Bucket(_STRIKE_RATE, now)
        self._complaints = Bucket(_COMPLAINTS, now)

    # From hello to bye

    async def run(self, refusal: Refused | None = None) -> None:
        """Stay until either side ends it. With `refusal` the browser only hears why it must go.
        The line has been started with this session."""
        self._hub.doors.opened += 1
        try:
            if refusal is not None:
                raise refusal
            if not is_room_id(self._room_id):
                raise Refused(Why.ROOM_NOT_FOUND)
            admission = await self._admitted()
            self._knock.known(admission.guest.user_id)
            async with self._hub.room(self._room_id) as room:
                if self._gone is not None:
                    return  # it gave this hello up while we were slow, and sits elsewhere by now
                self._room, self._tally = room, room.tally
                try:
                    await self._enter(room, admission)
                    await self._converse()
                finally:
                    if self._stay is not None:
                        await room.exit(self._stay, left=self._left or self._gone == 1000)
                    self._tally = self._hub.tally
        except Refused as refused:
            self.close(refused.why, refused.retry_ms)
        except Exception:
            about = {"room": self._room_id}
            if self._stay is not None:
                about["session"] = self._stay.session
            if self._trace is not None:
                about["trace"] = self._trace
            log.exception("a session in %s failed", self._room_id, extra=about)
            self.close(Why.INTERNAL)
        finally:
            for timer in self._timers.values():
                timer.cancel()
            await self._hang_up()
            self._hub.doors.closed += 1

    async def _admitted(self) -> Admission:
        hello = await self._hello()
        self._takes_parts = hello.version >= outbound.KNOWS_PARTS
        await self._knock.turn()
        if hello.resume is not None:
            admission = await self._door.by_resume(self._room_id, hello.resume)
            if admission.moving:
                self._knock.worked_on()  # it has a seat, and may wait for others' poses
            return admission
        assert hello.ticket is not None
        return await self._door.by_ticket(self._room_id, hello.ticket)

    async def _hello(self) -> Hello:
        try:
            async with asyncio.timeout(limits.HELLO_S):
                text = await self._next()
        except TimeoutError as error:
            raise Refused(Why.NO_HELLO) from error
        message = None if text is None else inbound.parse(text)
        if not isinstance(message, Hello):
            raise Refused(Why.NO_HELLO)
        return message

    async def _enter(self, room: Room, admission: Admission) -> None:
        guest = admission.guest
        nobody = Member(
            seat=0, user_id=guest.user_id, name=guest.name, role=guest.role, avatar=guest.avatar
        )
        self._stay = stay = Stay(
            admission.session,
            self._line,
            self.close,
            self.migrate,
            self._may_pose,
            self._reject,
            nobody,
        )
        arrival = await room.seat(
            stay,
            guest,
            admission.resume_from,
            resume=admission.resume_from is not None,
            moving=admission.moving,
        )
        self._admission = admission
        self._resume = await self._door.give_resume(self._room_id, admission)
        # The session of someone who was away may have run out meanwhile.
        now = self._clock()
        ends_at = admission.expires_at
        if ends_at <= now * 1000:
            ends_at = round((now + limits.WAKE_S) * 1000)
        seated = arrival.seated
        chats = [event.frame() for event in arrival.history]
        if self._takes_parts:
            *parts, last = outbound.in_parts(seated.members, chats)
        else:
            parts, last = [], (tuple(seated.members), tuple(chats))
        self._knock.worked_on()
        for lists in parts:
            self._send(Frame(outbound.part(lists)))
            await self._drained()
        self._send(
            Frame(
                outbound.welcome(
                    session=stay.session,
                    me=seated.me,
                    role=seated.me.role,
                    room=seated.room,
                    people=len(seated.members),
                    lists=last,
                    known=arrival.known,
                    head=seated.head,
                    recovered=arrival.recovered,
                    resume=self._resume,
                    expires_in=self._expires_in(ends_at),
                    relay=self._relay,
                    server_time=int(now * 1000),
                    idleness=self._idleness,
                    tick_hz=self._line.tick_hz,
                )
            )
        )
        self._knock.let_in()
        room.enter(stay, arrival)
        self._welcomed = True
        if self._hub.draining:  # it began meanwhile
            self.migrate(0, _MIGRATE_S, Why.MIGRATE)
        self._expire_at(ends_at)
        # The first ping at a random point, so that those who came together do not ping together.
        self._later("ping", random.random() * limits.PING_MS / 1000, self._ping)  # noqa: S311
        self._later("resume", _KEEP_RESUME_S, self._keep_resume)
        age_s = random.uniform(*limits.AGE_S)  # noqa: S311
        self._later("age", age_s, lambda: self.migrate(0, _MIGRATE_S, Why.ROTATE))
        if self._idleness.kick:
            self._check_idle()

    def _readable(self) -> bool:
        return self._line.ready or self._gone is not None or self._bye is not None

    async def _drained(self) -> None:
        """Wait until the browser has read most of what it was sent. Raises Refused."""
        try:
            async with asyncio.timeout(limits.HELLO_S):
                while not self._readable():  # noqa: ASYNC110 (a ready line tells nobody)
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError as error:
            raise Refused(Why.SLOW_READER) from error

    async def _converse(self) -> None:
        """Handle messages until it ends."""
        while (text := await self._next()) is not None:
            message = inbound.parse(text)
            self._count(message, len(text.encode()))
            message_id = getattr(message, "id", None)
            try:
                if isinstance(message, Leave):
                    self._send(Frame(outbound.LEFT))
                    self._left = True
                    self._mute_poses()
                    return
                if isinstance(message, Doze):
                    await self._doze()
                    continue
                await self._handle(message)
            except Refused as refused:
                if refused.why in _OUT:
                    self.close(refused.why)
                else:
                    self._complain(refused, message_id)

    def _send(self, frame: Frame) -> None:
        """Say something to this browser alone."""
        self._tally.control(frame)
        self._line.send(frame)

    def _count(self, message: Message | Unusable, size: int) -> None:
        if isinstance(message, Chat | Signal):
            self._tally.events_in += 1
            self._tally.event_bytes_in += size
        else:
            self._tally.controls_in += 1
            self._tally.control_bytes_in += size

    async def _hang_up(self) -> None:
        if self._gone is None and self._bye is None:
            await self._line.close(1000, "left")
            return
        why, retry_ms = self._bye or (Why.NO_PONG, None)
        if self._bye is not None:
            self._hub.doors.closes[why.value.code] += 1
        if self._gone is None:
            self._send(Frame(outbound.bye(why, retry_ms)))
        assert why.value.close is not None
        await self._line.close(why.value.close, why.value.code)

    def close(self, why: Why, retry_ms: int | None = None) -> None:
        """End the session: the browser hears why, and what to do, as a `bye` and a close code."""
        if self._bye is None:
            self._bye = (why, retry_ms)
            self._mute_poses()
            self._stirred.set()

    def migrate(self, after_ms: int, grace_s: float, why: Why) -> None:
        """Ask the browser to open a second connection before this one goes. Nothing comes before a
        welcome: who waits for it is asked then."""
        if not self._welcomed:
            return
        self._send(Frame(outbound.migrate(after_ms)))
        self._later("migrate", after_ms / 1000 + grace_s, lambda: self.close(why))

    # What comes from the transport

    def on_text(self, text: str) -> None:
        self._quiet = False
        size = len(text.encode())
        self._inbox_bytes += size
        if size > limits.FRAME_BYTES:
            self.close(Why.TOO_LARGE)
        elif len(self._inbox) >= limits.INBOX or self._inbox_bytes > limits.INBOX_BYTES:
            self.close(Why.TOO_FAST)
        else:
            self._inbox.append((text, size))
            self._stirred.set()

    def on_binary(self, data: bytes) -> None:
        """A pose before the welcome. Later ones go to the room."""
        self.close(Why.NO_HELLO)

    def _may_pose(self) -> bool:
        """Judge a pose by speed and role; if it may be, some of the next ones may be unjudged."""
        assert self._stay is not None
        now = self._active_at = self._loop.time()
        if self._bye is not None or self._gone is not None or self._left:
            return False
        if retry_ms := self._poses.take(now):
            self._strike(Refused(Why.TOO_FAST, retry_ms=retry_ms))
        elif not may(self._stay.me.role, Action.POSE):
            self._strike(Refused(Why.FORBIDDEN, "Spectators have no avatar."))
        else:
            self._stay.credit = self._poses.take_ahead(_POSES_AHEAD)
            return True
        return False

    def _reject(self, refused: Refused) -> None:
        """What came as a pose was none."""
        self.close(refused.why)

    def on_gone(self, code: int) -> None:
        self._gone = code
        self._mute_poses()
        self._stirred.set()

    def _mute_poses(self) -> None:
        """Nothing that still waits to be shown is: the room may have forgotten the avatar."""
        if self._stay is not None:
            self._stay.credit = 0

    def on_slow(self) -> None:
        self.close(Why.SLOW_READER)

    def on_flood(self) -> None:
        self.close(Why.TOO_FAST)

    async def _next(self) -> str | None:
        """The next text frame; None when there will be no more."""
        while True:
            if self._bye is not None:
                return None
            if self._inbox:
                text, size = self._inbox.popleft()
                self._inbox_bytes -= size
                return text
            if self._gone is not None:
                return None
            self._stirred.clear()
            await self._stirred.wait()

    # What a browser may say

    async def _handle(self, message: Message | Unusable) -> None:
        assert self._stay is not None
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
            case Pong():
                self._spend(self._control)
            case Hello():
                self._spend(self._control)
                raise Refused(Why.INVALID_REQUEST, "You said hello already.")
            case Unusable():
                self._spend(self._control)
                raise Refused(message.why, message.detail)

    async def _chat(self, message: Chat) -> None:
        assert self._stay is not None
        me = self._allowed(Action.CHAT)
        try:
            text = clean_text(message.text, most=limits.TEXT_LENGTH)
        except ValueError as error:
            raise Refused(Why.INVALID_REQUEST, f"{error} - at `$.text`") from error
        assert self._room is not None
        await self._room.pace(me)
        body = events.chat(
            message_id=message.id, seat=me.seat, user_id=me.user_id, name=me.name, text=text
        )
        await self._say(message.id, body, chat=True)

    async def _signal(self, message: Signal) -> None:
        me = self._allowed(Action.SIGNAL)
        try:
            name = clean_line(message.name, most=limits.SIGNAL_NAME_LENGTH)
        except ValueError as error:
            raise Refused(Why.INVALID_REQUEST, f"{error} - at `$.name`") from error
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
        elif self._room is not None:
            self._room.whisper(b'{"time":%d,%b' % (int(self._clock() * 1000), body[1:]))

    async def _say(self, message_id: str, body: bytes, *, chat: bool) -> None:
        assert self._room is not None
        assert self._stay is not None
        offset = await self._room.say(self._stay, message_id, body, chat=chat)
        self._send(Frame(outbound.ack(message_id, offset)))

    async def _refresh(self, ticket: str) -> None:
        assert self._room is not None
        assert self._stay is not None
        admission = await self._door.by_ticket(self._room_id, ticket)
        guest, me = admission.guest, self._stay.me
        if guest.user_id != me.user_id:
            raise Refused(Why.FORBIDDEN, "The ticket is another person's.")
        renewed = Admission(guest, self._stay.session, admission.expires_at)
        look = msgspec.to_builtins(guest.avatar)
        await self._room.amend(
            me.user_id, {"name": guest.name, "role": guest.role.value, "avatar": look}
        )
        self._admission = renewed
        self._resume = await self._door.give_resume(self._room_id, renewed)
        self._expire_at(renewed.expires_at)
        expires_in = self._expires_in(renewed.expires_at)
        self._send(Frame(outbound.refreshed(self._resume, expires_in)))

    async def _doze(self) -> None:
        """Give up this connection and keep the seat, as its browser asked."""
        self._spend(self._control)
        assert self._room is not None
        assert self._stay is not None
        assert self._admission is not None
        away_s = self._idleness.away_s
        # The token first: a seat that is kept is of no use without a way back to it.
        await self._door.doze(self._room_id, self._admission, self._resume, away_s)
        await self._room.doze(self._stay, away_s)
        self.close(Why.DOZE)

    def _allowed(self, action: Action) -> Member:
        assert self._stay is not None
        self._active_at = self._loop.time()
        me = self._stay.me
        if not may(me.role, action):
            raise Refused(Why.FORBIDDEN, f"The role {me.role} may not {action}.")
        if me.muted:
            raise Refused(Why.MUTED)
        return me

    # Speed, and what comes of too much of it

    def _spend(self, bucket: Bucket) -> None:
        if retry_ms := bucket.take(self._loop.time()):
            raise Refused(Why.TOO_FAST, retry_ms=retry_ms)

    def _complain(self, refused: Refused, message_id: str | None) -> None:
        """Tell the browser that its message was refused; those who go on too fast are closed."""
        if refused.why is Why.TOO_FAST and self._strikes.take(self._loop.time()):
            self.close(Why.TOO_FAST)
            return
        self._send(Frame(outbound.error(refused, message_id)))

    def _strike(self, refused: Refused) -> None:
        """Like `_complain` for poses, of which only some are answered."""
        if self._strikes.take(self._loop.time()):
            self.close(Why.TOO_FAST)
        elif not self._complaints.take(self._loop.time()):
            self._send(Frame(outbound.error(refused)))

    # Time

    def _later(self, name: str, seconds: float, action: Callable[[], None]) -> None:
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = self._loop.call_later(seconds, action)

    def _ping(self) -> None:
        assert self._stay is not None
        self._quiet, self._stay.heard = True, False
        self._send(_PING)
        self._later("pong", limits.PONG_S, self._check_pong)
        self._later("ping", limits.PING_MS / 1000, self._ping)

    def _check_pong(self) -> None:
        assert self._stay is not None
        if self._quiet and not self._stay.heard:
            self.close(Why.NO_PONG)

    def _check_idle(self) -> None:
        """Remove who has done nothing for too long, or look again when that may be so."""
        most = self._idleness.idle_s + self._idleness.away_s
        left_s = self._active_at + most - self._loop.time()
        if left_s <= 0:
            assert self._room is not None
            assert self._stay is not None
            self._hub.tasks.start(self._room.dismiss_idle(self._stay), "removing an idle person")
            left_s = limits.RENEW_S  # in case that fails
        self._later("idle", left_s, self._check_idle)

    def _keep_resume(self) -> None:
        self._hub.tasks.start(self._door.keep_resume(self._resume), "keeping a resume token")
        self._later("resume", _KEEP_RESUME_S, self._keep_resume)

    def _expires_in(self, expires_at: int) -> int:
        return max(0, round(expires_at / 1000 - self._clock()))

    def _expire_at(self, expires_at: int) -> None:
        self._later("expiry", self._expires_in(expires_at), lambda: self.close(Why.TICKET_EXPIRED))
