"""The port to what must last: accounts, rooms, invites and refresh tokens."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import msgspec

from vchat.model import Account, Identity, Invite, Room, Standing


@dataclass(frozen=True, slots=True)
class Family:
    """One sign-in: the refresh tokens that came out of each other.

    Only the hash of the newest token is kept; `expires_at` is in seconds since the epoch.
    """

    id: str
    account_id: str
    token_hash: str
    expires_at: int


class Rotation(Enum):
    """What came of presenting a refresh token."""

    ROTATED = "rotated"
    REUSED = "reused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RoomPage:
    """Some rooms, newest first, and the cursor of the next page, if there is one."""

    rooms: tuple[Room, ...]
    next_cursor: str | None


def revised(room: Room, change: Callable[[Room], Room]) -> Room:
    """The room after a change."""
    return msgspec.structs.replace(change(room), revision=room.revision + 1)


class Store(Protocol):
    """Keeps accounts, rooms, standings, invites and refresh tokens.

    Every method is atomic and durable when it returns. What has expired is as good as gone: it is
    judged on reading with the `now` given, never by when a clean-up ran. An unreachable store
    raises Refused(UNAVAILABLE).
    """

    async def add_account(self, account: Account) -> None:
        """Add a new account. Its id is fresh; a taken one raises Refused(CONFLICT)."""

    async def account(self, account_id: str) -> Account | None: ...

    async def change_account(
        self, account_id: str, change: Callable[[Account], Account]
    ) -> Account | None:
        """Replace an account by `change(it)` as one step; None when there is none.

        `change` may run several times, must be pure, and may raise to leave all as it was.
        Identities are not changed this way.
        """

    async def delete_account(self, account_id: str) -> None:
        """Remove an account with its identities, secrets, refresh tokens, standings and the
        invites it made. Idempotent."""

    async def account_of(self, identity: Identity) -> Account | None:
        """The one account that this identity belongs to."""

    async def link_identity(self, account_id: str, identity: Identity) -> Account | None:
        """Give an identity to an account, as one step; None when there is no such account.

        `vchat.identity.linked` says when it is refused. Again is no error.
        """

    async def unlink_identity(self, account_id: str, provider: str) -> Account | None:
        """Take all identities of a provider from an account. Idempotent."""

    async def put_secret(self, account_id: str, name: str, sealed: bytes) -> bytes | None:
        """Keep a sealed secret of an account; the older one of this name that it takes the place
        of. Raises Refused(CONFLICT) when there is no such account."""

    async def secret(self, account_id: str, name: str) -> bytes | None: ...

    async def swap_secret(self, account_id: str, name: str, old: bytes, new: bytes | None) -> bool:
        """Put a new secret, or none, in the place of this very one, as one step; False when that
        is no longer there."""

    async def drop_secret(self, account_id: str, name: str) -> bytes | None:
        """Forget a secret, and say what it was. Idempotent."""

    async def add_room(self, room: Room) -> None:
        """Add a new room. Its id is fresh; a taken one raises Refused(CONFLICT)."""

    async def room(self, room_id: str) -> Room | None: ...

    async def change_room(self, room_id: str, change: Callable[[Room], Room]) -> Room | None:
        """Replace a room by `change(it)`, with the next revision, as one step, like
        `change_account`."""

    async def public_rooms(
        self, *, query: str, limit: int, cursor: str | None, now: str
    ) -> RoomPage:
        """Open public rooms that have not expired, newest first.

        `query` keeps those whose name contains it, whatever the case; "" keeps all. A cursor stays
        good while rooms come and go: no room is shown twice, none that stays is left out. A cursor
        that we did not make raises Refused(INVALID_REQUEST).
        """

    async def rooms_of(self, account_id: str, *, now: str) -> tuple[Room, ...]:
        """The open rooms this account owns, newest first."""

    async def standing(self, room_id: str, account_id: str) -> Standing | None:
        """What the room remembers of a person; a ban may be over by now."""

    async def change_standing(
        self, room_id: str, account_id: str, change: Callable[[Standing], Standing]
    ) -> Standing:
        """Replace a standing, or the empty one, by `change(it)` as one step, like
        `change_account`."""

    async def add_invite(self, invite: Invite) -> None: ...

    async def invites(self, room_id: str, *, now: str) -> tuple[Invite, ...]:
        """The invites to a room that have not expired."""

    async def revoke_invite(self, room_id: str, invite_id: str) -> bool:
        """Remove an invite; False when the room has no such invite."""

    async def add_family(self, family: Family) -> None: ...

    async def rotate(
        self, family_id: str, *, old_hash: str, new_hash: str, now: int, expires_at: int
    ) -> tuple[Rotation, str | None]:
        """Exchange a refresh token for the next, as one step; with the account's id if ROTATED.

        An older token of the family is REUSED and ends the family. Of two callers with the same
        token, one is ROTATED and the other REUSED.
        """

    async def end_family(self, family_id: str) -> None:
        """Sign out: the family's token is no longer good. Idempotent."""

    async def end_families(self, account_id: str) -> None:
        """Sign an account out everywhere. Idempotent."""

    async def expired_rooms(self, *, now: int) -> tuple[Room, ...]:
        """The rooms that expired without anyone having ended them, and that no sweep removed."""

    async def sweep(
        self, *, now: int, dry_run: bool = False, keep_rooms: bool = False
    ) -> dict[str, int]:
        """Remove what has expired; how many of each: `rooms`, `invites`, `families`. A dry run
        only counts. With `keep_rooms` the rooms stay for the next sweep.

        A room takes its invites and standings along, which are not counted.
        """

    async def close(self) -> None: ...
