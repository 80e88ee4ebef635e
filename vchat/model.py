"""The values V-Chat is about: accounts, rooms, members. Frozen, and camelCase in JSON."""

from enum import StrEnum
from typing import Literal

import msgspec

from vchat.policy import Role


class Value(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The base of all values here: immutable, keyword-only, camelCase on the wire."""


class Use(StrEnum):
    """What may be done with an avatar, or happens in a room."""

    VIOLENT = "violent"
    SEXUAL = "sexual"
    POLITICAL = "political"
    ANTISOCIAL = "antisocial"
    CORPORATE = "corporate"
    PROFIT = "profit"


class Stance(StrEnum):
    """What a model's author says of a use. Only "allowed" allows."""

    ALLOWED = "allowed"
    FORBIDDEN = "forbidden"
    NOT_STATED = "not-stated"


class Credit(StrEnum):
    REQUIRED = "required"
    UNNECESSARY = "unnecessary"
    NOT_STATED = "not-stated"


class Conditions(Value, frozen=True, kw_only=True):
    """An author's conditions of use. `avatar_use`: by everyone; `political` includes religious,
    `antisocial` hateful use; `profit` is a person's, `corporate` a company's."""

    avatar_use: Stance = Stance.NOT_STATED
    violent: Stance = Stance.NOT_STATED
    sexual: Stance = Stance.NOT_STATED
    political: Stance = Stance.NOT_STATED
    antisocial: Stance = Stance.NOT_STATED
    corporate: Stance = Stance.NOT_STATED
    profit: Stance = Stance.NOT_STATED
    redistribution: Stance = Stance.NOT_STATED
    alteration: Stance = Stance.NOT_STATED
    altered_redistribution: Stance = Stance.NOT_STATED
    credit: Credit = Credit.NOT_STATED


class Avatar(Value, frozen=True, kw_only=True, omit_defaults=True):
    """What a person looks like. `id` is a preset's name, a VRoid Hub model id, or an https URL.

    The rest is what has to be shown beside a VRoid Hub model. `shared` says whether others may
    load it, each with a licence of their own; else they see a stand-in.
    """

    source: Literal["preset", "vroid", "url"]
    id: str
    title: str | None = None
    author: str | None = None
    conditions: Conditions | None = None
    shared: bool = True


class Identity(Value, frozen=True, kw_only=True):
    """A person at an identity provider. No identity means a guest."""

    provider: str
    subject: str


class Account(Value, frozen=True, kw_only=True):
    """A person. `created_at` is RFC 3339 in UTC, like every time in HTTP."""

    id: str
    name: str
    avatar: Avatar | None = None
    identities: tuple[Identity, ...] = ()
    created_at: str


class Visibility(StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"


class RoomStatus(StrEnum):
    OPEN = "open"
    ENDED = "ended"


class RoomFields(Value, frozen=True, kw_only=True):
    """What is told of a room. Who is inside right now is presence, not part of it."""

    id: str
    name: str
    description: str
    visibility: Visibility
    capacity: int
    owner_id: str
    status: RoomStatus
    locked: bool
    slow_mode_s: int = 0
    """Seconds that lie between two chat messages of one person, moderators aside."""
    uses: tuple[Use, ...] = ()
    """What happens in the room, and an avatar's conditions must allow."""
    created_at: str
    ended_at: str | None
    expires_at: str


class Room(RoomFields, frozen=True, kw_only=True):
    """A room as it is stored."""

    revision: int = 0
    """How many changes it has seen; of two versions the higher one is the later."""


class Standing(Value, frozen=True, kw_only=True):
    """What a room remembers of a person, present or not: a role given, a ban, being muted.

    The owner's role is not among them: `Room.owner_id` says it.
    """

    room_id: str
    account_id: str
    role: Role | None = None
    banned: bool = False
    banned_until: str | None = None
    """None means for ever, while `banned`."""
    ban_reason: str | None = None
    muted: bool = False


class Invite(Value, frozen=True, kw_only=True):
    """A way into a private or locked room. The secret itself is not stored, only its hash."""

    id: str
    room_id: str
    secret_hash: str
    expires_at: str
    created_by: str


class Member(Value, frozen=True, kw_only=True):
    """Someone in a room. `seat` is a u16, the person's number in the binary frames."""

    seat: int
    user_id: str
    name: str
    role: Role
    avatar: Avatar | None
    muted: bool = False
    away: bool = False
    voice: bool = False
    """Whether the person is in the room's voice call."""
    relay: str = ""
    """The name of the relay that the person is connected to."""
