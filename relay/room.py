"""One room on this instance: who is connected here, what they were told, and who moved."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from relay.line import Frame, Line
from relay.tally import Tally
from relay.tasks import Tasks
from relay.teller import Teller
from relay.ticker import Ticker, Watcher
from vchat import bus_messages, limits
from vchat.bus import Bus
from vchat.errors import Refused, Why
from vchat.events import Event
from vchat.model import Member
from vchat.policy import Action, Role, may
from vchat.pose_board import Pose
from vchat.sequencer import Sequencer
from vchat.state import Guest, Position, Reason, Seated, State

log = logging.getLogger("vchat.relay")

_GAP_S = 0.05
"""How long a missing event may be on its way before the log is asked."""
_READ = 500
_BUS_BACKLOG = 1000
_COLD_S = 2.0
"""How long who moves here with another connection underneath may wait for the others' poses."""
_LATE_S = 10.0
"""How late the bus may bring a pose of somebody who has left by then."""
_SUPERSEDED_S = 5.0
"""How long an old connection of the same session may stay after the new one took over."""


class Close(Protocol):
    """Says bye and closes one browser's connection."""

    def __call__(self, why: Why, retry_ms: int | None = None) -> None: ...


class Migrate(Protocol):
    """Asks one browser to move to another connection, and closes this one if it has not by then."""

    def __call__(self, after_ms: int, grace_s: float, why: Why) -> None: ...


_NOTHING: deque[tuple[Watcher, bytes]] = deque(maxlen=0)


@dataclass(slots=True, eq=False)
class Stay:
    """One connection's stay in the room. `known` is the last event its browser was given."""

    session: str
    line: Line
    close: Close
    migrate: Migrate
    judge: Callable[[], bool]
    reject: Callable[[Refused], None]
    me: Member
    generation: int = 0
    known: int = 0
    lagging: bool = False
    seat: int = 0
    credit: int = 0
    heard: bool = False
    arriving: list[Event] = field(default_factory=list)
    # The room's, once the browser was welcomed.
    came: deque[tuple[Watcher, bytes]] = field(default_factory=lambda: _NOTHING)
    wake: Callable[[], None] = lambda: None

    def on_pose(self, frame: bytes) -> None:
        """A pose frame came: it is judged and read when the room's next tick is made."""
        # Called for every pose there is, and in between the kernel works: the less here the better.
        came = self.came
        if not came:
            self.wake()
        came.append((self, frame))


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a newcomer is welcomed with. `known` is where their events go on from."""

    seated: Seated
    known: int
    recovered: bool
    missed: tuple[Event, ...]
    history: tuple[Event, ...] = ()


class _Notice(msgspec.Struct, rename="camel"):
    """The part of an event that concerns the relay itself."""

    type: str
    user_id: str = ""
    seat: int = 0
    reason: str = ""
    role: Role | None = None
    muted: bool | None = None
    name: str | None = None
    slow_mode_s: int = 0


_read_notice = msgspec.json.Decoder(_Notice).decode
_JOINED = b'{"type":"joined"'
_CHAT = b'{"type":"chat"'
_TOLD_ONLY = (_CHAT, b'{"type":"signal"', _JOINED)
_REMOVED: dict[str, Why] = {
    Reason.KICKED: Why.KICKED,
    Reason.BANNED: Why.BANNED,
    Reason.IDLE: Why.IDLE,
    # Swept out while the socket lived, as behind a frozen relay: the session can come back.
    Reason.LOST: Why.ROTATE,
}


class Room:
    """Delivers to each member every event of the room exactly once and in order, and everyone's
    poses once a tick, whichever instance they came from."""

    def __init__(
        self,
        room_id: str,
        *,
        instance: str,
        relay: str,
        state: State,
        bus: Bus,
        clock: Callable[[], float],
    ) -> None:
        self.id = room_id
        self._instance = instance
        self._relay = relay
        self._state = state
        self._bus = bus
        self._tasks = Tasks()
        self.tally = Tally()
        self._stays: dict[str, Stay] = {}
        self._newcomers: set[Stay] = set()
        self._events = Sequencer()
        self._filling = False
        self._first = asyncio.Lock()
        self._chats: deque[Event] | None = None
        """The last chats, from the first seat taken here on."""
        self._teller = Teller(self._stays.values, self.tally)
        self._ticker = Ticker(self._stays.values, clock, self.tally)
        self._slow_mode_s = 0
        self._heard_poses = asyncio.Event()
        self._left: set[int] = set()
        """Seats that were given up a moment ago, of which late poses may still come."""
        self._outbox: deque[bytes] = deque(maxlen=_BUS_BACKLOG)
        self._publisher: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self.dropped: Counter[str] = Counter()
        """How often something came that no instance of ours can have sent, by kind."""

    # Its life

    def _listen_once(self) -> None:
        """Called with the lease taken: what the janitor finds without one is nobody's."""
        if self._listening is None:
            self._listening = self._tasks.start(self._listen(), f"listening to {self.id}")

    async def unsubscribe(self) -> None:
        """Give up the room's subscription ahead of all else; the log tells what it would have."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    async def close(self) -> None:
        """Let go of the room's timer and lease; `end` is for what may take longer."""
        self._ticker.stop()
        self._teller.stop()
        if self._listening is None:
            return  # nobody ever sat here
        try:
            await self._state.renew(self.id, self._instance, {}, hosting=False)
        except Refused:
            log.info("the lease on %s is left to run out", self.id)

    async def end(self) -> None:
        """End what still runs: with Pub/Sub away, deleting the subscription takes seconds."""
        await self._tasks.cancel()

    @property
    def empty(self) -> bool:
        return not self._stays and not self._newcomers

    def stays(self) -> list[Stay]:
        return [*self._stays.values(), *self._newcomers]

    @property
    def members(self) -> int:
        """How many people are connected here."""
        return len(self._stays)

    # Coming and going

    async def seat(
        self,
        stay: Stay,
        guest: Guest,
        resume_from: Position | None,
        *,
        resume: bool,
        moving: bool = False,
    ) -> Arrival:
        """Take a seat, and begin to collect what happens; who is `moving` here may wait until the
        room's poses are here too. Raises Refused."""
        if moving and not self._heard_poses.is_set():
            await self._warm_up()
        # Registered before the first await: what is delivered meanwhile is not missed.
        self._newcomers.add(stay)
        seated = await self._sit(stay, guest, resume=resume)
        self._listen_once()
        stay.me, stay.generation = seated.me, seated.generation
        stay.seat = seated.me.seat
        self._slow_mode_s = seated.room.slow_mode_s
        self._learn(seated.head.epoch, seated.head.offset, seated.events)
        self._replace(stay.me.user_id, stay.session, stay.generation)
        if not any(event.body.startswith(_JOINED) for event in seated.events):  # sat here before
            self._publish(
                bus_messages.encode(
                    bus_messages.Replaced(stay.me.user_id, stay.session, stay.generation)
                )
            )
        missed = None if resume_from is None else await self._missed(resume_from)
        if resume_from is not None and missed is not None:
            return Arrival(seated, resume_from.offset, recovered=True, missed=missed)
        # A renewal that was answered first may have begun to follow the log beyond this welcome.
        missed = ()
        if self._events.start > seated.head.offset:
            missed = await self._missed(seated.head)
        if missed is None:
            raise Refused(Why.ROTATE, "The log was lost just now.")
        history = await self._history(seated.head)
        return Arrival(seated, seated.head.offset, recovered=False, missed=missed, history=history)

    async def _sit(self, stay: Stay, guest: Guest, *, resume: bool) -> Seated:
        """Sit down; the last chats come with the first seat of a room, and are known from then."""

        async def sit(*, history: bool) -> Seated:
            return await self._state.sit(
                self.id,
                guest,
                session=stay.session,
                instance=self._instance,
                relay=self._relay,
                resume=resume,
                history=history,
            )

        if self._chats is None:
            async with self._first:
                if self._chats is None:
                    seated = await sit(history=True)
                    self._chats = deque(seated.history, maxlen=limits.HISTORY)
                    return seated
        return await sit(history=False)

    async def _history(self, head: Position) -> tuple[Event, ...]:
        """The last chats as of `head`. Raises Refused."""
        chats = list(self._chats or ())
        here = self._events.offset
        if here < head.offset:
            # Seldom: somebody sat down before all that came before was delivered here.
            later = await self._missed(Position(head.epoch, here))
            chats += [event for event in later or () if event.body.startswith(_CHAT)]
        return tuple(chat for chat in chats if chat.offset <= head.offset)[-limits.HISTORY :]

    async def _warm_up(self) -> None:
        """Let the room's poses come here first. The seat is still served elsewhere meanwhile."""
        await self.renew()
        self._listen_once()
        with suppress(TimeoutError):
            async with asyncio.timeout(_COLD_S):
                await self._heard_poses.wait()

    def enter(self, stay: Stay, arrival: Arrival) -> None:
        """The browser was welcomed: give it what it missed, everyone's poses, and go on live."""
        self._newcomers.discard(stay)
        stay.known = arrival.known
        for event in sorted((*arrival.missed, *stay.arriving), key=lambda event: event.offset):
            if event.offset > stay.known:
                stay.known = event.offset
                frame = Frame(event.frame())
                stay.line.send(frame)
                self.tally.event(frame, 1)
        stay.arriving.clear()
        newer = self._stays.get(stay.me.user_id)
        if newer is not None and newer.generation > stay.generation:
            # While this one was being welcomed another connection of the person took the seat.
            stay.close(Why.MIGRATE if newer.session == stay.session else Why.REPLACED)
            return
        self._stays[stay.me.user_id] = stay
        stay.came, stay.wake = self._ticker.came, self._ticker.wake
        stay.line.on_binary = stay.on_pose
        self._ticker.board.restart(stay.me.seat)
        self._ticker.welcome(stay)

    async def exit(self, stay: Stay, *, left: bool) -> None:
        """The connection is over: give up the seat if the person left, else hold it a while."""
        self._ticker.read()
        self._newcomers.discard(stay)
        if self._stays.get(stay.me.user_id) is stay:
            del self._stays[stay.me.user_id]
        if not stay.generation:
            return
        try:
            if left:
                logged = await self._state.leave(
                    self.id, stay.me.user_id, stay.generation, Reason.LEFT
                )
                if logged is not None:
                    self._learn(logged[0].epoch, logged[0].offset, [logged[1]])
            else:
                await self._state.lose(self.id, stay.me.user_id, stay.generation)
        except Refused:
            log.info("a seat in %s is left to run out", self.id)

    async def doze(self, stay: Stay, away_s: int) -> None:
        """Keep the person's seat for a time without this connection. Raises Refused."""
        user_id, generation = stay.me.user_id, stay.generation
        if logged := await self._state.doze(self.id, user_id, generation, away_s):
            self._learn(logged[0].epoch, logged[0].offset, [logged[1]])

    async def dismiss_idle(self, stay: Stay) -> None:
        """Remove somebody who does nothing, if the state can be reached; the event closes the
        connection."""
        with suppress(Refused):
            logged = await self._state.leave(self.id, stay.me.user_id, stay.generation, Reason.IDLE)
            if logged is not None:
                self._learn(logged[0].epoch, logged[0].offset, [logged[1]])

    async def renew(self) -> float | None:
        """Renew every seat held here, and learn what happened meanwhile; the seconds until the next
        seat in the room is lost, unless it is renewed. Raises Refused."""
        seats = {stay.me.user_id: stay.generation for stay in self._stays.values()}
        renewal = await self._state.renew(
            self.id, self._instance, seats, hosting=True, known=self._events.position
        )
        self._with_others(renewal.others)
        self._learn(renewal.head.epoch, renewal.head.offset, renewal.events)
        if renewal.gone and self._events.offset < renewal.head.offset:
            await self._catch_up()  # the log says why they are: the room ended, they were removed
        for user_id in renewal.gone:
            stay = self._stays.get(user_id)
            if stay is not None and stay.generation == seats[user_id]:
                stay.close(Why.ROTATE)
        if renewal.others and not self._heard_poses.is_set():
            self._ask_for_poses()
        return renewal.next_s

    # Events

    async def say(self, stay: Stay, message_id: str, body: bytes, *, chat: bool) -> int:
        """Number, store and deliver an event; its offset. Raises Refused."""
        said = await self._state.append(
            self.id,
            stay.me.user_id,
            message_id,
            body,
            chat=chat,
            known=self._events.position,
        )
        if said.fresh:
            self.tally.stored += 1
            event = Event(said.at.offset, said.time, body)
            self._learn(said.at.epoch, said.at.offset, [event])
        return said.at.offset

    async def pace(self, me: Member) -> None:
        """In slow mode, refuse who chatted a moment ago, here or on another relay."""
        if not self._slow_mode_s or may(me.role, Action.SLOW):
            return
        rate = limits.Rate(burst=1, per_s=1 / self._slow_mode_s)
        if retry_ms := await self._state.spend(f"slow:{self.id}:{me.user_id}", rate):
            raise Refused(Why.TOO_FAST, "The room is in slow mode.", retry_ms=retry_ms)

    async def amend(self, user_id: str, changes: dict[str, object]) -> None:
        """Change a member, and tell everyone. Raises Refused."""
        if logged := await self._state.amend(self.id, user_id, changes):
            self._learn(logged[0].epoch, logged[0].offset, [logged[1]])

    def whisper(self, frame: bytes) -> None:
        """Send a frame to everyone who is there right now; it is not stored."""
        self._send_all(frame)
        self._publish(bus_messages.encode(bus_messages.Ephemeral(frame)))

    def _learn(self, epoch: str, head: int, added: Sequence[Event]) -> None:
        """Take in what the state said: where the log stands, and the events this step added."""
        if self._events.epoch not in (None, epoch):
            # The log was wiped. Seats and resume tokens went with it.
            for stay in self.stays():
                stay.close(Why.SESSION_UNKNOWN)
            return
        self._events.begin(epoch, added[0].offset - 1 if added else head)
        if added:
            self._deliver(epoch, added)
            self._publish(bus_messages.encode_events(epoch, added))
        if head > self._events.offset:
            self._fill_later()

    def _deliver(self, epoch: str, arrived: Iterable[Event]) -> None:
        for event in arrived:
            for due in self._events.take(epoch, event):
                self._tell(due)
        if self._events.gap:
            self._fill_later()

    def _tell(self, event: Event) -> None:
        if self._chats is not None and event.body.startswith(_CHAT):
            self._chats.append(event)
        told_only = event.body.startswith(_TOLD_ONLY)
        self._teller.tell(event, urgent=not told_only)
        for stay in self._newcomers:
            stay.arriving.append(event)
        if not told_only:
            self._heed(_read_notice(event.body))

    def _heed(self, notice: _Notice) -> None:
        if notice.type == "ended":
            for stay in self.stays():
                stay.close(Why.ROOM_ENDED)
            return
        if notice.type == "room":
            self._slow_mode_s = notice.slow_mode_s
            return
        member = self._stays.get(notice.user_id)
        if notice.type == "left":
            self._ticker.board.forget(notice.seat)
            self._left.add(notice.seat)
            asyncio.get_running_loop().call_later(_LATE_S, self._left.discard, notice.seat)
            why = _REMOVED.get(notice.reason)
            if member is not None and member.me.seat == notice.seat and why is not None:
                member.close(why)
        elif notice.type == "member" and member is not None:
            told = {"role": notice.role, "muted": notice.muted, "name": notice.name}
            changes = {name: value for name, value in told.items() if value is not None}
            member.me = msgspec.structs.replace(member.me, **changes)
            member.credit = 0  # the role may be another

    def _fill_later(self) -> None:
        if not self._filling:
            self._filling = True
            self._tasks.start(self._fill(), f"filling a gap in {self.id}")

    async def _fill(self) -> None:
        """Read from the log what did not come by itself."""
        try:
            await asyncio.sleep(_GAP_S)
            await self._catch_up()
        except Refused:
            return  # The next renewal sees the gap again.
        finally:
            self._filling = False

    async def _catch_up(self) -> None:
        """Deliver everything up to the log's end. Raises Refused."""
        while True:
            after = self._events.position
            assert after is not None
            early = self._events.early
            found = await self._state.read(self.id, after, _READ)
            if found is None:
                for stay in self.stays():
                    stay.close(Why.ROTATE)
                return
            self._deliver(after.epoch, found)
            if len(found) < _READ:
                # An event is stored before it is sent, so what was here early is in the log by now.
                for _ in range(self._events.drop(early)):
                    self._drop("an event that the log does not have")
                return

    async def _missed(self, since: Position) -> tuple[Event, ...] | None:
        """All events after `since`; None when the log does not reach back to it."""
        missed: list[Event] = []
        while True:
            found = await self._state.read(self.id, since, _READ)
            if found is None:
                return None
            missed += found
            if len(found) < _READ:
                return tuple(missed)
            since = Position(since.epoch, found[-1].offset)

    def _replace(self, user_id: str, session: str, generation: int) -> None:
        """Someone took this seat over: the older connection, if it is here, lets go."""
        old = self._stays.get(user_id)
        if old is None or old.generation >= generation:
            return
        if old.session != session:
            old.close(Why.REPLACED)
            return
        # The same session on a new connection. The browser closes the old one itself once it has
        # switched; one that is only half open is closed for it.
        del self._stays[user_id]
        asyncio.get_running_loop().call_later(_SUPERSEDED_S, old.close, Why.MIGRATE)

    def _send_all(self, payload: bytes) -> None:
        frame = Frame(payload)
        self.tally.event(frame, len(self._stays))
        for stay in self._stays.values():
            stay.line.send(frame)

    # Poses

    def _share(self, poses: list[Pose]) -> None:
        self._publish(bus_messages.encode(bus_messages.Poses(tuple(poses))))

    def _with_others(self, others: bool) -> None:
        """Whether some of the room's people are at other relays, and are to be shown ours: first
        what they missed while nobody was known to be there."""
        if others and self._ticker.share is None:
            self._share_held()
        self._ticker.share = self._share if others else None

    def _share_held(self) -> None:
        seats = frozenset(stay.me.seat for stay in self._stays.values())
        held = tuple(self._ticker.board.poses(seats))
        self._publish(bus_messages.encode(bus_messages.Poses(held, held=True)))

    def _ask_for_poses(self) -> None:
        self._heard_poses.clear()
        self._publish(bus_messages.encode(bus_messages.PosesWanted()))

    # Other instances

    async def _listen(self) -> None:
        # Asked before it delivers, the others would answer nobody.
        async with self._bus.listen(self.id, self._ask_for_poses) as messages:
            async for message in messages:
                try:
                    self._hear(bus_messages.decode(message))
                except ValueError:
                    self._drop("a message that is not ours")
                except Exception as error:
                    # Whatever it is: there is no other listener for the messages after it.
                    self._drop("a message that breaks us", error)

    def _drop(self, what: str, error: Exception | None = None) -> None:
        """Count what the bus should not have brought; the log hears of each kind once."""
        self.dropped[what] += 1
        self.tally.malformed += 1
        if self.dropped[what] == 1:
            log.warning("dropped %s, on the topic of %s", what, self.id, exc_info=error)

    def _hear(self, message: bus_messages.BusMessage) -> None:
        match message:
            case bus_messages.Events(epoch=epoch):
                events = message.unpacked()
                for event in events:
                    _read_notice(event.body)  # one that cannot be read must not take an offset
                # Another epoch is a late echo, or the first of a wiped log: renewal will tell.
                self._deliver(epoch, events)
            case bus_messages.Poses(poses=poses, held=held):
                if held:
                    self._heard_poses.set()
                self._with_others(True)
                for seat, seq, body in poses:
                    if seat not in self._left:
                        self._ticker.put(seat, seq, body)
            case bus_messages.PosesWanted():
                self._ticker.share = self._share
                self._share_held()  # also when there are none: whoever asks may be waiting
            case bus_messages.Replaced():
                self._replace(message.user_id, message.session, message.generation)
            case bus_messages.Ephemeral(frame=frame):
                self._send_all(frame)

    def _publish(self, message: bytes) -> None:
        self.tally.unpublished += len(self._outbox) == _BUS_BACKLOG
        self._outbox.append(message)
        if self._publisher is None or self._publisher.done():
            self._publisher = self._tasks.start(self._drain_outbox(), f"publishing to {self.id}")

    async def _drain_outbox(self) -> None:
        while self._outbox:
            message = self._outbox.popleft()
            try:
                await self._bus.publish(self.id, message)
            except Refused:
                # Events are in the log, where the others find them; poses are stale by now.
                self.tally.unpublished += 1
                log.info("a message to %s did not go out", self.id)
