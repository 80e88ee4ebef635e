"""Meeting by chance: longest waiting first, nobody given away twice, nobody who is gone."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from adapters.matching_redis import RedisQueue
from tests.conftest import ManualClock
from tests.http_api import Guest, refused
from tests.identity_world import House
from tests.identity_world import _house as _house
from tests.identity_world import _log as _log
from vchat import limits
from vchat.errors import Refused
from vchat.ids import new_room_id
from vchat.matching import Match, Statistics, Waiter, Wishes, partners, suits
from vchat.tokens import read_ticket

NAMES = st.sampled_from(["u1", "u2", "u3"])
WAITERS = st.builds(
    Waiter,
    user_id=NAMES,
    name=st.just("x"),
    wishes=st.builds(
        Wishes,
        language=st.sampled_from([None, "ja", "en"]),
        interests=st.lists(st.sampled_from(["art", "music"]), max_size=2).map(tuple),
        avoid=st.lists(NAMES, max_size=2).map(tuple),
    ),
)


def waiter(user: str, **wishes) -> Waiter:
    return Waiter(user_id=user, name=user.title(), wishes=Wishes(**wishes))


@given(WAITERS, WAITERS)
def test_suiting_is_the_same_from_either_side(one, other):
    assert suits(one, other) == suits(other, one)
    assert not suits(one, one)
    if suits(one, other):
        assert other.user_id not in one.wishes.avoid


@given(WAITERS, st.lists(WAITERS))
def test_partners_keep_the_order_of_waiting(me, waiting):
    found = partners(me, waiting)
    assert found == [other for other in waiting if other in found]


@pytest.fixture(name="queue")
def _queue(redis: Redis, clock: ManualClock) -> RedisQueue:
    return RedisQueue(redis, clock=clock)


async def test_those_who_wait_are_seen_longest_first(queue, clock):
    for user in ("c", "a", "b"):
        assert await queue.wait(waiter(user), most_s=60) == 0
        clock.pass_s(1)
    assert [one.user_id for one in await queue.waiting(10)] == ["c", "a", "b"]
    assert [one.user_id for one in await queue.waiting(2)] == ["c", "a"]
    # Coming again keeps the place.
    assert await queue.wait(waiter("c", language="ja"), most_s=60) == 3000
    assert (await queue.waiting(1))[0] == waiter("c", language="ja")


async def test_of_many_who_take_the_same_partner_one_gets_them(queue):
    host = waiter("host")
    await queue.wait(host, most_s=60)
    guests = [waiter(f"guest{number}") for number in range(10)]
    for guest in guests:
        await queue.wait(guest, most_s=60)
    taken = await asyncio.gather(*(queue.pair(host, guest, new_room_id()) for guest in guests))
    assert Counter(taken) == {True: 1, False: 9}
    match = await queue.stay("host")
    assert isinstance(match, Match)
    assert match.partner_id == guests[taken.index(True)].user_id
    other = await queue.stay(match.partner_id)
    assert isinstance(other, Match)
    assert (other.room_id, other.host_id, other.partner_id) == (match.room_id, "host", "host")


async def test_who_vanished_is_never_paired(queue, clock):
    gone, here = waiter("gone"), waiter("here")
    await queue.wait(gone, most_s=600)
    clock.pass_s(limits.MATCH_LEASE_S + 1)
    await queue.wait(here, most_s=600)
    assert await queue.waiting(10) == (here,)
    assert not await queue.pair(gone, here, new_room_id())
    assert await queue.stay("gone") is None
    assert await queue.stay("here") == 0


async def test_who_left_is_never_paired_and_forgets_a_match(queue):
    one, other = waiter("one"), waiter("other")
    await queue.wait(one, most_s=60)
    await queue.wait(other, most_s=60)
    await queue.leave("one")
    assert not await queue.pair(one, other, new_room_id())
    await queue.wait(one, most_s=60)
    assert await queue.pair(other, one, new_room_id())
    await queue.leave("one")
    assert await queue.stay("one") is None
    assert isinstance(await queue.stay("other"), Match)


async def test_a_match_waits_to_be_asked_for_and_then_only_for_a_lost_answer(queue, clock):
    async def pair() -> None:
        for user in ("one", "other"):
            await queue.wait(waiter(user), most_s=60)
        assert await queue.pair(waiter("one"), waiter("other"), new_room_id())

    await pair()
    clock.pass_s(limits.MATCH_KEPT_S - 1)
    assert isinstance(await queue.stay("one"), Match)
    clock.pass_s(1)
    assert await queue.stay("one") is None

    await pair()
    await queue.took("one")
    for _ in range(3):  # asking again and again keeps it no longer
        clock.pass_s(limits.MATCH_LEASE_S / 3)
        await queue.took("one")
    assert await queue.stay("one") is None
    assert await queue.wait(waiter("one"), most_s=60) == 0
    assert isinstance(await queue.wait(waiter("other"), most_s=60), Match)
    await queue.took("nobody")
    assert await queue.stay("nobody") is None


async def test_nobody_waits_longer_than_they_want(queue, clock):
    await queue.wait(waiter("a"), most_s=20)
    clock.pass_s(10)
    assert await queue.stay("a") == 10_000
    clock.pass_s(10)
    assert await queue.stay("a") is None


async def test_statistics_tell_who_waits_and_how_long_it_took(queue, clock):
    assert await queue.statistics() == Statistics(0, 0, 0)
    await queue.wait(waiter("a"), most_s=60)
    clock.pass_s(10)
    await queue.wait(waiter("b"), most_s=60)
    await queue.wait(waiter("c"), most_s=60)
    await queue.pair(waiter("a"), waiter("b"), new_room_id())
    assert await queue.statistics() == Statistics(waiting=1, pairs=1, average_wait_ms=5000)


async def test_a_queue_that_cannot_be_reached_says_so():
    queue = RedisQueue(Redis(host="127.0.0.1", port=9, socket_connect_timeout=1))
    with pytest.raises(Refused) as caught:
        await queue.statistics()
    assert caught.value.code == "unavailable"


# Over HTTP


async def come(person: Guest, **wishes) -> dict:
    response = await person("POST", "/matching", wishes)
    assert response.status_code == 200, response.text
    return response.json()


async def look(person: Guest) -> dict:
    response = await person("GET", "/matching")
    assert response.status_code == 200, response.text
    return response.json()


async def test_two_meet_in_a_fresh_room_of_their_own(house: House):
    one, other, stranger = [await house.api.guest(name) for name in ("Aya", "Ben", "Cho")]
    assert (await come(one))["status"] == "waiting"
    house.clock.pass_s(3)
    mine = await come(other)
    theirs = await look(one)
    assert mine["status"] == theirs["status"] == "matched"
    assert mine["partner"] == {"userId": one.id, "name": "Aya"}
    assert theirs["partner"] == {"userId": other.id, "name": "Ben"}
    room = mine["roomId"]
    assert room == theirs["roomId"]
    for place, person in ((mine, other), (theirs, one)):
        ticket = read_ticket(
            place["ticket"],
            room,
            issuer=house.services.issuer,
            keys=house.services.keys.public,
            now=house.services.clock(),
        )
        assert ticket.user_id == person.id
        assert (await person.ticket(room)).status_code == 201  # and back again
    refused(await stranger.ticket(room), 403, "invite-required")
    shown = (await one("GET", f"/rooms/{room}")).json()
    assert (shown["capacity"], shown["ownerId"]) == (2, one.id)


async def test_a_crowd_that_comes_at_once_is_paired_without_a_rest(house: House):
    people = [await house.api.guest() for _ in range(10)]
    await asyncio.gather(*(come(person) for person in people))
    places = [await look(person) for person in people]
    assert all(place["status"] == "matched" for place in places)
    ids = [person.id for person in people]
    partner = {ids[n]: place["partner"]["userId"] for n, place in enumerate(places)}
    assert sorted(partner.values()) == sorted(ids)
    assert all(partner[partner[person]] == person for person in partner)
    assert len({place["roomId"] for place in places}) == 5


async def test_wishes_and_blocks_are_kept(house: House):
    one, other, third = [await house.api.guest() for _ in range(3)]
    await come(one, language="ja", interests=["Music"], avoid=[other.id])
    assert (await come(other, language="ja"))["status"] == "waiting"
    assert (await come(third, language="ja", interests=["ＭＵＳＩＣ"]))["partner"] == {
        "userId": one.id,
        "name": "さくら",
    }
    assert (await look(other))["status"] == "waiting"


async def matched(house: House) -> tuple[Guest, Guest, str]:
    """Two who were paired, the host first, and their room."""
    host, guest = await house.api.guest("Aya"), await house.api.guest("Ben")
    await come(host)
    room = (await come(guest))["roomId"]
    assert (await look(host))["roomId"] == room
    return host, guest, room


async def test_who_comes_back_from_a_match_waits_for_the_next(house: House):
    host, guest, room = await matched(house)
    assert (await come(guest))["roomId"] == room  # that answer might have been lost
    house.clock.pass_s(limits.MATCH_LEASE_S)
    assert (await come(host))["status"] == "waiting"
    assert (await come(guest))["roomId"] != room


@pytest.mark.parametrize("act", ["end", "kick", "ban", "lock", "fill"])
async def test_a_match_whose_room_takes_them_no_more_is_over(house: House, act):
    host, guest, room = await matched(house)
    if act == "end":
        await host("DELETE", f"/rooms/{room}")
        assert (await come(host))["status"] == "waiting"
    elif act == "lock":
        await host.moderate(room, "lock")
    elif act == "fill":
        invite = (await host("POST", f"/rooms/{room}/invites")).json()["invite"]
        for _ in range(2):
            await house.sit(room, await house.api.guest(), invite=invite)
    else:
        await host.moderate(room, act, userId=guest.id)
    assert (await look(guest))["status"] == "none"
    await house.services.queue.leave(host.id)
    assert (await come(guest))["status"] == "waiting"


async def test_who_asks_for_a_match_that_is_over_waits_at_once(house: House):
    host, guest, room = await matched(house)
    await host("DELETE", f"/rooms/{room}")
    assert (await come(guest))["status"] == "waiting"
    again = await come(host)
    assert (again["status"], again["partner"]["userId"]) == ("matched", guest.id)
    assert again["roomId"] != room


async def test_who_leaves_is_not_waiting(house: House):
    one, other = await house.api.guest(), await house.api.guest()
    await come(one)
    assert (await one("DELETE", "/matching")).status_code == 204
    assert (await look(one))["status"] == "none"
    assert (await come(other))["status"] == "waiting"
    stats = (await house.api("GET", "/matching/statistics")).json()
    assert stats == {"waiting": 1, "pairs": 0, "averageWaitMs": 0}


@pytest.mark.parametrize(
    "wishes",
    [
        {"language": "japanese"},
        {"language": "<script>"},
        {"interests": ["x" * 33]},
        {"interests": ["x"] * 11},
        {"interests": "music"},
        {"avoid": ["x"] * 101},
        {"avoid": ["x" * 65]},
        {"avoidRelays": ["x"] * 9},
        {"maxWaitS": 9},
        {"maxWaitS": 601},
    ],
)
async def test_wishes_out_of_bounds_are_refused(house: House, wishes):
    guest = await house.api.guest()
    refused(await guest("POST", "/matching", wishes), 400, "invalid-request")


async def test_matching_wants_a_sign_in_and_has_a_rate(house: House):
    refused(await house.api("POST", "/matching", {}), 401, "unauthenticated")
    guest = await house.api.guest()
    for _ in range(limits.MATCH_TRIES.burst):
        await come(guest)
    refused(await guest("POST", "/matching", {}), 429, "too-fast")


async def test_who_deletes_their_account_is_matched_with_nobody(house: House):
    gone, other = await house.api.guest(), await house.api.guest()
    assert (await gone("POST", "/matching", {})).json()["status"] == "waiting"
    assert (await gone("DELETE", "/me")).status_code == 204
    assert (await other("POST", "/matching", {})).json()["status"] == "waiting"
