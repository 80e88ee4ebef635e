"""One room on this instance: who is connected here, what they were told, and who moved."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from relay.followed_log import FollowedLog
from relay.line import Frame
from relay.stay import Stay
from relay.tally import Tally
from relay.tasks import Tasks
from relay.teller import Teller
from relay.ticker import Ticker
from relay.topic import Topic
from vchat import limits
from vchat.bus import Bus
from vchat.bus_messages import BusMessage, Ephemeral, Events, Poses, PosesWanted, Replaced
from vchat.errors import Refused, Why
from vchat.events import Event
from vchat.model import Member
from vchat.notices import CHAT, JOINED, TOLD_ONLY, Notice, read_notice
from vchat.policy import Action, may
from vchat.pose_board import Pose
from vchat.state import Guest, Position, Reason, Seated, State

log = logging.getLogger("vchat.relay")

_COLD_S = 2.0
"""How long who moves here with another connection underneath may wait for the others' poses."""
_LATE_S = 10.0
"""How late the bus may bring a pose of somebody who has left by then."""
_SUPERSEDED_S = 5.0
"""How long an old connection of the same session may stay after the new one took over."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a newcomer is welcomed with. `known` is where their events go on from."""

    seated: Seated
    known: int
    recovered: bool
    missed: tuple[Event, ...]
    history: tuple[Event, ...] = ()


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
        self._tasks = Tasks()
        self.tally = Tally()
        self._stays: dict[str, Stay] = {}
        self._newcomers: set[Stay] = set()
        self._log = FollowedLog(
            room_id,
            state=state,
            tasks=self._tasks,
            tell=self._tell,
            lost=self._close_all,
            unknown=lambda: self._topic.drop("an event that the log does not have"),
        )
        # Asked before the topic delivers, the others would answer nobody.
        self._topic = Topic(
            room_id,
            bus=bus,
            tasks=self._tasks,
            tally=self.tally,
            hear=self._hear,
            attached=self._ask_for_poses,
        )
        self._first = asyncio.Lock()
        self._chats: deque[Event] | None = None
        """The last chats, from the first seat taken here on."""
        self._teller = Teller(self._stays.values, self.tally)
        self._ticker = Ticker(self._stays.values, clock, self.tally)
        self._slow_mode_s = 0
        self._heard_poses = asyncio.Event()
        self._left: set[int] = set()
        """Seats that were given up a moment ago, of which late poses may still come."""

    # Its life

    async def unsubscribe(self) -> None:
        """Give up the room's subscription ahead of all else."""
        await self._topic.unsubscribe()

    async def close(self) -> None:
        """Let go of the room's timer and lease; `end` is for what may take longer."""
        self._ticker.stop()
        self._teller.stop()
        if not self._topic.heard:
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
        self._topic.listen()  # with the lease taken: without one it would be the janitor's
        stay.me, stay.generation = seated.me, seated.generation
        stay.seat = seated.me.seat
        self._slow_mode_s = seated.room.slow_mode_s
        self._learn(seated.head.epoch, seated.head.offset, seated.events)
        self._replace(stay.me.user_id, stay.session, stay.generation)
        if not any(event.body.startswith(JOINED) for event in seated.events):  # sat here before
            self._topic.publish(Replaced(stay.me.user_id, stay.session, stay.generation))
        missed = None if resume_from is None else await self._log.since(resume_from)
        if resume_from is not None and missed is not None:
            return Arrival(seated, resume_from.offset, recovered=True, missed=missed)
        # A renewal that was answered first may have begun to follow the log beyond this welcome.
        missed = ()
        if self._log.start > seated.head.offset:
            missed = await self._log.since(seated.head)
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
        here = self._log.offset
        if here < head.offset:
            # Seldom: somebody sat down before all that came before was delivered here.
            later = await self._log.since(Position(head.epoch, here))
            chats += [event for event in later or () if event.body.startswith(CHAT)]
        return tuple(chat for chat in chats if chat.offset <= head.offset)[-limits.HISTORY :]

    async def _warm_up(self) -> None:
        """Let the room's poses come here first. The seat is still served elsewhere meanwhile."""
        await self.renew()
        self._topic.listen()
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
            self.id, self._instance, seats, hosting=True, known=self._log.position
        )
        self._with_others(renewal.others)
        self._learn(renewal.head.epoch, renewal.head.offset, renewal.events)
        if renewal.gone and self._log.offset < renewal.head.offset:
            await (
                self._log.catch_up()
            )  # the log says why they are: the room ended, they were removed
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
            known=self._log.position,
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
        self._topic.publish(Ephemeral(frame))

    def _learn(self, epoch: str, head: int, added: Sequence[Event]) -> None:
        """Take in what the state said, and tell the other instances what this step added."""
        if self._log.learn(epoch, head, added) and added:
            self._topic.publish(Events.of(epoch, added))

    def _close_all(self, why: Why) -> None:
        for stay in self.stays():
            stay.close(why)

    def _tell(self, event: Event) -> None:
        if self._chats is not None and event.body.startswith(CHAT):
            self._chats.append(event)
        told_only = event.body.startswith(TOLD_ONLY)
        self._teller.tell(event, urgent=not told_only)
        for stay in self._newcomers:
            stay.arriving.append(event)
            stay.arriving_bytes += len(event.body)
            if stay.arriving_bytes > limits.WRITE_BUFFER_BYTES:  # unread as well
                stay.close(Why.SLOW_READER)
        if not told_only:
            self._heed(read_notice(event.body))

    def _heed(self, notice: Notice) -> None:
        if notice.type == "ended":
            self._close_all(Why.ROOM_ENDED)
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
        self._topic.publish(Poses(tuple(poses)))

    def _with_others(self, others: bool) -> None:
        """Whether some of the room's people are at other relays, and are to be shown ours: first
        what they missed while nobody was known to be there."""
        if others and self._ticker.share is None:
            self._share_held()
        self._ticker.share = self._share if others else None

    def _share_held(self) -> None:
        seats = frozenset(stay.me.seat for stay in self._stays.values())
        held = tuple(self._ticker.board.poses(seats))
        self._topic.publish(Poses(held, held=True))

    def _ask_for_poses(self) -> None:
        self._heard_poses.clear()
        self._topic.publish(PosesWanted())

    # Other instances

    def _hear(self, message: BusMessage) -> None:
        match message:
            case Events(epoch=epoch):
                events = message.unpacked()
                for event in events:
                    read_notice(event.body)  # one that cannot be read must not take an offset
                # Another epoch is a late echo, or the first of a wiped log: renewal will tell.
                self._log.take(epoch, events)
            case Poses(poses=poses, held=held):
                if held:
                    self._heard_poses.set()
                self._with_others(True)
                for seat, seq, body in poses:
                    if seat not in self._left:
                        self._ticker.put(seat, seq, body)
            case PosesWanted():
                self._ticker.share = self._share
                self._share_held()  # also when there are none: whoever asks may be waiting
            case Replaced():
                self._replace(message.user_id, message.session, message.generation)
            case Ephemeral(frame=frame):
                self._send_all(frame)
