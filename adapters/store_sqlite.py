"""What must last, in one SQLite file: for one process, such as a server on one's desk."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from adapters.complaints import Complaints
from adapters.data_folder import make_folder
from vchat.config import ConfigError
from vchat.errors import Refused, Why
from vchat.identity import linked
from vchat.model import Account, Identity, Invite, Room, RoomStatus, Standing, Visibility
from vchat.paging import cursor_after, read_cursor
from vchat.store import Family, RoomPage, Rotation, revised
from vchat.text import search_key
from vchat.times import rfc3339

_VERSION = 2
_SCHEMA = (Path(__file__).parent / "store_sqlite.sql").read_text()
_BUSY_S = 5.0

T = TypeVar("T")
_json = msgspec.json.encode
_account = msgspec.json.Decoder(Account).decode
_room = msgspec.json.Decoder(Room).decode
_invite = msgspec.json.Decoder(Invite).decode
_standing = msgspec.json.Decoder(Standing).decode


class SqliteStore:
    """vchat.store.Store in a file.

    Every method is one transaction on the store's own thread: a caller that is cancelled leaves
    all of it or nothing.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, making it and its folder where they are missing. Raises ConfigError."""
        make_folder(path.parent)
        self._path = path
        self._complaints = Complaints()
        try:
            self._db = _open(path)
        except sqlite3.Error as error:
            raise ConfigError([self._sentence(error)]) from error
        self._thread = ThreadPoolExecutor(1, "store")

    async def _run(self, step: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._step, step)

    def _step(self, step: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with self._db:  # commits, or rolls back when the step raises
                # Not when the first write comes: another process may have written since we read.
                self._db.execute("BEGIN IMMEDIATE")
                return step(self._db)
        except sqlite3.IntegrityError as error:
            raise Refused(Why.CONFLICT) from error
        except sqlite3.Error as error:
            self._complaints.say(self._sentence(error))
            raise Refused(Why.UNAVAILABLE) from error

    def _sentence(self, error: sqlite3.Error) -> str:
        return f"The data file {self._path} cannot be used: {error}."

    # Accounts
    async def add_account(self, account: Account) -> None:
        def step(db: sqlite3.Connection) -> None:
            bare = msgspec.structs.replace(account, identities=())
            db.execute("INSERT INTO accounts VALUES (?, ?)", (account.id, _json(bare)))
            for identity in account.identities:
                _give(db, account.id, identity)

        await self._run(step)

    async def account(self, account_id: str) -> Account | None:
        return await self._run(lambda db: _find_account(db, account_id))

    async def change_account(
        self, account_id: str, change: Callable[[Account], Account]
    ) -> Account | None:
        def step(db: sqlite3.Connection) -> Account | None:
            found = _find_account(db, account_id)
            if found is None:
                return None
            changed = msgspec.structs.replace(change(found), identities=found.identities)
            bare = msgspec.structs.replace(changed, identities=())
            db.execute("UPDATE accounts SET body = ? WHERE id = ?", (_json(bare), account_id))
            return changed

        return await self._run(step)

    async def delete_account(self, account_id: str) -> None:
        # The rest goes with it: see the foreign keys in the schema.
        def step(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM accounts WHERE id = ?", (account_id,))
            db.execute("DELETE FROM standings WHERE account_id = ?", (account_id,))
            db.execute("DELETE FROM invites WHERE created_by = ?", (account_id,))

        await self._run(step)

    async def account_of(self, identity: Identity) -> Account | None:
        def step(db: sqlite3.Connection) -> Account | None:
            owner = _owner_of(db, identity)
            return None if owner is None else _find_account(db, owner)

        return await self._run(step)

    async def link_identity(self, account_id: str, identity: Identity) -> Account | None:
        def step(db: sqlite3.Connection) -> Account | None:
            found = _find_account(db, account_id)
            if found is None:
                return None
            if linked(found, identity, _owner_of(db, identity)) is not found:
                _give(db, account_id, identity)
            return _find_account(db, account_id)

        return await self._run(step)

    async def unlink_identity(self, account_id: str, provider: str) -> Account | None:
        def step(db: sqlite3.Connection) -> Account | None:
            db.execute(
                "DELETE FROM identities WHERE account_id = ? AND provider = ?",
                (account_id, provider),
            )
            return _find_account(db, account_id)

        return await self._run(step)

    async def put_secret(self, account_id: str, name: str, sealed: bytes) -> bytes | None:
        return await self._run(lambda db: _put_secret(db, account_id, name, sealed))

    async def secret(self, account_id: str, name: str) -> bytes | None:
        return await self._run(lambda db: _find_secret(db, account_id, name))

    async def swap_secret(self, account_id: str, name: str, old: bytes, new: bytes | None) -> bool:
        def step(db: sqlite3.Connection) -> bool:
            if _find_secret(db, account_id, name) != old:
                return False
            _put_secret(db, account_id, name, new)
            return True

        return await self._run(step)

    async def drop_secret(self, account_id: str, name: str) -> bytes | None:
        return await self._run(lambda db: _put_secret(db, account_id, name, None))

    # Rooms
    async def add_room(self, room: Room) -> None:
        await self._run(
            lambda db: db.execute("INSERT INTO rooms VALUES (?, ?, ?, ?, ?, ?, ?)", _row(room))
        )

    async def room(self, room_id: str) -> Room | None:
        return await self._run(lambda db: _find_room(db, room_id))

    async def change_room(self, room_id: str, change: Callable[[Room], Room]) -> Room | None:
        def step(db: sqlite3.Connection) -> Room | None:
            found = _find_room(db, room_id)
            if found is None:
                return None
            changed = revised(found, change)
            # Not REPLACE: that deletes the row first, and what hangs on it goes too.
            db.execute(
                "UPDATE rooms SET (id, owner_id, listed, search, created_at, expires_at, body)"
                " = (?, ?, ?, ?, ?, ?, ?) WHERE id = ?",
                (*_row(changed), room_id),
            )
            return changed

        return await self._run(step)

    async def public_rooms(
        self, *, query: str, limit: int, cursor: str | None, now: str
    ) -> RoomPage:
        # "~" sorts behind every time: the first page starts before the newest room.
        before = ("~", "") if cursor is None else read_cursor(cursor)

        def step(db: sqlite3.Connection) -> RoomPage:
            rows = db.execute(
                "SELECT body FROM rooms WHERE listed AND expires_at > ? AND instr(search, ?)"
                " AND (created_at, id) < (?, ?) ORDER BY created_at DESC, id DESC LIMIT ?",
                (now, search_key(query), *before, limit + 1),
            ).fetchall()
            rooms = tuple(_room(body) for (body,) in rows[:limit])
            return RoomPage(rooms, cursor_after(rooms[-1]) if len(rows) > limit else None)

        return await self._run(step)

    async def rooms_of(self, account_id: str, *, now: str) -> tuple[Room, ...]:
        def step(db: sqlite3.Connection) -> tuple[Room, ...]:
            rows = db.execute(
                "SELECT body FROM rooms WHERE owner_id = ? AND expires_at > ?"
                " ORDER BY created_at DESC, id DESC",
                (account_id, now),
            )
            rooms = (_room(body) for (body,) in rows)
            return tuple(room for room in rooms if room.status is RoomStatus.OPEN)

        return await self._run(step)

    # Standings
    async def standing(self, room_id: str, account_id: str) -> Standing | None:
        return await self._run(lambda db: _find_standing(db, room_id, account_id))

    async def change_standing(
        self, room_id: str, account_id: str, change: Callable[[Standing], Standing]
    ) -> Standing:
        def step(db: sqlite3.Connection) -> Standing:
            found = _find_standing(db, room_id, account_id)
            changed = change(found or Standing(room_id=room_id, account_id=account_id))
            db.execute(
                "REPLACE INTO standings VALUES (?, ?, ?)", (room_id, account_id, _json(changed))
            )
            return changed

        return await self._run(step)

    # Invites
    async def add_invite(self, invite: Invite) -> None:
        row = (invite.id, invite.room_id, invite.created_by, invite.expires_at, _json(invite))
        await self._run(lambda db: db.execute("INSERT INTO invites VALUES (?, ?, ?, ?, ?)", row))

    async def invites(self, room_id: str, *, now: str) -> tuple[Invite, ...]:
        def step(db: sqlite3.Connection) -> tuple[Invite, ...]:
            rows = db.execute(
                "SELECT body FROM invites WHERE room_id = ? AND expires_at > ?", (room_id, now)
            )
            return tuple(_invite(body) for (body,) in rows)

        return await self._run(step)

    async def revoke_invite(self, room_id: str, invite_id: str) -> bool:
        def step(db: sqlite3.Connection) -> bool:
            done = db.execute(
                "DELETE FROM invites WHERE room_id = ? AND id = ?", (room_id, invite_id)
            )
            return done.rowcount > 0

        return await self._run(step)

    # Refresh tokens
    async def add_family(self, family: Family) -> None:
        row = (family.id, family.account_id, family.token_hash, family.expires_at)
        await self._run(lambda db: db.execute("INSERT INTO families VALUES (?, ?, ?, ?)", row))

    async def rotate(
        self, family_id: str, *, old_hash: str, new_hash: str, now: int, expires_at: int
    ) -> tuple[Rotation, str | None]:
        def step(db: sqlite3.Connection) -> tuple[Rotation, str | None]:
            row = db.execute(
                "SELECT account_id, token_hash FROM families WHERE id = ? AND expires_at > ?",
                (family_id, now),
            ).fetchone()
            if row is None:
                return Rotation.UNKNOWN, None
            account_id, token_hash = row
            if token_hash != old_hash:
                db.execute("DELETE FROM families WHERE id = ?", (family_id,))
                return Rotation.REUSED, None
            db.execute(
                "UPDATE families SET token_hash = ?, expires_at = ? WHERE id = ?",
                (new_hash, expires_at, family_id),
            )
            return Rotation.ROTATED, account_id

        return await self._run(step)

    async def end_family(self, family_id: str) -> None:
        await self._run(lambda db: db.execute("DELETE FROM families WHERE id = ?", (family_id,)))

    async def end_families(self, account_id: str) -> None:
        await self._run(
            lambda db: db.execute("DELETE FROM families WHERE account_id = ?", (account_id,))
        )

    async def expired_rooms(self, *, now: int) -> tuple[Room, ...]:
        def step(db: sqlite3.Connection) -> tuple[Room, ...]:
            rows = db.execute("SELECT body FROM rooms WHERE expires_at <= ?", (rfc3339(now),))
            expired = [_room(body) for (body,) in rows]
            return tuple(room for room in expired if room.status is RoomStatus.OPEN)

        return await self._run(step)

    async def sweep(
        self, *, now: int, dry_run: bool = False, keep_rooms: bool = False
    ) -> dict[str, int]:
        def step(db: sqlite3.Connection) -> dict[str, int]:
            counts = {}
            # Invites before rooms: a room takes its own along, uncounted.
            today = rfc3339(now)
            for table, by in (("invites", today), ("rooms", today), ("families", now)):
                expired = f"FROM {table} WHERE expires_at <= ?"
                if table == "rooms" and keep_rooms:
                    counts[table] = 0
                elif dry_run:
                    (counts[table],) = db.execute(f"SELECT count(*) {expired}", (by,)).fetchone()
                else:
                    counts[table] = db.execute(f"DELETE {expired}", (by,)).rowcount
            return counts

        return await self._run(step)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._db.close)
        self._thread.shutdown()


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")  # durable when a method returns, as promised
        db.execute("PRAGMA foreign_keys = ON")
        # A page that is no page is otherwise met by whoever asks for what was on it.
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError("it is damaged; put a copy in its place, or move it away")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version < _VERSION:  # every step so far only adds tables
            db.executescript(_SCHEMA)
        elif version > _VERSION:
            raise sqlite3.DatabaseError(
                f"it has schema version {version}, and this V-Chat knows {_VERSION}"
            )
    except BaseException:
        db.close()
        raise
    return db


def _find_account(db: sqlite3.Connection, account_id: str) -> Account | None:
    row = db.execute("SELECT body FROM accounts WHERE id = ?", (account_id,)).fetchone()
    if row is None:
        return None
    identities = db.execute(
        "SELECT provider, subject FROM identities WHERE account_id = ? ORDER BY provider, subject",
        (account_id,),
    )
    return msgspec.structs.replace(
        _account(row[0]),
        identities=tuple(Identity(provider=p, subject=s) for p, s in identities),
    )


def _owner_of(db: sqlite3.Connection, identity: Identity) -> str | None:
    row = db.execute(
        "SELECT account_id FROM identities WHERE provider = ? AND subject = ?",
        (identity.provider, identity.subject),
    ).fetchone()
    return None if row is None else str(row[0])


def _give(db: sqlite3.Connection, account_id: str, identity: Identity) -> None:
    db.execute(
        "INSERT INTO identities VALUES (?, ?, ?)",
        (identity.provider, identity.subject, account_id),
    )


def _find_secret(db: sqlite3.Connection, account_id: str, name: str) -> bytes | None:
    row = db.execute(
        "SELECT sealed FROM secrets WHERE account_id = ? AND name = ?", (account_id, name)
    ).fetchone()
    return None if row is None else bytes(row[0])


def _put_secret(
    db: sqlite3.Connection, account_id: str, name: str, sealed: bytes | None
) -> bytes | None:
    """Put a secret, or none, in the place of what was there, and return that."""
    older = _find_secret(db, account_id, name)
    if sealed is None:
        db.execute("DELETE FROM secrets WHERE account_id = ? AND name = ?", (account_id, name))
    else:
        db.execute("REPLACE INTO secrets VALUES (?, ?, ?)", (account_id, name, sealed))
    return older


def _find_room(db: sqlite3.Connection, room_id: str) -> Room | None:
    row = db.execute("SELECT body FROM rooms WHERE id = ?", (room_id,)).fetchone()
    return None if row is None else _room(row[0])


def _find_standing(db: sqlite3.Connection, room_id: str, account_id: str) -> Standing | None:
    row = db.execute(
        "SELECT body FROM standings WHERE room_id = ? AND account_id = ?", (room_id, account_id)
    ).fetchone()
    return None if row is None else _standing(row[0])


def _row(room: Room) -> tuple[str, str, bool, str, str, str, bytes]:
    listed = room.visibility is Visibility.PUBLIC and room.status is RoomStatus.OPEN
    key = search_key(room.name)
    return room.id, room.owner_id, listed, key, room.created_at, room.expires_at, _json(room)
