"""Meeting someone by chance: who suits whom, and the port to those who wait.

Whoever waits longest goes first. A caller is in the queue before they look around, so of two who
come at once at least one sees the other; and a pair is made in one step that fails when either is
gone, so nobody is given away twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from vchat.model import Value


class Wishes(Value, frozen=True, kw_only=True):
    """What a person would like. Nothing said means: anybody."""

    language: str | None = None
    interests: tuple[str, ...] = ()
    avoid: tuple[str, ...] = ()
    """Ids of people they do not want to meet, and who shall not meet them."""


class Waiter(Value, frozen=True, kw_only=True):
    user_id: str
    name: str
    wishes: Wishes


class Match(Value, frozen=True, kw_only=True):
    """Two people and their room. `host_id` is who waited longer."""

    room_id: str
    host_id: str
    partner_id: str
    partner_name: str


@dataclass(frozen=True, slots=True)
class Statistics:
    """People waiting now, pairs made, and how long those in pairs waited on average."""

    waiting: int
    pairs: int
    average_wait_ms: int


def suits(one: Waiter, other: Waiter) -> bool:
    """Whether two may meet; the same from either side."""
    if one.user_id == other.user_id:
        return False
    if other.user_id in one.wishes.avoid or one.user_id in other.wishes.avoid:
        return False
    mine, theirs = one.wishes, other.wishes
    if mine.language and theirs.language and mine.language != theirs.language:
        return False
    if mine.interests and theirs.interests:
        return not set(mine.interests).isdisjoint(theirs.interests)
    return True


def partners(me: Waiter, waiting: Iterable[Waiter]) -> list[Waiter]:
    """Everyone who suits, in the order given: longest waiting first."""
    return [other for other in waiting if suits(me, other)]


class Queue(Protocol):
    """Those who wait. Every method is one atomic step, and raises Refused(UNAVAILABLE) when the
    shared state cannot be reached."""

    async def wait(self, waiter: Waiter, *, most_s: int) -> Match | int:
        """Come, or stay: for MATCH_LEASE_S from now, and `most_s` from coming at most. A match
        that was made meanwhile, or how long they have been waiting, in milliseconds."""

    async def stay(self, user_id: str) -> Match | int | None:
        """Like `wait` for someone who has come before; None when they are no longer waiting."""

    async def waiter(self, user_id: str) -> Waiter | None: ...

    async def waiting(self, limit: int) -> tuple[Waiter, ...]:
        """Those who wait now, longest first."""

    async def pair(self, host: Waiter, guest: Waiter, room_id: str) -> bool:
        """Take both out of the queue as a pair; False when either is no longer waiting."""

    async def took(self, user_id: str) -> None:
        """They have a ticket to their match: keep it for MATCH_LEASE_S at most, should the answer
        be lost. Who asks later waits for the next."""

    async def leave(self, user_id: str) -> None:
        """Wait no longer, and forget a match that was made. Idempotent."""

    async def statistics(self) -> Statistics: ...
