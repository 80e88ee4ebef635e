"""What each person saw, and what of it breaks a promise: pure functions over recorded histories."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vchat import limits

Log = Mapping[int, str]
"""A room's events in one epoch as frames, by offset."""


@dataclass(frozen=True, slots=True)
class Welcomed:
    """Came in, `resumed` with a token of before. What comes next is `offset + 1` of this epoch."""

    epoch: str
    offset: int
    recovered: bool
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """An event, as the frame it came in."""

    offset: int
    frame: str


@dataclass(frozen=True, slots=True)
class Acked:
    """The relay said that the message with this id is stored and ordered."""

    id: str
    offset: int


Entry = Welcomed | Heard | Acked


@dataclass(slots=True)
class Verdict:
    """Counts over one room, or over several once added up. `problems` has a sentence for each."""

    acked: int = 0
    lost: int = 0
    """Acknowledged events that the surviving log lacks, and events somebody was not given."""
    repeated: int = 0
    reordered: int = 0
    """Events that came late, or differ between two people under the same number."""
    wiped: int = 0
    """Acknowledged events in logs that were flushed: the log is volatile by design."""
    resets: int = 0
    """Times somebody was told `recovered: false` after the first welcome."""
    problems: list[str] = field(default_factory=list)

    def add(self, other: "Verdict") -> None:
        for name in ("acked", "lost", "repeated", "reordered", "wiped", "resets"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.problems += other.problems


def judge(histories: Mapping[str, Sequence[Entry]], logs: Mapping[str, Log], final: str) -> Verdict:
    """Judge one room. `histories` by user, each to a moment when all was delivered; `logs` by
    epoch, of which `final` is the one that survived."""
    verdict = Verdict()
    known: dict[tuple[str, int], str] = {
        (epoch, offset): frame for epoch, log in logs.items() for offset, frame in log.items()
    }
    for user, history in histories.items():
        _follow(user, history, known, verdict)
    _judge_ends(histories, logs, final, verdict)
    _judge_acks(histories, known, final, verdict)
    _judge_ids(known, verdict)
    return verdict


def _follow(
    user: str, history: Sequence[Entry], known: dict[tuple[str, int], str], verdict: Verdict
) -> None:
    """One person: every event once, in order, and the same that others got."""
    epoch, at, heard = "", 0, set[tuple[str, int]]()
    for entry in history:
        match entry:
            case Welcomed(recovered=False):
                verdict.resets += epoch != ""
                # With a ticket nobody asks for what was missed; nor is all of a long time kept.
                kept = entry.resumed and entry.offset - at <= limits.LOG_EVENTS
                if kept and entry.epoch == epoch:
                    verdict.lost += 1
                    verdict.problems.append(
                        f"{user} was not given what the log had from {epoch}:{at} on"
                    )
                epoch, at = entry.epoch, entry.offset
            case Welcomed():
                if (entry.epoch, entry.offset) != (epoch, at):
                    verdict.lost += 1
                    verdict.problems.append(
                        f"{user} recovered at {entry.epoch}:{entry.offset}, not at {epoch}:{at}"
                    )
                epoch, at = entry.epoch, entry.offset
            case Heard(offset=offset, frame=frame):
                place = f"{user} at {epoch}:{offset}"
                if known.setdefault((epoch, offset), frame) != frame:
                    verdict.reordered += 1
                    verdict.problems.append(f"{place} got another event than others did")
                if offset > at + 1:
                    verdict.lost += offset - at - 1
                    verdict.problems.append(f"{place} misses all after {at}")
                elif (epoch, offset) in heard:
                    verdict.repeated += 1
                    verdict.problems.append(f"{place} got an event again")
                elif offset <= at:
                    verdict.reordered += 1
                    verdict.problems.append(f"{place} got an event late, after {at}")
                heard.add((epoch, offset))
                at = max(at, offset)
            case Acked():
                pass


def _judge_ends(
    histories: Mapping[str, Sequence[Entry]],
    logs: Mapping[str, Log],
    final: str,
    verdict: Verdict,
) -> None:
    """Everyone must have got everything up to the log's end."""
    head = max(logs[final], default=0)
    for user, history in histories.items():
        epoch, at = position(history)
        if epoch != final:
            verdict.problems.append(f"{user} ended in {epoch or 'no log'}, not in {final}")
        elif at < head:
            verdict.lost += head - at
            verdict.problems.append(f"{user} ended at {at} of {head}")


def _judge_acks(
    histories: Mapping[str, Sequence[Entry]],
    known: Mapping[tuple[str, int], str],
    final: str,
    verdict: Verdict,
) -> None:
    """What was acknowledged is in the log, at the place that was told."""
    for user, history in histories.items():
        epoch = ""
        for entry in history:
            if isinstance(entry, Welcomed):
                epoch = entry.epoch
            elif isinstance(entry, Acked):
                verdict.acked += 1
                stored = known.get((epoch, entry.offset))
                if epoch != final:
                    verdict.wiped += 1
                elif stored is None or _sender(stored) != (user, entry.id):
                    verdict.lost += 1
                    verdict.problems.append(
                        f"{user}'s {entry.id}, acknowledged as {epoch}:{entry.offset}, is not there"
                    )


def _judge_ids(known: Mapping[tuple[str, int], str], verdict: Verdict) -> None:
    """A message sent again is still one event."""
    seen: dict[tuple[str, str, str], int] = {}
    for (epoch, offset), frame in sorted(known.items()):
        user, message_id = _sender(frame)
        if message_id:
            first = seen.setdefault((epoch, user, message_id), offset)
            if first != offset:
                verdict.repeated += 1
                verdict.problems.append(f"{user}'s {message_id} is {epoch}:{first} and :{offset}")


def _sender(frame: str) -> tuple[str, str]:
    event = json.loads(frame)
    return event.get("userId", ""), event.get("id", "")


def position(history: Sequence[Entry]) -> tuple[str, int]:
    """The epoch and the last event somebody is at; ("", 0) before the first welcome."""
    epoch, at = "", 0
    for entry in history:
        if isinstance(entry, Welcomed):
            epoch, at = entry.epoch, entry.offset
        elif isinstance(entry, Heard):
            at = max(at, entry.offset)
    return epoch, at
