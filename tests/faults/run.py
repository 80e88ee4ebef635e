"""A run of the fault suite: `python -m tests.faults.run --seed 1 --faults 200`.

Ends with one line of JSON, and with exit code 1 when a promise was broken.
"""

import argparse
import asyncio
import json
import logging
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from adapters.pubsub_janitor import PubSubJanitor
from local.servers import Missing, Server, pubsub_emulator
from tests.faults.diary import Diary
from tests.faults.history import Verdict, judge
from tests.faults.people import Person
from tests.faults.schedule import LANES, Fault, Kind, schedule
from tests.faults.scribe import Scribe
from tests.faults.world import PROJECT, RelayProcess, World, lasting_redis, world
from tests.relays import new_room
from vchat import limits
from vchat.errors import Refused
from vchat.state import Position

GHOST_S = 15.0
_PATIENCE_S = (2.5, 20.0)
"""Some people try the next relay soon, some bear a frozen one until it thaws."""
_SETTLE_S = 40.0
_CALM_S = 2.0
"""A relay counts as struck this much longer: a new one still loads its libraries."""
_MOST_SKEW_S = 4.0
"""Less than the leeway for tickets, vchat.limits.CLOCK_LEEWAY_S."""


@dataclass
class Ghost:
    """Somebody who went away with a relay that was killed, and when that was."""

    user: str
    room_id: str
    since: float
    epoch: str


@dataclass
class Result:
    """What a run showed."""

    seed: int
    faults: int
    ghost_s: float
    """How long a ghost may stay."""
    verdict: Verdict
    ghosts_s: list[float] = field(default_factory=list)
    orphans: int = 0
    resumes_ms: list[float] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)

    @property
    def good(self) -> bool:
        """Times are measured, not judged, but for the ghosts'."""
        return (
            not self.verdict.problems
            and not self.orphans
            and all(seconds <= self.ghost_s for seconds in self.ghosts_s)
        )

    def line(self) -> str:
        slowest = statistics.quantiles(self.resumes_ms, n=20) if len(self.resumes_ms) > 1 else []
        return json.dumps(
            {
                "seed": self.seed,
                "faults": self.faults,
                "acked": self.verdict.acked,
                "lost": self.verdict.lost,
                "repeated": self.verdict.repeated,
                "reordered": self.verdict.reordered,
                "ghostMaxS": round(max(self.ghosts_s), 2) if self.ghosts_s else None,
                "orphans": self.orphans,
                "resumeP95Ms": round(slowest[-1], 1) if slowest else None,
            }
        )


class Run:
    """People in rooms on several relays, and the faults of a schedule done to them."""

    def __init__(
        self, here: World, seed: int, diary: Diary, *, rooms: int, people: int, ghost_s: float
    ) -> None:
        self._world = here
        self._ghost_s = ghost_s
        self._chance = random.Random(seed)
        self._rooms = {room.id: room for room in (new_room() for _ in range(rooms))}
        self._scribes = {room_id: Scribe(here.state, room_id) for room_id in self._rooms}
        self._diary = diary
        self._people = [
            self._person(f"user-{n}", room_id, self._chance.choice(_PATIENCE_S))
            for room_id in self._rooms
            for n in range(people)
        ]
        self._ghosts: list[Ghost] = []
        self._kinds: Counter[str] = Counter()
        self._died = 0.0
        self._away: list[tuple[float, float, str]] = []
        """From when until when a relay, by its URL, or all of them ("") could not serve."""

    def _person(
        self, name: str, room_id: str, patience_s: float, relays: Sequence[RelayProcess] = ()
    ) -> Person:
        def address(relay: RelayProcess) -> Callable[[], str]:
            return lambda: relay.url

        return Person(
            user=f"{name}-{room_id[:6]}",
            room_id=room_id,
            relays=[address(relay) for relay in relays or self._world.relays],
            show=self._show,
            chance=random.Random(self._chance.random()),
            patience_s=patience_s,
            note=self._diary.write,
        )

    async def _show(self, room_id: str) -> None:
        try:
            await self._world.state.show_room(self._rooms[room_id])
        except Refused as refused:
            raise OSError("the functions cannot reach Redis either") from refused

    async def go(self, faults: Sequence[Fault], seed: int) -> Result:
        await asyncio.gather(*(self._start(relay) for relay in self._world.relays))
        living = [asyncio.create_task(person.live()) for person in self._people]
        writing = [asyncio.create_task(one.write_for_ever()) for one in self._scribes.values()]
        try:
            await self._until(lambda: all(person.here for person in self._people), "all came in")
            lanes: dict[str, list[Fault]] = {}
            for fault in faults:
                lanes.setdefault(LANES[fault.kind], []).append(fault)
            await asyncio.gather(*(self._lane(lane) for lane in lanes.values()))
            await self._ghosts_gone()
            for person in self._people:
                person.chatting = False
            settled = await self._settle(living)
            verdict = self._judge()
            orphans = await self._orphans()
        finally:
            for task in (*living, *writing):
                task.cancel()
            ends = await asyncio.gather(*living, *writing, return_exceptions=True)
        if not settled:
            verdict.problems.append(f"not settled within {_SETTLE_S} s: {self._unsettled()}")
        verdict.problems += [repr(e) for e in ends if isinstance(e, Exception)]
        verdict.problems += [one for person in self._people for one in person.surprises]
        ghosts = self._ghost_times(verdict)
        return Result(
            seed=seed,
            faults=sum(self._kinds.values()),
            ghost_s=self._ghost_s,
            verdict=verdict,
            ghosts_s=ghosts,
            orphans=orphans,
            resumes_ms=self._resumes_ms(),
            kinds=self._kinds,
        )

    # Faults

    async def _lane(self, faults: Sequence[Fault]) -> None:
        for fault in faults:
            await asyncio.sleep(fault.pause)
            await self._do(fault)
            self._kinds[fault.kind] += 1

    async def _do(self, fault: Fault) -> None:
        relay = self._relay(fault)
        start = time.monotonic()
        await self._strike(fault, relay)
        self._diary.write(start, f"{fault.kind}: {relay.name}, {time.monotonic() - start:.2f} s")
        struck = {"relays": relay.url, "state": ""}.get(LANES[fault.kind])
        if struck is not None:
            self._away.append((start, time.monotonic() + _CALM_S, struck))

    def _resumes_ms(self) -> list[float]:
        """Of resumes on relays that no fault struck meanwhile, with Redis there."""
        counted = []
        for person in self._people:
            for one in person.resumes:
                struck = any(
                    one.start < end and start < one.end and where in ("", one.url)
                    for start, end, where in self._away
                )
                if not struck:
                    counted.append(one.took_ms)
                note = "a fault struck" if struck else "counted"
                self._diary.write(one.start, f"{person.user} resumed: {one} ({note})")
        return counted

    def _relay(self, fault: Fault) -> RelayProcess:
        return self._world.relays[fault.which % len(self._world.relays)]

    async def _strike(self, fault: Fault, relay: RelayProcess) -> None:
        match fault.kind:
            case Kind.RELAY_KILLED:
                async with self._haunted(relay):
                    relay.signal(signal.SIGKILL)
                await self._restart(relay)
            case Kind.RELAY_TERMINATED:
                relay.signal(signal.SIGTERM)
                await self._restart(relay)
            case Kind.RELAY_FROZEN | Kind.RELAY_FROZEN_LONG:
                relay.signal(signal.SIGSTOP)
                await asyncio.sleep(fault.seconds)
                relay.signal(signal.SIGCONT)
            case Kind.RELAY_WITHOUT_STATE:
                relay.redis.hush()
                await asyncio.sleep(fault.seconds)
                relay.redis.resume()
            case Kind.RELAY_WITHOUT_BUS:
                relay.pubsub.hush()
                await asyncio.sleep(fault.seconds)
                relay.pubsub.resume()
            case Kind.BUS_KILLED:
                self._world.pubsub.kill()
                await asyncio.sleep(fault.seconds)
                await asyncio.to_thread(self._world.pubsub.start)
            case Kind.STATE_RESTARTED:
                self._world.redis.kill()
                await asyncio.sleep(fault.seconds)
                await asyncio.to_thread(self._world.redis.start)
            case Kind.CLOCK_STEPPED:
                relay.set_clock(self._skew_s())
            case Kind.STATE_FLUSHED:
                await self._world.client.flushall()
            case Kind.CLIENT_CUT | Kind.CLIENT_SILENT:
                links = [link for one in self._world.relays for link in one.browsers.links]
                if not links:
                    return
                link = links[fault.which % len(links)]
                if fault.kind is Kind.CLIENT_SILENT:
                    link.flowing.clear()
                    await asyncio.sleep(fault.seconds)
                    link.flowing.set()
                else:
                    link.reset()

    async def _start(self, relay: RelayProcess) -> None:
        relay.set_clock(self._skew_s())
        await relay.start(seed=self._chance.randrange(1_000_000))

    def _skew_s(self) -> float:
        return self._chance.uniform(-_MOST_SKEW_S, _MOST_SKEW_S)

    async def _restart(self, relay: RelayProcess) -> None:
        await relay.ended()
        self._died = time.monotonic()
        await self._start(relay)

    # Ghosts

    @asynccontextmanager
    async def _haunted(self, relay: RelayProcess) -> AsyncIterator[None]:
        """Have somebody come to a relay that is killed in the block, and never come back."""
        room_id = self._chance.choice(list(self._rooms))
        ghost = self._person(f"ghost-{len(self._ghosts)}", room_id, 60.0, [relay])
        task = asyncio.create_task(ghost.live())
        try:
            with suppress(TimeoutError):  # Redis is away just now: this kill has no ghost
                await self._until(lambda: ghost.here, "a ghost came in", 5)
            sits = ghost.here
            # The relay first: it must not see the person go, and hold the seat for them.
            yield
            if sits:
                self._ghosts.append(Ghost(ghost.user, room_id, time.monotonic(), ghost.epoch))
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _seen(self, ghost: Ghost) -> float | None:
        """When the first of those who stay heard that it left."""
        return min(
            (one.left[ghost.user] for one in self._people if ghost.user in one.left),
            default=None,
        )

    def _flushed(self, ghost: Ghost) -> bool:
        return ghost.epoch != self._scribes[ghost.room_id].at.epoch

    async def _ghosts_gone(self) -> None:
        if self._ghosts:
            end = max(ghost.since for ghost in self._ghosts) + self._ghost_s + 5
            while time.monotonic() < end:
                if all(self._seen(one) or self._flushed(one) for one in self._ghosts):
                    return
                await asyncio.sleep(0.2)

    def _ghost_times(self, verdict: Verdict) -> list[float]:
        times = []
        for ghost in self._ghosts:
            seen = self._seen(ghost)
            if seen is not None:
                times.append(seen - ghost.since)
                self._diary.write(ghost.since, f"{ghost.user} stayed {times[-1]:.2f} s")
            elif not self._flushed(ghost):
                verdict.problems.append(f"{ghost.user} is still here")
        return times

    # The end

    def _unsettled(self) -> list[str]:
        return [
            f"{one.user} here={one.here} at {one.epoch}:{one.offset} unacked={list(one.unacked)}"
            for one in self._people
        ]

    async def _settle(self, living: Sequence[asyncio.Task[None]]) -> bool:
        """Whether all that was said is acknowledged, and all of it heard by all."""
        end = time.monotonic() + _SETTLE_S
        while time.monotonic() < end and not any(task.done() for task in living):
            with suppress(Refused):
                for one in self._scribes.values():
                    await one.catch_up()
                if all(
                    one.here
                    and not one.unacked
                    and Position(one.epoch, one.offset) == self._scribes[one.room_id].at
                    for one in self._people
                ):
                    return True
            await asyncio.sleep(0.3)
        return False

    async def _orphans(self) -> int:
        """Orphaned subscriptions after one sweep, once the leases of the dead have run out."""
        await asyncio.sleep(self._died + limits.LEASE_S + 1 - time.monotonic())
        janitor = PubSubJanitor(PROJECT, emulator=self._world.pubsub.address)
        try:
            swept = await janitor.sweep(self._hosts)
            print(f"swept: {swept}", flush=True)
            left = await janitor.sweep(self._hosts, dry_run=True)
        finally:
            await janitor.close()
        return left.orphans

    async def _hosts(self, room_id: str) -> frozenset[str]:
        """Asked again while a connection turns out to be one to the Redis before a restart."""
        async with asyncio.timeout(_SETTLE_S):
            while True:
                with suppress(Refused):
                    return await self._world.state.hosts(room_id)

    def _judge(self) -> Verdict:
        whole = Verdict()
        for room_id, scribe in self._scribes.items():
            histories = {one.user: one.history for one in self._people if one.room_id == room_id}
            whole.add(judge(histories, scribe.logs, scribe.at.epoch))
        return whole

    @staticmethod
    async def _until(true: Callable[[], bool], what: str, seconds: float = _SETTLE_S) -> None:
        end = time.monotonic() + seconds
        while not true():
            if time.monotonic() > end:
                raise TimeoutError(f"waited in vain until {what}")
            await asyncio.sleep(0.02)


async def run(
    seed: int,
    faults: Sequence[Fault],
    redis: Server,
    pubsub: Server,
    folder: Path,
    *,
    relays: int = 3,
    rooms: int = 2,
    people: int = 4,
    ghost_s: float = GHOST_S,
) -> Result:
    """Do `faults` to `relays` relays with `people` in each of `rooms` rooms. The servers run.

    `folder` gets the relays' logs, and a diary of what was done and when people resumed.
    """
    with Diary(folder / "diary.txt") as diary:
        async with world(redis, pubsub, folder, relays=relays) as here:
            whole = Run(here, seed, diary, rooms=rooms, people=people, ghost_s=ghost_s)
            return await whole.go(faults, seed)


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Do faults to real relays and judge what people saw."
    )
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--faults", type=int, default=50)
    asked = parser.parse_args()
    logging.getLogger("vchat.operator").setLevel(logging.CRITICAL)  # Redis is away by our own doing
    folder = Path(tempfile.mkdtemp(prefix="vchat-faults-"))
    replay = f"make faults SEED={asked.seed} FAULTS={asked.faults}"
    print(f"{replay}  (logs in {folder})", flush=True)
    try:
        redis, pubsub = lasting_redis(folder / "redis"), pubsub_emulator()
    except Missing as missing:
        sys.exit(str(missing))
    try:
        redis.start()
        pubsub.start()
        plan = schedule(asked.seed, asked.faults)
        result = asyncio.run(run(asked.seed, plan, redis, pubsub, folder))
    finally:
        redis.stop()
        pubsub.stop()
    for kind, times in result.kinds.most_common():
        print(f"{times:4}  {kind}")
    print(
        f"{result.verdict.wiped} acknowledged events were flushed with their log, as asked; "
        f"{result.verdict.resets} times somebody was told to begin anew; "
        f"{len(result.ghosts_s)} ghosts"
    )
    for problem in result.verdict.problems:
        print(f"PROBLEM {problem}")
    if not result.good:
        print(f"a promise was broken; once more with: {replay}")
    print(result.line())
    return 0 if result.good else 1


if __name__ == "__main__":
    sys.exit(main())
