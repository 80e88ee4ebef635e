"""Level of detail: everyone hears of everyone, of the near ones everything and at once, and nobody
is told more than a line can carry."""

import math

import pytest

from vchat.crowd import CAP_BYTES, TICKS_BETWEEN, Crowd, distance, square_of
from vchat.pose import Pose, PoseEncoder, Root
from vchat.pose_board import PoseBoard
from vchat.pose_body import LOWER, POSITION, ROTATION, UPPER, is_keyframe, root_position, thin
from vchat.ticks import parse_tick, tick

REST = (0.0, 0.0, 0.0, 1.0)


class Person:
    """Someone who stands at (x, 0, z) metres and waves: a body that changes with every step."""

    def __init__(self, seat: int, x: float, z: float) -> None:
        self.seat, self.x, self.z = seat, x, z
        self.encoder = PoseEncoder()
        self.seq = self.steps = 0

    def step(self, board: PoseBoard) -> None:
        self.steps += 1
        half = self.steps % 7 / 20
        turned = (0.0, math.sin(half), 0.0, math.cos(half))
        pose = Pose(
            root=Root((self.x, 0.0, self.z), REST),
            bones={"head": turned, "leftUpperLeg": turned, "hips": REST},
        )
        body = self.encoder.encode(pose, self.seq)
        if body is not None:
            board.put(self.seat, self.seq, body)
            self.seq += 1


class Dancer(Person):
    """Someone at the origin whose every body is a delta of 60 bytes with all of it changed."""

    def __init__(self, seat: int) -> None:
        super().__init__(seat, 0.0, 0.0)
        root = bytes.fromhex("000000000008") + bytes(4)
        self.body = bytes((1, POSITION | ROTATION | UPPER | LOWER, 1)) + root
        self.body += bytes((26,)) + bytes(26) + bytes((19,)) + bytes(19)

    def step(self, board: PoseBoard) -> None:
        board.put(self.seat, self.seq, self.body)
        self.seq += 1


def poses_in(entries: bytes) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {}
    for seat, _, body in parse_tick(tick(0, 0, entries))[3]:
        found.setdefault(seat, []).append(body)
    return found


class Hall:
    """A room with people in it, told tick by tick."""

    def __init__(self, *people: Person) -> None:
        self.board = PoseBoard()
        self.people = people
        self.crowd = Crowd(self.board)
        self.ticks = 0

    def tick(self) -> dict[int, dict[int, list[bytes]]]:
        """What each person is told of whom."""
        for person in self.people:
            person.step(self.board)
        changes = self.board.drain()
        if self.ticks % TICKS_BETWEEN == 0:
            self.crowd.regroup([person.seat for person in self.people])
        self.ticks += 1
        told = {square: poses_in(told) for square, told in self.crowd.tell(changes).items()}
        return {person.seat: told.get(self.crowd.square(person.seat), {}) for person in self.people}


def times_told(hall: Hall, viewer: int, of: int, ticks: int) -> list[bytes]:
    """The deltas `viewer` is told of `of` in so many ticks."""
    told = [body for _ in range(ticks) for body in hall.tick()[viewer].get(of, [])]
    return [body for body in told if not is_keyframe(body)]


@pytest.mark.parametrize(
    ("x", "every", "detail", "less"),
    [(5.0, 1, "near", "middle"), (25.0, 2, "middle", "far"), (95.0, 8, "far", None)],
)
def test_who_is_further_away_is_told_of_less_often_and_in_less_detail(x, every, detail, less):
    hall = Hall(Person(1, 5.0, 5.0), Person(2, x, 5.0))
    hall.tick()

    bodies = times_told(hall, 1, 2, 16)

    assert len(bodies) in {16 // every, 16 // every + 1}
    for body in bodies:
        assert thin(body, detail) == body
    if less is not None:
        assert any(thin(body, less) != body for body in bodies)


def test_keyframes_reach_everyone_whole_and_at_once():
    hall = Hall(Person(1, 0.0, 0.0), Person(2, 100.0, 0.0))
    first = hall.tick()

    [body] = first[1][2]
    assert is_keyframe(body)
    assert body == hall.board.last([2])[6:]


def test_what_changed_last_is_told_in_the_end_to_everyone_however_far():
    near, far = Person(1, 0.0, 0.0), Person(2, 100.0, 0.0)
    hall = Hall(near, far)
    hall.tick()
    far.x = 110.0
    hall.tick()
    last = hall.board.places()[2]
    hall.people = (near,)  # the far one rests from now on

    told = [body for _ in range(8) for body in hall.tick()[1].get(2, [])]

    assert root_position(told[-1]) == last == (110.0, 0.0)


def test_a_far_pose_is_not_told_twice():
    hall = Hall(Person(1, 0.0, 0.0), Person(2, 100.0, 0.0))
    for _ in range(20):
        hall.tick()
    hall.people = ()
    for _ in range(8):
        hall.tick()

    assert not hall.crowd.waiting
    assert hall.crowd.tell(hall.board.drain()) == {}


def test_who_comes_near_those_at_rest_is_shown_them_whole():
    rests, walks = Person(1, 0.0, 0.0), Person(2, 200.0, 0.0)
    hall = Hall(rests, walks)
    hall.tick()
    walks.x = 3.0
    walks.step(hall.board)

    moved = hall.crowd.regroup([1, 2])

    assert set(poses_in(moved[2])) == {1, 2}
    assert 1 not in moved


def test_an_applications_own_poses_go_to_everyone_untouched():
    hall = Hall(Person(1, 0.0, 0.0))
    hall.board.put(7, 1, b"\xc8anything")
    hall.crowd.regroup([1])

    told = hall.crowd.tell(hall.board.drain())

    assert poses_in(told[square_of((0.0, 0.0))])[7] == [b"\xc8anything"]


def test_a_pose_that_cannot_be_understood_is_left_out_far_away_and_harms_nobody():
    hall = Hall(Person(1, 0.0, 0.0), Person(2, 25.0, 0.0))
    for _ in range(3):
        hall.tick()
    hall.board.put(2, 1000, b"\x01\x12\x01")  # flags of a position that is not there

    for _ in range(16):
        for told in hall.tick().values():
            for bodies in told.values():
                assert bodies


def test_a_dense_crowd_is_told_less_and_a_thin_one_more_again():
    people = [Dancer(seat) for seat in range(400)]
    hall = Hall(*people)
    seconds = []
    for _ in range(6):
        ticks = [hall.tick()[0] for _ in range(TICKS_BETWEEN)]
        seconds.append(
            sum(len(b) + 6 for told in ticks for bodies in told.values() for b in bodies)
        )

    assert seconds[0] > CAP_BYTES
    assert max(seconds[2:]) < CAP_BYTES / 2

    hall.people = tuple(people[:5])
    for seat in range(5, 400):
        hall.board.forget(seat)
    for _ in range(4 * TICKS_BETWEEN):
        hall.tick()
    assert all(1 in hall.tick()[0] for _ in range(10))


def test_someone_who_left_is_told_of_no_more():
    hall = Hall(Person(1, 0.0, 0.0), Person(2, 100.0, 0.0))
    for _ in range(3):
        hall.tick()
    hall.board.forget(2)
    hall.people = hall.people[:1]

    assert all(2 not in hall.tick()[1] for _ in range(TICKS_BETWEEN))


def test_squares_count_distance_in_rings():
    assert distance((0, 0), (1, -1)) == 0
    assert distance((0, 0), (-2, 0)) == 1
    assert distance((0, 0), (3, 3)) == 1
    assert distance((0, 0), (0, 4)) == 2
    assert square_of((-0.1, 10.0)) == (-1, 1)


def test_who_was_behind_gets_the_missed_keyframes_and_of_the_rest_what_is_seen_from_there():
    people = [Person(seat, 60.0 * (seat % 10), 60.0 * (seat // 10)) for seat in range(100)]
    hall = Hall(*people)
    for _ in range(3):
        hall.tick()
    missed = {7, 42}
    for seat in missed:
        people[seat].encoder = PoseEncoder()  # its next pose is a keyframe
    hall.tick()
    hall.tick()

    told = poses_in(hall.crowd.catch_up(hall.crowd.square(0), missed))

    assert {seat for seat, bodies in told.items() if is_keyframe(bodies[0])} == missed
    for seat, (*_, last) in told.items():
        whole = hall.board.last([seat])[6:]
        assert last == (whole if seat == 0 else thin(whole, "far")), seat
    assert len(told) == 100
    size = len(hall.crowd.catch_up(hall.crowd.square(0), missed))
    assert size < len(hall.board.snapshot()) / 3


def test_who_comes_anew_or_missed_too_much_gets_every_keyframe():
    hall = Hall(*(Person(seat, 60.0 * seat, 0.0) for seat in range(5)))
    hall.tick()
    hall.tick()

    told = poses_in(hall.crowd.catch_up((0, 0), None))

    assert all(is_keyframe(bodies[0]) for bodies in told.values())
    assert set(told) == set(range(5))
