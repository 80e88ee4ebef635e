"""One measurement: a server, so many clients in so many rooms, and what came of it."""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.joins import write_joins
from bench.servers import BUILT, LOAD_CORE, OURS, Server, pinned, running

NOISY = 0.02
"""More of the time spent waiting for the core than this means that a neighbour was busy."""
SATURATED_CPU, SATURATED_LATE_MS = 0.95, 10.0


@dataclass(frozen=True)
class Work:
    """`mode` and `hz` as in load.c."""

    mode: str
    rooms: int
    per_room: int
    hz: float
    warmup: float = 1.5
    seconds: float = 5

    @property
    def clients(self) -> int:
        return self.rooms * self.per_room


@dataclass(frozen=True)
class Outcome:
    """What load.c counted, and the server's resident memory before and after the joins, in KB."""

    counted: dict[str, float]
    before_kb: int
    after_kb: int

    @property
    def per_cpu_s(self) -> float:
        # A server where nothing happens may use no time at all.
        return self.counted["deliveries"] / max(self.counted["cpu_s"], 1e-9)

    @property
    def cores(self) -> float:
        return self.counted["cpu_s"] / self.counted["seconds"]

    @property
    def trouble(self) -> str:
        """Why this number should be doubted, if it should."""
        said = []
        if self.counted["waited_s"] / self.counted["seconds"] > NOISY:
            said.append("a neighbour was busy")
        if (
            self.counted["own_cpu"] > SATURATED_CPU
            or self.counted["late_p99_ms"] > SATURATED_LATE_MS
        ):
            said.append("the load generator was at its limit")
        if self.counted["closed"]:
            said.append(f"{self.counted['closed']:.0f} clients were closed")
        return ", ".join(said)


def measure(server: Server, work: Work, redis: int) -> Outcome:
    """Start the server, let everyone join, and measure."""
    with tempfile.TemporaryDirectory() as folder, running(server, redis) as (port, pid):
        joins = Path(folder) / "joins"
        before = _rss_kb(pid)
        ours = server.name.startswith(OURS)
        write_joins(joins, rooms=work.rooms, per_room=work.per_room, redis=redis if ours else None)
        mode = "sio" if server.socketio else work.mode
        argv = [str(BUILT / "load"), str(port), str(pid), str(joins), mode]
        argv += [str(work.hz), str(work.warmup), str(work.seconds)]
        load = subprocess.Popen(pinned(LOAD_CORE, argv), stdout=subprocess.PIPE, text=True)
        assert load.stdout is not None
        with load:
            if not load.stdout.readline().startswith("joined"):
                raise RuntimeError(f"{server.name}: the load could not join")
            after = _rss_kb(pid)
            told = load.stdout.read()
        if load.returncode:
            raise RuntimeError(f"{server.name}: the load ended with {load.returncode}")
    return Outcome(json.loads(told), before, after)


def _rss_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError(f"process {pid} is gone")
