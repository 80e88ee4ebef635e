"""What every store promises; the fixture `store` runs the suite over each adapter."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from adapters.store_firestore import FirestoreStore
from adapters.store_sqlite import SqliteStore
from vchat.errors import Refused, Why
from vchat.ids import new_id, new_room_id, new_user_id
from vchat.model import (
    Account,
    Avatar,
    Identity,
    Invite,
    Room,
    RoomStatus,
    Standing,
    Visibility,
)
from vchat.policy import Role
from vchat.store import Family, Rotation, Store
from vchat.times import rfc3339

pytestmark = pytest.mark.xdist_group("emulators")

NOW = 1_795_000_000
TODAY = rfc3339(NOW)
DAY = 24 * 3600


# Another adapter joins the suite here: a branch that yields an empty store, and a name in params.
@pytest.fixture(params=["sqlite", "firestore"])
async def store(request, tmp_path, monkeypatch) -> AsyncIterator[Store]:
    match request.param:
        case "sqlite":
            opened = SqliteStore(tmp_path / "vchat.db")
        case "firestore":
            server = request.getfixturevalue("firestore")
            monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", server.address)
            opened = FirestoreStore(f"test-{new_id()}")  # a project is as good as a fresh database
    yield opened
    await opened.close()


def an_account(**fields) -> Account:
    return Account(id=new_user_id(), name="さくら", created_at=TODAY, **fields)


def a_room(*, age_s: int = 0, life_s: int = DAY, **fields) -> Room:
    defaults = {
        "id": new_room_id(),
        "name": "Rooftop",
        "description": "",
        "visibility": Visibility.PUBLIC,
        "capacity": 20,
        "owner_id": new_user_id(),
        "status": RoomStatus.OPEN,
        "locked": False,
        "created_at": rfc3339(NOW - age_s),
        "ended_at": None,
        "expires_at": rfc3339(NOW - age_s + life_s),
    }
    return Room(**(defaults | fields))


def an_invite(room: Room, *, by: str = "u", life_s: int = DAY) -> Invite:
    return Invite(
        id=new_id(),
        room_id=room.id,
        secret_hash="h",
        expires_at=rfc3339(NOW + life_s),
        created_by=by,
    )


async def found(store: Store, query: str = "", limit: int = 100) -> list[str]:
    page = await store.public_rooms(query=query, limit=limit, cursor=None, now=TODAY)
    return [room.id for room in page.rooms]


# Accounts


async def test_an_account_comes_back_as_it_was_added(store):
    account = an_account(
        avatar=Avatar(source="preset", id="fox"),
        identities=(Identity(provider="firebase", subject="1"),),
    )
    await store.add_account(account)
    assert await store.account(account.id) == account
    assert await store.account("unobody") is None


async def test_a_taken_account_id_is_a_conflict(store):
    account = an_account()
    await store.add_account(account)
    with pytest.raises(Refused) as refused:
        await store.add_account(account)
    assert refused.value.why is Why.CONFLICT


async def test_a_changed_account_keeps_its_identities(store):
    identity = Identity(provider="vroid", subject="9")
    account = an_account(identities=(identity,))
    await store.add_account(account)
    changed = await store.change_account(
        account.id, lambda a: msgspec.structs.replace(a, name="Momo", identities=())
    )
    assert changed == await store.account(account.id)
    assert (changed.name, changed.identities) == ("Momo", (identity,))
    assert await store.change_account("unobody", lambda a: a) is None


async def test_a_change_that_raises_leaves_all_as_it_was(store):
    account = an_account()
    await store.add_account(account)

    def refuse(_):
        raise Refused(Why.FORBIDDEN)

    with pytest.raises(Refused) as refused:
        await store.change_account(account.id, refuse)
    assert refused.value.why is Why.FORBIDDEN
    assert await store.account(account.id) == account


async def test_changes_at_the_same_time_are_all_kept(store):
    account = msgspec.structs.replace(an_account(), name="")
    await store.add_account(account)

    def longer(a: Account) -> Account:
        return msgspec.structs.replace(a, name=a.name + "x")

    await asyncio.gather(*(store.change_account(account.id, longer) for _ in range(10)))
    assert (await store.account(account.id)).name == "x" * 10


async def test_a_deleted_account_leaves_nothing_behind(store):
    identity = Identity(provider="firebase", subject="1")
    account, room = an_account(identities=(identity,)), a_room()
    await store.add_account(account)
    await store.add_room(room)
    await store.add_family(Family("f", account.id, "hash", NOW + DAY))
    await store.add_invite(an_invite(room, by=account.id))
    kept = an_invite(room, by="another")
    await store.add_invite(kept)
    await store.change_standing(room.id, account.id, promote)

    await store.delete_account(account.id)
    await store.delete_account(account.id)

    assert await store.account(account.id) is None
    assert await store.account_of(identity) is None
    assert await rotate(store, "f", "hash", "next") == (Rotation.UNKNOWN, None)
    assert await store.invites(room.id, now=TODAY) == (kept,)
    assert await store.standing(room.id, account.id) is None


# Identities


async def test_an_identity_belongs_to_one_account(store):
    one, two = an_account(), an_account()
    await store.add_account(one)
    await store.add_account(two)
    identity = Identity(provider="firebase", subject="1")
    linked = await store.link_identity(one.id, identity)
    assert linked.identities == (identity,)
    assert await store.link_identity(one.id, identity) == linked
    assert await store.account_of(identity) == linked
    with pytest.raises(Refused) as refused:
        await store.link_identity(two.id, identity)
    assert refused.value.why is Why.CONFLICT
    assert await store.link_identity("unobody", Identity(provider="x", subject="y")) is None


async def test_of_two_accounts_that_link_one_identity_at_once_one_gets_it(store):
    accounts = [an_account(), an_account()]
    for account in accounts:
        await store.add_account(account)
    identity = Identity(provider="firebase", subject="1")
    outcomes = await asyncio.gather(
        *(store.link_identity(account.id, identity) for account in accounts),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Refused) for outcome in outcomes) == 1


async def test_of_two_identities_of_one_provider_that_an_account_links_at_once_it_gets_one(store):
    account = an_account()
    await store.add_account(account)
    identities = [Identity(provider="firebase", subject=subject) for subject in "12"]
    outcomes = await asyncio.gather(
        *(store.link_identity(account.id, identity) for identity in identities),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Refused) for outcome in outcomes) == 1
    (linked,) = (await store.account(account.id)).identities
    await store.link_identity(account.id, linked)
    await store.link_identity(account.id, Identity(provider="vroid", subject="1"))


async def test_unlinking_takes_all_identities_of_a_provider(store):
    other = Identity(provider="vroid", subject="1")
    account = an_account(
        identities=(
            Identity(provider="firebase", subject="1"),
            Identity(provider="firebase", subject="2"),
            other,
        )
    )
    await store.add_account(account)
    await store.unlink_identity(account.id, "firebase")
    assert (await store.unlink_identity(account.id, "firebase")).identities == (other,)
    assert await store.account_of(Identity(provider="firebase", subject="1")) is None


# Rooms


async def test_a_room_comes_back_as_it_was_added_and_as_it_was_changed(store):
    room = a_room()
    await store.add_room(room)
    assert await store.room(room.id) == room
    with pytest.raises(Refused):
        await store.add_room(room)
    changed = await store.change_room(room.id, lambda r: msgspec.structs.replace(r, locked=True))
    locked = msgspec.structs.replace(room, locked=True, revision=1)
    assert changed == locked == await store.room(room.id)
    assert await store.change_room(new_room_id(), lambda r: r) is None


async def test_changes_of_a_room_are_numbered_in_their_order(store):
    room = a_room()
    await store.add_room(room)
    changes = [
        store.change_room(room.id, lambda r: msgspec.structs.replace(r, capacity=r.capacity + 1))
        for _ in range(5)
    ]
    changed = sorted(await asyncio.gather(*changes), key=lambda room: room.revision)
    assert [one.revision for one in changed] == [1, 2, 3, 4, 5]
    assert [one.capacity for one in changed] == [room.capacity + n for n in range(1, 6)]


async def test_changing_a_room_keeps_its_invites_and_standings(store):
    room = a_room()
    await store.add_room(room)
    invite = an_invite(room)
    await store.add_invite(invite)
    standing = await store.change_standing(room.id, "u1", promote)
    await store.change_room(room.id, lambda r: msgspec.structs.replace(r, name="Cellar"))
    assert await store.invites(room.id, now=TODAY) == (invite,)
    assert await store.standing(room.id, "u1") == standing


async def test_only_open_public_rooms_are_listed_newest_first(store):
    older, newer = a_room(age_s=60), a_room(age_s=30)
    hidden = [
        a_room(visibility=Visibility.PRIVATE),
        a_room(status=RoomStatus.ENDED, ended_at=TODAY),
        a_room(age_s=2 * DAY),
    ]
    for room in (older, newer, *hidden):
        await store.add_room(room)
    assert await found(store) == [newer.id, older.id]


async def test_a_room_that_ends_or_turns_private_leaves_the_list(store):
    rooms = [a_room(), a_room()]
    for room in rooms:
        await store.add_room(room)
    end = {"status": RoomStatus.ENDED, "ended_at": TODAY}
    await store.change_room(rooms[0].id, lambda r: msgspec.structs.replace(r, **end))
    private = {"visibility": Visibility.PRIVATE}
    await store.change_room(rooms[1].id, lambda r: msgspec.structs.replace(r, **private))
    assert await found(store) == []


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("ROOF", "The rooftop"),
        ("straße", "STRASSE 9"),
        ("屋上", "夜の屋上カフェ"),
        ("カフェ", "夜の屋上ｶﾌｪ"),
        ("ＡＢＣ", "abc"),
        ("100%", "100% fun"),
        ("_", "snake_case"),
    ],
)
async def test_rooms_are_found_by_a_part_of_their_name_whatever_the_case_or_width(
    store, query, name
):
    room = a_room(name=name)
    await store.add_room(room)
    await store.add_room(a_room(name="Elsewhere"))
    assert await found(store, query) == [room.id]


async def test_a_renamed_room_is_found_by_its_new_name_only(store):
    room = a_room(name="Old")
    await store.add_room(room)
    await store.change_room(room.id, lambda r: msgspec.structs.replace(r, name="New"))
    assert (await found(store, "old"), await found(store, "new")) == ([], [room.id])


async def test_pages_show_every_room_once_while_others_come_and_go(store):
    # Pairs share a time, so that the cursor must tell them apart.
    rooms = [a_room(age_s=100 - n // 2) for n in range(10)]
    for room in rooms:
        await store.add_room(room)
    everything = await found(store)
    assert sorted(everything) == sorted(room.id for room in rooms)

    seen, cursor = [], None
    while True:
        page = await store.public_rooms(query="", limit=3, cursor=cursor, now=TODAY)
        assert len(page.rooms) <= 3
        seen += [room.id for room in page.rooms]
        await store.add_room(a_room())  # newer than the page: never shown on a later one
        await store.change_room(  # the very room that the cursor stands on
            page.rooms[-1].id, lambda r: msgspec.structs.replace(r, status=RoomStatus.ENDED)
        )
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == everything


async def test_the_last_full_page_has_no_next(store):
    await store.add_room(a_room())
    page = await store.public_rooms(query="", limit=1, cursor=None, now=TODAY)
    assert page.next_cursor is None


@pytest.mark.parametrize("cursor", ["", "x", "💥", "MjAyNg", "e30=", "a" * 5000])
async def test_a_cursor_that_we_did_not_make_is_refused(store, cursor):
    with pytest.raises(Refused) as refused:
        await store.public_rooms(query="", limit=3, cursor=cursor, now=TODAY)
    assert refused.value.why is Why.INVALID_REQUEST


async def test_the_rooms_of_an_account_are_its_open_ones(store):
    mine = {"owner_id": "u1"}
    older = a_room(age_s=9, visibility=Visibility.PRIVATE, **mine)
    newer = a_room(**mine)
    for room in (
        older,
        newer,
        a_room(),
        a_room(status=RoomStatus.ENDED, ended_at=TODAY, **mine),
        a_room(age_s=2 * DAY, **mine),
    ):
        await store.add_room(room)
    assert await store.rooms_of("u1", now=TODAY) == (newer, older)


# Standings


def promote(standing: Standing) -> Standing:
    return msgspec.structs.replace(standing, role=Role.MODERATOR)


def ban(standing: Standing) -> Standing:
    return msgspec.structs.replace(standing, banned=True, banned_until=TODAY)


async def test_a_room_remembers_a_role_and_a_ban_of_each_person(store):
    room, other = a_room(), a_room()
    await store.add_room(room)
    await store.add_room(other)
    assert await store.standing(room.id, "u1") is None
    await store.change_standing(room.id, "u1", promote)
    both = await store.change_standing(room.id, "u1", ban)
    assert both == Standing(
        room_id=room.id,
        account_id="u1",
        role=Role.MODERATOR,
        banned=True,
        banned_until=TODAY,
    )
    assert await store.standing(room.id, "u1") == both
    assert await store.standing(room.id, "u2") is None
    assert await store.standing(other.id, "u1") is None


# Invites


async def test_invites_are_per_room_expire_and_can_be_revoked(store):
    room, other = a_room(), a_room()
    await store.add_room(room)
    await store.add_room(other)
    good, revoked, old = an_invite(room), an_invite(room), an_invite(room, life_s=0)
    for invite in (good, revoked, old):
        await store.add_invite(invite)
    assert await store.revoke_invite(other.id, revoked.id) is False
    assert await store.revoke_invite(room.id, revoked.id) is True
    assert await store.revoke_invite(room.id, revoked.id) is False
    assert await store.invites(room.id, now=TODAY) == (good,)
    assert await store.invites(other.id, now=TODAY) == ()


# Refresh tokens


async def rotate(store: Store, family: str, old: str, new: str, now: int = NOW):
    return await store.rotate(family, old_hash=old, new_hash=new, now=now, expires_at=now + DAY)


@pytest.fixture
async def signed_in(store) -> Account:
    account = an_account()
    await store.add_account(account)
    await store.add_family(Family("f", account.id, "one", NOW + DAY))
    return account


async def test_a_refresh_token_is_exchanged_for_the_next(store, signed_in):
    assert await rotate(store, "f", "one", "two") == (Rotation.ROTATED, signed_in.id)
    assert await rotate(store, "f", "two", "three") == (Rotation.ROTATED, signed_in.id)


async def test_an_old_refresh_token_ends_its_family(store, signed_in):
    await rotate(store, "f", "one", "two")
    assert await rotate(store, "f", "one", "evil") == (Rotation.REUSED, None)
    assert await rotate(store, "f", "two", "three") == (Rotation.UNKNOWN, None)


async def test_of_two_with_the_same_refresh_token_one_is_rotated_the_other_caught(store, signed_in):
    outcomes = await asyncio.gather(
        rotate(store, "f", "one", "two"), rotate(store, "f", "one", "three")
    )
    assert {outcome for outcome, _ in outcomes} == {Rotation.ROTATED, Rotation.REUSED}


async def test_an_expired_family_is_unknown_and_rotation_lengthens_its_life(store, signed_in):
    last_moment = NOW + DAY - 1
    assert (await rotate(store, "f", "one", "two", last_moment))[0] is Rotation.ROTATED
    assert (await rotate(store, "f", "two", "three", NOW + DAY))[0] is Rotation.ROTATED
    assert (await rotate(store, "f", "three", "x", NOW + 2 * DAY))[0] is Rotation.UNKNOWN


async def test_signing_out_ends_one_family_or_all(store, signed_in):
    await store.add_family(Family("g", signed_in.id, "one", NOW + DAY))
    await store.add_family(Family("h", signed_in.id, "one", NOW + DAY))
    await store.end_family("f")
    await store.end_family("f")
    assert (await rotate(store, "f", "one", "two"))[0] is Rotation.UNKNOWN
    assert (await rotate(store, "g", "one", "two"))[0] is Rotation.ROTATED
    await store.end_families(signed_in.id)
    assert (await rotate(store, "g", "two", "three"))[0] is Rotation.UNKNOWN
    assert (await rotate(store, "h", "one", "two"))[0] is Rotation.UNKNOWN


async def test_the_sweep_removes_what_has_expired_and_counts_it(store, signed_in):
    kept, gone = a_room(), a_room(age_s=2 * DAY)
    for room in (kept, gone):
        await store.add_room(room)
        await store.change_standing(room.id, "u1", promote)
    invite = an_invite(kept)
    await store.add_invite(invite)
    await store.add_invite(an_invite(kept, life_s=0))
    await store.add_family(Family("old", signed_in.id, "x", NOW))

    for dry_run in (True, True, False):
        counted = await store.sweep(now=NOW, dry_run=dry_run)
        assert counted == {"rooms": 1, "invites": 1, "families": 1}
    assert await store.sweep(now=NOW) == {"rooms": 0, "invites": 0, "families": 0}

    assert await store.room(gone.id) is None
    assert await store.standing(gone.id, "u1") is None
    assert await store.room(kept.id) == kept
    assert await store.standing(kept.id, "u1") is not None
    assert await store.invites(kept.id, now=TODAY) == (invite,)
    assert (await rotate(store, "f", "one", "two"))[0] is Rotation.ROTATED


async def test_rooms_that_expired_before_anyone_ended_them_are_known_until_the_sweep(store):
    kept, gone = a_room(), a_room(age_s=2 * DAY)
    over = a_room(age_s=2 * DAY, status=RoomStatus.ENDED, ended_at=TODAY)
    for room in (kept, gone, over):
        await store.add_room(room)
    assert await store.expired_rooms(now=NOW) == (gone,)
    counted = await store.sweep(now=NOW, keep_rooms=True)
    assert counted["rooms"] == 0
    assert await store.expired_rooms(now=NOW) == (gone,)
    await store.sweep(now=NOW)
    assert await store.expired_rooms(now=NOW) == ()


async def test_a_secret_is_kept_replaced_and_goes_with_its_account(store):
    account = an_account()
    await store.add_account(account)
    assert await store.secret(account.id, "vroid") is None
    assert await store.put_secret(account.id, "vroid", b"\x00\xff one") is None
    assert await store.put_secret(account.id, "vroid", b"two") == b"\x00\xff one"
    assert await store.put_secret(account.id, "other", b"three") is None
    assert await store.secret(account.id, "vroid") == b"two"
    assert await store.drop_secret(account.id, "vroid") == b"two"
    assert await store.drop_secret(account.id, "vroid") is None
    assert await store.secret(account.id, "vroid") is None
    await store.delete_account(account.id)
    assert await store.secret(account.id, "other") is None
    with pytest.raises(Refused) as caught:
        await store.put_secret(account.id, "vroid", b"late")
    assert caught.value.why is Why.CONFLICT


async def test_a_secret_is_swapped_only_for_the_one_that_is_still_there(store):
    account = an_account()
    await store.add_account(account)
    assert await store.swap_secret(account.id, "vroid", b"one", b"two") is False
    assert await store.secret(account.id, "vroid") is None
    await store.put_secret(account.id, "vroid", b"one")
    outcomes = await asyncio.gather(
        *(store.swap_secret(account.id, "vroid", b"one", new) for new in (b"two", b"three", None))
    )
    assert sorted(outcomes) == [False, False, True]
    left = await store.secret(account.id, "vroid")
    assert left == (b"two", b"three", None)[outcomes.index(True)]
    await store.put_secret(account.id, "vroid", b"four")
    assert await store.swap_secret(account.id, "vroid", b"four", None) is True
    assert await store.secret(account.id, "vroid") is None


async def test_of_those_who_put_a_secret_at_once_each_replaces_another(store):
    account = an_account()
    await store.add_account(account)
    secrets = [b"one", b"two", b"three"]
    replaced = await asyncio.gather(
        *(store.put_secret(account.id, "vroid", secret) for secret in secrets)
    )
    assert {*replaced, await store.drop_secret(account.id, "vroid")} == {None, *secrets}
