"""Starts a deployable from a bundle alone, with production settings and no real service."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PATIENCE_S = 60.0
COMMANDS = {
    "functions": (
        str(Path(sys.executable).with_name("functions-framework")),
        "--target=api",
        "--source=main.py",
        "--host=127.0.0.1",
    ),
    "relay": (sys.executable, "-m", "relay"),
}
SETTINGS = {
    "VCHAT_ENV": "production",
    "VCHAT_ISSUER": "https://api.example.com",
    "VCHAT_JWKS_URL": "https://127.0.0.1:1/.well-known/jwks.json",
    "VCHAT_ORIGINS": "https://chat.example.com",
    "VCHAT_RELAY_URLS": "wss://relay.example.com",
    "GOOGLE_CLOUD_PROJECT": "my-project",
    "REDIS_URL": "redis://127.0.0.1:1",
}


class Ended(Exception):
    """It did not start; the text is what it said."""


@contextmanager
def started(name: str, folder: Path, settings: Mapping[str, str]) -> Iterator[str]:
    """The address of a deployable that accepts connections; it runs until the block is left."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    log = folder.parent / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - one of COMMANDS
            COMMANDS[name],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "PORT": str(port), **SETTINGS, **settings},
            stdout=output,
            stderr=output,
        )
    try:
        _wait(process, port, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        finally:
            process.kill()


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.005)
        else:
            return
    raise Ended(log.read_text())
