"""A room's motion in a file, to be played again by bots.

JSON lines. The first says `{"format": "vchat-motion", "version": 1}`; each other one is a pose as
it came in a tick: `[milliseconds since the start, seat, seq, body in base64]`. No names, no words.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from bench import motion
from vchat.pose import PoseEncoder
from vchat.pose_body import KEYFRAME
from vchat.ticks import OWN_FORMAT, pose

FORMAT, VERSION = "vchat-motion", 1
_WRAP = 256
"""Deltas name the low byte of their keyframe's seq, so a loop must be a multiple of this long."""


class Recorder:
    """Writes what is shown, from the first call on."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._began: float | None = None
        file.write(json.dumps({"format": FORMAT, "version": VERSION}) + "\n")

    def write(self, now: float, poses: Iterable[tuple[int, int, bytes]]) -> None:
        """Poses that a tick brought at `now`, in seconds of any clock."""
        if self._began is None:
            self._began = now
        ms = round((now - self._began) * 1000)
        for seat, seq, body in poses:
            told = [ms, seat, seq, base64.b64encode(body).decode()]
            self._file.write(json.dumps(told, separators=(",", ":")) + "\n")


@dataclass(frozen=True, slots=True)
class Track:
    """One person's motion: (seconds, seq, body) each, beginning with a keyframe. It repeats after
    `seconds`, with all of its seqs moved on by `span`."""

    poses: tuple[tuple[float, int, bytes], ...]
    seconds: float
    span: int

    def frames(self) -> Iterator[tuple[float, int, bytes]]:
        """(seconds since the start, seq, frame for the relay), for ever."""
        turn = 0
        while True:
            for at, seq, body in self.poses:
                now = (seq + turn * self.span) & 0xFFFF
                yield turn * self.seconds + at, now, pose(now, body)
            turn += 1


def read(path: Path) -> list[Track]:
    """The tracks of a recording, one for each seat. Raises ValueError for what is none."""
    with path.open() as file:
        head = json.loads(file.readline() or "null")
        if not isinstance(head, dict) or head.get("format") != FORMAT:
            raise ValueError(f"{path} is no recording of {FORMAT}.")
        if head.get("version") != VERSION:
            raise ValueError(f"{path} is of version {head.get('version')}; this reads {VERSION}.")
        seats: dict[int, list[tuple[float, int, bytes]]] = {}
        for number, line in enumerate(file, start=2):
            try:
                ms, seat, seq, body = json.loads(line)
                one = (ms / 1000, int(seq), base64.b64decode(body, validate=True))
            except (ValueError, TypeError) as error:
                raise ValueError(f"{path}, line {number}, is no pose: {error}") from error
            seats.setdefault(int(seat), []).append(one)
    tracks = [track for poses in seats.values() if (track := _track(poses)) is not None]
    if not tracks:
        raise ValueError(f"{path} has nobody who moves.")
    return tracks


def _track(poses: list[tuple[float, int, bytes]]) -> Track | None:
    while poses and not _keyframe(poses[0][2]):
        poses.pop(0)
    if not poses:
        return None
    (begun, first, _), (ended, _, _) = poses[0], poses[-1]
    shown: list[tuple[float, int, bytes]] = []
    for at, seq, body in poses:
        # Counted on from the first one, whose low byte the deltas go by.
        counted = (first % _WRAP) + ((seq - first) & 0xFFFF)
        if not shown or counted > shown[-1][1]:
            shown.append((at - begun, counted, body))
    span = (shown[-1][1] // _WRAP + 1) * _WRAP
    if span >= 0x8000:
        raise ValueError("A recording to repeat has less than 32,768 poses of a person.")
    pause = (ended - begun) / max(1, len(shown) - 1)
    return Track(tuple(shown), ended - begun + max(pause, 0.05), span)


def _keyframe(body: bytes) -> bool:
    return body[0] != OWN_FORMAT or (len(body) > 1 and bool(body[1] & KEYFRAME))


def synthetic(kind: motion.Kind, hz: float, seed: int) -> Track:
    """Someone who idles, walks or dances: some seconds, again and again."""
    encoder = PoseEncoder()
    shown = []
    for number, body in enumerate(motion.poses(kind, _WRAP / hz, hz=hz, seed=seed)):
        encoded = encoder.encode(body, number, keyframe=number == 0)
        if encoded is not None:
            shown.append((number / hz, number, encoded))
    return Track(tuple(shown), _WRAP / hz, _WRAP)
