"""The WebSocket contract: hello, welcome, events, poses, and every way it ends."""

import asyncio
import itertools
import json
import logging
import time
from contextlib import suppress

import httpx
import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from websockets.exceptions import ConnectionClosed, InvalidStatus

from adapters.state_redis import RedisState
from tests.relays import ORIGIN, RunningRelay, new_room, open_socket, running_relay, ticket
from vchat import limits, ticks, tokens
from vchat.ids import new_room_id
from vchat.model import Room, RoomStatus
from vchat.policy import Role

OWN = bytes([200])
"""The first byte of a body in an application's own format."""
SOCKET_ONLY = pytest.mark.parametrize("way", ["socket"], indirect=True)
"""What a stream says in its own words is in test_streams.py."""


@pytest.fixture(name="redis")
async def _redis():
    client = FakeAsyncRedis()
    yield client
    await client.aclose()


@pytest.fixture(name="state")
def _state(redis) -> RedisState:
    return RedisState(redis)


@pytest.fixture(params=["socket", "stream"], name="way")
def _way(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(name="relay")
async def _relay(state, way):
    async with running_relay(state, way=way) as relay:
        yield relay


@pytest.fixture(name="room")
async def _room(state) -> Room:
    room = new_room()
    await state.show_room(room)
    return room


# The door


async def test_a_welcome_tells_everything_a_page_needs(relay: RunningRelay, room):
    aya = await relay.join(room.id, "aya", role=Role.OWNER)
    welcome = aya.welcome

    assert welcome["type"] == "welcome"
    assert welcome["user"] == {"id": "aya", "name": "Aya", "avatar": None}
    assert welcome["role"] == "owner"
    assert welcome["room"]["name"] == "Atrium"
    assert welcome["room"]["occupancy"] == 1
    assert welcome["members"][0]["userId"] == "aya"
    assert welcome["members"][0]["seat"] == welcome["seat"]
    assert (welcome["offset"], welcome["head"], welcome["recovered"]) == (1, 1, False)
    assert welcome["history"] == []
    assert welcome["tickHz"] <= 30
    assert 20_000 <= welcome["pingMs"] <= 25_000
    assert abs(welcome["serverTime"] - time.time() * 1000) < 5000
    assert welcome["limits"]["chat"] == {"burst": 40, "perS": 5}
    assert {"session", "resume", "epoch", "expiresIn"} <= welcome.keys()


@SOCKET_ONLY
async def test_without_the_subprotocol_there_is_no_upgrade(relay, room):
    with pytest.raises(InvalidStatus) as refusal:
        await relay.open(room.id, subprotocols=None)
    assert refusal.value.response.status_code == 400
    async with httpx.AsyncClient(verify=False) as client:
        answer = await client.get(f"{relay.url.replace('ws', 'http')}/rooms/{room.id}")
    assert answer.status_code == 400


@SOCKET_ONLY
async def test_a_request_that_leads_nowhere_is_refused_as_every_other_is(relay, room):
    async with httpx.AsyncClient(base_url=relay.url.replace("ws:", "http:"), verify=False) as http:
        for method, path, status, code, allow in (
            ("GET", "/nowhere", 404, "not-found", None),
            ("GET", f"/rooms/{room.id}/send", 404, "not-found", None),
            ("GET", "/metrics", 404, "not-found", None),
            ("GET", f"/rooms/{room.id}", 400, "invalid-request", None),
            ("POST", f"/rooms/{room.id}", 405, "method-not-allowed", "GET, HEAD"),
            ("DELETE", "/live", 405, "method-not-allowed", "GET, HEAD"),
            ("GET", f"/rooms/{room.id}/stream", 405, "method-not-allowed", "OPTIONS, POST"),
        ):
            answer = await http.request(method, path)
            assert (answer.status_code, answer.headers.get("allow")) == (status, allow)
            assert answer.headers["content-type"] == "application/problem+json"
            assert (answer.json()["code"], answer.json()["status"]) == (code, status)


@SOCKET_ONLY
async def test_an_upgrade_where_no_socket_is_finds_nothing(relay, room):
    for path in ("/nowhere", "/live", "/lobby", "/rooms", f"/rooms/{room.id}/stream"):
        with pytest.raises(InvalidStatus) as refusal:
            await open_socket(relay.url + path)
        assert refusal.value.response.status_code == 404
        assert json.loads(refusal.value.response.body)["code"] == "not-found"


@SOCKET_ONLY
async def test_a_foreign_origin_is_told_so(relay, room):
    page = await relay.open(room.id, origin=ORIGIN)
    await page.send(type="hello", ticket=ticket(room.id, "aya"))
    assert (await page.text())["type"] == "welcome"

    foreign = await relay.open(room.id, origin="https://evil.test")
    closed = await foreign.closed()
    assert (closed.code, closed.bye["code"], closed.bye["reason"]) == (4307, 4307, "bad-origin")


@SOCKET_ONLY
async def test_who_says_nothing_is_sent_away(relay, room, monkeypatch):
    monkeypatch.setattr(limits, "HELLO_S", 0.05)
    silent = await relay.open(room.id)
    assert (await silent.closed()).code == 4006


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ("not json", 4305),
        ("[]", 4305),
        ('"hello"', 4305),
        ("{" * 2000, 4305),
        ('{"type":"chat","id":"1","text":"hi"}', 4006),
        ('{"type":"hello"}', 4006),
        ('{"type":"hello","ticket":"a.b.c"}', 4300),
        ('{"type":"hello","ticket":"' + "x" * 20_000 + '"}', 4306),
        (b"\x01\x00\x00\x00\xc8", 4006),
    ],
)
async def test_a_bad_first_frame_is_refused_by_code(relay, room, first, code):
    stranger = await relay.open(room.id)
    await stranger.socket.send(first)
    closed = await stranger.closed()
    assert (closed.code, closed.bye["code"]) == (code, code)


async def test_tickets_are_judged_in_order(relay, room, state):
    async def code(where: str, token: str) -> int:
        browser = await relay.open(where)
        await browser.send(type="hello", ticket=token)
        return (await browser.closed()).code

    other = new_room()
    await state.show_room(other)
    old = time.time() - 3600
    assert await code(room.id, ticket(other.id, "aya", kind=tokens.ACCESS)) == 4300
    assert await code(room.id, ticket(other.id, "aya", now=old)) == 4100
    assert await code(room.id, ticket(other.id, "aya")) == 4300
    assert await code(room.id, ticket(room.id, "aya", issuer="https://other")) == 4300
    assert await code(room.id, ticket(room.id, "aya", now=time.time() + 3600)) == 4300
    await state.ban(room.id, "aya", None)
    assert await code(room.id, ticket(room.id, "aya")) == 4302


async def test_a_ticket_works_once(relay, room):
    token = ticket(room.id, "aya")
    for expected in (None, 4101):
        browser = await relay.open(room.id)
        await browser.send(type="hello", ticket=token)
        if expected is None:
            assert (await browser.text())["type"] == "welcome"
        else:
            assert (await browser.closed()).code == expected


async def test_rooms_that_cannot_be_entered_say_why(relay, state):
    full = new_room(capacity=1)
    locked = new_room(locked=True)
    over = new_room(status=RoomStatus.ENDED)
    for room in (full, locked, over):
        await state.show_room(room)
    await relay.join(full.id, "aya")

    async def code(room_id: str) -> int:
        browser = await relay.open(room_id)
        with suppress(ConnectionClosed):  # some addresses are refused before any hello
            await browser.send(type="hello", ticket=ticket(room_id, "ben"))
        return (await browser.closed()).code

    assert await code(full.id) == 4400
    assert await code(locked.id) == 4401
    assert await code(over.id) == 4303
    assert await code("lobby") == 4404
    assert await code(new_room_id()) == 4102  # never shown here: a new ticket will show it
    assert (await relay.join(locked.id, "mod", admitted=True)).welcome["type"] == "welcome"


# Events


async def test_chat_reaches_everyone_once_numbered_and_the_sender_hears_back(relay, room):
    aya = await relay.join(room.id, "aya")
    ben = await relay.join(room.id, "ben")
    assert (await aya.text("joined"))["userId"] == "ben"
    await aya.send(type="chat", id="m1", text="こんにちは\nみなさん")

    for browser in (aya, ben):
        event = await browser.text("chat")
        assert event["offset"] == 3
        assert (event["id"], event["text"]) == ("m1", "こんにちは\nみなさん")
        assert (event["userId"], event["name"]) == ("aya", "Aya")
        assert event["seat"] == aya.welcome["seat"]
        assert abs(event["time"] - time.time() * 1000) < 5000
    assert await aya.text("ack") == {"type": "ack", "id": "m1", "offset": 3}
    await ben.nothing()


async def test_a_repeated_message_gets_the_same_ack_and_no_second_event(relay, room):
    aya = await relay.join(room.id, "aya")
    ben = await relay.join(room.id, "ben")
    await aya.send(type="chat", id="m1", text="once")
    first = await aya.text("ack")
    aya.vanish()
    again = await relay.join(room.id, "aya")
    await again.send(type="chat", id="m1", text="once")

    assert await again.text("ack") == first
    assert (await ben.text("chat"))["id"] == "m1"
    await ben.nothing()


async def test_signals_carry_any_json_and_ephemeral_ones_are_not_kept(relay, room):
    aya = await relay.join(room.id, "aya")
    ben = await relay.join(room.id, "ben")
    await aya.send(type="signal", id="s1", name="wave", data={"x": [1, None, "é"]})
    stored = await ben.text("signal")
    assert (stored["signal"], stored["data"]) == ("wave", {"x": [1, None, "é"]})
    assert (stored["name"], stored["offset"]) == ("Aya", 3)
    assert (await aya.text("ack"))["offset"] == 3

    await aya.send(type="signal", id="s2", name="typing", ephemeral=True)
    passing = await ben.text("signal")
    assert "offset" not in passing
    assert passing["data"] is None
    cho = await relay.join(room.id, "cho")
    assert cho.welcome["head"] == 4


async def test_a_signals_name_is_cleaned_as_other_names_are(relay, room):
    aya = await relay.join(room.id, "aya")
    for ephemeral in (False, True):
        await aya.send(type="signal", id="s", name=" cafe\u0301\n", ephemeral=ephemeral)
        assert (await aya.text("signal"))["signal"] == "caf\u00e9"


async def test_newcomers_get_the_last_chat_and_who_is_here(relay, room):
    aya = await relay.join(room.id, "aya")
    for n in range(3):
        await aya.send(type="chat", id=f"m{n}", text=f"line {n}")
        await aya.text("ack")
    ben = await relay.join(room.id, "ben")

    assert [event["text"] for event in ben.welcome["history"]] == ["line 0", "line 1", "line 2"]
    assert [event["offset"] for event in ben.welcome["history"]] == [2, 3, 4]
    assert {member["userId"] for member in ben.welcome["members"]} == {"aya", "ben"}


@pytest.mark.parametrize(
    ("message", "code", "message_id"),
    [
        ({"type": "dance", "id": "x"}, "unknown-type", "x"),
        ({"type": 7}, "unknown-type", None),
        ({"type": [], "id": "x"}, "unknown-type", "x"),
        ({"type": "chat", "id": "x"}, "invalid-request", "x"),
        ({"type": "chat", "id": "x", "text": ""}, "invalid-request", "x"),
        ({"type": "chat", "id": "x", "text": " \n "}, "invalid-request", "x"),
        ({"type": "chat", "id": "x", "text": "a" * 2001}, "invalid-request", "x"),
        ({"type": "chat", "id": "x", "text": "\u202e evil"}, "invalid-request", "x"),
        ({"type": "chat", "id": 7, "text": "a"}, "invalid-request", None),
        ({"type": "chat", "id": "y" * 65, "text": "a"}, "invalid-request", None),
        ({"type": "signal", "id": "x", "name": ""}, "invalid-request", "x"),
        ({"type": "signal", "id": "x", "name": " "}, "invalid-request", "x"),
        ({"type": "signal", "id": "x", "name": "\x1b]0;mine\x07"}, "invalid-request", "x"),
        ({"type": "signal", "id": "x", "name": "\u202egnip"}, "invalid-request", "x"),
        ({"type": "signal", "id": "x", "name": "n", "data": "a" * 4096}, "invalid-request", "x"),
        ({"type": "hello", "ticket": "t"}, "invalid-request", None),
        ({"type": "refresh", "ticket": "t"}, "bad-token", None),
        ({"type": "refresh"}, "invalid-request", None),
    ],
)
async def test_a_message_that_cannot_be_used_is_refused_and_the_connection_stays(
    relay, room, message, code, message_id
):
    aya = await relay.join(room.id, "aya")
    ben = await relay.join(room.id, "ben")
    await aya.text("joined")
    await aya.send(**message)

    error = await aya.text()
    assert (error["type"], error["code"], error.get("id")) == ("error", code, message_id)
    await ben.nothing()
    await aya.send(type="chat", id="after", text="still here")
    assert (await ben.text("chat"))["text"] == "still here"


@pytest.mark.parametrize(
    "message",
    [
        '{"type":"signal","id":"x","name":"n","data":%s}',
        '{"more":%s,"type":"chat","id":"x","text":"hi"}',
        '{"type":"signal","name":"[[{","id":"x","data":["\\"]\\\\",%s,0]}',
    ],
)
async def test_what_nests_too_deep_is_refused_at_any_depth(relay, room, message):
    aya = await relay.join(room.id, "aya")
    for depth in (limits.NESTING, 1000, 2000, 7000):
        for opening, closing in ("[]", ('{"a":', "}")):
            deep = message % (opening * depth + "1" + closing * depth)
            if len(deep) > limits.FRAME_BYTES:
                continue
            await aya.socket.send(deep)
            error = await aya.text("error")
            assert (error["code"], error["id"]) == ("invalid-request", "x")
    brackets = "[" * 100
    await aya.send(type="chat", id="after", text=brackets)  # in text they mean nothing
    assert (await aya.text("chat"))["text"] == brackets


async def test_two_thousand_code_points_are_not_too_long(relay, room):
    aya = await relay.join(room.id, "aya")
    await aya.send(type="chat", id="m", text="👋" * 2000)
    assert (await aya.text("chat"))["text"] == "👋" * 2000


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", 4305),
        ("[1]", 4305),
        ('{"type":"chat","id":"1","text":"\\ud800"}', 4305),
        ("x" * 16_385, 4306),
        (b"", 4305),
        (b"\x01\x00\x00\x00", 4305),
        (b"\x07\x00\x00\x00\xc8", 4305),
        (b"\x01\x01\x00\x00\xc8", 4305),
        (b"\x01\x00\x00\x00\x02", 4305),
        (b"\x01\x00\x00\x00\xc8" + b"x" * 512, 4306),
    ],
)
async def test_a_frame_that_breaks_the_protocol_ends_only_its_own_connection(
    relay, room, frame, code
):
    aya = await relay.join(room.id, "aya")
    ben = await relay.join(room.id, "ben")
    await aya.socket.send(frame)

    closed = await aya.closed()
    assert (closed.code, closed.bye["code"]) == (code, code)
    await ben.send(type="chat", id="m", text="calm")
    assert (await ben.text("ack"))["id"] == "m"


@SOCKET_ONLY
async def test_a_frame_beyond_all_limits_is_cut_off(relay, room):
    aya = await relay.join(room.id, "aya")
    await aya.socket.send("x" * 100_000)
    assert (await aya.closed()).code == 1009


async def test_too_many_chats_are_refused_with_a_time_and_insisting_ends_it(relay, room):
    aya = await relay.join(room.id, "aya")
    burst = limits.CHAT.burst
    for n in range(burst + 20):
        await aya.send(type="chat", id=f"m{n}", text="hi")
    for n in range(burst):
        assert (await aya.text("ack"))["id"] == f"m{n}"
    error = await aya.text("error")
    assert error["code"] == "too-fast"
    assert 0 < error["retryMs"] <= 1000 / limits.CHAT.per_s

    for n in range(limits.STRIKES + 60):
        await aya.send(type="chat", id=f"n{n}", text="hi")
    assert (await aya.closed()).code == 4005


# Coming back


async def test_leaving_is_seen_at_once(relay, room):
    aya = await relay.join(room.id, "aya")
    ben = await relay.join(room.id, "ben")
    await ben.send(type="leave")
    closed = await ben.closed()
    assert (closed.code, closed.bye["code"]) == (1000, 1000)

    left = await aya.text("left")
    assert (left["userId"], left["seat"], left["reason"]) == ("ben", ben.welcome["seat"], "left")
    cho = await relay.join(room.id, "cho")
    await cho.leave()  # a plain close 1000
    assert (await aya.text("left"))["userId"] == "cho"


async def test_a_lost_socket_keeps_its_seat_and_resumes_with_what_it_missed(relay, room):
    aya = await relay.join(room.id, "aya")
    ben = await relay.join(room.id, "ben")
    ben.vanish()
    await aya.text("joined")
    await aya.nothing()
    for n in range(3):
        await aya.send(type="chat", id=f"m{n}", text=f"line {n}")
        await aya.text("ack")

    back = await relay.resume(ben, offset=2)
    assert back.welcome["recovered"] is True
    assert back.welcome["seat"] == ben.welcome["seat"]
    assert (back.welcome["offset"], back.welcome["head"]) == (2, 5)
    assert back.welcome["history"] == []
    assert [(await back.text("chat"))["offset"] for _ in range(3)] == [3, 4, 5]
    await aya.nothing()


async def test_a_resume_from_a_log_that_is_gone_says_so(relay, room):
    aya = await relay.join(room.id, "aya")
    aya.vanish()
    back = await relay.resume(aya, offset=1, epoch="another")
    assert back.welcome["recovered"] is False
    assert back.welcome["offset"] == back.welcome["head"] == 1
    assert back.welcome["seat"] == aya.welcome["seat"]

    back.vanish()
    again = await relay.resume(back, offset=999)
    assert again.welcome["recovered"] is False


async def test_a_resume_token_survives_one_lost_welcome_and_no_more(relay, room):
    aya = await relay.join(room.id, "aya")
    aya.vanish()
    first = await relay.resume(aya, offset=1)
    first.vanish()  # its welcome never arrived
    second = await relay.resume(aya, offset=1)
    assert second.welcome["recovered"] is True
    second.vanish()

    third = await relay.open(room.id)
    await third.send(
        type="hello",
        resume={"token": aya.welcome["resume"], "epoch": aya.welcome["epoch"], "offset": 1},
    )
    assert (await third.closed()).code == 4102
    assert (await relay.resume(second, offset=1)).welcome["recovered"] is True


async def test_a_resume_token_is_bound_to_its_room(relay, room, state):
    aya = await relay.join(room.id, "aya")
    other = new_room()
    await state.show_room(other)
    thief = await relay.open(other.id)
    await thief.send(
        type="hello",
        resume={"token": aya.welcome["resume"], "epoch": aya.welcome["epoch"], "offset": 1},
    )
    assert (await thief.closed()).code == 4300


async def test_a_newer_session_takes_over_and_nobody_sees_it(relay, room):
    ben = await relay.join(room.id, "ben")
    old = await relay.join(room.id, "aya")
    await ben.text("joined")
    new = await relay.join(room.id, "aya")

    assert (await old.closed()).code == 4304
    assert new.welcome["seat"] == old.welcome["seat"]
    await ben.nothing()
    loser = await relay.open(room.id)
    await loser.send(
        type="hello",
        resume={"token": old.welcome["resume"], "epoch": old.welcome["epoch"], "offset": 2},
    )
    assert (await loser.closed()).code == 4304


async def test_a_second_socket_of_the_same_session_takes_over_without_a_gap(relay, room):
    aya = await relay.join(room.id, "aya")
    ben = await relay.join(room.id, "ben")
    await aya.text("joined")
    second = await relay.resume(ben, offset=2)
    await aya.send(type="chat", id="m", text="hi")

    assert (await second.text("chat"))["offset"] == 3
    assert second.welcome["recovered"] is True
    await ben.leave()  # the browser closes the old socket with 1000, which is not leaving
    await aya.text("chat")
    await aya.text("ack")
    await aya.nothing()


async def test_a_refresh_extends_the_session_in_place(relay, room):
    aya = await relay.join(room.id, "aya")
    ben = await relay.join(room.id, "ben")
    await aya.text("joined")
    await aya.send(type="refresh", ticket=ticket(room.id, "aya", role=Role.MODERATOR))

    member = await aya.text()
    assert (member["type"], member["userId"], member["role"]) == ("member", "aya", "moderator")
    refreshed = await aya.text()
    assert refreshed["type"] == "refreshed"
    assert refreshed["expiresIn"] == limits.SESSION_S
    assert (await ben.text("member"))["role"] == "moderator"
    aya.welcome["resume"] = refreshed["resume"]
    aya.vanish()
    assert (await relay.resume(aya, offset=2)).welcome["recovered"] is True


async def test_another_persons_ticket_does_not_refresh(relay, room):
    aya = await relay.join(room.id, "aya")
    await aya.send(type="refresh", ticket=ticket(room.id, "ben"))
    assert (await aya.text("error"))["code"] == "forbidden"


async def test_a_session_that_was_not_refreshed_ends(state, room, way):
    async with running_relay(state, way=way) as relay:
        aya = await relay.join(room.id, "aya")
        limit = limits.SESSION_S
        assert aya.welcome["expiresIn"] == limit
    now = time.time()
    async with running_relay(state, clock=lambda: now + limit + 1, way=way) as later:
        back = await later.open(room.id)
        await back.send(
            type="hello",
            resume={"token": aya.welcome["resume"], "epoch": aya.welcome["epoch"], "offset": 1},
        )
        assert (await back.closed()).code == 4100


async def test_a_silent_connection_is_pinged_and_then_closed(relay, room, monkeypatch):
    monkeypatch.setattr(limits, "PING_MS", 500)
    monkeypatch.setattr(limits, "PONG_S", 0.3)
    aya = await relay.join(room.id, "aya")
    silent = await relay.join(room.id, "ben")
    silent.answering = False
    task = asyncio.create_task(aya.closed())

    assert (await silent.closed()).code == 4004
    assert not task.done()
    task.cancel()


# Poses


async def test_poses_are_merged_into_one_frame_a_tick(relay, room):
    people = [await relay.join(room.id, name) for name in ("aya", "ben", "cho")]
    for n, person in enumerate(people):
        await person.pose(1, OWN + bytes([n]))

    for person in people:
        seen = {}
        while len(seen) < 3:
            _, poses = await person.tick()
            seen.update({seat: body for seat, _, body in poses})
        assert seen == {other.welcome["seat"]: OWN + bytes([n]) for n, other in enumerate(people)}


async def test_only_the_newest_pose_counts_and_stale_ones_are_dropped(relay, room):
    aya = await relay.join(room.id, "aya")
    ben = await relay.join(room.id, "ben")
    for seq in (65_535, 0, 2, 1):
        await aya.pose(seq, OWN + bytes([seq & 0xFF]))
    newest = None
    while newest != 2:
        _, poses = await ben.tick()
        (_, newest, body) = poses[-1]
        assert newest != 1
    assert body == OWN + b"\x02"
    await ben.nothing()


async def test_nothing_is_sent_while_nobody_moves(relay, room):
    aya = await relay.join(room.id, "aya")
    await aya.nothing(0.3)


async def test_a_newcomer_first_gets_everyones_last_pose(relay, room):
    aya = await relay.join(room.id, "aya")
    await aya.pose(7, OWN + b"here")
    await aya.tick()
    ben = await relay.join(room.id, "ben")

    snapshot, poses = await ben.tick()
    assert snapshot
    assert poses == [(aya.welcome["seat"], 7, OWN + b"here")]


async def test_a_keyframe_is_not_overtaken_within_its_tick(relay, room):
    aya = await relay.join(room.id, "aya")
    ben = await relay.join(room.id, "ben")
    keyframe, delta = bytes([1, 0x01, 9]), bytes([1, 0x00, 1, 9])
    bodies = []
    for start in range(0, 40, 2):
        await aya.socket.send(ticks.pose(start, keyframe))
        await aya.socket.send(ticks.pose(start + 1, delta))
    while [seq for seq, _ in bodies][-1:] != [39]:
        _, poses = await ben.tick()
        bodies += [(seq, body) for _, seq, body in poses]
    for (before, kind), (seq, body) in itertools.pairwise(bodies):
        if body == delta:
            assert (before, kind) == (seq - 1, keyframe)


async def test_spectators_are_seen_but_show_no_pose(relay, room):
    aya = await relay.join(room.id, "aya")
    eye = await relay.join(room.id, "eye", role=Role.SPECTATOR)
    await eye.pose(1, OWN)
    assert (await eye.text("error"))["code"] == "forbidden"
    await eye.send(type="chat", id="m", text="hi")
    assert (await eye.text("error"))["code"] == "forbidden"
    assert (await aya.text("joined"))["role"] == "spectator"
    await aya.nothing()


async def test_a_person_who_left_is_not_shown_to_newcomers(relay, room):
    aya = await relay.join(room.id, "aya")
    await aya.pose(1, OWN)
    ben = await relay.join(room.id, "ben")
    await ben.tick()
    await aya.leave()
    await ben.text("left")
    cho = await relay.join(room.id, "cho")
    await cho.nothing()


# Removal


async def test_a_removed_person_hears_why_and_the_others_see_it(state, room, way):
    from adapters.bus_memory import InProcessBus
    from vchat.bus_messages import Events, encode
    from vchat.state import Reason

    bus = InProcessBus()
    async with running_relay(state, bus, way=way) as relay:
        aya = await relay.join(room.id, "aya")
        functions = bus.instance("functions")
        for reason, code in ((Reason.KICKED, 4301), (Reason.BANNED, 4302)):
            ben = await relay.join(room.id, f"ben-{reason}")
            at, event = await state.leave(room.id, f"ben-{reason}", None, reason)
            await functions.publish(room.id, encode(Events.of(at.epoch, [event])))
            assert (await ben.closed()).code == code
            assert (await aya.text("left"))["reason"] == reason
        again = await relay.open(room.id)
        await again.send(type="hello", ticket=ticket(room.id, "ben-kicked"))
        assert (await again.closed()).code == 4301


async def test_the_end_of_a_room_ends_it_for_everyone(state, room, way):
    from adapters.bus_memory import InProcessBus
    from vchat import events
    from vchat.bus_messages import Events, encode

    bus = InProcessBus()
    async with running_relay(state, bus, way=way) as relay:
        people = [await relay.join(room.id, name) for name in ("aya", "ben")]
        at, event = await state.end_room(room, events.ended("owner"))
        await bus.instance("functions").publish(room.id, encode(Events.of(at.epoch, [event])))
        for person in people:
            assert (await person.text("ended"))["reason"] == "owner"
            assert (await person.closed()).code == 4303


async def test_a_muted_person_is_not_heard(state, room, way):
    from adapters.bus_memory import InProcessBus
    from vchat.bus_messages import Events, encode

    bus = InProcessBus()
    async with running_relay(state, bus, way=way) as relay:
        aya = await relay.join(room.id, "aya")
        at, event = await state.amend(room.id, "aya", {"muted": True})
        await bus.instance("functions").publish(room.id, encode(Events.of(at.epoch, [event])))
        assert (await aya.text("member"))["muted"] is True
        await aya.send(type="chat", id="m", text="hi")
        assert (await aya.text("error"))["code"] == "muted"


# When the state is away


async def test_without_the_state_events_are_refused_as_retryable_and_poses_flow(relay, room, redis):
    aya = await relay.join(room.id, "aya")
    ben = await relay.join(room.id, "ben")
    await aya.text("joined")
    real = relay.state._redis
    from adapters.state_redis import connect
    from tests.components import free_port

    away = RedisState(connect(f"redis://127.0.0.1:{free_port()}"))
    relay.state._redis, relay.state._script = away._redis, away._script
    try:
        await aya.send(type="chat", id="m", text="hi")
        error = await aya.text("error")
        assert (error["code"], error["id"]) == ("unavailable", "m")
        assert error["retryMs"] > 0
        await aya.pose(1, OWN)
        assert (await ben.tick())[1] == [(aya.welcome["seat"], 1, OWN)]
        stranger = await relay.open(room.id)
        await stranger.send(type="hello", ticket=ticket(room.id, "cho"))
        assert (await stranger.closed()).code == 1013
    finally:
        relay.state._redis = real
        relay.state._script = RedisState(real)._script
        await away.close()
    await aya.send(type="chat", id="m", text="hi")
    assert (await ben.text("chat"))["text"] == "hi"


async def test_while_the_state_is_away_no_connection_logs_an_error_of_its_own(
    room, monkeypatch, caplog
):
    monkeypatch.setattr("relay.conversation._KEEP_RESUME_S", 0.02)
    server = FakeServer()
    state = RedisState(FakeAsyncRedis(server=server))
    await state.show_room(room)
    async with running_relay(state) as relay:
        for user in ("aya", "ben"):
            await relay.join(room.id, user)
        server.connected = False
        while state.gauges.failed < 6:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.01)
        server.connected = True
    ours = [one for one in caplog.records if one.name == "vchat.relay"]
    assert [one for one in ours if one.levelno >= logging.ERROR] == []


async def test_a_wiped_state_sends_everyone_for_a_new_ticket(relay, room, redis):
    aya = await relay.join(room.id, "aya")
    await redis.flushall()
    for one in relay.relay.hub._rooms.values():
        await one.renew()
    assert (await aya.closed()).code == 4102


async def test_where_the_state_lost_its_last_writes_everyone_begins_anew(relay, room, redis):
    aya, ben = await relay.join(room.id, "aya"), await relay.join(room.id, "ben")
    kept = {key: await redis.dump(key) for key in await redis.keys()}
    for n in range(3):
        await aya.send(type="chat", id=f"lost{n}", text="lost")
        await ben.text("chat")
    await redis.flushall()
    for key, value in kept.items():
        await redis.restore(key, 0, value)
    await aya.send(type="chat", id="m", text="who hears me?")
    while (told := await aya.text()).get("id") != "m":
        pass
    assert (told["type"], told.get("code")) == ("error", "session-unknown")
    for one in relay.relay.hub.rooms:
        await one.renew()
    assert {(await one.closed()).code for one in (aya, ben)} == {4102}
    async with asyncio.timeout(20):
        while relay.relay.hub.rooms:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    back, other = await relay.join(room.id, "aya"), await relay.join(room.id, "ben")
    assert back.welcome["epoch"] != aya.welcome["epoch"]
    await back.send(type="chat", id="m", text="who hears me?")
    assert (await other.text("chat"))["text"] == "who hears me?"


# Fifty at once


async def test_fifty_people_see_each_other_and_lose_nothing(relay):
    room = new_room(capacity=50)
    await relay.state.show_room(room)
    people = await asyncio.gather(*(relay.join(room.id, f"user{n}") for n in range(50)))
    seats = {person.welcome["seat"] for person in people}
    assert len(seats) == 50
    histories = [[] for _ in people]
    shown = [set() for _ in people]

    async def listen(n: int) -> None:
        while len(histories[n]) < people[n].welcome["room"]["capacity"] or shown[n] != seats:
            frame = await people[n].next(20)
            if isinstance(frame, bytes):
                shown[n] |= {seat for seat, _, _ in ticks.parse_tick(frame)[3]}
            elif frame["type"] == "chat":
                histories[n].append(frame["offset"])

    async def talk(n: int) -> None:
        await people[n].send(type="chat", id="m", text=f"I am {n}")
        await people[n].pose(1, OWN + json.dumps(n).encode())

    await asyncio.gather(*(listen(n) for n in range(50)), *(talk(n) for n in range(50)))
    assert all(history == list(range(51, 101)) for history in histories)
