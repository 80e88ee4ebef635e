"""Events that arrive at least once and in any order."""

from vchat.events import Event
from vchat.sequencer import _AHEAD, Sequencer


def event(offset: int, body: bytes = b'{"type":"chat"}') -> Event:
    return Event(offset, 0, body)


def offsets(events: list[Event]) -> list[int]:
    return [one.offset for one in events]


def test_each_event_is_given_out_once_and_in_order():
    sequencer = Sequencer()
    sequencer.begin("e", 0)
    given = [offsets(sequencer.take("e", event(n))) for n in (2, 1, 2, 1, 4, 3)]
    assert given == [[], [1, 2], [], [], [], [3, 4]]
    assert not sequencer.gap


def test_however_many_are_ahead_the_one_whose_turn_it_is_has_room():
    sequencer = Sequencer()
    sequencer.begin("e", 0)
    for offset in range(2, 2 + 2 * _AHEAD):
        sequencer.take("e", event(offset))
    given = offsets(sequencer.take("e", event(1)))
    assert given == list(range(1, 2 + _AHEAD))


def test_what_came_before_the_start_waits_for_its_turn():
    sequencer = Sequencer()
    sequencer.take("e", event(7))
    sequencer.begin("e", 5)
    assert offsets(sequencer.take("e", event(6))) == [6, 7]


def test_what_waits_for_an_event_that_will_never_come_can_be_forgotten():
    sequencer = Sequencer()
    sequencer.begin("e", 1)
    for offset in (3, 9):
        sequencer.take("e", event(offset))
    early = sequencer.early
    assert early == {3, 9}
    assert offsets(sequencer.take("e", event(2))) == [2, 3]
    sequencer.take("e", event(11))
    assert sequencer.drop(early) == 1
    assert sequencer.early == {11}


def test_a_late_echo_of_a_wiped_log_never_stands_in_for_an_event_of_the_new_one():
    sequencer = Sequencer()
    sequencer.take("old", event(2, b"from the log before"))
    sequencer.begin("new", 0)
    sequencer.take("old", event(3, b"from the log before"))
    assert not sequencer.gap
    assert offsets(sequencer.take("new", event(1))) == [1]
    assert [one.body for one in sequencer.take("new", event(2, b"new"))] == [b"new"]
