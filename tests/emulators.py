"""Real servers for the tests: Pub/Sub, Firestore and Redis.

A server that is not installed skips the tests that need it, saying how to install it; when `CI` is
`true` it fails them, so that no pipeline is green because nothing ran.
"""

import os
from collections.abc import Iterator

import pytest

from local.servers import KINDS, Missing
from local.servers import Server as Server


def running(kind: str) -> Iterator[Server]:
    """The body of a fixture: a running `pubsub`, `firestore` or `redis`, stopped afterwards."""
    try:
        server = KINDS[kind]()
    except Missing as missing:
        text = f"no {kind} server on this machine; {missing}"
        if os.environ.get("CI") == "true":
            pytest.fail(text)
        pytest.skip(text)
    server.start()
    try:
        yield server
    finally:
        server.stop()
