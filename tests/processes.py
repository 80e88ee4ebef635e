"""The real program in a process of its own, as `make run` starts it."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
_START_S = 30


@dataclass
class Local:
    """A running all-in-one server."""

    url: str
    process: subprocess.Popen[str]

    def end(self) -> int:
        """Ask it to end, as Ctrl-C does; its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(15)


def environment(**changes: str) -> dict[str, str]:
    """This machine's, less what could point the program at something outside."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VCHAT_", "REDIS_", "GOOGLE_", "PUBSUB_", "FIRESTORE_"))
    }
    return {**kept, "PYTHONPATH": str(ROOT), **changes}


@contextmanager
def local(data: Path, port: int = 0, **settings: str) -> Iterator[Local]:
    """`python -m local` on a port of its own."""
    with (data.parent / f"{data.name}.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "local"],
            cwd=ROOT,
            env=environment(PORT=str(port), VCHAT_DATA=str(data), **settings),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        stop = threading.Timer(_START_S, process.kill)
        stop.start()
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            stop.cancel()
            found = re.search(r"http://localhost:\d+", said)
            assert found, f"expected an address, got {said!r}"
            yield Local(found[0], process)
        finally:
            stop.cancel()
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(15)
            finally:
                process.kill()
                process.stdout.close()
