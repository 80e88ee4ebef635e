"""Level of detail in a full room: what each person is told of the others, by distance and by need.

The floor is cut into squares, and all who stand in one square are told the same, so that the work
grows with the squares and what is seen from them, not with people times people.

    near    the own square and those around it     everything       every tick
    middle  the next two rings of squares          upper body       every 2nd tick
    far     the rest                               where they are   every 8th tick

Keyframes go to everyone whole: deltas refer to them, also those of a person who comes near later.
A square that was told too much in the last second is told of everyone as if they stood one step
further away, up to twice; one that was told little takes the step back. Poses in an application's
own format are told everyone at once: only the application knows what may be left out of them.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from math import floor

from vchat.pose_board import Changes, PoseBoard
from vchat.pose_body import Detail

SQUARE_M = 10.0
TICKS_BETWEEN = 20
"""Ticks after which people are put into squares anew and what was told is summed up."""
CAP_BYTES = 128 * 1024
"""What one person is told in that time, about, before detail is lowered."""
_EASY_BYTES = (0, CAP_BYTES // 4, CAP_BYTES // 12)
"""With less than this, by strain, the step back will not go over the cap at once: a step makes up
to 3 times as much of middle detail, and 10 times as much of far."""

Square = tuple[int, int]
_DETAIL: tuple[Detail, ...] = ("near", "middle", "far")
_EVERY = (1, 2, 8)
_FARTHEST = len(_DETAIL) - 1


def square_of(place: tuple[float, float]) -> Square:
    return floor(place[0] / SQUARE_M), floor(place[1] / SQUARE_M)


def distance(a: Square, b: Square) -> int:
    """0 near, 1 middle, 2 far."""
    rings = max(abs(a[0] - b[0]), abs(a[1] - b[1]))
    return 0 if rings <= 1 else 1 if rings <= 3 else 2


@dataclass(slots=True)
class _View:
    """What is seen from one square: the squares with someone in them, by their distance."""

    strain: int
    squares: tuple[list[Square], ...] = field(default_factory=lambda: ([], [], []))
    told: int = 0


Waiting = tuple[set[int], ...]
"""Those in one square of whom a delta is still to be told, for each distance."""


class Crowd:
    """The squares of one room. Seats without a place stand at the origin."""

    def __init__(self, board: PoseBoard) -> None:
        self._board = board
        self._squares: dict[int, Square] = {}
        self._views: dict[Square, _View] = {}
        self._waiting: dict[Square, Waiting] = {}
        self._count = 0
        self.watching: Counter[Square] = Counter()
        """How many of those who are told stood in each square when people were last grouped."""

    @property
    def waiting(self) -> bool:
        """Whether somebody is still to be told something that has changed."""
        return any(seats for levels in self._waiting.values() for seats in levels)

    def square(self, seat: int) -> Square:
        return self._squares.get(seat, (0, 0))

    def regroup(self, watchers: Collection[int]) -> dict[int, bytes]:
        """Put everyone into the square they stand in; `watchers` are the seats of those to be told.
        For each of them who has come into another square: the last entries of those near it."""
        before = self._squares
        self._squares = {seat: square_of(at) for seat, at in self._board.places().items()}
        people: dict[Square, set[int]] = {}
        for seat in self._board.seats():
            people.setdefault(self.square(seat), set()).add(seat)
        owed = [set[int]().union(*level) for level in zip(*self._waiting.values(), strict=True)]
        self._waiting = {
            square: tuple(level & seats for level in owed) or _nobody()
            for square, seats in people.items()
        }
        self.watching = Counter(map(self.square, watchers))
        self._views = {square: self._view(square, people) for square in self.watching}
        moved = {}
        for seat in watchers:
            square = self.square(seat)
            if before.get(seat, square) != square:
                near = self._views[square].squares[0]
                moved[seat] = self._board.last(one for other in near for one in people[other])
        return moved

    def _view(self, square: Square, others: Iterable[Square]) -> _View:
        old = self._views.get(square) or _View(0)
        strain = old.strain + (old.told > CAP_BYTES) - (old.told < _EASY_BYTES[old.strain])
        view = _View(min(_FARTHEST, max(0, strain)))
        for other in others:
            view.squares[min(_FARTHEST, distance(square, other) + view.strain)].append(other)
        return view

    def tell(self, changes: Changes) -> dict[Square, bytes]:
        """The entries to tell those in each square in this tick; to be called once for each."""
        self._count += 1
        for seat in changes.keyed:
            for level in self._waiting.get(self.square(seat), ()):
                level.discard(seat)
        for seat in changes.turned:
            for level in self._waiting.setdefault(self.square(seat), _nobody()):
                level.add(seat)
        due: tuple[dict[Square, bytes], ...] = ({}, {}, {})
        for order, (square, levels) in enumerate(self._waiting.items()):
            for step, seats in enumerate(levels):
                # Squares take turns, so that no tick is much larger than another.
                if seats and (self._count + order) % _EVERY[step] == 0:
                    due[step][square] = self._told(seats, _DETAIL[step])
                    seats.clear()
        told = {}
        keyed = b"".join(changes.keyed.values())
        for square, view in self._views.items():
            parts = [keyed]
            for here, squares in zip(due, view.squares, strict=True):
                if here:
                    parts += [here[other] for other in squares if other in here]
            if entries := b"".join(parts):
                view.told += len(entries)
                told[square] = entries
        return told

    def catch_up(self, square: Square, missed: Iterable[int] | None) -> bytes:
        """The entries for someone in a square who `missed` the keyframes of these seats, or all:
        those, and what can be seen from there as it is now."""
        keyframes = self._board.keyframes(self._board.seats() if missed is None else missed)
        return keyframes + self._sight(square)

    def _sight(self, square: Square) -> bytes:
        strain = view.strain if (view := self._views.get(square)) else 0
        seen = []
        for seat in self._board.seats():
            step = min(_FARTHEST, distance(square, self.square(seat)) + strain)
            seen.append(self._board.delta(seat, _DETAIL[step]))
        return b"".join(seen)

    def _told(self, seats: Iterable[int], detail: Detail) -> bytes:
        if detail == "near":
            return self._board.last(seats)
        return b"".join(self._board.thinned(seat, detail) for seat in seats)


def _nobody() -> Waiting:
    return set(), set(), set()
