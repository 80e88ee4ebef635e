"""A token bucket gives what its rate says, also to those who take ahead."""

from vchat.limits import Rate
from vchat.rates import Bucket

RATE = Rate(burst=10, per_s=5)


def test_a_burst_is_given_at_once_and_then_the_time_to_the_next_is_told():
    bucket = Bucket(RATE, 0.0)

    assert [bucket.take(0.0) for _ in range(10)] == [0] * 10
    assert bucket.take(0.0) == 200
    assert bucket.take(0.1) == 100
    assert bucket.take(0.2) == 0


def test_what_is_taken_ahead_is_gone():
    bucket = Bucket(RATE, 0.0)

    assert bucket.take(0.0) == 0
    assert bucket.take_ahead(6) == 6
    assert bucket.take_ahead(6) == 3
    assert bucket.take_ahead(6) == 0
    assert bucket.take(0.0) > 0


def test_nobody_gets_more_in_the_long_run_by_taking_ahead():
    bucket = Bucket(RATE, 0.0)
    given = 0
    for step in range(1000):
        if not bucket.take(step / 100):
            given += 1 + bucket.take_ahead(20)

    assert given <= RATE.burst + RATE.per_s * 10
