"""People by the thousand who change relays: `python -m bench.moves migrate|storm [--people N]`.

migrate   a relay gets SIGTERM while everybody poses and speaks; all move to another one
storm     a relay is killed; all come back to one where others already are

Ends with one line of JSON; docs/reliability.md has the last ones. The relay under test runs on one
core, everybody else on another. The relays have the usual gate at their door, and everyone has an
address of their own behind a proxy. They share a name, as a relay's instances do; with --names they
are different relays, and everybody hears of whoever moves.
"""

import argparse
import asyncio
import functools
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import uvloop

from bench.joins import PUBLIC_KEY, write_joins
from bench.person import Counts, Person
from bench.servers import LOAD_CORE, SERVER_CORE, free_port, pinned, redis_running, wait_for

_JOINS_A_S = 150
_HZ = 20
_BASELINE_S = 5.0
_AFTER_S = 4.0
_LIMIT_S = 90.0


def _p(values: list[float], q: float) -> float:
    """A quantile, in ms."""
    ordered = sorted(values)
    return round(ordered[max(0, math.ceil(q * len(ordered)) - 1)] * 1000, 1) if ordered else 0.0


@contextmanager
def _relays(redis: int, ports: list[int], *, names: bool) -> Iterator[subprocess.Popen[bytes]]:
    """One process with a relay at each port; on SIGTERM the first one drains."""
    argv = [sys.executable, "-m", "bench.serve_relay", ",".join(map(str, ports)), str(redis)]
    argv += [PUBLIC_KEY, "gate", *(["names"] if names else [])]
    process = subprocess.Popen(pinned(SERVER_CORE, argv), stdout=subprocess.PIPE)
    try:
        for port in ports:
            wait_for(port, process)
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


async def _people(
    redis: int, rooms: int, per_room: int, counts: Counts, first: int
) -> list[Person]:
    with tempfile.TemporaryDirectory() as folder:
        joins = Path(folder) / "joins"
        await asyncio.to_thread(write_joins, joins, rooms=rooms, per_room=per_room, redis=redis)
        lines = [line.split(" ", 1) for line in joins.read_text().splitlines()]
    return [Person(room, hello, first + n, counts) for n, (room, hello) in enumerate(lines)]


async def _join(people: list[Person], port: int, elsewhere: int) -> None:
    """Everyone comes, at a pace that no door minds."""
    for person in people:
        person.ports = [port]
        person.come(port)
        await asyncio.sleep(1 / _JOINS_A_S)
    async with asyncio.timeout(_LIMIT_S):
        for person in people:
            await person.inside.wait()
            person.ports = [elsewhere]


@asynccontextmanager
async def _moving(posers: list[Person], speakers: list[Person]) -> AsyncIterator[None]:
    """Meanwhile these pose 20 times a second and those say something twice a second."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        for n in range(10**9):
            due = loop.time() + 1 / _HZ
            for poser in posers:
                poser.pose()
            for speaker in speakers[n % 10 :: 10]:
                speaker.say(f"m{n}")
            await asyncio.sleep(max(0, due - loop.time()))

    working = asyncio.create_task(work())
    try:
        yield
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def _watch(counts: Counts, seconds: float) -> list[float]:
    """The gaps between ticks in the coming seconds."""
    counts.gaps, counts.watching = [], True
    await asyncio.sleep(seconds)
    counts.watching = False
    return counts.gaps


async def migrate(people: int, redis: int, *, names: bool) -> dict[str, object]:
    """SIGTERM to a relay on which everybody is."""
    per_room = 50
    old, new = free_port(), free_port()
    with _relays(redis, [old, new], names=names) as process:
        counts = Counts()
        everyone = await _people(redis, people // per_room, per_room, counts, 0)
        await _join(everyone, old, new)
        posers = everyone[::per_room] + everyone[1::per_room]
        async with _moving(posers, everyone[2::per_room]):
            await asyncio.sleep(2)
            before = await _watch(counts, _BASELINE_S)
            loop = asyncio.get_running_loop()
            counts.gaps, counts.back_at, counts.watching = [], [], True
            began = loop.time()
            process.send_signal(signal.SIGTERM)
            assert process.stdout is not None
            await asyncio.to_thread(process.stdout.readline)
            drained = loop.time() - began
            during, counts.watching = counts.gaps, False
            await asyncio.sleep(_AFTER_S)
        await asyncio.sleep(1)
        heads = {person.room: person.offset for person in everyone}
        behind = sum(person.offset != heads[person.room] for person in everyone)
        moved = sum(person.port == new for person in everyone)
        for person in everyone:
            person.end()
    return {
        "people": len(everyone),
        "moved": moved,
        "lost": counts.lost + behind,
        "unrecovered": counts.unrecovered,
        "drainedS": round(drained, 2),
        "lastMovedS": round(max(counts.back_at) - began, 2),
        "gapP99BeforeMs": _p(before, 0.99),
        "gapP99DuringMs": _p(during, 0.99),
        "gapMaxDuringMs": _p(during, 1),
        "closedByRelay": dict(counts.closed),
        "refused": dict(counts.refused),
    }


async def storm(people: int, redis: int, *, names: bool) -> dict[str, object]:
    """SIGKILL to a relay; its people come to another one, where some are already."""
    per_room, at_home = 20, 400
    dead, alive = free_port(), free_port()
    relays = functools.partial(_relays, redis, names=names)
    with relays([dead]) as victim, relays([alive]):
        residents, guests = Counts(), Counts()
        home = await _people(redis, at_home // per_room, per_room, residents, 0)
        away = await _people(redis, people // per_room, per_room, guests, at_home)
        await _join(home, alive, alive)
        await _join(away, dead, alive)
        async with _moving(home[::per_room] + home[1::per_room], home[2::per_room]):
            await asyncio.sleep(2)
            before = await _watch(residents, _BASELINE_S)
            loop = asyncio.get_running_loop()
            residents.gaps, residents.watching = [], True
            guests.back_at = []
            began = loop.time()
            victim.send_signal(signal.SIGKILL)
            await asyncio.sleep(1)
            async with asyncio.timeout(_LIMIT_S):
                for person in away:
                    await person.inside.wait()
            residents.watching = False
            during = residents.gaps
            back = [at - began for at in guests.back_at]
            await asyncio.sleep(1)
        for person in [*home, *away]:
            person.end()
    return {
        "people": len(away),
        "residents": len(home),
        "backP50S": _p(back, 0.5) / 1000,
        "allBackS": _p(back, 1) / 1000,
        "refused": dict(guests.refused),
        "unrecovered": guests.unrecovered,
        "lost": guests.lost + residents.lost,
        "residentsClosed": dict(residents.closed),
        "gapP99BeforeMs": _p(before, 0.99),
        "gapP99DuringMs": _p(during, 0.99),
        "gapMaxDuringMs": _p(during, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("migrate", "storm"))
    parser.add_argument("--people", type=int)
    parser.add_argument("--names", action="store_true", help="the relays have different ones")
    wish = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    if os.geteuid() == 0:  # ahead of the core's other programs, as the relay is on its core
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    with redis_running() as redis:
        if wish.what == "migrate":
            told = uvloop.run(migrate(wish.people or 1000, redis, names=wish.names))
        else:
            told = uvloop.run(storm(wish.people or 2000, redis, names=wish.names))
    print(json.dumps(told))


if __name__ == "__main__":
    main()
