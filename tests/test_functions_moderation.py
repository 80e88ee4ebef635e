"""Moderation over HTTP: who may act on whom, and that the relays are told."""

import pytest

from tests.http_api import pointers, refused
from tests.http_world import World
from tests.http_world import _world as _world
from tests.test_functions_rooms import heard
from vchat import limits
from vchat.errors import Refused, Why
from vchat.ids import new_user_id
from vchat.policy import Role
from vchat.state import Reason
from vchat.times import rfc3339

NOBODY = new_user_id()


@pytest.fixture
async def room(world: World):
    """(room id, owner, moderator, member): the last two sit inside."""
    owner, moderator, member = [await world.guest() for _ in range(3)]
    room = await owner.room()
    await owner.moderate(room, "role", userId=moderator.id, role="moderator")
    await world.seat(room, moderator, member)
    return room, owner, moderator, member


@pytest.mark.parametrize(("action", "reason"), [("kick", "kicked"), ("ban", "banned")])
async def test_who_is_removed_is_out_and_the_relays_know_why(world: World, room, action, reason):
    room_id, _, moderator, member = room
    async with world.relay.listen(room_id) as messages:
        done = await moderator.moderate(room_id, action, userId=member.id, reason="spam")
        assert done.status_code == 204
        event = await heard(messages)
    assert (event["type"], event["userId"], event["reason"]) == ("left", member.id, reason)
    assert member.id not in await world.inside(room_id)
    with pytest.raises(Refused) as again:  # whatever tickets are still out there
        await world.sit(room_id, member)
    assert again.value.why is {"kicked": Why.KICKED, "banned": Why.BANNED}[reason]


async def test_who_was_removed_gets_no_ticket_and_hears_why(world: World, room):
    room_id, owner, moderator, member = room
    await moderator.moderate(room_id, "kick", userId=member.id)
    refused(await member.ticket(room_id), 403, "kicked")
    world.clock.pass_s(limits.TICKET_S + limits.CLOCK_LEEWAY_S)
    await world.seat(room_id, member)
    until = rfc3339(world.services.clock() + 60)
    await owner.moderate(room_id, "ban", userId=member.id, reason="spam", until=until)
    problem = refused(await member.ticket(room_id), 403, "banned")
    assert "spam" in problem["detail"]
    assert until in problem["detail"]


async def test_a_ban_may_have_an_end(world: World, room):
    room_id, owner, _, member = room
    until = world.services.clock() + 60
    banned = await owner.moderate(room_id, "ban", userId=member.id, until=rfc3339(until))
    assert banned.status_code == 204
    refused(await member.ticket(room_id), 403, "banned")
    world.clock.pass_s(60)
    await world.seat(room_id, member)
    assert member.id in await world.inside(room_id)


async def test_the_muted_are_muted_for_everyone_to_see(world: World, room):
    room_id, _, moderator, member = room
    async with world.relay.listen(room_id) as messages:
        for action, muted in (("mute", True), ("mute", True), ("unmute", False)):
            done = await moderator.moderate(room_id, action, userId=member.id)
            assert done.status_code == 204
            listed = (await moderator("GET", f"/rooms/{room_id}/members")).json()["items"]
            assert {m["userId"]: m["muted"] for m in listed}[member.id] is muted
        told = [await heard(messages) for _ in range(2)]  # muting the muted changed nothing
    assert [(event["type"], event["muted"]) for event in told] == [
        ("member", True),
        ("member", False),
    ]


async def test_leaving_and_coming_back_does_not_unmute(world: World, room):
    room_id, owner, _, member = room
    await owner.moderate(room_id, "mute", userId=member.id)
    await world.services.state.leave(room_id, member.id, None, Reason.LEFT)
    ticket = world.opened((await member.ticket(room_id)).json()["ticket"], room_id)
    assert ticket.muted
    assert (await owner.moderate(room_id, "unmute", userId=member.id)).status_code == 204
    ticket = world.opened((await member.ticket(room_id)).json()["ticket"], room_id)
    assert not ticket.muted


async def test_a_role_holds_now_and_with_every_later_ticket(world: World, room):
    room_id, owner, _, member = room
    async with world.relay.listen(room_id) as messages:
        done = await owner.moderate(room_id, "role", userId=member.id, role="spectator")
        assert done.status_code == 204
        event = await heard(messages)
    assert (event["type"], event["userId"], event["role"]) == ("member", member.id, "spectator")
    assert (await world.inside(room_id))[member.id] is Role.SPECTATOR
    ticket = (await member.ticket(room_id)).json()["ticket"]
    assert world.opened(ticket, room_id).role is Role.SPECTATOR


async def test_the_lock_is_told_to_everyone_inside(world: World, room):
    room_id, _, moderator, _ = room
    async with world.relay.listen(room_id) as messages:
        for action, locked in (("lock", True), ("unlock", False)):
            assert (await moderator.moderate(room_id, action)).status_code == 204
            event = await heard(messages)
            assert (event["type"], event["locked"], event["occupancy"]) == ("room", locked, 2)


@pytest.mark.parametrize("action", ["kick", "ban", "unban", "mute", "unmute", "role"])
async def test_nobody_acts_on_equals_or_betters(world: World, room, action):
    room_id, owner, moderator, member = room
    fields = {"role": "member"} if action == "role" else {}
    for actor, target in (
        (moderator, owner),
        (moderator, moderator),
        (owner, owner),
        (member, member),
        (member, moderator),
    ):
        answer = await actor.moderate(room_id, action, userId=target.id, **fields)
        refused(answer, 403, "forbidden")
    assert set(await world.inside(room_id)) == {moderator.id, member.id}


async def test_only_the_owner_gives_roles_and_only_moderators_lock(world: World, room):
    room_id, _, moderator, member = room
    given = await moderator.moderate(room_id, "role", userId=member.id, role="moderator")
    refused(given, 403, "forbidden")
    refused(await member.moderate(room_id, "lock"), 403, "forbidden")
    # 403 comes before bad fields.
    refused(await member.moderate(room_id, "dance"), 403, "forbidden")


@pytest.mark.parametrize(
    ("fields", "bad"),
    [
        ({"action": "dance", "reason": "x" * 201}, ["/action", "/reason"]),
        ({"action": "kick"}, ["/userId"]),
        ({"action": "kick", "userId": 7}, ["/userId"]),
        ({"action": "kick", "userId": "a/b"}, ["/userId"]),
        ({"action": "kick", "userId": NOBODY + "\n"}, ["/userId"]),
        ({"action": "role", "userId": NOBODY}, ["/role"]),
        ({"action": "role", "userId": NOBODY, "role": "owner"}, ["/role"]),
        ({"action": "ban", "userId": NOBODY}, ["/userId"]),
        ({"action": "role", "userId": NOBODY, "role": "member"}, ["/userId"]),
        ({"action": "ban", "userId": NOBODY, "until": "2020-01-01T00:00:00Z"}, ["/until"]),
        ({"action": "ban", "userId": NOBODY, "until": "tomorrow"}, ["/until"]),
        ({"action": "ban", "userId": NOBODY, "until": "0001-01-01T00:00:00+23:59"}, ["/until"]),
    ],
)
async def test_bad_fields_of_moderation_are_named(world: World, room, fields, bad):
    room_id, owner, _, _ = room
    assert pointers(await owner("POST", f"/rooms/{room_id}/moderation", fields)) == bad


async def test_kicking_someone_who_is_not_there_says_so(world: World, room):
    room_id, owner, _, _ = room
    absent = await world.guest()
    refused(await owner.moderate(room_id, "kick", userId=absent.id), 409, "conflict")


async def test_a_banned_moderator_comes_back_as_a_member(world: World, room):
    room_id, owner, moderator, _ = room
    for action in ("ban", "unban"):
        done = await owner.moderate(room_id, action, userId=moderator.id)
        assert done.status_code == 204
    ticket = (await moderator.ticket(room_id)).json()["ticket"]
    assert world.opened(ticket, room_id).role is Role.MEMBER


async def test_unbanning_a_stranger_leaves_nothing_in_the_store(world: World, room):
    room_id, owner, _, _ = room
    assert (await owner.moderate(room_id, "unban", userId=NOBODY)).status_code == 204
    assert await world.services.store.standing(room_id, NOBODY) is None
