"""Ticks in a full room: who falls behind is caught up with what they see, not with everything."""

import time
from dataclasses import dataclass, field

from relay.line import Frame
from relay.tally import Tally
from relay.ticker import FULL, Ticker
from tests.test_crowd import Person
from vchat.model import Member
from vchat.policy import Role
from vchat.pose_body import is_keyframe
from vchat.ticks import parse_tick


@dataclass
class Line:
    ready: bool = True
    got: list[Frame] = field(default_factory=list)

    def offer(self, frame: Frame) -> bool:
        if self.ready:
            self.got.append(frame)
        return self.ready


@dataclass
class Watcher:
    me: Member
    line: Line = field(default_factory=Line)
    lagging: bool = False


async def test_who_falls_behind_in_a_full_room_is_given_what_was_missed_and_is_seen():
    watchers = [
        Watcher(Member(seat=n, user_id=f"u{n}", name="", role=Role.MEMBER, avatar=None))
        for n in range(FULL + 20)
    ]
    people = [Person(n, 60.0 * (n % 10), 60.0 * (n // 10)) for n in range(len(watchers))]
    ticker = Ticker(lambda: watchers, time.time, Tally())  # type: ignore[arg-type]
    slow = watchers[0]

    def tick() -> None:
        for person in people:
            person.step(ticker.board)
        ticker.stop()
        ticker._tick()

    for _ in range(3):
        tick()
    slow.line.ready = False
    tick()
    assert slow.lagging
    for _ in range(3):
        tick()
    slow.line.got.clear()
    slow.line.ready = True
    tick()

    [frame] = slow.line.got
    snapshot, _, _, poses = parse_tick(frame.payload)
    assert not slow.lagging
    assert not snapshot
    assert {seat for seat, _, _ in poses} == set(range(len(watchers)))
    # Nobody sent a keyframe meanwhile, so what is told of the far ones is where they are.
    assert not any(is_keyframe(body) for _, _, body in poses)
    assert len(frame.payload) < len(ticker.board.snapshot()) / 3
    ticker.stop()
