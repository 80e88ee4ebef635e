"""`make cloud`'s process, as somebody starts it."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.components import free_port
from tests.processes import ROOT, environment

ELSEWHERE = {"Origin": "http://localhost:5173"}
"""A page elsewhere that may call it."""
_START_S = 120
STOP_S = 40
"""What its end may take."""


@dataclass
class Cloud:
    """`relays` are the processes by name."""

    url: str
    process: subprocess.Popen[str]
    relays: dict[str, int]


def start(folder: Path, **settings: str) -> subprocess.Popen[str]:
    with (folder / "cloud.log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "local.cloud"],
            cwd=ROOT,
            env=environment(VCHAT_DATA=str(folder / "data"), **settings),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )


@contextmanager
def made_cloud(folder: Path) -> Iterator[Cloud]:
    port, *relays = free_port(), free_port(), free_port()
    settings = {"PORT": str(port), "RELAY_PORTS": ",".join(map(str, relays))}
    process = start(folder, VCHAT_ORIGINS=ELSEWHERE["Origin"], **settings)
    assert process.stdout is not None
    with ExitStack() as stack:
        stack.callback(process.stdout.close)
        stack.callback(process.wait, STOP_S)
        stack.callback(process.terminate)
        found: dict[str, int] = {}
        deadline = time.monotonic() + _START_S
        for line in process.stdout:
            assert time.monotonic() < deadline
            if match := re.search(r"(relay-\d+) is process (\d+)", line):
                found[match[1]] = int(match[2])
            if "logs are in" in line:
                break
        assert found.keys() == {f"relay-{one}" for one in relays}, (
            folder / "cloud.log"
        ).read_text()
        yield Cloud(f"http://localhost:{port}", process, found)
