"""Nothing is lost, repeated or reordered under faults; and the checker would notice if it were."""

import json

import pytest

from tests.emulators import installed
from tests.faults.history import Acked, Entry, Heard, Welcomed, judge
from tests.faults.run import run
from tests.faults.schedule import Fault, Kind, schedule
from tests.faults.world import lasting_redis
from vchat import limits


def chat(offset: int, user: str = "mei", message_id: str | None = None) -> str:
    return json.dumps(
        {"offset": offset, "type": "chat", "id": message_id or f"m{offset}", "userId": user}
    )


def heard(*offsets: int) -> list[Entry]:
    return [Heard(offset, chat(offset)) for offset in offsets]


LOGS = {"e": {offset: chat(offset) for offset in range(1, 6)}}
CAME = Welcomed("e", 0, recovered=False)
WHOLE = [CAME, *heard(1, 2, 3), Welcomed("e", 3, recovered=True), *heard(4, 5), Acked("m2", 2)]


def counts(history: list[Entry], logs=LOGS, final: str = "e") -> dict[str, int]:
    verdict = judge({"mei": history}, logs, final)
    names = ("lost", "repeated", "reordered", "wiped", "resets")
    found = {name: getattr(verdict, name) for name in names}
    assert bool(verdict.problems) == any(found[name] for name in names[:3])
    return {name: count for name, count in found.items() if count}


def test_a_history_without_holes_over_a_resume_breaks_no_promise():
    assert counts(WHOLE) == {}
    assert judge({"mei": WHOLE}, LOGS, "e").acked == 1


def test_an_event_that_is_skipped_is_lost():
    assert counts([CAME, *heard(1, 2, 4, 5)]) == {"lost": 1}


def test_an_event_that_comes_twice_is_repeated():
    assert counts([CAME, *heard(1, 2, 2, 3, 4, 5)]) == {"repeated": 1}


def test_an_event_that_comes_after_a_later_one_is_lost_and_reordered():
    assert counts([CAME, *heard(1, 3, 2, 4, 5)]) == {"lost": 1, "reordered": 1}


def test_a_resume_that_leaves_a_silent_hole_loses():
    hole = [CAME, *heard(1, 2), Welcomed("e", 4, recovered=True), *heard(5)]
    assert counts(hole) == {"lost": 1}


def test_a_hole_that_is_announced_is_a_reset():
    told = [CAME, *heard(1, 2), Welcomed("e", 4, recovered=False), *heard(5)]
    assert counts(told) == {"resets": 1}


def test_a_hole_that_is_announced_to_who_resumes_in_a_log_that_has_it_all_is_lost():
    resumed = Welcomed("e", 4, recovered=False, resumed=True)
    assert counts([CAME, *heard(1, 2), resumed, *heard(5)]) == {"lost": 1, "resets": 1}


def test_a_hole_of_more_than_a_log_keeps_is_a_reset():
    head = 2 + limits.LOG_EVENTS + 1
    logs = {"e": {offset: chat(offset) for offset in range(1, head + 1)}}
    resumed = Welcomed("e", head, recovered=False, resumed=True)
    assert counts([CAME, *heard(1, 2), resumed], logs) == {"resets": 1}


def test_another_event_under_the_same_number_is_told():
    other = Heard(5, chat(5, "yuki"))
    assert counts([CAME, *heard(1, 2, 3, 4), other]) == {"reordered": 1}


def test_what_was_not_delivered_by_the_end_is_lost():
    assert counts([CAME, *heard(1, 2, 3)]) == {"lost": 2}


@pytest.mark.parametrize("ack", [Acked("m9", 9), Acked("m2", 3)], ids=["beyond", "elsewhere"])
def test_an_acknowledged_message_that_is_not_where_it_was_said_to_be_is_lost(ack):
    assert counts([CAME, *heard(1, 2, 3, 4, 5), ack]) == {"lost": 1}


def test_a_message_stored_under_two_numbers_is_repeated():
    frames = {1: chat(1), 2: chat(2, message_id="m1")}
    history = [CAME, *(Heard(offset, frame) for offset, frame in frames.items())]
    assert counts(history, {"e": frames}) == {"repeated": 1}


def test_what_was_flushed_with_its_log_is_counted_apart():
    flushed = [*WHOLE, Welcomed("f", 0, recovered=False), Heard(1, chat(1))]
    assert counts(flushed, {**LOGS, "f": {1: chat(1)}}, "f") == {"wiped": 1, "resets": 1}


def test_whoever_did_not_come_back_after_a_flush_is_a_problem():
    assert judge({"mei": WHOLE}, {**LOGS, "f": {}}, "f").problems


def test_a_seed_always_gives_the_same_faults():
    assert schedule(3, 50) == schedule(3, 50) != schedule(4, 50)
    assert {fault.kind for fault in schedule(3, 500)} == set(Kind)


def fault(kind: Kind, which: int = 0, *, seconds: float = 0.0, pause: float = 0.5) -> Fault:
    return Fault(kind, which, seconds, pause)


SHORT = [
    fault(Kind.RELAY_KILLED, 0),
    fault(Kind.RELAY_FROZEN, 1, seconds=2),
    fault(Kind.RELAY_TERMINATED, 1),
    fault(Kind.RELAY_WITHOUT_STATE, 0, seconds=1),
    fault(Kind.BUS_KILLED, seconds=0.5),
    fault(Kind.RELAY_WITHOUT_BUS, 1, seconds=1),
    fault(Kind.STATE_RESTARTED, seconds=0.5, pause=2),
    fault(Kind.CLOCK_STEPPED, 0, pause=3),
    fault(Kind.CLIENT_CUT, 1),
    fault(Kind.CLIENT_SILENT, 0, seconds=2),
]
"""The short run of every test run; the flush and the long freeze are in `make faults`."""
GHOST_S = 2 * (limits.LEASE_S + limits.RENEW_S)
"""Twice the promise: CI's machines are slow, and times are not what is judged here."""


async def test_ten_faults_lose_repeat_and_reorder_nothing_and_leave_nobody_behind(tmp_path, pubsub):
    installed("redis")
    redis = lasting_redis(tmp_path / "redis")
    redis.start()
    try:
        result = await run(
            7, SHORT, redis, pubsub, tmp_path, relays=2, rooms=1, people=4, ghost_s=GHOST_S
        )
    finally:
        redis.stop()
    assert result.verdict.problems == []
    assert result.good, result.line()
    assert result.faults == len(SHORT)
    assert result.verdict.acked > 0
    assert len(result.ghosts_s) == 1
