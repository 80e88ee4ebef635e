"""Who may come to the door: a storm waits in turn, and a flood is turned away before it costs much.

Connections that have said who they are, and were welcomed, are never touched by this.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from vchat import limits
from vchat.admitting import Admitting
from vchat.errors import Refused, Why
from vchat.rates import Bucket

_BUSY_MS = (1000, 5000)
_DRAINING_MS = 200
"""Soon: who is told so three times asks for another relay, and the old connection still serves."""
_SLOTS = 0.5
"""The part of the rate that is promised to those who were sent away; the rest is for newcomers."""


@dataclass(frozen=True, slots=True)
class _Counts:
    """Connections right now, and by `why` those that were turned away so far."""

    refused: Counter[str]
    entering: asyncio.Semaphore
    knocking: Counter[str] = field(default_factory=Counter)
    addresses: Counter[str] = field(default_factory=Counter)
    accounts: Counter[str] = field(default_factory=Counter)


class Gate:
    """Counts connections; `clock` is in seconds and only grows. `refused` is told how many were
    turned away: for `address`, `knocking`, `draining`, `storm`, `turn`, `account`."""

    def __init__(
        self, admitting: Admitting, clock: Callable[[], float], refused: Counter[str]
    ) -> None:
        self._admitting = admitting
        self._clock = clock
        self._counts = _Counts(refused, asyncio.Semaphore(admitting.entering))
        self._connects = Bucket(admitting.connects, clock())
        self._next_slot = clock()

    def knock(self, address: str, *, draining: bool = False) -> "Knock":
        """A new connection, before anything was done for it. Raises Refused with UNAVAILABLE and
        when to come again, if there are too many already. While `draining` each only hears that."""
        admitting, counts = self._admitting, self._counts
        if (
            counts.addresses[address] >= admitting.address
            or counts.knocking[address] >= admitting.knocking_address
        ):
            raise self._turned_away("address", "Too many connections come from your address.")
        if counts.knocking.total() >= admitting.knocking:
            raise self._turned_away("knocking", "Too many are at the door; try again.")
        slot_ms = self._elsewhere() if draining else self._slot()
        return Knock(counts, admitting.account, address, slot_ms)

    def _turned_away(self, why: str, detail: str) -> Refused:
        self._counts.refused[why] += 1
        return Refused(Why.UNAVAILABLE, detail, retry_ms=random.randint(*_BUSY_MS))  # noqa: S311

    def _elsewhere(self) -> int:
        self._counts.refused["draining"] += 1
        return _DRAINING_MS

    def _slot(self) -> int | None:
        """None for who may come in now, or in how many ms it is this one's turn."""
        now = self._clock()
        if not self._connects.take(now):
            return None
        self._counts.refused["storm"] += 1
        self._next_slot = max(now, self._next_slot) + 1 / (self._admitting.connects.per_s * _SLOTS)
        most_ms = limits.SLOT_S * 1000
        slot_ms = round((self._next_slot - now) * 1000)
        if slot_ms > most_ms:  # a promise that far ahead is none
            self._next_slot = now + limits.SLOT_S
            return random.randint(most_ms // 2, most_ms)  # noqa: S311
        return slot_ms


class Knock:
    """One connection at the gate, from the first byte to the last: a context manager."""

    def __init__(self, counts: _Counts, most: int, address: str, slot_ms: int | None) -> None:
        self._counts = counts
        self._most = most
        self._address = address
        self._user_id: str | None = None
        self._knocking = True
        self._entering = False
        self.refusal = None if slot_ms is None else Refused(Why.UNAVAILABLE, retry_ms=slot_ms)
        """Why this one hears only a bye, if so."""
        counts.knocking[address] += 1
        counts.addresses[address] += 1

    async def turn(self) -> None:
        """Wait until there is time for this one; it ends with `worked_on`. Raises Refused."""
        try:
            async with asyncio.timeout(limits.TURN_S):
                await self._counts.entering.acquire()
        except TimeoutError as error:
            self._counts.refused["turn"] += 1
            raise Refused(Why.UNAVAILABLE, retry_ms=random.randint(*_BUSY_MS)) from error  # noqa: S311
        self._entering = True

    def known(self, user_id: str) -> None:
        """It has shown whose it is. Raises Refused(TOO_MANY)."""
        if self._counts.accounts[user_id] >= self._most:
            self._counts.refused["account"] += 1
            raise Refused(Why.TOO_MANY)
        self._counts.accounts[user_id] += 1
        self._user_id = user_id

    def worked_on(self) -> None:
        """The rest waits for its browser alone: the next one may have its turn."""
        if self._entering:
            self._entering = False
            self._counts.entering.release()

    def let_in(self) -> None:
        """It was welcomed, and is nobody at the door any more."""
        if self._knocking:
            self._knocking = False
            _less(self._counts.knocking, self._address)
        self.worked_on()

    def __enter__(self) -> "Knock":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.let_in()
        _less(self._counts.addresses, self._address)
        if self._user_id is not None:
            _less(self._counts.accounts, self._user_id)


def _less(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
