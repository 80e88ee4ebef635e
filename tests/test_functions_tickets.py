"""Tickets and invites: who gets into which room, and what the relay learns from it."""

import pytest

from tests.http_api import Guest, pointers, refused
from tests.http_world import RELAYS, World
from tests.http_world import _world as _world
from vchat import limits
from vchat.errors import Refused, Why
from vchat.keys import parse_public
from vchat.model import Avatar, Room
from vchat.policy import Role
from vchat.sharding import relay_for
from vchat.tokens import TICKET, verify


async def test_a_ticket_says_who_comes_and_opens_the_room_it_names(world: World):
    owner, guest = await world.guest(), await world.guest("Momo")
    await guest("PUT", "/me/avatar", {"source": "preset", "id": "fox"})
    room = await owner.room()
    response = await guest.ticket(room)
    made = response.json()
    assert response.status_code == 201
    assert made["expiresIn"] == limits.TICKET_S
    assert made["url"] == f"{relay_for(room, RELAYS)}/rooms/{room}"
    ticket = world.opened(made["ticket"], room)
    assert (ticket.user_id, ticket.name, ticket.role) == (guest.id, "Momo", Role.MEMBER)
    assert (ticket.avatar, ticket.admitted) == (Avatar(source="preset", id="fox"), False)
    await world.sit(room, guest)  # the state knows the room by now
    assert await world.inside(room) == {guest.id: Role.MEMBER}

    owners = world.opened((await owner.ticket(room)).json()["ticket"], room)
    assert (owners.role, owners.admitted) == (Role.OWNER, True)


async def test_who_could_not_reach_a_relay_gets_another(world: World):
    owner = await world.guest()
    room = await owner.room()
    first = (await owner.ticket(room)).json()["url"]
    other = (await owner.ticket(room, avoid=[first])).json()["url"]
    assert other == f"{relay_for(room, RELAYS, [first])}/rooms/{room}" != first
    assert (await owner.ticket(room, avoid=list(RELAYS))).json()["url"] == first

    many = await owner.ticket(room, avoid=["x"] * (limits.RELAYS_AVOIDED + 1))
    assert pointers(many) == ["/avoid"]
    long = await owner.ticket(room, avoid=["x" * (limits.RELAY_URL_LENGTH + 1)])
    assert pointers(long) == ["/avoid"]


async def test_the_published_keys_verify_a_ticket(world: World):
    owner = await world.guest()
    ticket = (await owner.ticket(await owner.room())).json()["ticket"]
    response = await world.api("GET", "/.well-known/jwks.json")
    assert "public" in response.headers["cache-control"]
    assert "max-age" in response.headers["cache-control"]
    assert all("d" not in key for key in response.json()["keys"])
    claims = verify(
        TICKET,
        ticket,
        issuer=world.services.issuer,
        keys=parse_public(response.json()),
        now=world.services.clock(),
    )
    assert claims["sub"] == owner.id


async def test_rooms_spread_over_the_relays_and_each_stays_at_its_own(world: World):
    owner = await world.guest()
    rooms = [await owner.room() for _ in range(limits.ROOMS.burst)]
    urls = [(await owner.ticket(room)).json()["url"] for room in rooms]
    assert urls == [(await owner.ticket(room)).json()["url"] for room in rooms]
    assert len({url.rpartition("/rooms/")[0] for url in urls}) > 1


async def test_a_ticket_that_was_asked_for_before_a_lock_does_not_undo_it(
    world: World, monkeypatch
):
    owner, guest, late = [await world.guest() for _ in range(3)]
    room = await owner.room()
    show = world.services.state.show_room

    async def show_late(known: Room) -> None:
        monkeypatch.undo()
        changes = {"capacity": 1}
        assert (await owner("PATCH", f"/rooms/{room}", changes)).status_code == 200
        lock = {"action": "lock"}
        assert (await owner("POST", f"/rooms/{room}/moderation", lock)).status_code == 204
        await show(known)

    monkeypatch.setattr(world.services.state, "show_room", show_late)
    assert (await guest.ticket(room)).status_code == 201
    await world.sit(room, guest)
    with pytest.raises(Refused) as refusal:
        await world.sit(room, late)
    assert refusal.value.why is Why.ROOM_FULL


async def test_a_full_room_lets_in_only_those_who_sit_there(world: World):
    owner, guest, late = [await world.guest() for _ in range(3)]
    room = await owner.room(capacity=1)
    await world.seat(room, guest)
    refused(await late.ticket(room), 409, "room-full")
    refused(await owner.ticket(room), 409, "room-full")
    assert (await guest.ticket(room)).status_code == 201


async def test_a_locked_room_lets_in_those_inside_moderators_and_the_invited(world: World):
    owner, inside, moderator, member = [await world.guest() for _ in range(4)]
    room = await owner.room()
    await world.seat(room, inside)
    await owner.moderate(room, "role", userId=moderator.id, role="moderator")
    await owner.moderate(room, "role", userId=member.id, role="member")
    assert (await owner.moderate(room, "lock")).status_code == 204
    assert (await owner("GET", f"/rooms/{room}")).json()["locked"] is True
    refused(await member.ticket(room), 409, "room-locked")
    for someone, admitted in ((inside, False), (moderator, True), (owner, True)):
        response = await someone.ticket(room)
        assert response.status_code == 201
        assert world.opened(response.json()["ticket"], room).admitted is admitted
    invite = await invited(owner, room)
    let_in = await member.ticket(room, invite=invite)
    assert world.opened(let_in.json()["ticket"], room).admitted is True
    assert (await owner.moderate(room, "unlock")).status_code == 204
    assert (await (await world.guest()).ticket(room)).status_code == 201


async def test_a_private_room_wants_an_invite_to_it(world: World):
    owner, guest, known = [await world.guest() for _ in range(3)]
    room, other = [await owner.room(visibility="private") for _ in range(2)]
    await owner.moderate(room, "role", userId=known.id, role="member")
    wrong = [None, "", "x", await invited(owner, other), (await invited(owner, room))[:-1] + "_"]
    for text in wrong:
        refused(await guest.ticket(room, invite=text), 403, "invite-required")
    assert (await guest.ticket(room, invite=await invited(owner, room))).status_code == 201
    assert (await known.ticket(room)).status_code == 201
    assert (await owner.ticket(room)).status_code == 201


async def invited(owner: Guest, room: str) -> str:
    response = await owner("POST", f"/rooms/{room}/invites")
    assert response.status_code == 201, response.text
    return str(response.json()["invite"])


async def test_an_invite_works_until_it_is_revoked_or_expires(world: World):
    owner, guest = await world.guest(), await world.guest()
    room = await owner.room(visibility="private")
    made = (await owner("POST", f"/rooms/{room}/invites")).json()
    lasting = await invited(owner, room)
    assert (await guest.ticket(room, invite=made["invite"])).status_code == 201

    path = f"/rooms/{room}/invites/{made['id']}"
    assert (await owner("DELETE", path)).status_code == 204
    refused(await owner("DELETE", path), 404, "not-found")
    refused(await guest.ticket(room, invite=made["invite"]), 403, "invite-required")

    assert (await guest.ticket(room, invite=lasting)).status_code == 201
    world.clock.pass_s(limits.INVITE_S)
    later = await world.guest()
    refused(await later.ticket(room, invite=lasting), 403, "invite-required")


async def test_only_the_owner_and_moderators_invite(world: World):
    owner, moderator, member = [await world.guest() for _ in range(3)]
    room = await owner.room()
    await owner.moderate(room, "role", userId=moderator.id, role="moderator")
    await invited(moderator, room)
    refused(await member("POST", f"/rooms/{room}/invites"), 403, "forbidden")
    refused(await member("DELETE", f"/rooms/{room}/invites/x"), 403, "forbidden")


async def test_a_room_has_a_bounded_number_of_invites(world: World, monkeypatch):
    monkeypatch.setattr(limits, "INVITES", 2)
    owner = await world.guest()
    room = await owner.room()
    for _ in range(2):
        await invited(owner, room)
    refused(await owner("POST", f"/rooms/{room}/invites"), 409, "conflict")


async def test_the_store_holds_no_invite(world: World, tmp_path):
    owner = await world.guest()
    secret = (await invited(owner, await owner.room())).partition(".")[2]
    assert not any(secret.encode() in path.read_bytes() for path in tmp_path.glob("vchat.db*"))


@pytest.mark.parametrize("invite", [7, ["x"], {"a": 1}, "x" * 300])
async def test_an_invite_that_is_no_text_is_named(world: World, invite):
    owner = await world.guest()
    assert pointers(await owner.ticket(await owner.room(), invite=invite)) == ["/invite"]


async def test_guessing_invites_is_slow(world: World):
    owner, guest = await world.guest(), await world.guest()
    room = await owner.room(visibility="private")
    for _ in range(limits.INVITE_TRIES.burst):
        refused(await guest.ticket(room, invite="x"), 403, "invite-required")
    response = await guest.ticket(room, invite=await invited(owner, room))
    refused(response, 429, "too-fast")
    assert int(response.headers["retry-after"]) > 0


async def test_tickets_are_limited_for_each_account(world: World):
    owner, other = await world.guest(), await world.guest()
    room = await owner.room()
    for _ in range(limits.TICKETS.burst):
        assert (await owner.ticket(room)).status_code == 201
    refused(await owner.ticket(room), 429, "too-fast")
    assert (await other.ticket(room)).status_code == 201


async def test_a_banned_person_gets_no_ticket_even_when_the_shared_state_forgot(world: World):
    owner, guest = await world.guest(), await world.guest()
    room = await owner.room()
    assert (await owner.moderate(room, "ban", userId=guest.id)).status_code == 204
    refused(await guest.ticket(room), 403, "banned")
    await world.services.state._redis.flushall()
    refused(await guest.ticket(room, invite=await invited(owner, room)), 403, "banned")
    assert (await owner.moderate(room, "unban", userId=guest.id)).status_code == 204
    assert (await guest.ticket(room)).status_code == 201
