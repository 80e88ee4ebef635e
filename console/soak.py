"""Bots in a running V-Chat for a while: was anything lost, how late was it, what did it cost?

    make soak ROOMS=4 PEOPLE=10 MINUTES=30             # against a server of its own on this machine
    make soak CLOUD=1 ROOMS=25 PEOPLE=10 MINUTES=30    # the same as `make cloud` has it, one relay
    make soak URL=https://...run.app ROOMS=2 MINUTES=5 # against a deployment's api

Ends with one line of JSON, and with exit code 1 when something was lost, repeated or unexplained.
"""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from bench.motion import Kind
from console.account import Account, Ticket, Trouble
from console.bot import USUAL, Bot, Habits
from console.ledger import Ledger, Spread
from console.recording import Track, synthetic
from console.server import OwnServer
from vchat import limits

SAMPLE_S = 5.0
SETTLE_S = 20.0
WARM_S = limits.DEDUPE_S + 2 * 60.0
"""After so long a server remembers no more than before: the ids of messages and, for less, used
tickets and resume tokens; with some time for what has expired to be swept."""
_KINDS: tuple[Kind, ...] = ("walk", "dance", "idle", "walk", "dance", "idle", "walk", "walk")
"""What people do, each in their own way. More ways would cost more than all bots' other work."""
_AT_ONCE = 8
_KEPT_S = 2.0
"""A server closes an idle connection after 5 s, and a request may be on its way then."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How large and how long. Without `tracks` the motion is synthetic, `hz` a second."""

    rooms: int
    people: int
    minutes: float
    hz: float
    seed: int = 1
    habits: Habits = USUAL
    tracks: tuple[Track, ...] = ()


@dataclass
class Report:
    """What a soak showed."""

    wish: Wish
    ledgers: list[Ledger]
    bots: list[Bot]
    seconds: float
    settled: bool
    memory_kb: list[tuple[float, int]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    @property
    def problems(self) -> Counter[str]:
        return Counter(problem for bot in self.bots for problem in bot.problems)

    @property
    def good(self) -> bool:
        lost = sum(one.lost + one.repeated + one.swapped for one in self.ledgers)
        return self.settled and not lost and not self.problems and not self.log

    @property
    def memory_growth_pct(self) -> float | None:
        """Of the server's memory, from the first to the second half of the time after it is warm:
        until then logs and remembered message ids still fill. A short soak is never warm, and
        compares its last two eighths."""
        warm_s = max(self.seconds / 2, min(WARM_S, self.seconds * 3 / 4))
        middle_s = (warm_s + self.seconds) / 2
        first = [kb for at, kb in self.memory_kb if warm_s <= at < middle_s]
        second = [kb for at, kb in self.memory_kb if at >= middle_s]
        if not first or not second:
            return None
        return (sum(second) / len(second) / (sum(first) / len(first)) - 1) * 100

    def line(self) -> str:
        chats = sum((one.chats for one in self.ledgers), Spread())
        poses = sum((one.poses for one in self.ledgers), Spread())
        gaps = sum((one.gaps for one in self.ledgers), Spread())
        growth = self.memory_growth_pct
        told: dict[str, Any] = {
            "rooms": self.wish.rooms,
            "people": self.wish.people,
            "minutes": round(self.seconds / 60, 2),
            "hz": self.wish.hz,
            "acked": sum(len(one.acked) for one in self.ledgers),
            "heard": sum(one.heard for one in self.ledgers),
            "lost": sum(one.lost for one in self.ledgers),
            "repeated": sum(one.repeated for one in self.ledgers),
            "swapped": sum(one.swapped for one in self.ledgers),
            "unrecovered": sum(one.unrecovered for one in self.ledgers),
            "chatMsP50": chats.quantile(0.5),
            "chatMsP99": chats.quantile(0.99),
            "poseMsP50": poses.quantile(0.5),
            "poseMsP99": poses.quantile(0.99),
            "gapMsP50": gaps.quantile(0.5),
            "gapMsP99": gaps.quantile(0.99),
            "returns": sum(bot.returns for bot in self.bots),
            "apiWaits": sum(bot.account.waited for bot in self.bots),
            "problems": sum(self.problems.values()),
            "memoryMb": round(self.memory_kb[-1][1] / 1024, 1) if self.memory_kb else None,
            "memoryGrowthPct": None if growth is None else round(growth, 2),
            "logLines": len(self.log),
        }
        return json.dumps(told)


async def soak(
    base: str, wish: Wish, say: Callable[[str], None], server: OwnServer | None = None
) -> Report:
    """Put everybody into their rooms, let them live, and see that all was heard by all."""
    if not wish.tracks:
        ways = enumerate(_KINDS, start=wish.seed)
        wish = replace(wish, tracks=tuple(synthetic(kind, wish.hz, seed) for seed, kind in ways))
    few = httpx.Limits(max_connections=_AT_ONCE, keepalive_expiry=_KEPT_S)
    async with httpx.AsyncClient(base_url=base, limits=few) as http:
        accounts = await _sign_in(http, wish.rooms * wish.people, say)
        ledgers: list[Ledger] = []
        bots: list[Bot] = []
        rooms: list[tuple[Account, str]] = []
        try:
            for number in range(wish.rooms):
                here = accounts[number * wish.people : (number + 1) * wish.people]
                room_id = await here[0].make_room(f"Soak {number + 1}", wish.people)
                rooms.append((here[0], room_id))
                ledgers.append(Ledger())
                invite = await here[0].invite(room_id)
                bots += _bots(wish, number, here, room_id, invite, ledgers[-1])
            say(f"{len(bots)} bots go into {wish.rooms} rooms for {wish.minutes:g} minutes")
            return await _let_live(wish, bots, ledgers, say, server)
        finally:
            await _clear(rooms, accounts, say)


async def _sign_in(
    http: httpx.AsyncClient, count: int, say: Callable[[str], None]
) -> list[Account]:
    """Guests, all from one address: beyond the api's burst for that, this takes its time."""
    gate = asyncio.Semaphore(2)  # more would take each other's turns, until one gave up

    async def one(number: int) -> Account:
        async with gate:
            return await Account.guest(http, f"Bot {number + 1}")

    accounts = await asyncio.gather(*(one(number) for number in range(count)))
    say(f"{count} guests signed in")
    return accounts


def _bots(
    wish: Wish, number: int, here: Sequence[Account], room_id: str, invite: str, ledger: Ledger
) -> list[Bot]:
    shown: dict[tuple[int, int], float] = {}
    made = []
    for place, account in enumerate(here):
        seed = wish.seed * 1000 + number * wish.people + place
        track = wish.tracks[place % len(wish.tracks)]

        async def way_in(account: Account = account) -> Ticket:
            return await account.ticket(room_id, invite=invite)

        name = f"bot-{number + 1}-{place + 1}"
        chance = random.Random(seed)  # noqa: S311 (behaviour, no secret)
        made.append(Bot(name, account, way_in, ledger, track, wish.habits, shown, chance))
    return made


async def _let_live(
    wish: Wish,
    bots: list[Bot],
    ledgers: list[Ledger],
    say: Callable[[str], None],
    server: OwnServer | None,
) -> Report:
    began = time.monotonic()
    living = [asyncio.create_task(bot.live()) for bot in bots]
    memory: list[tuple[float, int]] = []
    try:
        told = 0
        while (passed := time.monotonic() - began) < wish.minutes * 60:
            if server is not None:
                memory.append((passed, server.memory_kb()))
            if passed // 60 > told:
                told = int(passed // 60)
                lost = sum(one.lost + one.repeated + one.swapped for one in ledgers)
                at = f", {memory[-1][1] // 1024} MB" if memory else ""
                say(f"minute {told}: {sum(one.heard for one in ledgers)} heard, {lost} wrong{at}")
            await asyncio.sleep(min(SAMPLE_S, max(0.05, wish.minutes * 60 - passed)))
        for bot in bots:
            bot.chatting = False
        settled = await _settle(bots, ledgers, wish.people)
        passed = time.monotonic() - began
        for number, ledger in enumerate(ledgers):
            ledger.close([bot.known for bot in _of_room(bots, number, wish.people) if bot.here])
    finally:
        for task in living:
            task.cancel()
        ends = await asyncio.gather(*living, return_exceptions=True)
    for bot, end in zip(bots, ends, strict=True):
        if isinstance(end, Exception):
            bot.problems.append(repr(end))
    log = server.lines if server is not None else []
    return Report(wish, ledgers, bots, passed, settled, memory, log)


def _of_room(bots: list[Bot], number: int, people: int) -> list[Bot]:
    return bots[number * people : (number + 1) * people]


async def _settle(bots: list[Bot], ledgers: list[Ledger], people: int) -> bool:
    """Whether all that was said is acknowledged, and heard by all who are there."""

    def calm() -> bool:
        return not any(bot.unacked for bot in bots) and all(
            bot.known >= ledger.head
            for number, ledger in enumerate(ledgers)
            for bot in _of_room(bots, number, people)
            if bot.here
        )

    try:
        async with asyncio.timeout(SETTLE_S):
            while not calm():  # noqa: ASYNC110 (counted, not announced)
                await asyncio.sleep(0.1)
    except TimeoutError:
        return False
    return True


async def _clear(
    rooms: list[tuple[Account, str]], accounts: list[Account], say: Callable[[str], None]
) -> None:
    for account, path in [
        *((account, f"/rooms/{room_id}") for account, room_id in rooms),
        *((account, "/me") for account in accounts),
    ]:
        try:
            await account.call("DELETE", path)
        except Trouble as trouble:
            say(f"could not clear up: {trouble}")
