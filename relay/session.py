"""One browser's stay in one room, from its hello to the bye."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from relay.conversation import Conversation, expires_in_s
from relay.door import Admission, Door
from relay.gate import Knock
from relay.hub import Hub
from relay.line import Frame, Line
from relay.room import Room
from relay.stay import Stay
from vchat import inbound, limits, outbound
from vchat.errors import Refused, Why
from vchat.idleness import Idleness
from vchat.ids import is_room_id
from vchat.inbound import Hello
from vchat.model import Member

log = logging.getLogger("vchat.relay")

_LOOK_S = 0.01


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
        self._inbox: deque[tuple[str, int]] = deque()
        self._inbox_bytes = 0
        self._stirred = asyncio.Event()
        self._gone: int | None = None
        self._takes_parts = False
        self._bye: tuple[Why, int | None] | None = None
        self._tally = hub.tally
        self._stay: Stay | None = None

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
                await self._stay_in(room, admission)
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
            await self._hang_up()
            self._hub.doors.closed += 1
            if self._stay is not None:
                self._stay.end()
                self._stay = None

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
                text = await self.next()
        except TimeoutError as error:
            raise Refused(Why.NO_HELLO) from error
        message = None if text is None else inbound.parse(text)
        if not isinstance(message, Hello):
            raise Refused(Why.NO_HELLO)
        return message

    async def _stay_in(self, room: Room, admission: Admission) -> None:
        self._tally = room.tally
        left = False
        try:
            conversation, ends_at = await self._enter(room, admission)
            left = await conversation.hold(ends_at, draining=self._hub.draining)
        finally:
            if self._stay is not None:
                await room.exit(self._stay, left=left or self._gone == 1000)
            self._tally = self._hub.tally

    async def _enter(self, room: Room, admission: Admission) -> tuple[Conversation, int]:
        """Take the seat and welcome the browser; when its session ends, in ms. Raises Refused."""
        guest = admission.guest
        nobody = Member(
            seat=0, user_id=guest.user_id, name=guest.name, role=guest.role, avatar=guest.avatar
        )
        self._stay = stay = Stay(admission.session, self._line, self.close, self._reject, nobody)
        arrival = await room.seat(
            stay,
            guest,
            admission.resume_from,
            resume=admission.resume_from is not None,
            moving=admission.moving,
        )
        resume = await self._door.give_resume(self._room_id, admission)
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
            self.send(Frame(outbound.part(lists)))
            await self._drained()
        self.send(
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
                    resume=resume,
                    expires_in=expires_in_s(ends_at, now),
                    relay=self._relay,
                    server_time=int(now * 1000),
                    idleness=self._idleness,
                    tick_hz=self._line.tick_hz,
                )
            )
        )
        self._knock.let_in()
        conversation = Conversation(
            self,
            room,
            stay,
            admission,
            resume,
            door=self._door,
            clock=self._clock,
            idleness=self._idleness,
            tasks=self._hub.tasks,
        )
        room.enter(stay, arrival)
        return conversation, ends_at

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

    def send(self, frame: Frame) -> None:
        """Say something to this browser alone."""
        self._tally.control(frame)
        self._line.send(frame)

    async def _hang_up(self) -> None:
        if self._gone is None and self._bye is None:
            await self._line.close(1000, "left")
            return
        why, retry_ms = self._bye or (Why.NO_PONG, None)
        if self._bye is not None:
            self._hub.doors.closes[why.value.code] += 1
        if self._gone is None:
            self.send(Frame(outbound.bye(why, retry_ms)))
        assert why.value.close is not None
        await self._line.close(why.value.close, why.value.code)

    def close(self, why: Why, retry_ms: int | None = None) -> None:
        """End the session: the browser hears why, and what to do, as a `bye` and a close code."""
        if self._bye is None:
            self._bye = (why, retry_ms)
            self._mute_poses()
            self._stirred.set()

    # What comes from the transport

    def on_text(self, text: str) -> None:
        if self._stay is not None:
            self._stay.heard = True
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
            self._stay.mute()

    def on_slow(self) -> None:
        self.close(Why.SLOW_READER)

    def on_flood(self) -> None:
        self.close(Why.TOO_FAST)

    async def next(self) -> str | None:
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
