"""The lobby's socket: keeps the place of who waits, tells of the match, and lets go."""

import asyncio
import json
import time

import pytest
from fakeredis import FakeAsyncRedis
from websockets.exceptions import InvalidStatus

from adapters.matching_redis import RedisQueue
from adapters.state_redis import RedisState
from tests.http_api import Guest
from tests.meeting import Meeting
from tests.meeting import _meeting as _meeting
from tests.relays import ISSUER, ORIGIN, RING, Browser, open_socket, running_relay, ticket
from vchat import limits
from vchat.ids import new_room_id
from vchat.matching import Waiter, Wishes
from vchat.tokens import ACCESS, LOBBY, sign


async def come(person: Guest, **wishes: object) -> dict:
    response = await person("POST", "/matching", wishes)
    assert response.status_code == 200, response.text
    return response.json()


async def attend(place: dict, **options) -> Browser:
    browser = await open_socket(place["url"], **options)
    await browser.send(type="hello", ticket=place["ticket"])
    return browser


def lobby_ticket(kind=LOBBY, **changes) -> str:
    fields = {"issuer": ISSUER, "kid": RING.kid, "key": RING.signing, "now": 0, **changes}
    return sign(kind, {"sub": "u1"}, **fields)


async def test_who_waits_is_told_of_the_match_at_once(meeting: Meeting):
    one, other = await meeting.api.guest("Aya"), await meeting.api.guest("Ben")
    browser = await attend(await come(one))
    waiting = await browser.text("waiting")
    assert waiting["waiting"] == 1
    theirs = await come(other)
    assert theirs["status"] == "matched"
    matched = await browser.text("matched")
    assert matched["roomId"] == theirs["roomId"]
    assert matched["partner"] == {"userId": other.id, "name": "Ben"}
    assert (await browser.closed()).code == 1000
    mine = (await one("GET", "/matching")).json()
    assert mine["roomId"] == theirs["roomId"]
    for place in (mine, theirs):
        inside = await meeting.knock(place["roomId"], 0, ticket=place["ticket"])
        assert (await inside.text("welcome"))["room"]["capacity"] == 2


async def test_neither_lobby_nor_room_is_at_a_relay_that_could_not_be_reached(meeting: Meeting):
    one, other = await meeting.api.guest(), await meeting.api.guest()
    first = (await come(one))["url"]
    place = await come(one, avoidRelays=[first])
    assert place["url"] != first
    await (await attend(place)).text("waiting")
    matched = await come(other, avoidRelays=[place["url"]])
    assert matched["url"] == f"{first.removesuffix('/lobby')}/rooms/{matched['roomId']}"


async def test_being_connected_keeps_the_place(meeting: Meeting):
    guest = await meeting.api.guest()
    browser = await attend(await come(guest))
    await browser.text("waiting")
    redis = meeting.services.state._redis
    soon = await redis.zscore("vchat:{matching}:alive", guest.id)
    while await redis.zscore("vchat:{matching}:alive", guest.id) == soon:
        await browser.text("waiting")
    await browser.leave()
    assert (await meeting.services.queue.statistics()).waiting == 1  # until the lease ends


async def test_who_went_without_a_word_does_not_keep_the_place(monkeypatch):
    monkeypatch.setattr(limits, "PING_MS", 50)
    monkeypatch.setattr(limits, "PONG_S", 0.2)
    monkeypatch.setattr("relay.lobby._LOOK_S", 0.02)
    redis = FakeAsyncRedis()
    queue = RedisQueue(redis)
    await queue.wait(Waiter(user_id="u1", name="Aya", wishes=Wishes()), most_s=60)
    async with running_relay(RedisState(redis), queue=queue) as relay:
        place = {"url": f"{relay.url}/lobby", "ticket": lobby_ticket(now=int(time.time()))}
        browser = await attend(place, ping_interval=None)
        for _ in range(20):  # who answers pings, as every browser does by itself, stays
            await browser.text("waiting")
        browser.socket.transport.pause_reading()
        async with asyncio.timeout(5):
            while relay.relay.hub.doors.open:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.02)
        browser.socket.transport.resume_reading()
        closed = await browser.closed()
        assert (closed.code, closed.bye["code"]) == (4004, 4004)


async def test_who_leaves_the_queue_is_let_go(meeting: Meeting):
    guest = await meeting.api.guest()
    browser = await attend(await come(guest))
    await browser.text("waiting")
    await guest("DELETE", "/matching")
    assert (await browser.text("unmatched"))["type"] == "unmatched"
    assert (await browser.closed()).code == 1000


async def test_a_lobby_ticket_works_once(meeting: Meeting):
    place = await come(await meeting.api.guest())
    await (await attend(place)).text("waiting")
    assert (await (await attend(place)).closed()).code == 4101


@pytest.mark.parametrize(
    ("hello", "code"),
    [
        (lobby_ticket(), 4100),
        (lobby_ticket(ACCESS), 4300),
        (lobby_ticket(issuer="https://evil.test"), 4300),
        (ticket(new_room_id(), "u1"), 4300),
        ("junk", 4300),
    ],
    ids=["expired", "an access token", "another issuer", "a room's ticket", "junk"],
)
async def test_other_tickets_do_not_open_the_lobby(meeting: Meeting, hello, code):
    place = {"url": f"{meeting.relays[0].url}/lobby", "ticket": hello}
    closed = await (await attend(place)).closed()
    assert (closed.code, closed.bye["code"]) == (code, code)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{}", 4006),
        ('{"type":"leave"}', 4006),
        ("x" * 20_000, 4006),
        ("", 4305),
        ("[", 4305),
        (b"\x01", 4305),
    ],
)
async def test_who_does_not_say_hello_is_sent_away(meeting: Meeting, frame, code):
    browser = await open_socket(f"{meeting.relays[0].url}/lobby")
    await browser.socket.send(frame)
    assert (await browser.closed()).code == code


async def test_silence_is_sent_away(meeting: Meeting, monkeypatch):
    monkeypatch.setattr(limits, "HELLO_S", 0.05)
    browser = await open_socket(f"{meeting.relays[0].url}/lobby")
    assert (await browser.closed()).code == 4006


async def test_pages_of_foreign_origins_are_sent_away(meeting: Meeting):
    place = await come(await meeting.api.guest())
    closed = await (await attend(place, origin="https://evil.test")).closed()
    assert closed.code == 4307
    assert await (await attend(place, origin=ORIGIN)).text("waiting")


async def test_a_request_that_is_no_socket_is_told_so(meeting: Meeting):
    with pytest.raises(InvalidStatus) as caught:
        await open_socket(f"{meeting.relays[0].url}/lobby", subprotocols=["other"])
    assert caught.value.response.status_code == 400


async def test_a_queue_that_goes_away_says_come_back(meeting: Meeting, monkeypatch):
    browser = await attend(await come(await meeting.api.guest()))
    await browser.text("waiting")

    async def away(**_):
        raise ConnectionError

    monkeypatch.setattr(meeting.services.queue, "_script", away)
    assert (await browser.closed()).code == 1013


async def test_nothing_a_browser_says_while_waiting_disturbs(meeting: Meeting):
    browser = await attend(await come(await meeting.api.guest()))
    await browser.text("waiting")
    for frame in ("{}", "x", json.dumps({"type": "hello", "ticket": "x"})):
        await browser.socket.send(frame)
    await browser.socket.send(b"\x00\x01")
    assert await browser.text("waiting")
    async with asyncio.timeout(5):
        await browser.leave()
