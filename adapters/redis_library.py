"""redis-py, without OpenTelemetry: where another library has installed that, redis-py loads all of
its SDK in case somebody wants numbers from it, which is a tenth of a relay's start. Nobody does:
`vchat.gauges` counts. Every module of ours that needs redis-py gets it from here."""

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def _unseen(package: str) -> "Iterator[None]":
    """Let a package that is not loaded yet look as if it were not installed."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment] # how Python marks what it lacks
    try:
        yield
    finally:
        del sys.modules[package]


with _unseen("opentelemetry"):
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.commands.core import AsyncScript
    from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

__all__ = [
    "AsyncScript",
    "AuthenticationError",
    "BlockingConnectionPool",
    "NoPermissionError",
    "Redis",
    "RedisError",
]
