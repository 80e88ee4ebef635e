"""Which relay serves a room."""

from collections import Counter

from vchat.ids import new_room_id
from vchat.sharding import relay_for

RELAYS = [f"wss://relay-{n}.example" for n in range(4)]
ROOMS = [new_room_id() for _ in range(2000)]


def test_everyone_agrees_in_whatever_order_they_know_the_relays():
    assert all(relay_for(room, RELAYS) == relay_for(room, RELAYS[::-1]) for room in ROOMS)


def test_rooms_spread_evenly():
    # 500 each; six standard deviations are 116.
    assert all(abs(n - 500) < 116 for n in Counter(relay_for(r, RELAYS) for r in ROOMS).values())


def test_who_cannot_reach_a_relay_meets_the_others_at_the_next():
    for room in ROOMS:
        first = relay_for(room, RELAYS)
        rest = [url for url in RELAYS if url != first]
        second = relay_for(room, RELAYS, [first])
        assert second == relay_for(room, rest)
        assert relay_for(room, RELAYS, [f"{second}/rooms/x", first]) not in (first, second)


def test_avoiding_every_relay_or_none_of_ours_changes_nothing():
    for room in ROOMS[:100]:
        first = relay_for(room, RELAYS)
        assert relay_for(room, RELAYS, RELAYS) == first
        assert relay_for(room, RELAYS, [f"{first}x", "", "wss://elsewhere.example"]) == first


def test_a_relay_that_goes_moves_only_its_own_rooms():
    gone, rest = RELAYS[0], RELAYS[1:]
    for room in ROOMS:
        before = relay_for(room, RELAYS)
        assert before == gone or relay_for(room, rest) == before
