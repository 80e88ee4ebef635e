"""Rooms over HTTP: made, found, seen by the right people, changed and ended."""

import asyncio
import json

import pytest

from tests.http_api import pointers, refused
from tests.http_world import World
from tests.http_world import _world as _world
from vchat import limits
from vchat.bus_messages import decode
from vchat.ids import new_room_id
from vchat.times import rfc3339


async def heard(messages) -> dict:
    """The next event that a relay hears, as browsers will get it."""
    async with asyncio.timeout(5):
        (event,) = decode(await anext(messages)).unpacked()
    return json.loads(event.frame())


async def test_a_room_is_as_it_was_asked_for(world: World):
    owner = await world.guest()
    body = {
        "name": " 屋上  カフェ ",
        "description": "Two\r\nlines",
        "visibility": "private",
        "capacity": 500,
        "unknown": 1,
    }
    made = await owner("POST", "/rooms", body)
    now = world.services.clock()
    room = made.json()
    assert made.status_code == 201
    expected = {
        "id": room["id"],
        "name": "屋上 カフェ",
        "description": "Two\nlines",
        "visibility": "private",
        "capacity": 500,
        "ownerId": owner.id,
        "status": "open",
        "locked": False,
        "occupancy": 0,
        "createdAt": rfc3339(now),
        "endedAt": None,
        "expiresAt": rfc3339(now + limits.ROOM_LIFE_S),
    }
    assert room.items() >= expected.items()
    assert (await owner("GET", f"/rooms/{room['id']}")).json() == room


async def test_a_room_needs_only_a_name_and_a_visibility(world: World):
    owner = await world.guest()
    made = await owner("POST", "/rooms", {"name": "x", "visibility": "public", "capacity": None})
    assert made.json()["capacity"] == limits.ROOM_CAPACITY_DEFAULT
    assert made.json()["description"] == ""


@pytest.mark.parametrize(
    ("fields", "bad"),
    [
        (
            {"name": "", "visibility": "hidden", "capacity": 0},
            ["/name", "/visibility", "/capacity"],
        ),
        ({"name": "x" * 81}, ["/name"]),
        ({"name": "a\u202eb"}, ["/name"]),
        ({"name": ["x"]}, ["/name"]),
        ({"description": "x" * 501}, ["/description"]),
        ({"capacity": 501}, ["/capacity"]),
        ({"capacity": 1.5}, ["/capacity"]),
        ({"capacity": "20"}, ["/capacity"]),
        ({"capacity": True}, ["/capacity"]),
        ({"capacity": 10**400}, ["/capacity"]),
        ({"visibility": None}, ["/visibility"]),
    ],
)
async def test_every_bad_field_is_named(world: World, fields, bad):
    owner = await world.guest()
    body = {"name": "Rooftop", "visibility": "public", **fields}
    assert pointers(await owner("POST", "/rooms", body)) == bad


async def test_public_rooms_are_listed_without_a_token_with_who_is_inside(world: World):
    owner, ann, ben = [await world.guest() for _ in range(3)]
    older = await owner.room(name="Roof")
    world.clock.pass_s(1)
    newer = await owner.room(name="ROOFTOP 屋上")
    await owner.room(visibility="private")
    await world.seat(older, ann, ben)
    listed = (await world.api("GET", "/rooms")).json()
    assert [(room["id"], room["occupancy"]) for room in listed["items"]] == [(newer, 0), (older, 2)]
    assert listed["nextCursor"] is None
    found = await world.api("GET", "/rooms", params={"q": "top 屋"})
    assert [room["id"] for room in found.json()["items"]] == [newer]


async def test_a_list_goes_on_where_it_stopped(world: World):
    owner = await world.guest()
    rooms = [await owner.room(name=f"{n}") for n in range(5)]
    seen, cursor = [], None
    for _ in range(3):
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await world.api("GET", "/rooms", params=params)).json()
        seen += [room["id"] for room in page["items"]]
        cursor = page["nextCursor"]
    assert cursor is None
    assert sorted(seen) == sorted(rooms)


@pytest.mark.parametrize(
    ("query", "bad"),
    [
        ("limit=0", ["/limit"]),
        ("limit=101&q=" + "x" * 81, ["/q", "/limit"]),
        ("limit=ten", ["/limit"]),
        ("limit=1e1", ["/limit"]),
        ("limit=1.0", ["/limit"]),
        ("limit=%2b5", ["/limit"]),
        ("cursor=abc", ["/cursor"]),
        ("cursor=%ff", ["/cursor"]),
    ],
)
async def test_a_bad_query_is_named(world: World, query, bad):
    assert pointers(await world.api("GET", f"/rooms?{query}")) == bad


async def test_a_private_room_is_seen_only_by_those_who_belong_to_it(world: World):
    owner, stranger, moderator, inside = [await world.guest() for _ in range(4)]
    room = await owner.room(visibility="private")
    await owner.moderate(room, "role", userId=moderator.id, role="moderator")
    invite = (await owner("POST", f"/rooms/{room}/invites")).json()["invite"]
    assert (await inside.ticket(room, invite=invite)).status_code == 201
    await world.sit(room, inside)

    for path in (f"/rooms/{room}", f"/rooms/{room}/members"):
        refused(await world.api("GET", path), 401, "unauthenticated")
        answer = await stranger("GET", path)
        refused(answer, 403, "invite-required")
        assert "Rooftop" not in answer.text
        for someone in (owner, moderator, inside):
            assert (await someone("GET", path)).status_code == 200


@pytest.mark.parametrize("room", ["r0", "x", "r" + "0" * 20, "%00", "r" + "0" * 5000])
async def test_a_room_that_is_not_there_is_404_before_anything_else(world: World, room):
    owner = await world.guest()
    for path in (f"/rooms/{room}", f"/rooms/{room}/members"):
        refused(await owner("GET", path), 404, "room-not-found")
    path = f"/rooms/{room}/tickets"
    refused(await world.api("POST", path, content=b"{"), 404, "room-not-found")


async def test_members_are_those_inside_now(world: World):
    owner, guest = await world.guest("Aya"), await world.guest("Ben")
    room = await owner.room()
    assert (await guest("GET", f"/rooms/{room}/members")).json() == {
        "items": [],
        "nextCursor": None,
    }
    await world.seat(room, guest)
    (member,) = (await owner("GET", f"/rooms/{room}/members")).json()["items"]
    assert set(member) >= {"seat", "userId", "name", "role", "avatar", "muted", "away"}
    assert (member["userId"], member["role"], member["muted"]) == (guest.id, "member", False)
    refused(await world.api("GET", f"/rooms/{room}/members"), 401, "unauthenticated")


async def test_a_changed_room_is_told_to_everyone_inside(world: World):
    owner, guest = await world.guest(), await world.guest()
    room = await owner.room()
    await world.seat(room, guest)
    async with world.relay.listen(room) as messages:
        body = {"name": "Cellar", "capacity": 2}
        changed = await owner("PATCH", f"/rooms/{room}", body)
        assert changed.status_code == 200
        expected = {**changed.json(), "name": "Cellar", "capacity": 2, "occupancy": 1}
        assert changed.json() == expected
        event = await heard(messages)
    assert event.items() >= {"type": "room", **expected}.items()
    assert (await guest("GET", f"/rooms/{room}")).json() == expected


async def test_only_the_owner_changes_or_ends_a_room(world: World):
    owner, moderator, member = [await world.guest() for _ in range(3)]
    room = await owner.room()
    await owner.moderate(room, "role", userId=moderator.id, role="moderator")
    for someone in (moderator, member):
        refused(await someone("PATCH", f"/rooms/{room}", {"name": ""}), 403, "forbidden")
        refused(await someone("DELETE", f"/rooms/{room}"), 403, "forbidden")
    assert pointers(await owner("PATCH", f"/rooms/{room}", {"capacity": 0})) == ["/capacity"]


async def test_an_ended_room_is_over_for_everyone(world: World):
    owner, guest = await world.guest(), await world.guest()
    room = await owner.room()
    await world.seat(room, guest)
    async with world.relay.listen(room) as messages:
        assert (await owner("DELETE", f"/rooms/{room}")).status_code == 204
        assert (await heard(messages))["type"] == "ended"
    assert await world.inside(room) == {}
    assert (await world.api("GET", "/rooms")).json()["items"] == []
    await over_for(room, owner, guest)


async def test_a_room_that_lived_its_days_is_over_too(world: World):
    owner, guest = await world.guest(), await world.guest()
    room = await owner.room()
    world.clock.pass_s(limits.ROOM_LIFE_S)
    for someone in (owner, guest):
        someone.token = (await renewed(world, someone))["accessToken"]
    await over_for(room, owner, guest)


async def renewed(world: World, guest) -> dict:
    """A new session of the same account, whatever time has passed."""
    from functions.auth import begin_session

    class Now:
        now = world.services.clock()

    account = await world.services.store.account(guest.id)
    session = await begin_session(Now, world.services, account)
    return {"accessToken": session.access_token}


async def over_for(room: str, owner, guest) -> None:
    for response in (
        await owner("GET", f"/rooms/{room}"),
        await guest("GET", f"/rooms/{room}"),
        await owner("PATCH", f"/rooms/{room}", {"name": "x"}),
        await owner("DELETE", f"/rooms/{room}"),
        await guest("GET", f"/rooms/{room}/members"),
        await owner("POST", f"/rooms/{room}/invites"),
        await guest.ticket(room),
        await owner.moderate(room, "lock"),
    ):
        refused(response, 410, "room-ended")
    refused(await guest("DELETE", f"/rooms/{room}"), 403, "forbidden")


async def test_ending_a_room_that_failed_half_way_can_be_tried_again(world: World, monkeypatch):
    owner, guest = await world.guest(), await world.guest()
    room = await owner.room()
    await world.seat(room, guest)

    async def broken(room_id, change):
        raise RuntimeError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(world.services.store, "change_room", broken)
        refused(await owner("DELETE", f"/rooms/{room}"), 500, "internal")
    assert (await owner("DELETE", f"/rooms/{room}")).status_code == 204
    refused(await owner("GET", f"/rooms/{room}"), 410, "room-ended")
    assert await world.inside(room) == {}


async def test_nobody_makes_rooms_without_end(world: World):
    owner, other = await world.guest(), await world.guest()
    for _ in range(limits.ROOMS.burst):
        await owner.room()
    response = await owner("POST", "/rooms", {"name": "x", "visibility": "public"})
    refused(response, 429, "too-fast")
    assert int(response.headers["retry-after"]) > 0
    await other.room()


async def test_who_guesses_rooms_is_stopped_and_cannot_tell_a_hit_from_a_miss(world: World):
    owner, guesser = await world.guest(), await world.guest()
    room = await owner.room()
    for _ in range(limits.ROOM_MISSES.burst):
        refused(await guesser("GET", f"/rooms/{new_room_id()}"), 404, "room-not-found")
    refused(await guesser.ticket(new_room_id()), 404, "room-not-found")  # the one that tips it
    for method, path in (("GET", ""), ("POST", "/tickets"), ("GET", "/members")):
        response = await guesser(method, f"/rooms/{room}{path}", {} if method == "POST" else None)
        refused(response, 429, "too-fast")
        assert int(response.headers["retry-after"]) == limits.GUESSING_PAUSE_S
    assert (await guesser("GET", "/me")).status_code == 200
    redis = world.services.state._redis
    (pause,) = await redis.keys("*guessing*")
    assert 0 < await redis.ttl(pause) <= limits.GUESSING_PAUSE_S
    await redis.delete(pause)  # as time does
    assert (await guesser("GET", f"/rooms/{room}")).status_code == 200


async def test_who_guesses_pauses_nobody_else_behind_the_address(world: World):
    owner, guesser, sleeper = [await world.guest() for _ in range(3)]
    room = await owner.room()
    for _ in range(limits.ROOM_MISSES.burst + 1):
        await guesser("GET", f"/rooms/{new_room_id()}")
        await world.api("GET", f"/rooms/{new_room_id()}")
    # Whoever did not sign in cannot be told from the guesser, hit or miss.
    for guess in (room, new_room_id()):
        refused(await world.api("GET", f"/rooms/{guess}"), 429, "too-fast")
        refused(await guesser.ticket(guess), 429, "too-fast")
    assert (await owner.ticket(room)).status_code == 201
    assert (await owner("GET", f"/rooms/{room}")).status_code == 200
    # A page that slept has to refresh its token, and must be told.
    world.clock.pass_s(limits.ACCESS_TOKEN_S + limits.CLOCK_LEEWAY_S)
    refused(await sleeper.ticket(room), 401, "token-expired")
    refused(await sleeper.ticket(new_room_id()), 401, "token-expired")
