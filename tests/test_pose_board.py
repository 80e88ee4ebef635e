"""The board of poses: frames read together show what they would show put up one by one."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from vchat import ticks
from vchat.errors import Refused, Why
from vchat.pose_board import Pose, PoseBoard

BODIES = st.one_of(
    st.binary(max_size=4),
    st.builds(lambda flags, rest: bytes((1, flags)) + rest, st.integers(0, 255), st.binary()),
    st.builds(lambda form: bytes((form,)), st.integers(0, 255)),
    st.just(b"\xc8" + bytes(511)),
    st.just(b"\xc8" + bytes(512)),
)
FRAMES = st.one_of(
    st.binary(max_size=6),
    st.builds(lambda seq, body: ticks.pose(seq & 0xFFFF, body), st.integers(-3, 6), BODIES),
)


@dataclass
class Person:
    """Someone whose poses are judged good, with so much credit each time."""

    seat: int
    grant: int = 0
    credit: int = 0
    heard: bool = False
    good: bool = True
    judged: int = 0
    rejected: list[Why] = field(default_factory=list)

    def judge(self) -> bool:
        self.judged += 1
        self.credit = self.grant
        return self.good

    def reject(self, refused: Refused) -> None:
        self.rejected.append(refused.why)


def put_one_by_one(board: PoseBoard, came: list[tuple[Person, bytes]]) -> tuple[list[Pose], int]:
    moves, bad = [], 0
    for person, frame in came:
        try:
            seq, body = ticks.parse_pose(frame)
        except Refused:
            bad += 1
            continue
        if board.put(person.seat, seq, body):
            moves.append((person.seat, seq, body))
    return moves, bad


@given(st.lists(st.lists(st.tuples(st.integers(1, 3), FRAMES), max_size=12), max_size=4))
def test_frames_read_together_show_what_they_would_show_one_by_one(several):
    people = {seat: Person(seat) for seat in (1, 2, 3)}
    together, one_by_one = PoseBoard(), PoseBoard()
    for tick in several:
        came = [(people[seat], frame) for seat, frame in tick]
        before = sum(len(person.rejected) for person in people.values())
        moves: list[Pose] = []
        assert together.read(came, moves) == sum(len(frame) for _, frame in came)
        told, bad = put_one_by_one(one_by_one, came)

        assert moves == told
        assert sum(len(person.rejected) for person in people.values()) - before == bad
        assert together.drain() == one_by_one.drain()
        assert together.snapshot() == one_by_one.snapshot()


def test_poses_are_judged_when_the_credit_is_used_up():
    person = Person(1, grant=2)
    board = PoseBoard()
    board.read([(person, ticks.pose(seq, b"\xc8")) for seq in range(7)], None)

    assert person.judged == 3  # the first, and one after each two
    assert person.heard


def test_what_is_judged_bad_is_not_shown_and_not_even_looked_at():
    person = Person(1, good=False)
    board = PoseBoard()
    moves: list[Pose] = []
    board.read([(person, ticks.pose(1, b"\xc8")), (person, b"no pose")], moves)

    assert not len(board)
    assert not moves
    assert not person.rejected


def test_a_new_connection_may_count_from_anywhere():
    person = Person(1)
    board = PoseBoard()
    board.read([(person, ticks.pose(500, b"\xc8"))], None)
    board.restart(1)
    moves: list[Pose] = []
    board.read([(person, ticks.pose(3, b"\xc8")), (person, ticks.pose(2, b"\xc8"))], moves)

    assert moves == [(1, 3, b"\xc8")]
