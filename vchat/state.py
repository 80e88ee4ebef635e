"""The port to what is volatile and shared: who sits where, the event log, used tickets, bans.

Nothing here must survive a power cut; all of it must agree between instances while it lives. The
times are the adapter's own single clock, so that relays whose clocks differ still agree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from vchat.errors import Why
from vchat.events import Event
from vchat.gauges import StateGauges
from vchat.limits import Rate
from vchat.model import Avatar, Member, Room
from vchat.policy import Role


class Reason(StrEnum):
    """Why someone left."""

    LEFT = "left"
    LOST = "lost"
    KICKED = "kicked"
    BANNED = "banned"
    IDLE = "idle"


@dataclass(frozen=True, slots=True)
class Guest:
    """Someone who wants a seat: what a ticket, or an earlier session, says of the person."""

    user_id: str
    name: str
    role: Role
    avatar: Avatar | None
    admitted: bool
    """Whether the person may enter a locked room."""
    muted: bool = False
    ticket_s: int = 0
    """When the ticket was given, in seconds since the epoch: the later of two sessions stays."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a room's log: the epoch names the log, the offset its last event known."""

    epoch: str
    offset: int


@dataclass(frozen=True, slots=True)
class Seated:
    """A seat taken, and the room as it was in that very step.

    `generation` fences: whatever an earlier holder of the seat still does is ignored. `members` are
    JSON objects, passed on without being read. `events` are those that this step added to the log.
    `replaced` is the session that sat here before, if any.
    """

    me: Member
    generation: int
    head: Position
    room: Room
    members: tuple[bytes, ...]
    history: tuple[Event, ...]
    events: tuple[Event, ...]
    replaced: str | None


@dataclass(frozen=True, slots=True)
class Appended:
    """Where an event stands in the log; `fresh` is False when its id was seen before."""

    at: Position
    time: int
    fresh: bool


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a relay learns when it renews its seats in a room.

    `gone` are user ids whose seat is no longer this instance's; `events` what the step added (the
    lost who were swept out); `others` whether another live instance hosts the room; `next_s` the
    seconds until the next seat in the room is lost, unless it is renewed.
    """

    head: Position
    gone: tuple[str, ...]
    events: tuple[Event, ...]
    others: bool
    next_s: float | None


@dataclass(frozen=True, slots=True)
class Resumable:
    """What a resume token stands for."""

    room_id: str
    session: str
    guest: Guest
    expires_at: int
    """When the session must have been refreshed, in milliseconds since the epoch."""
    away_s: int = 0
    """How long its person may be away: the token lives so much longer, and so does the session."""


class State(Protocol):
    """The shared volatile state. Every method is one atomic step.

    When the state cannot be reached within its deadline, every method raises
    Refused(UNAVAILABLE): callers refuse what needs it and keep going without.
    """

    @property
    def gauges(self) -> StateGauges: ...

    # Rooms
    async def show_room(self, room: Room) -> None:
        """Let relays see the room as it is stored. Called whenever a ticket to it is made. A room
        that ended stays ended, whoever still took it for open, and a revision before the one that
        is shown is ignored: requests are answered in another order than they read the store."""

    async def change_room(self, room: Room, body: bytes) -> tuple[Position, Event] | None:
        """Show a changed room and log the event that tells; None when nobody is inside, or a later
        revision was told already."""

    async def end_room(self, room: Room, body: bytes) -> tuple[Position, Event]:
        """Show an ended room, log its last event and empty it."""

    async def occupancy(self, room_ids: Sequence[str]) -> dict[str, int]:
        """How many people hold a seat in each of these rooms."""

    async def members(self, room_id: str) -> tuple[Member, ...]: ...

    # Seats
    async def sit(
        self,
        room_id: str,
        guest: Guest,
        *,
        session: str,
        instance: str,
        relay: str,
        resume: bool,
        history: bool = True,
    ) -> Seated:
        """Take a seat in the room, or the seat that this person holds already. `relay` is what
        people see of the `instance`. Without `history` the answer brings no last chats.

        With `resume` the seat must still be this session's, or free; without, whoever sits there
        must not have come with a later ticket. Who was away is no longer.
        Raises Refused with SESSION_UNKNOWN (the room is not shown), ROOM_ENDED, BANNED, REPLACED,
        IDLE or KICKED (resuming what was removed while away), ROOM_LOCKED, ROOM_FULL, judged in
        this order.
        """

    async def lose(self, room_id: str, user_id: str, generation: int) -> None:
        """The socket went away: keep the seat for SEAT_HOLD_S. Ignored for an older generation."""

    async def doze(
        self, room_id: str, user_id: str, generation: int, away_s: int
    ) -> tuple[Position, Event] | None:
        """Keep the seat for `away_s` without a connection, and log that the person is away. What
        this generation does afterwards is ignored. Who does not come back in that time is swept
        out as IDLE. Raises Refused(SESSION_UNKNOWN) when the seat is not this generation's."""

    async def leave(
        self, room_id: str, user_id: str, generation: int | None, reason: Reason
    ) -> tuple[Position, Event] | None:
        """Give up the seat and log that; None when it is not held by this generation.

        `generation` None means whoever holds it: for removals from outside.
        """

    async def amend(
        self, room_id: str, user_id: str, changes: Mapping[str, Any]
    ) -> tuple[Position, Event] | None:
        """Change a member's name, role, avatar, muted or away (JSON values) and log that; None if
        the person has no seat or nothing changes."""

    async def renew(
        self,
        room_id: str,
        instance: str,
        seats: Mapping[str, int],
        *,
        hosting: bool,
        known: Position | None = None,
    ) -> Renewal:
        """Renew these seats (generation by user id) and the instance's lease on the room, or give
        that lease up when no longer `hosting`; sweep out everyone whose lease ran out.

        `known` is the last event that the instance was told of. A log that ends before it has lost
        its last writes, and goes on as another one, in a new epoch.
        """

    async def hosts(self, room_id: str) -> frozenset[str]:
        """The live relay instances that host the room right now."""

    # Events
    async def append(
        self,
        room_id: str,
        user_id: str,
        message_id: str,
        body: bytes,
        *,
        chat: bool,
        known: Position | None = None,
    ) -> Appended:
        """Number and store an event, once for each (user, message id) in DEDUPE_S. Raises Refused
        with SESSION_UNKNOWN for who has no seat, and when the log ends before `known`, as in
        `renew`."""

    async def read(self, room_id: str, after: Position, limit: int) -> tuple[Event, ...] | None:
        """Up to `limit` events after a position; None when the log does not reach back, or is
        another one."""

    async def head(self, room_id: str) -> Position | None: ...

    # Tokens
    async def burn(self, jti: str, life_s: int) -> bool:
        """Use up a ticket; False when it was used before."""

    async def save_resume(self, token_hash: str, what: Resumable) -> None:
        """Keep what a resume token stands for, for RESUME_S, and `away_s` more."""

    async def keep_resumes(self, token_hashes: Sequence[str]) -> None:
        """Keep these tokens, whose sessions are alive, for another RESUME_S."""

    async def find_resume(self, token_hash: str) -> Resumable | None: ...

    async def retire_resume(self, token_hash: str) -> None:
        """Let a token that was just used work once more, within RESUME_GRACE_S."""

    # Notes
    async def put_note(self, name: str, value: bytes, life_s: int) -> None:
        """Keep a small value under a name for a while; an older one of the name is gone."""

    async def note(self, name: str) -> bytes | None: ...

    async def take_note(self, name: str) -> bytes | None:
        """Read and remove a note: of two callers, one gets it."""

    # Where people are
    async def remember_visit(self, user_id: str, room_id: str) -> None:
        """Keep for a session's life that this person may be in this room."""

    async def visits(self, user_id: str) -> tuple[str, ...]:
        """The rooms where this person may be now."""

    # Bans and rates
    async def ban(self, room_id: str, user_id: str, until_ms: int | None) -> None:
        """Ban a person from a room, for ever or until a time."""

    async def unban(self, room_id: str, user_id: str) -> None: ...

    async def barred(self, room_id: str, user_id: str) -> Why | None:
        """Why this person may not come in: BANNED, or KICKED a moment ago; None when they may."""

    async def spend(self, what: str, rate: Rate) -> int:
        """Take one from the bucket named `what`; 0, or the milliseconds until there is one."""

    async def close(self) -> None: ...
