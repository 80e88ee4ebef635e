"""The values V-Chat is about: accounts, rooms, members. Frozen, and camelCase in JSON."""

from enum import StrEnum
from typing import Literal

import msgspec

from vchat.policy import Role


class Value(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The base of all values here: immutable, keyword-only, camelCase on the wire."""


class Avatar(Value, frozen=True, kw_only=True):
    """What a person looks like. `id` is a preset's name, a VRoid Hub model id, or an https URL."""

    source: Literal["preset", "vroid", "url"]
    id: str


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


class Room(Value, frozen=True, kw_only=True):
    """A room as it is stored. Who is inside right now is presence, not part of it."""

    id: str
    name: str
    description: str
    visibility: Visibility
    capacity: int
    owner_id: str
    status: RoomStatus
    locked: bool
    created_at: str
    ended_at: str | None
    expires_at: str


class Standing(Value, frozen=True, kw_only=True):
    """What a room remembers of a person, present or not: a role given, a ban. Never shown.

    The owner's role is not among them: `Room.owner_id` says it.
    """

    room_id: str
    account_id: str
    role: Role | None = None
    banned: bool = False
    banned_until: str | None = None
    """None means for ever, while `banned`."""


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
