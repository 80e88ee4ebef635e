"""What must last, in Firestore: for production.

What changes several documents is one commit whose preconditions say what was read; whoever loses
the race reads again. Transactions would hold locks meanwhile, and wait for each other's.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec
from google.api_core import exceptions
from google.cloud.firestore_v1 import (
    AsyncClient,
    AsyncDocumentReference,
    AsyncWriteBatch,
    DocumentSnapshot,
)
from google.cloud.firestore_v1.base_query import FieldFilter

from adapters.backoff import Backoff
from adapters.complaints import Complaints
from adapters.firestore_documents import (
    best_gram,
    family_document,
    family_of,
    family_turn,
    identity_document,
    identity_key,
    invite_document,
    place,
    plain,
    room_document,
)
from adapters.firestore_queries import (
    WRITES,
    at,
    found,
    read,
    remove,
    remove_all,
    replace,
    values,
    where,
)
from adapters.google_trouble import ERRORS, Service
from vchat.errors import Refused, Why
from vchat.identity import linked
from vchat.model import Account, Identity, Invite, Room, RoomStatus, Standing
from vchat.paging import cursor_after, read_cursor
from vchat.store import Family, RoomPage, Rotation, revised
from vchat.text import search_key
from vchat.times import rfc3339

DEADLINE_S = 8.0
"""For a whole method, tries and all."""
_RETRY_S = (0.02, 0.5)
_LOOKED_AT = 1000
"""Rooms that one search may read for one page; beyond, the page is short and the next goes on."""
_LOST_RACE = (exceptions.Conflict, exceptions.FailedPrecondition, exceptions.NotFound)

T = TypeVar("T")
Step = Callable[[AsyncClient, AsyncWriteBatch], Awaitable[T]]


class FirestoreStore:
    """vchat.store.Store in a project's Firestore database.

    The client library itself looks for FIRESTORE_EMULATOR_HOST.
    """

    def __init__(self, project: str, database: str = "(default)") -> None:
        self._project = project
        self._database = database
        self._client: AsyncClient | None = None
        self._opening = asyncio.Lock()
        self._complaints = Complaints()

    # Accounts
    async def add_account(self, account: Account) -> None:
        async def step(db: AsyncClient, batch: AsyncWriteBatch) -> None:
            taken = [await read(db, "accounts", account.id)]
            taken += [await _owner(db, identity) for identity in account.identities]
            if any(snapshot.exists for snapshot in taken):
                raise Refused(Why.CONFLICT)
            batch.create(at(db, "accounts", account.id), plain(account))
            for identity in account.identities:
                batch.create(_owner_at(db, identity), identity_document(account.id, identity))

        await self._commit(step)

    async def account(self, account_id: str) -> Account | None:
        async with self._reach() as db:
            return found(await read(db, "accounts", account_id), Account)

    async def change_account(
        self, account_id: str, change: Callable[[Account], Account]
    ) -> Account | None:
        def keep_identities(account: Account) -> Account:
            return msgspec.structs.replace(change(account), identities=account.identities)

        return await self._change("accounts", account_id, Account, keep_identities, plain)

    async def delete_account(self, account_id: str) -> None:
        async def step(db: AsyncClient, batch: AsyncWriteBatch) -> bool:
            snapshot = await read(db, "accounts", account_id)
            account = found(snapshot, Account)
            if account is not None:
                remove(batch, snapshot)
                for identity in account.identities:
                    batch.delete(_owner_at(db, identity))
            await remove_all(batch, where(db, "secrets", "accountId", account_id))
            await remove_all(batch, where(db, "families", "accountId", account_id))
            await remove_all(batch, where(db, "standings", "accountId", account_id))
            await remove_all(batch, where(db, "invites", "createdBy", account_id))
            return len(batch) >= WRITES

        while await self._commit(step):
            pass

    # Identities
    async def account_of(self, identity: Identity) -> Account | None:
        async with self._reach() as db:
            owner = await _owner(db, identity)
            if not owner.exists:
                return None
            return found(await read(db, "accounts", str(owner.get("accountId"))), Account)

    async def link_identity(self, account_id: str, identity: Identity) -> Account | None:
        async def step(db: AsyncClient, batch: AsyncWriteBatch) -> Account | None:
            snapshot, owner = await read(db, "accounts", account_id), await _owner(db, identity)
            account = found(snapshot, Account)
            if account is None:
                return None
            changed = linked(account, identity, owner.get("accountId") if owner.exists else None)
            if changed is not account:
                batch.create(_owner_at(db, identity), identity_document(account_id, identity))
                replace(batch, snapshot, plain(changed))
            return changed

        return await self._commit(step)

    async def unlink_identity(self, account_id: str, provider: str) -> Account | None:
        async def step(db: AsyncClient, batch: AsyncWriteBatch) -> Account | None:
            snapshot = await read(db, "accounts", account_id)
            account = found(snapshot, Account)
            if account is None:
                return None
            kept = tuple(one for one in account.identities if one.provider != provider)
            for identity in account.identities:
                if identity.provider == provider:
                    batch.delete(_owner_at(db, identity))
            changed = msgspec.structs.replace(account, identities=kept)
            replace(batch, snapshot, plain(changed))
            return changed

        return await self._commit(step)

    async def put_secret(self, account_id: str, name: str, sealed: bytes) -> bytes | None:
        async def step(db: AsyncClient, batch: AsyncWriteBatch) -> bytes | None:
            owner = await read(db, "accounts", account_id)
            kept = await read(db, "secrets", account_id, name)
            if not owner.exists:
                raise Refused(Why.CONFLICT)
            document = {"v": 1, "accountId": account_id, "name": name, "sealed": sealed}
            if kept.exists:
                replace(batch, kept, document)
            else:
                batch.create(kept.reference, document)
            return _sealed(kept)

        return await self._commit(step)

    async def secret(self, account_id: str, name: str) -> bytes | None:
        async with self._reach() as db:
            return _sealed(await read(db, "secrets", account_id, name))

    async def swap_secret(self, account_id: str, name: str, old: bytes, new: bytes | None) -> bool:
        async def step(db: AsyncClient, batch: AsyncWriteBatch) -> bool:
            kept = await read(db, "secrets", account_id, name)
            if _sealed(kept) != old:
                return False
            if new is None:
                remove(batch, kept)
            else:
                replace(batch, kept, {"sealed": new})
            return True

        return await self._commit(step)

    async def drop_secret(self, account_id: str, name: str) -> bytes | None:
        async def step(db: AsyncClient, batch: AsyncWriteBatch) -> bytes | None:
            kept = await read(db, "secrets", account_id, name)
            if kept.exists:
                remove(batch, kept)
            return _sealed(kept)

        return await self._commit(step)

    # Rooms
    async def add_room(self, room: Room) -> None:
        await self._create("rooms", room.id, room_document(room))

    async def room(self, room_id: str) -> Room | None:
        async with self._reach() as db:
            return found(await read(db, "rooms", room_id), Room)

    async def change_room(self, room_id: str, change: Callable[[Room], Room]) -> Room | None:
        return await self._change(
            "rooms", room_id, Room, lambda room: revised(room, change), room_document
        )

    async def public_rooms(
        self, *, query: str, limit: int, cursor: str | None, now: str
    ) -> RoomPage:
        before = None if cursor is None else place(*read_cursor(cursor))
        asked = search_key(query)
        rooms: list[Room] = []
        async with self._reach() as db:
            listed = where(db, "rooms", "listed", True).order_by("place", direction="DESCENDING")
            if asked:
                gram = best_gram(asked)
                listed = listed.where(filter=FieldFilter("grams", "array_contains", gram))
            looked_at = 0
            while looked_at < _LOOKED_AT:
                some = listed if before is None else listed.start_after({"place": before})
                read_now = await values(some.limit(limit + 1), Room)
                for room in read_now:
                    if len(rooms) == limit:
                        return RoomPage(tuple(rooms), cursor_after(rooms[-1]))
                    if room.expires_at > now and asked in search_key(room.name):
                        rooms.append(room)
                if len(read_now) <= limit:
                    return RoomPage(tuple(rooms), None)
                looked_at += len(read_now)
                before = place(room.created_at, room.id)
            return RoomPage(tuple(rooms), cursor_after(room))

    async def rooms_of(self, account_id: str, *, now: str) -> tuple[Room, ...]:
        async with self._reach() as db:
            rooms = await values(where(db, "rooms", "ownerId", account_id), Room)
        mine = [one for one in rooms if one.status is RoomStatus.OPEN and one.expires_at > now]
        mine.sort(key=lambda room: place(room.created_at, room.id), reverse=True)
        return tuple(mine)

    # Standings
    async def standing(self, room_id: str, account_id: str) -> Standing | None:
        async with self._reach() as db:
            return found(await read(db, "standings", room_id, account_id), Standing)

    async def change_standing(
        self, room_id: str, account_id: str, change: Callable[[Standing], Standing]
    ) -> Standing:
        async def step(db: AsyncClient, batch: AsyncWriteBatch) -> Standing:
            snapshot = await read(db, "standings", room_id, account_id)
            known = found(snapshot, Standing)
            changed = change(known or Standing(room_id=room_id, account_id=account_id))
            if snapshot.exists:
                replace(batch, snapshot, plain(changed))
            else:
                batch.create(snapshot.reference, plain(changed))
            return changed

        return await self._commit(step)

    # Invites
    async def add_invite(self, invite: Invite) -> None:
        await self._create("invites", invite.id, invite_document(invite))

    async def invites(self, room_id: str, *, now: str) -> tuple[Invite, ...]:
        async with self._reach() as db:
            invites = await values(where(db, "invites", "roomId", room_id), Invite)
        return tuple(invite for invite in invites if invite.expires_at > now)

    async def revoke_invite(self, room_id: str, invite_id: str) -> bool:
        async def step(db: AsyncClient, batch: AsyncWriteBatch) -> bool:
            snapshot = await read(db, "invites", invite_id)
            if not snapshot.exists or snapshot.get("roomId") != room_id:
                return False
            remove(batch, snapshot)
            return True

        return await self._commit(step)

    # Refresh tokens
    async def add_family(self, family: Family) -> None:
        await self._create("families", family.id, family_document(family))

    async def rotate(
        self, family_id: str, *, old_hash: str, new_hash: str, now: int, expires_at: int
    ) -> tuple[Rotation, str | None]:
        async def step(db: AsyncClient, batch: AsyncWriteBatch) -> tuple[Rotation, str | None]:
            snapshot = await read(db, "families", family_id)
            document = snapshot.to_dict()
            kept = None if document is None else family_of(document)
            if kept is None or kept.expires_at <= now:
                return Rotation.UNKNOWN, None
            if kept.token_hash != old_hash:
                batch.delete(snapshot.reference)
                return Rotation.REUSED, None
            replace(batch, snapshot, family_turn(new_hash, expires_at))
            return Rotation.ROTATED, kept.account_id

        return await self._commit(step)

    async def end_family(self, family_id: str) -> None:
        async def step(db: AsyncClient, batch: AsyncWriteBatch) -> None:
            batch.delete(at(db, "families", family_id))

        await self._commit(step)

    async def end_families(self, account_id: str) -> None:
        await self._delete("families", "accountId", "==", account_id)

    async def expired_rooms(self, *, now: int) -> tuple[Room, ...]:
        async with self._reach() as db:
            expired = await values(where(db, "rooms", "expiresAt", rfc3339(now), "<="), Room)
        return tuple(room for room in expired if room.status is RoomStatus.OPEN)

    async def sweep(
        self, *, now: int, dry_run: bool = False, keep_rooms: bool = False
    ) -> dict[str, int]:
        today = rfc3339(now)
        if dry_run:
            return {
                "rooms": await self._count("rooms", today),
                "invites": await self._count("invites", today),
                "families": await self._count("families", now),
            }
        invites = await self._delete("invites", "expiresAt", "<=", today)
        rooms = 0
        while not keep_rooms:
            async with self._reach() as db:
                expired = where(db, "rooms", "expiresAt", today, "<=").limit(WRITES)
                doomed = [room.id async for room in expired.stream()]
            for room_id in doomed:
                # The company first: a room that is gone is found no more.
                await self._delete("invites", "roomId", "==", room_id)
                await self._delete("standings", "roomId", "==", room_id)
                rooms += await self._delete_expired_room(room_id, today)
            if not doomed:
                break
        return {
            "rooms": rooms,
            "invites": invites,
            "families": await self._delete("families", "expiresAt", "<=", now),
        }

    async def close(self) -> None:
        if self._client is not None:
            await self._client._firestore_api.transport.close()  # noqa: SLF001 - it has no close
            self._client = None

    async def _count(self, collection: str, by: str | int) -> int:
        """How many documents of a collection have expired by then."""
        async with self._reach() as db:
            counting: Any = where(db, collection, "expiresAt", by, "<=").count()
            ((counted,),) = await counting.get()
            return int(counted.value)

    async def _delete_expired_room(self, room_id: str, today: str) -> int:
        async def step(db: AsyncClient, batch: AsyncWriteBatch) -> int:
            snapshot = await read(db, "rooms", room_id)
            if not snapshot.exists or str(snapshot.get("expiresAt")) > today:
                return 0
            remove(batch, snapshot)
            return 1

        return await self._commit(step)

    async def _delete(self, collection: str, field: str, sign: str, than: Any) -> int:
        async def step(db: AsyncClient, batch: AsyncWriteBatch) -> int:
            return await remove_all(batch, where(db, collection, field, than, sign))

        total = 0
        while done := await self._commit(step):
            total += done
        return total

    async def _create(self, collection: str, name: str, document: dict[str, Any]) -> None:
        async with self._reach() as db:
            await at(db, collection, name).create(document, retry=None)

    async def _change(
        self,
        collection: str,
        name: str,
        kind: type[T],
        change: Callable[[T], T],
        document: Callable[[T], dict[str, Any]],
    ) -> T | None:
        async def step(db: AsyncClient, batch: AsyncWriteBatch) -> T | None:
            snapshot = await read(db, collection, name)
            known = found(snapshot, kind)
            if known is None:
                return None
            changed = change(known)
            replace(batch, snapshot, document(changed))
            return changed

        return await self._commit(step)

    async def _commit(self, step: Step[T]) -> T:
        """Do what `step` read and put into the batch, as one step; again if it lost a race."""
        backoff = Backoff(*_RETRY_S)
        async with self._reach() as db:
            while True:
                batch = db.batch()
                outcome = await step(db, batch)
                try:
                    # Not retried below us: the first try might have worked.
                    if len(batch):
                        await batch.commit(retry=None)
                    return outcome
                except _LOST_RACE:
                    await asyncio.sleep(backoff.next())

    @asynccontextmanager
    async def _reach(self) -> AsyncIterator[AsyncClient]:
        try:
            async with asyncio.timeout(DEADLINE_S):
                yield self._client or await self._open()
        except exceptions.AlreadyExists as error:
            raise Refused(Why.CONFLICT) from error
        except ERRORS as error:
            self._complaints.say(self._service().sentence(error, "roles/datastore.user"))
            raise Refused(Why.UNAVAILABLE, "The store is away.", retry_ms=1000) from error

    async def _open(self) -> AsyncClient:
        async with self._opening:
            if self._client is None:
                # Looks for credentials in files and at the metadata server, and blocks meanwhile.
                self._client = await asyncio.to_thread(
                    AsyncClient, project=self._project, database=self._database
                )
            return self._client

    def _service(self) -> Service:
        return Service(
            name="Firestore",
            api="firestore.googleapis.com",
            emulator_setting="FIRESTORE_EMULATOR_HOST",
            project=self._project,
            server=os.environ.get("FIRESTORE_EMULATOR_HOST") or "firestore.googleapis.com",
            quota="see the quotas of Firestore, and the free ones of the day",
        )


def _owner_at(db: AsyncClient, identity: Identity) -> AsyncDocumentReference:
    return db.collection("identities").document(identity_key(identity))


async def _owner(db: AsyncClient, identity: Identity) -> DocumentSnapshot[Any]:
    return await _owner_at(db, identity).get()


def _sealed(snapshot: DocumentSnapshot[Any]) -> bytes | None:
    return bytes(snapshot.get("sealed")) if snapshot.exists else None
