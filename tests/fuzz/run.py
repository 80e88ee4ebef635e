"""A run of the fuzzer: `python -m tests.fuzz.run --seed 1 --inputs 1000000`.

Ends with one line of JSON, and with exit code 1 when something was found: an exception that nobody
should see, a verdict that differs, an input that takes for ever, or memory that keeps growing.
"""

import argparse
import asyncio
import gc
import json
import os
import platform
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from tests.fuzz.messages import messages, stays
from tests.fuzz.poses import bodies
from tests.fuzz.streams import streams
from tests.fuzz.target import Opened
from tests.fuzz.tokens import strangers_tokens

TARGETS: dict[str, tuple[Opened, float]] = {
    "poses": (bodies, 0.35),
    "streams": (streams, 0.2),
    "messages": (messages, 0.28),
    "stays": (stays, 0.02),
    "tokens": (strangers_tokens, 0.15),
}
"""What is fuzzed, and its share of the inputs: more where an input costs less."""

_HANG_S = 30.0
_KNOWN = 2000
"""Inputs worth making others of, at most."""
_LEAK_BYTES = 24 * 2**20
_LEAK_OBJECTS = 50_000


class Finding(Exception):
    """An input that did what no input may do."""


@dataclass(frozen=True)
class Report:
    """What came of one target. Growth is from a quarter of the way to its end."""

    inputs: int
    verdicts: int
    seconds: float
    rss_growth_kib: int
    object_growth: int


async def fuzz(opened: Opened, *, seed: str, inputs: int, seconds: float | None = None) -> Report:
    """Give a target so many inputs that follow from the seed. Raises Finding."""
    rng = Random(seed)
    start = time.monotonic()
    before = (0, 0)
    done = 0
    data = b""
    try:
        with _no_hang():
            async with opened() as target:
                known, seen = list(target.seeds), set[int]()
                for done in range(inputs):
                    if done == inputs // 4:
                        before = _memory()
                    data = target.make(rng, known)
                    signal.setitimer(signal.ITIMER_REAL, _HANG_S)
                    verdict = hash(await target.attempt(data))
                    if verdict not in seen and len(known) < _KNOWN:
                        seen.add(verdict)
                        known.append(data)
                    if seconds is not None and time.monotonic() - start > seconds:
                        break
                signal.setitimer(signal.ITIMER_REAL, _HANG_S)
    except Exception as error:
        raise Finding(f"seed {seed}, input {done}: {data.hex()}") from error
    rss, objects = (now - then for now, then in zip(_memory(), before, strict=True))
    if rss > _LEAK_BYTES or objects > _LEAK_OBJECTS:
        raise Finding(f"seed {seed}: memory grew by {rss} bytes and {objects} objects")
    return Report(
        inputs=done + 1,
        verdicts=len(seen),
        seconds=round(time.monotonic() - start, 1),
        rss_growth_kib=rss // 1024,
        object_growth=objects,
    )


def _memory() -> tuple[int, int]:
    """(resident bytes, objects) of this process, without what is only waiting to be collected."""
    gc.collect()
    statm = Path("/proc/self/statm")
    if statm.exists():
        resident = int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    else:
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return resident, len(gc.get_objects())


@contextmanager
def _no_hang() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"one input took more than {_HANG_S} s")

    old = signal.signal(signal.SIGALRM, stop)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


async def _all(seed: int, inputs: int, seconds: float | None) -> bool:
    reports: dict[str, Report] = {}
    found = ""
    for name, (opened, share) in TARGETS.items():
        part = None if seconds is None else seconds * share
        try:
            reports[name] = report = await fuzz(
                opened, seed=f"{seed}-{name}", inputs=round(inputs * share), seconds=part
            )
        except Finding as finding:
            print(f"{name}: {finding}\n  {finding.__cause__!r}", file=sys.stderr)
            found = f"{name}: {finding}"
            continue
        print(f"{name}: {report.inputs} inputs in {report.seconds} s", file=sys.stderr)
    print(
        json.dumps(
            {
                "seed": seed,
                "inputs": sum(report.inputs for report in reports.values()),
                "found": found or None,
                "python": platform.python_version(),
                "targets": {name: asdict(report) for name, report in reports.items()},
            }
        )
    )
    return not found


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--seed", type=int, default=1)
    ask.add_argument("--inputs", type=int, default=1_000_000)
    ask.add_argument("--seconds", type=float, help="stop earlier, after about so long")
    asked = ask.parse_args()
    sys.exit(0 if asyncio.run(_all(asked.seed, asked.inputs, asked.seconds)) else 1)


if __name__ == "__main__":
    main()
