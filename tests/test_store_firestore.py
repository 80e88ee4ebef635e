"""What the store in Firestore promises beyond the suite of all stores."""

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.cloud.firestore_v1.async_query import AsyncQuery

from adapters import store_firestore
from adapters.firestore_documents import best_gram, grams, key
from adapters.store_firestore import FirestoreStore
from tests.components import free_port
from tests.test_store import DAY, NOW, TODAY, a_room, an_account, an_invite, rotate
from vchat.errors import Refused, Why
from vchat.ids import new_id
from vchat.model import Identity
from vchat.store import Family, Rotation

pytestmark = pytest.mark.xdist_group("emulators")

DECLARED = json.loads((Path(__file__).parent.parent / "infra/firestore.json").read_text())


@pytest.fixture
async def store(firestore, monkeypatch) -> AsyncIterator[FirestoreStore]:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore.address)
    opened = FirestoreStore(f"test-{new_id()}")
    yield opened
    await opened.close()


async def test_names_from_clients_may_hold_anything(store):
    for name in ("", ".", "..", "a/b", "__id__", "x" * 2000, "屋上", "a\x00b", "\ud800"):
        assert await store.account(name) is None
        assert await store.room(name) is None
        assert await store.standing(name, name) is None
        assert await store.revoke_invite(name, name) is False
        assert (await rotate(store, name, "a", "b")) == (Rotation.UNKNOWN, None)
        await store.end_family(name)


async def test_two_names_never_become_one():
    pairs = [("a", "b"), ("a_b",), ("a", "_b"), ("a_", "b"), ("a/b",), ("", "ab"), ("ab", "")]
    assert len({key(*pair) for pair in pairs}) == len(pairs)


async def test_every_query_that_needs_an_index_has_it_declared(store, monkeypatch):
    # The emulator answers without indexes; the service does not.
    asked: set[tuple[tuple[str, str], ...]] = set()
    stream = AsyncQuery.stream

    def recorded(query, *args, **settings):
        asked.add(_fields(query))
        return stream(query, *args, **settings)

    monkeypatch.setattr(AsyncQuery, "stream", recorded)
    account, room = an_account(), a_room()
    await store.add_account(account)
    await store.add_room(room)
    for query in ("", "roof"):
        page = await store.public_rooms(query=query, limit=1, cursor=None, now=TODAY)
        assert page.rooms == (room,)
    await store.rooms_of("u1", now=TODAY)
    await store.invites(room.id, now=TODAY)
    await store.end_families(account.id)
    await store.delete_account(account.id)
    await store.sweep(now=NOW)

    declared = {
        tuple((field["path"], field["order"] or field["array_config"]) for field in index["fields"])
        for index in DECLARED["indexes"]
    }
    assert {fields for fields in asked if len(fields) > 1} == declared
    unindexed = {ttl["field"] for ttl in DECLARED["ttl"]}
    assert not unindexed & {path for fields in asked for path, _ in fields}


def _fields(query: AsyncQuery) -> tuple[tuple[str, str], ...]:
    """What an index for a query holds: equalities first, then arrays, then the order."""
    wanted = query._to_protobuf()
    filters = [f.field_filter for f in wanted.where.composite_filter.filters] or [
        wanted.where.field_filter
    ]
    kinds = {"EQUAL": "ASCENDING", "ARRAY_CONTAINS": "CONTAINS"}
    parts = [(f.field.field_path, kinds.get(f.op.name, "ASCENDING")) for f in filters]
    parts += [(order.field.field_path, order.direction.name) for order in wanted.order_by]
    return tuple(dict.fromkeys(part for part in parts if part[0] != "__name__"))


async def test_what_expires_says_so_to_the_services_own_clean_up(store):
    room = a_room()
    await store.add_invite(an_invite(room))
    await store.add_family(Family("f", "u1", "one", NOW + DAY))
    await rotate(store, "f", "one", "two", NOW + 1)
    db = await store._open()
    for ttl, seconds in zip(DECLARED["ttl"], (NOW + DAY, NOW + 1 + DAY), strict=True):
        (found,) = await db.collection(ttl["collection"]).get()
        assert found.get(ttl["field"]).timestamp() == seconds


async def test_what_a_newer_version_wrote_is_not_misread(store):
    room = a_room()
    await store.add_room(room)
    db = await store._open()
    await db.collection("rooms").document(room.id).update({"v": 2})
    with pytest.raises(Refused) as refused:
        await store.room(room.id)
    assert refused.value.why is Why.UNAVAILABLE


async def test_a_search_among_many_near_misses_goes_on_where_it_stopped(store, monkeypatch):
    monkeypatch.setattr(store_firestore, "_LOOKED_AT", 6)
    wanted = a_room(name="abc bcd abcd", age_s=900)
    for age in range(20):  # they have every piece of the query, but not the query
        await store.add_room(a_room(name="abc bcd", age_s=age))
    await store.add_room(wanted)
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        page = await store.public_rooms(query="abcd", limit=2, cursor=cursor, now=TODAY)
        seen += page.rooms
        cursor, pages = page.next_cursor, pages + 1
    assert seen == [wanted]
    assert pages > 1


def test_a_text_is_found_by_any_part_of_itself():
    text = "夜の屋上 cafe"
    for start in range(len(text)):
        for end in range(start + 1, len(text) + 1):
            assert best_gram(text[start:end]) in grams(text)


async def test_an_account_with_more_than_one_commit_can_hold_is_deleted_whole(store, monkeypatch):
    monkeypatch.setattr("adapters.firestore_queries.WRITES", 4)
    monkeypatch.setattr(store_firestore, "WRITES", 4)
    identity = Identity(provider="vroid", subject="1")
    account, room = an_account(identities=(identity,)), a_room()
    await store.add_account(account)
    for n in range(9):
        await store.add_family(Family(f"f{n}", account.id, "one", NOW + DAY))
        await store.add_invite(an_invite(room, by=account.id))
    await store.delete_account(account.id)
    assert await store.account_of(identity) is None
    assert await store.invites(room.id, now=TODAY) == ()
    for n in range(9):
        assert (await rotate(store, f"f{n}", "one", "two"))[0] is Rotation.UNKNOWN


async def test_an_unreachable_store_is_named_once_with_its_setting(monkeypatch, caplog):
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", address)
    monkeypatch.setattr(store_firestore, "DEADLINE_S", 1.0)
    store = FirestoreStore("test")
    with caplog.at_level(logging.ERROR):
        for attempt in (store.account("u1"), store.add_room(a_room()), store.end_family("f")):
            with pytest.raises(Refused) as refused:
                await attempt
            assert refused.value.why is Why.UNAVAILABLE
    await store.close()
    assert all(
        address in record.message and "FIRESTORE_EMULATOR_HOST" in record.message
        for record in caplog.records
    )
    assert len(caplog.records) <= 2  # a read runs out of time, a write is refused at once
