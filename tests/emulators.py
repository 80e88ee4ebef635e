"""Real servers for the tests: Pub/Sub, Firestore and Redis.

A server that is not installed skips the tests that need it, saying how to install it; when `CI` is
`true` it fails them, so that no pipeline is green because nothing ran.
"""

from collections.abc import Iterator

from local.servers import KINDS, Missing
from local.servers import Server as Server
from tests.components import do_without


def installed(kind: str) -> Server:
    """A `pubsub`, `firestore` or `redis` that is not started yet; skips or fails without it."""
    try:
        return KINDS[kind]()
    except Missing as missing:
        do_without(f"no {kind} server on this machine; {missing}")


def _started(kind: str) -> Server:
    # Its port was free when it was chosen; among many tests another socket may take it first.
    for _ in range(2):
        server = installed(kind)
        try:
            server.start()
        except RuntimeError:
            continue
        return server
    server = installed(kind)
    server.start()
    return server


def running(kind: str) -> Iterator[Server]:
    """The body of a fixture: a running server of a kind, stopped afterwards."""
    server = _started(kind)
    try:
        yield server
    finally:
        server.stop()
