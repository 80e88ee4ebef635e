"""A room of people who move and talk, in a process of its own: `python -m tests.hostile.room`.

Reads `{"url", "hellos", "hz"}` as a first line. Each further line asks for what happened since the
last: `{"p50Ms", "p99Ms", "maxMs"}` of the gaps between ticks over all people, and how many chats
somebody lacks (`lost`) or was told twice (`repeated`).
"""

import asyncio
import itertools
import json
import math
import sys
import time
from collections import Counter
from typing import Any

import uvloop

from tests.relays import Browser, open_socket

_BODY = bytes([200]) + bytes(80)
_CHAT_S = 0.5


class Person:
    """One of the room; notes when each tick came, and which chats."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.gaps: list[float] = []
        self.told: Counter[str] = Counter()

    async def listen(self) -> None:
        last = None
        while True:
            frame = await self.browser.next(60)
            now = time.monotonic()
            if isinstance(frame, bytes):
                if last is not None:
                    self.gaps.append(1000 * (now - last))
                last = now
            elif frame["type"] == "chat" and frame["text"] == "all is well":
                self.told[frame["id"]] += 1

    async def move(self, hz: float) -> None:
        for seq in itertools.count():
            await self.browser.pose(seq & 0xFFFF, _BODY)
            await asyncio.sleep(1 / hz)


async def _run() -> None:
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    setting = json.loads(await lines.readline())
    people = []
    for hello in setting["hellos"]:
        browser = await open_socket(setting["url"])
        await browser.send(**json.loads(hello))
        browser.welcome = await browser.text("welcome")
        people.append(Person(browser))
    tasks = [asyncio.create_task(one.listen()) for one in people]
    tasks += [asyncio.create_task(one.move(setting["hz"])) for one in people]
    said: list[str] = []

    numbers = itertools.count()

    async def talk() -> None:
        for number in numbers:
            said.append(f"c{number}")
            await people[0].browser.send(type="chat", id=said[-1], text="all is well")
            await asyncio.sleep(_CHAT_S)

    talking = asyncio.create_task(talk())
    print("ready", flush=True)
    while await lines.readline():
        talking.cancel()
        await asyncio.sleep(1)  # for the last ones to arrive
        print(json.dumps(_report(people, said)), flush=True)
        said = []
        for one in people:
            one.gaps.clear()
            one.told.clear()
        for task in tasks:
            if task.done():
                task.result()
        talking = asyncio.create_task(talk())


def _report(people: list[Person], said: list[str]) -> dict[str, Any]:
    gaps = sorted(gap for one in people for gap in one.gaps)
    return {
        "ticks": len(gaps),
        "p50Ms": _share(gaps, 0.5),
        "p99Ms": _share(gaps, 0.99),
        "maxMs": round(gaps[-1], 1),
        "lost": sum(not one.told[chat] for one in people for chat in said),
        "repeated": sum(one.told[chat] > 1 for one in people for chat in said),
    }


def _share(ordered: list[float], share: float) -> float:
    return round(ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)], 1)


if __name__ == "__main__":
    uvloop.run(_run())
