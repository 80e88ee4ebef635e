"""Every limit at its value and one beyond it; a limit that nothing here proves fails the suite."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakeredis import FakeAsyncRedis

from adapters.state_redis import RedisState
from tests.bare_seats import FREE, bare_room
from tests.http_api import Guest, pointers, refused
from tests.identity_world import House
from tests.identity_world import _house as _house
from tests.identity_world import _log as _log
from tests.relays import RunningRelay, new_room, running_relay
from vchat import limits
from vchat.limits import Rate

ROOT = Path(__file__).parents[1]
ROOM = {"name": "Roof", "visibility": "public"}
MODELS = "https://models.example.com/"

ELSEWHERE = {
    "ROOM_CAPACITY_DEFAULT": "functions_rooms.a_room_needs_only_a_name_and_a_visibility",
    "PAGE_DEFAULT": "limits.a_page_has_so_many_items_if_nothing_is_said",
    "TOKEN_BYTES": "tokens.no_attack_passes",
    "BODY_BYTES": "functions_web.a_body_has_a_largest_size_whether_it_says_so_or_not",
    "BODY_S": "limits.a_body_that_takes_too_long_is_given_up",
    "HEAD_S": "strict_http.a_head_that_does_not_end_is_not_waited_for",
    "HEAD_BYTES": "strict_http.a_head_without_end_is_cut_by_size",
    "STALL_S": "strict_http.an_answer_that_is_not_read_is_given_up",
    "ROOM_LIFE_S": "functions_rooms.a_room_that_lived_its_days_is_over_too",
    "INVITES": "functions_tickets.a_room_has_a_bounded_number_of_invites",
    "ROOM_MISSES": "functions_rooms.who_guesses_rooms_is_stopped_and_cannot_tell_a_hit_from_a_miss",
    "GUESSING_PAUSE_S": (
        "functions_rooms.who_guesses_rooms_is_stopped_and_cannot_tell_a_hit_from_a_miss"
    ),
    "INVITE_TRIES": "functions_tickets.guessing_invites_is_slow",
    "INVITE_S": "functions_tickets.an_invite_works_until_it_is_revoked_or_expires",
    "ACCESS_TOKEN_S": "functions_auth.an_access_token_lives_for_minutes",
    "REFRESH_TOKEN_S": "functions_auth.a_refresh_token_expires",
    "TICKET_S": "tokens.a_good_token_passes_for_as_long_as_it_lives",
    "CLOCK_LEEWAY_S": "tokens.a_good_token_passes_for_as_long_as_it_lives",
    "VOICE_TOKEN_S": "livekit.who_sits_in_the_room_may_join_its_call",
    "JWKS_S": "limits.keys_may_be_kept_for_so_long",
    "MATCH_LEASE_S": "matching.who_vanished_is_never_paired",
    "MATCH_ROOM_S": "matching.two_meet_in_a_fresh_room_of_their_own",
    "KNOCKING": "gate.all_addresses_together_may_have_so_many_at_the_door",
    "KNOCKING_ADDRESS": "gate.one_address_may_have_so_many_at_the_door_and_others_come_in",
    "ADDRESS_CONNECTIONS": "gate.one_address_may_have_so_many_inside",
    "ACCOUNT_CONNECTIONS": "gate.one_account_may_be_here_so_often_from_wherever",
    "ENTERING": "gate.so_many_are_let_in_at_the_same_time_and_the_others_in_turn",
    "TURN_S": "gate.who_waits_for_a_turn_too_long_is_told_when_to_come_again",
    "CONNECTS": "gate.a_storm_is_given_turns_one_after_the_other_and_all_come_in_at_theirs",
    "SLOT_S": "gate.a_turn_is_never_further_away_than_promised",
    "HELLO_S": "relay.who_says_nothing_is_sent_away",
    "PING_MS": "relay.a_silent_connection_is_pinged_and_then_closed",
    "PONG_S": "relay.a_silent_connection_is_pinged_and_then_closed",
    "TICK_HZ": "limits.a_tick_is_not_sent_more_often",
    "STRIKES": "relay.too_many_chats_are_refused_with_a_time_and_insisting_ends_it",
    "WRITE_BUFFER_BYTES": "fast_line.events_are_kept_for_a_slow_browser_up_to_a_bound_and_in_order",
    "WELCOME_BYTES": "welcomes.a_long_list_comes_in_parts_before_the_welcome",
    "FRAGMENTS": "fast_line.a_message_in_endless_pieces_is_given_up",
    "PINGS": "fast_line.a_flood_of_pings_is_told_once_and_nothing_more_is_taken_in",
    "FALLBACK_TICK_HZ": "streams.poses_go_out_five_times_a_second_at_most",
    "FALLBACK_POSE_BYTES_S": "streams.large_ticks_go_out_less_often",
    "POSTS": "streams.requests_are_bounded_in_number_size_and_time",
    "AGE_S": "drain.an_old_connection_is_asked_to_move",
    "SESSION_S": "relay.a_session_that_was_not_refreshed_ends",
    "HISTORY": "state.newcomers_get_the_last_chat_and_only_chat",
    "LOG_EVENTS": "state.the_log_says_when_it_does_not_reach_back",
    "SEAT_HOLD_S": "state.a_lost_socket_keeps_its_seat_for_the_hold_and_no_longer",
    "AWAY_S": "state.who_dozes_keeps_the_seat_for_the_time_away_and_is_swept_out_as_idle",
    "DOZE_HIDDEN_S": "doze.a_welcome_says_when_to_doze_and_for_how_long_one_may_be_away",
    "DOZE_IDLE_S": "doze.a_welcome_says_when_to_doze_and_for_how_long_one_may_be_away",
    "WAKE_S": "doze.a_session_that_ran_out_while_away_can_be_refreshed_on_waking",
    "LEASE_S": "state.the_people_of_a_dead_instance_vanish_while_others_stay",
    "RENEW_S": "state.the_people_of_a_dead_instance_vanish_while_others_stay",
    "RESUME_S": "state.a_resume_token_is_found_and_retires_soon",
    "RESUME_GRACE_S": "state.a_resume_token_is_found_and_retires_soon",
}
"""Limits that another test proves, by file and name."""
ADVICE = {"POSE_HZ"}
"""What a client is told and nobody is held to; `POSE` is what holds."""


def proved() -> set[str]:
    """Every limit that some test is about."""
    return {*SIZES, *SPEEDS, *LIVES, *FRAMES, *CLOSES, *KINDS, *INBOXES, *ELSEWHERE, *ADVICE}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_test_that_proves_a_limit_is_there(name):
    file, _, test = ELSEWHERE[name].partition(".")
    source = ROOT / "tests" / f"test_{file}.py"
    assert re.search(rf"^(async )?def test_{test}\(", source.read_text(), re.MULTILINE)


def test_every_limit_is_asked_for_somewhere():
    folders = ("vchat", "adapters", "functions", "relay")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    code = "\n".join(file.read_text() for file in files if file.name != "limits.py")
    names = [name for name in vars(limits) if name.isupper()]
    assert [name for name in names if not re.search(rf"\blimits\.{name}\b", code)] == []


# HTTP: sizes


@dataclass(frozen=True)
class Ask:
    """A request with something of the size n, and where a refusal points."""

    method: str
    path: str
    body: Callable[[int], Any]
    pointer: str
    good: int = 200
    """What is answered at the limit."""


def of(field: str, **more: Any) -> Callable[[int], Any]:
    return lambda n: {**more, field: "x" * n}


def count(field: str, item: str = "x", **more: Any) -> Callable[[int], Any]:
    return lambda n: {**more, field: [item] * n}


def number(field: str, **more: Any) -> Callable[[int], Any]:
    return lambda n: {**more, field: n}


MODERATION = "/rooms/{room}/moderation"
TICKETS = "/rooms/{room}/tickets"
MUTE = {"action": "mute", "userId": "{other}"}
SIZES = {
    "NAME_LENGTH": Ask("PATCH", "/me", of("name"), "/name"),
    "ROOM_NAME_LENGTH": Ask("PATCH", "/rooms/{room}", of("name"), "/name"),
    "DESCRIPTION_LENGTH": Ask("PATCH", "/rooms/{room}", of("description"), "/description"),
    "ROOM_CAPACITY": Ask("PATCH", "/rooms/{room}", number("capacity"), "/capacity"),
    "REASON_LENGTH": Ask("POST", MODERATION, of("reason", **MUTE), "/reason", 204),
    "SLOW_MODE_S": Ask("POST", MODERATION, number("seconds", action="slow"), "/seconds", 204),
    "AVATAR_ID_LENGTH": Ask(
        "PUT", "/me/avatar", lambda n: {"source": "url", "id": MODELS.ljust(n, "x")}, "/id"
    ),
    "PAGE_MAX": Ask("GET", "/rooms?limit={n}", lambda n: None, "/limit"),
    "SIGN_IN_TOKEN_BYTES": Ask(
        "POST", "/auth/exchange", of("token", provider="nextauth"), "/token", 401
    ),
    "RELAYS_AVOIDED": Ask("POST", TICKETS, count("avoid"), "/avoid", 201),
    "RELAY_URL_LENGTH": Ask("POST", TICKETS, lambda n: {"avoid": ["x" * n]}, "/avoid", 201),
    "MATCH_WAIT_S": Ask("POST", "/matching", number("maxWaitS"), "/maxWaitS"),
    "MATCH_INTERESTS": Ask("POST", "/matching", count("interests"), "/interests"),
    "MATCH_AVOID": Ask("POST", "/matching", count("avoid"), "/avoid"),
}


@pytest.mark.parametrize("name", SIZES)
async def test_a_size_is_taken_at_its_limit_and_refused_beyond(house: House, name):
    ask, most = SIZES[name], getattr(limits, name)
    owner, other = await house.someone(), await house.api.guest()
    room = await owner.room()

    async def answer(n: int) -> httpx.Response:
        body = ask.body(n)
        if isinstance(body, dict):
            body = {key: other.id if one == "{other}" else one for key, one in body.items()}
        return await owner(ask.method, ask.path.format(room=room, n=n), body)

    good = await answer(most)
    assert good.status_code == ask.good, good.text
    assert pointers(await answer(most + 1)) == [ask.pointer]


async def test_a_page_has_so_many_items_if_nothing_is_said(house: House, monkeypatch):
    monkeypatch.setattr(limits, "ROOMS", FREE)
    owner = await house.api.guest()
    for _ in range(limits.PAGE_DEFAULT + 1):
        await owner.room()
    page = (await house.api("GET", "/rooms")).json()
    assert len(page["items"]) == limits.PAGE_DEFAULT
    assert page["nextCursor"]


async def test_a_body_that_takes_too_long_is_given_up(house: House, monkeypatch):
    monkeypatch.setattr(limits, "BODY_S", 0.05)
    address = httpx.URL(house.api.base)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(b"POST /api/auth/guest HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
    async with asyncio.timeout(5):
        assert b" 400 " in await reader.readline()
    writer.transport.abort()


async def test_keys_may_be_kept_for_so_long(house: House):
    answer = await house.api("GET", "/.well-known/jwks.json")
    assert f"max-age={limits.JWKS_S}" in answer.headers["cache-control"]


# HTTP: speeds


@dataclass(frozen=True)
class Often:
    """A request that is answered so, as often as the rate allows."""

    method: str
    path: str
    body: Any
    good: int
    by_address: bool = False


SPEEDS = {
    "GUESTS": Often("POST", "/auth/guest", {"name": "x"}, 201, by_address=True),
    "SIGN_INS": Often(
        "POST", "/auth/exchange", {"provider": "nextauth", "token": "x"}, 401, by_address=True
    ),
    "REFRESHES": Often("POST", "/auth/refresh", {"refreshToken": "x"}, 401, by_address=True),
    "ROOMS": Often("POST", "/rooms", ROOM, 201),
    "TICKETS": Often("POST", TICKETS, {}, 201),
    "VOICE_TOKENS": Often("POST", "/rooms/{room}/voice-tokens", None, 201),
    "HUB_CALLS": Often("GET", "/avatars", None, 200),
    "MATCH_TRIES": Often("GET", "/matching", None, 200),
}


@pytest.mark.parametrize("name", SPEEDS)
async def test_a_speed_is_held_and_told_and_is_ones_own(house: House, monkeypatch, name):
    often, rate = SPEEDS[name], getattr(limits, name)
    one, other = await house.someone(), await house.api.guest()
    room = await one.room()
    house.clock.pass_s(rate.burst / rate.per_s)
    await house.sit(room, one, other)
    house.clock.pass_s(2 / limits.TICKETS.per_s)

    async def answer(who: Guest) -> httpx.Response:
        return await who(often.method, often.path.format(room=room), often.body)

    for _ in range(rate.burst):
        assert (await answer(one)).status_code == often.good
    too_fast = await answer(one)
    refused(too_fast, 429, "too-fast")
    wait_s = int(too_fast.headers["retry-after"])
    assert 0 < wait_s <= 1 / rate.per_s + 1
    assert ((await answer(other)).status_code == 429) == often.by_address
    house.clock.pass_s(wait_s)
    assert (await answer(one)).status_code == often.good


# What is kept for a while


@dataclass(frozen=True)
class Kept:
    """What makes something be kept, and the pattern of its key."""

    make: Callable[[House], Awaitable[object]]
    key: str
    more_s: int = 0


async def _begin_at_the_hub(house: House) -> None:
    await house.to_the_hub()


async def _end_at_the_hub(house: House) -> None:
    await house.sign_in_at_the_hub()


async def _ticket(house: House) -> None:
    person = await house.api.guest()
    assert (await person.ticket(await person.room())).status_code == 201


async def _said(house: House) -> None:
    person = await house.api.guest()
    room = await person.room()
    await house.sit(room, person)
    await house.services.state.append(room, person.id, "m1", b"{}", chat=True)


async def _matched(house: House) -> None:
    for _ in range(2):
        person = await house.api.guest()
        await person("POST", "/matching", {})


LIVES = {
    "OAUTH_S": Kept(_begin_at_the_hub, "vchat:note:*"),
    "CODE_S": Kept(_end_at_the_hub, "vchat:note:*"),
    "VISIT_S": Kept(_ticket, "vchat:visits:*"),
    "DEDUPE_S": Kept(_said, "vchat:*}:id:*"),
    "LOG_S": Kept(_said, "vchat:*}:log"),
    "MATCH_KEPT_S": Kept(_matched, "*}:match:*"),
}


@pytest.mark.parametrize("name", LIVES)
async def test_what_is_kept_for_a_while_is_kept_for_that_long(house: House, name):
    kept = LIVES[name]
    await house.redis.flushdb()
    await kept.make(house)
    lives = [await house.redis.ttl(key) for key in await house.redis.keys(kept.key)]
    assert any(getattr(limits, name) - 20 < life <= getattr(limits, name) for life in lives), lives


# A connection


@pytest.fixture(name="relay")
async def _relay() -> AsyncIterator[RunningRelay]:
    redis = FakeAsyncRedis()
    async with running_relay(RedisState(redis)) as relay:
        yield relay
    await redis.aclose()


async def _room(relay: RunningRelay) -> str:
    room = new_room()
    await relay.state.show_room(room)
    return room.id


CHAT = {"type": "chat", "id": "m", "text": "hi"}
SIGNAL = {"type": "signal", "id": "m", "name": "wave"}
FRAMES: dict[str, Callable[[int], dict[str, Any]]] = {
    "TEXT_LENGTH": lambda n: {**CHAT, "text": "字" * n},
    "MESSAGE_ID_LENGTH": lambda n: {**CHAT, "id": "字" * n},
    "SIGNAL_NAME_LENGTH": lambda n: {**SIGNAL, "name": "字" * n},
    "SIGNAL_BYTES": lambda n: {**SIGNAL, "data": "x" * (n - 2)},
    "NESTING": lambda n: {**SIGNAL, "data": _nested(n - 1)},  # in one object, the frame
}


def _nested(depth: int) -> list[Any]:
    return [_nested(depth - 1)] if depth > 1 else []


@pytest.mark.parametrize("name", FRAMES)
async def test_a_field_is_taken_at_its_limit_and_refused_beyond(relay, name):
    aya = await relay.join(await _room(relay), "aya")
    most = getattr(limits, name)
    await aya.send(**FRAMES[name](most))
    assert (await aya.text("ack"))["id"]
    await aya.send(**FRAMES[name](most + 1))
    assert (await aya.text("error"))["code"] == "invalid-request"
    await aya.send(**CHAT | {"id": "after"})
    assert (await aya.text("ack"))["id"] == "after"


CLOSES = {
    "FRAME_BYTES": lambda n: '{"type":"chat","id":"m","text":"hi"}'.ljust(n),
    "POSE_BYTES": lambda n: b"\x01\x00\x01\x00" + b"\x80" * n,
}


@pytest.mark.parametrize("name", CLOSES)
async def test_a_frame_is_taken_at_its_limit_and_closes_beyond(relay, name):
    aya = await relay.join(await _room(relay), "aya")
    most = getattr(limits, name)
    await aya.socket.send(CLOSES[name](most))
    if name == "POSE_BYTES":
        _, poses = await aya.tick()
        assert len(poses[0][2]) == most
    else:
        await aya.text("ack")
    await aya.socket.send(CLOSES[name](most + 1))
    assert (await aya.closed()).code == 4306


KINDS = {
    "CHAT": CHAT,
    "SIGNAL": SIGNAL | {"ephemeral": True},
    "CONTROL": {"type": "dance"},
    "POSE": b"\x80hi",
}
SLOW = Rate(burst=5, per_s=0.001)


@pytest.mark.parametrize("name", KINDS)
async def test_each_kind_of_message_has_a_speed_of_its_own(relay, monkeypatch, name):
    monkeypatch.setattr(limits, name, SLOW)
    room = await _room(relay)
    aya, ben = await relay.join(room, "aya"), await relay.join(room, "ben")

    async def say(who, kind: str, n: int) -> None:
        message = KINDS[kind]
        if isinstance(message, bytes):
            await who.pose(n, message)
        else:
            await who.send(**message)

    for n in range(SLOW.burst + 1):
        await say(aya, name, n)
    error = await aya.text("error")
    while error["code"] == "unknown-type":
        error = await aya.text("error")
    assert error["code"] == "too-fast"
    assert 900_000 < error["retryMs"] <= 1_000_000
    # Everything else goes on, and so does everybody else.
    if name != "CHAT":
        await say(aya, "CHAT", 0)
        assert await aya.text("ack")
    await say(ben, name, 1)
    await ben.send(**CHAT | {"id": "b"})
    assert await ben.text("ack")


PONG = '{"type":"pong"}'
INBOXES = {
    "INBOX": [PONG] * limits.INBOX,
    "INBOX_BYTES": [PONG.ljust(limits.INBOX_BYTES // 16)] * 16,
}


@pytest.mark.parametrize("name", INBOXES)
async def test_frames_that_wait_are_bounded(name):
    async with bare_room() as room:
        talker, _ = await room.sit("aya")
        for frame in INBOXES[name]:  # at once: nothing is handled meanwhile
            talker.ear.on_text(frame)
        for _ in range(limits.INBOX + 8):
            await asyncio.sleep(0)
        assert talker.code is None
        for frame in [*INBOXES[name], PONG]:
            talker.ear.on_text(frame)
        await talker.task
        assert talker.code == 4005


async def test_a_tick_is_not_sent_more_often(relay):
    aya = await relay.join(await _room(relay), "aya")
    assert aya.welcome["tickHz"] == limits.TICK_HZ
    loop, ticks = asyncio.get_running_loop(), 0
    start = loop.time()
    for seq in range(limits.POSE.burst // 2):
        await aya.pose(seq, b"\x80")
        await asyncio.sleep(1 / limits.POSE.per_s)
    while True:
        try:
            await aya.next(0.2)
            ticks += 1
        except TimeoutError:
            break
    assert ticks <= (loop.time() - start) * limits.TICK_HZ + 1
