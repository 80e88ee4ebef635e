"""A thousand peers that mean harm around a room of twenty: `python -m tests.hostile.run`.

Ends with one line of JSON, and with exit code 1 when the room was harmed or somebody was not ended
as they should have been.
"""

import argparse
import asyncio
import itertools
import json
import random
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from bench.joins import hello, show_rooms
from bench.servers import LOAD_CORE, OURS, SERVERS, pinned, redis_running, running
from tests.hostile.connection import Target
from tests.hostile.peers import KINDS, TURNED_AWAY, Kind
from vchat.ids import new_room_id

GAP_MS = 75.0
"""What 99 of 100 gaps between ticks may be."""
_ROOM, _HZ = 20, 20
_PATIENCE_S = 45.0
"""Longer than a ping and its answer may take, so that whoever reads nothing is noticed."""
_ARRIVAL_S = 10.0
"""A storm of arrivals is another matter, with a gate of its own."""
_AGAIN_S = 3.0
_BUSY = frozenset({"cut", "400", "408"})
"""How a peer may also be ended that is not quick enough itself, being one of a thousand: what it is
told is lost with the reset, or what it sends is too slow to be too large."""
_CALM_S = 10.0
_LEAVE_S = 90.0
_RSS = re.compile(r"VmRSS:\s+(\d+) kB")


@dataclass
class Harm:
    """What came of the peers, by kind and by how they were ended."""

    ended: dict[str, Counter[str]] = field(default_factory=dict)
    wrong: Counter[str] = field(default_factory=Counter)

    def note(self, kind: Kind, how: str) -> None:
        self.ended.setdefault(kind.__name__, Counter())[how] += 1
        if how not in KINDS[kind] | TURNED_AWAY | _BUSY:
            self.wrong[f"{kind.__name__}: {how}"] += 1


class Memory:
    """The resident memory of a process, in MiB."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self.peak = self.now()

    def now(self) -> float:
        found = _RSS.search(self._status.read_text())
        assert found is not None
        return round(int(found[1]) / 1024, 1)

    async def watch(self) -> None:
        while True:
            self.peak = max(self.peak, self.now())
            await asyncio.sleep(0.25)


@asynccontextmanager
async def room_of_people(url: str, hellos: list[str]):
    """The twenty, in a process of their own and before others on its core: their gaps are to be
    the relay's, not those of whoever harasses it."""
    argv = pinned(LOAD_CORE, [sys.executable, "-m", "tests.hostile.room"])
    process = await asyncio.create_subprocess_exec(*argv, stdin=PIPE, stdout=PIPE)
    try:
        await _tell(process, json.dumps({"url": url, "hellos": hellos, "hz": _HZ}))
        assert await _answer(process) == "ready"
        yield process
    finally:
        process.kill()
        await process.wait()


async def _tell(process: Process, line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line.encode() + b"\n")
    await process.stdin.drain()


async def _answer(process: Process) -> str:
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode().strip()
    if not line:
        raise RuntimeError("The room ended by itself: somebody in it was harmed.")
    return line


async def report(process: Process) -> dict[str, Any]:
    """What the room saw since the last report."""
    await _tell(process, "report")
    told: dict[str, Any] = json.loads(await _answer(process))
    return told


async def harass(target: Target, kind: Kind, harm: Harm, until: float) -> None:
    """One peer after another of a kind, each until it is ended."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(random.random() * _ARRIVAL_S)
    while loop.time() < until:
        try:
            harm.note(kind, await kind(target))
        except OSError as error:
            harm.note(kind, type(error).__name__)
        await asyncio.sleep(_AGAIN_S)


async def _run(peers: int, seconds: float, rooms: int, kinds: list[Kind]) -> bool:
    with redis_running() as redis, running(SERVERS[OURS], redis) as (port, pid):
        room_id, *elsewhere = [new_room_id() for _ in range(rooms)]
        await show_rooms([room_id, *elsewhere], 500, redis)
        names = (f"harm-{n}" for n in itertools.count())
        targets = [
            Target(
                port,
                one,
                lambda one=one: hello(one, next(names)).encode(),
                patience=_PATIENCE_S,
                address=lambda: f"127.1.{random.randrange(256)}.{random.randrange(1, 255)}",
            )
            for one in (room_id, *elsewhere)
        ]
        memory, harm = Memory(pid), Harm()
        people = [hello(room_id, f"user-{n}") for n in range(_ROOM)]
        async with room_of_people(f"ws://127.0.0.1:{port}/rooms/{room_id}", people) as room:
            await asyncio.sleep(2)
            await report(room)
            await asyncio.sleep(_CALM_S)
            calm, before = await report(room), memory.now()
            watching = asyncio.create_task(memory.watch())
            until = asyncio.get_running_loop().time() + seconds
            storm = [
                asyncio.create_task(harass(random.choice(targets), kind, harm, until))
                for kind in itertools.islice(itertools.cycle(kinds), peers)
            ]
            await asyncio.sleep(seconds)
            during = await report(room)
            _, left = await asyncio.wait(storm, timeout=_LEAVE_S)
            for task in left:
                task.cancel()
            for task in storm:
                if task not in left:
                    task.result()
            await asyncio.sleep(_CALM_S)
            watching.cancel()
            after = await report(room)
            line = {
                "hostile": peers,
                "hostileRooms": rooms,
                "seconds": seconds,
                "room": _ROOM,
                "hz": _HZ,
                "calm": calm,
                "during": during,
                "after": after,
                "memoryMiB": {"before": before, "peak": memory.peak, "after": memory.now()},
                "ended": harm.ended,
                "endedWrongly": harm.wrong,
                "neverEnded": len(left),
            }
    print(json.dumps(line))
    spared = not any(told[what] for told in (during, after) for what in ("lost", "repeated"))
    return spared and not harm.wrong and not left and during["p99Ms"] <= GAP_MS


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--peers", type=int, default=1000)
    options.add_argument("--rooms", type=int, default=10, help="1: all in the room of twenty")
    options.add_argument("--seconds", type=float, default=90)
    named = {kind.__name__: kind for kind in KINDS}
    options.add_argument("--kinds", nargs="+", choices=named, default=list(named))
    chosen = options.parse_args()
    kinds = [named[name] for name in chosen.kinds]
    sys.exit(0 if uvloop.run(_run(chosen.peers, chosen.seconds, chosen.rooms, kinds)) else 1)


if __name__ == "__main__":
    main()
