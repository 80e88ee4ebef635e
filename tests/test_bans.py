"""A banned person stays out, whichever way they try; and every act reaches every plane."""

import asyncio
import time

import pytest

from tests.http_api import refused
from tests.meeting import Meeting
from tests.meeting import _meeting as _meeting
from tests.relays import ISSUER, RING, Browser, Closed, ticket
from vchat.policy import Role
from vchat.tokens import read_ticket


async def test_a_banned_person_tries_every_way_and_stays_out(meeting: Meeting):
    owner, guest = await meeting.api.guest(), await meeting.api.guest()
    room = await owner.room()
    invite = (await owner("POST", f"/rooms/{room}/invites")).json()["invite"]
    inside = await meeting.join(room, guest, relay=0)
    watching = await meeting.join(room, owner, relay=1)
    unused = [await meeting.ticket(room, guest) for _ in range(3)]
    voice = (await guest("POST", f"/rooms/{room}/voice-tokens")).status_code
    assert voice == 201

    banned = await owner.moderate(room, "ban", userId=guest.id, reason="spam")
    assert banned.status_code == 204

    # The socket they hold, and everyone sees it.
    closed = await inside.closed()
    assert (closed.code, closed.bye["code"]) == (4302, 4302)
    left = await watching.text("left")
    assert (left["userId"], left["reason"]) == (guest.id, "banned")

    # 1. The resume token, at either relay. 2. Tickets from before, at either relay.
    resume = {
        "token": inside.welcome["resume"],
        "epoch": inside.welcome["epoch"],
        "offset": inside.welcome["offset"],
    }
    for relay in (0, 1):
        again = await meeting.knock(room, relay, resume=resume)
        assert (await again.closed()).code in (4302, 4102)
        again = await meeting.knock(room, relay, ticket=unused.pop())
        assert (await again.closed()).code == 4302

    # 3. A new ticket, 4. one with an invite: and they are told why.
    problem = refused(await guest.ticket(room), 403, "banned")
    assert "spam" in problem["detail"]
    refused(await guest.ticket(room, invite=invite), 403, "banned")

    # 5. The voice call: sent out, and given no other token.
    assert ("RemoveParticipant", {"room": room, "identity": guest.id}) in meeting.livekit.asked
    refused(await guest("POST", f"/rooms/{room}/voice-tokens"), 403, "banned")

    # Signing in anew is the same person.
    body = {"refreshToken": guest.session["refreshToken"]}
    guest.token = (await meeting.api("POST", "/auth/refresh", body)).json()["accessToken"]
    refused(await guest.ticket(room), 403, "banned")

    members = (await owner("GET", f"/rooms/{room}/members")).json()["items"]
    assert [member["userId"] for member in members] == [owner.id]


async def test_a_ban_is_kept_when_the_volatile_state_is_lost(meeting: Meeting):
    owner, guest = await meeting.api.guest(), await meeting.api.guest()
    room = await owner.room()
    await owner.moderate(room, "ban", userId=guest.id)
    await meeting.services.state._redis.flushall()
    refused(await guest.ticket(room), 403, "banned")


async def test_a_refresh_in_place_meets_the_ban(meeting: Meeting):
    """Though no relay was told of it."""
    owner, guest = await meeting.api.guest(), await meeting.api.guest()
    room = await owner.room()
    inside = await meeting.join(room, guest)
    unused = await meeting.ticket(room, guest)
    await meeting.services.state.ban(room, guest.id, None)
    await inside.send(type="refresh", ticket=unused)
    assert (await inside.closed()).code == 4302


async def test_who_is_unbanned_may_come_back(meeting: Meeting):
    owner, guest = await meeting.api.guest(), await meeting.api.guest()
    room = await owner.room()
    await owner.moderate(room, "ban", userId=guest.id)
    await owner.moderate(room, "unban", userId=guest.id)
    assert (await meeting.join(room, guest)).welcome["role"] == "member"


async def test_the_banned_of_one_room_are_free_in_another(meeting: Meeting):
    owner, guest = await meeting.api.guest(), await meeting.api.guest()
    await owner.moderate(await owner.room(), "ban", userId=guest.id)
    assert (await meeting.join(await owner.room(), guest)).welcome["role"] == "member"


async def test_a_kicked_person_cannot_use_the_tickets_they_still_hold(meeting: Meeting):
    owner, guest = await meeting.api.guest(), await meeting.api.guest()
    room = await owner.room()
    inside, unused = await meeting.join(room, guest), await meeting.ticket(room, guest)
    await owner.moderate(room, "kick", userId=guest.id)
    assert (await inside.closed()).code == 4301
    assert (await (await meeting.knock(room, 1, ticket=unused)).closed()).code == 4301


async def test_a_ticket_lets_in_once_at_all_relays_together(meeting: Meeting):
    owner, guest = await meeting.api.guest(), await meeting.api.guest()
    room = await owner.room()
    ticket = await meeting.ticket(room, guest)
    knocks = [meeting.knock(room, number % 2, ticket=ticket) for number in range(8)]
    browsers = await asyncio.gather(*knocks)

    async def let_in(browser: Browser) -> int:
        try:
            return 1000 if await browser.text("welcome") else 0
        except Closed as closed:
            return closed.code

    outcomes = await asyncio.gather(*map(let_in, browsers))
    assert sorted(outcomes) == [1000, *[4101] * 7]


# Muted, slowed, watched, handed on


async def chat(browser, message_id: str) -> dict:
    await browser.send(type="chat", id=message_id, text="hello")
    while True:
        answer = await browser.text()
        if answer["type"] in ("ack", "error") and answer.get("id") == message_id:
            return answer


async def test_a_mute_holds_here_there_and_after_coming_back(meeting: Meeting):
    owner, guest = await meeting.api.guest(), await meeting.api.guest()
    room = await owner.room()
    inside = await meeting.join(room, guest)
    assert (await chat(inside, "a"))["type"] == "ack"
    await owner.moderate(room, "mute", userId=guest.id)
    await inside.text("member")
    assert (await chat(inside, "b"))["code"] == "muted"
    inside.vanish()
    inside = await meeting.join(room, guest, relay=1)
    assert (await chat(inside, "c"))["code"] == "muted"
    await inside.send(type="leave")
    await inside.closed()
    inside = await meeting.join(room, guest)
    assert (await chat(inside, "d"))["code"] == "muted"
    await owner.moderate(room, "unmute", userId=guest.id)
    await inside.text("member")
    assert (await chat(inside, "e"))["type"] == "ack"


async def test_slow_mode_holds_across_relays_and_spares_moderators(meeting: Meeting):
    owner, guest = await meeting.api.guest(), await meeting.api.guest()
    room = await owner.room()
    inside, watching = await meeting.join(room, guest, 0), await meeting.join(room, owner, 1)
    assert (await owner.moderate(room, "slow", seconds=300)).status_code == 204
    assert (await inside.text("room"))["slowModeS"] == 300
    assert (await chat(inside, "a"))["type"] == "ack"
    answer = await chat(inside, "b")
    assert answer["code"] == "too-fast"
    assert 250_000 < answer["retryMs"] <= 300_000
    inside.vanish()
    inside = await meeting.join(room, guest, relay=1)
    assert (await chat(inside, "c"))["code"] == "too-fast"
    for message_id in ("x", "y", "z"):
        assert (await chat(watching, message_id))["type"] == "ack"
    await owner.moderate(room, "slow", seconds=0)
    assert (await inside.text("room"))["slowModeS"] == 0
    assert (await chat(inside, "d"))["type"] == "ack"
    refused(await guest.moderate(room, "slow", seconds=1), 403, "forbidden")
    refused(await owner.moderate(room, "slow"), 400, "invalid-request")
    refused(await owner.moderate(room, "slow", seconds=601), 400, "invalid-request")


async def test_a_room_is_handed_on_and_everyone_sees_it(meeting: Meeting):
    owner, heir, guest = [await meeting.api.guest() for _ in range(3)]
    room = await owner.room()
    old, new = await meeting.join(room, owner, 0), await meeting.join(room, heir, 1)
    refused(await heir.moderate(room, "transfer", userId=guest.id), 403, "forbidden")
    refused(await owner.moderate(room, "transfer", userId=owner.id), 403, "forbidden")
    assert (await owner.moderate(room, "transfer", userId=heir.id)).status_code == 204
    assert (await new.text("room"))["ownerId"] == heir.id
    roles = {}
    for _ in range(2):
        told = await old.text("member")
        roles[told["userId"]] = told["role"]
    assert roles == {owner.id: "moderator", heir.id: "owner"}
    refused(await owner("DELETE", f"/rooms/{room}"), 403, "forbidden")
    refused(await owner.moderate(room, "kick", userId=heir.id), 403, "forbidden")
    again = await meeting.join(room, owner, 1)
    assert again.welcome["role"] == "moderator"
    assert (await heir("DELETE", f"/rooms/{room}")).status_code == 204


async def test_a_room_is_not_handed_to_who_is_banned_or_to_nobody(meeting: Meeting):
    owner, guest = await meeting.api.guest(), await meeting.api.guest()
    room = await owner.room()
    await owner.moderate(room, "ban", userId=guest.id)
    refused(await owner.moderate(room, "transfer", userId=guest.id), 409, "conflict")
    nobody = "u" + "0" * 20
    refused(await owner.moderate(room, "transfer", userId=nobody), 400, "invalid-request")


@pytest.mark.parametrize("role", [Role.SPECTATOR])
async def test_who_becomes_a_spectator_falls_silent_at_once(meeting: Meeting, role):
    owner, guest = await meeting.api.guest(), await meeting.api.guest()
    room = await owner.room()
    inside = await meeting.join(room, guest)
    await owner.moderate(room, "role", userId=guest.id, role=role.value)
    await inside.text("member")
    assert (await chat(inside, "a"))["code"] == "forbidden"
    inside.vanish()
    assert (await meeting.join(room, guest, relay=1)).welcome["role"] == role.value


async def test_a_deleted_account_is_put_out_of_rooms_with_all_its_tickets(meeting: Meeting):
    owner, guest = await meeting.api.guest(), await meeting.api.guest()
    room = await owner.room()
    inside, unused = await meeting.join(room, guest), await meeting.ticket(room, guest)
    assert (await guest("DELETE", "/me")).status_code == 204
    assert (await inside.closed()).code == 4301
    assert (await (await meeting.knock(room, 1, ticket=unused)).closed()).code == 4301
    assert ("RemoveParticipant", {"room": room, "identity": guest.id}) in meeting.livekit.asked


async def test_a_kick_ends_no_ban_that_stands(meeting: Meeting):
    owner, guest = await meeting.api.guest(), await meeting.api.guest()
    room = await owner.room()
    await owner.moderate(room, "ban", userId=guest.id)
    refused(await owner.moderate(room, "kick", userId=guest.id), 409, "conflict")
    barred = await meeting.services.state.barred(room, guest.id)
    assert barred.value.code == "banned"


@pytest.mark.parametrize("act", [{"action": "mute"}, {"action": "role", "role": "spectator"}])
async def test_a_ticket_from_before_an_act_is_no_way_around_it(meeting: Meeting, act):
    owner, guest = await meeting.api.guest(), await meeting.api.guest()
    room = await owner.room()
    inside = await meeting.join(room, guest)
    unused = [await meeting.ticket(room, guest) for _ in range(2)]
    assert (await owner.moderate(room, userId=guest.id, **act)).status_code == 204
    await inside.text("member")

    # In place, and by leaving and coming in again.
    await inside.send(type="refresh", ticket=unused.pop())
    assert (await inside.text("error"))["code"] == "ticket-expired"
    await inside.leave()
    again = await meeting.knock(room, 0, ticket=unused.pop())
    assert (await again.closed()).code == 4100

    # A new one tells how it is now.
    fresh = read_ticket(
        await meeting.ticket(room, guest), room, issuer=ISSUER, keys=RING.public, now=time.time()
    )
    assert fresh.muted or fresh.role is Role.SPECTATOR
    later = ticket(room, guest.id, role=fresh.role, now=time.time() + 2)
    back = await meeting.knock(room, 1, ticket=later)
    assert (await back.text("welcome"))["role"] == fresh.role
