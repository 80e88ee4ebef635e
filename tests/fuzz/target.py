"""What is fuzzed: seeds, how one input is made, and what is done with it."""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from random import Random

Make = Callable[[Random, Sequence[bytes]], bytes]
"""A new input out of those that were interesting so far."""


@dataclass(frozen=True, slots=True)
class Target:
    """`attempt` judges one input: it raises for what must never happen, and else gives a verdict.
    An input whose verdict is new is interesting, and others will be made of it."""

    seeds: tuple[bytes, ...]
    make: Make
    attempt: Callable[[bytes], Awaitable[Hashable]]


Opened = Callable[[], AbstractAsyncContextManager[Target]]
