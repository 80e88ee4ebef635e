"""Conversations kept in a file: what clients said, and what a relay of that day answered.

A line is a JSON object: `who` does something (`open`, `say` a frame, `pose`, `drop`) or is told
something (`hear`, `tick`, `closed`). "$ticket", "$resume" and "$epoch" stand for that person's own.

`python -m tests.transcript < SCRIPT` prints the conversation with what the relay of today says. A
script is one of an earlier day, or lines by hand, of whose answers only the type is asked for.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

from fakeredis import FakeAsyncRedis

from adapters.state_redis import RedisState
from tests.relays import Browser, RunningRelay, close_sockets, new_room, running_relay, ticket
from vchat import limits

CHANGES = frozenset(
    "version session epoch resume relay time serverTime expiresIn retryMs id detail".split()
)
"""Fields whose values are of that day, but whose kind is not."""
WELCOME_BYTES = 1
"""Each entry of a welcome's lists comes in a part of its own, however long entries will be."""


class Play:
    """Plays a transcript against a relay; `heard` has what the relay says now, line by line."""

    def __init__(self, relay: RunningRelay, room_id: str) -> None:
        self._relay = relay
        self._room_id = room_id
        self._people: dict[str, Browser] = {}
        self._own: dict[str, dict[str, Any]] = {}

    async def step(self, line: dict[str, Any]) -> Any:
        """Do what a line says; what the relay said, if it is about that."""
        who = line["who"]
        match line["do"]:
            case "open":
                self._people[who] = await self._relay.open(self._room_id)
            case "say":
                await self._people[who].send(**self._filled(who, line["frame"]))
            case "pose":
                await self._people[who].pose(line["seq"], bytes.fromhex(line["body"]))
            case "drop":
                self._people[who].vanish()
            case "hear":
                frame = await self._people[who].text(line["frame"]["type"])
                own = {name: frame[name] for name in ("resume", "epoch") if name in frame}
                self._own.setdefault(who, {}).update(own)
                return frame
            case "tick":
                snapshot, poses = await self._people[who].tick()
                return {"snapshot": snapshot, "poses": [[a, b, c.hex()] for a, b, c in poses]}
            case "closed":
                closed = await self._people[who].closed()
                return {"code": closed.code, "bye": closed.bye}
        return None

    def _filled(self, who: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._filled(who, inner) for name, inner in value.items()}
        if value == "$ticket":
            return ticket(self._room_id, who)
        if isinstance(value, str) and value.startswith("$"):
            return self._own[who][value[1:]]
        return value


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def lacks(then: Any, now: Any, where: str = "$") -> list[str]:
    """What an older client would miss: fields that are gone or of another kind, and values that
    are not what they were. More fields, and more members of a list, are no harm."""
    if isinstance(then, dict) and isinstance(now, dict):
        missing = [f"{where}.{name} is gone" for name in then.keys() - now.keys()]
        for name in then.keys() & now.keys():
            if name in CHANGES:
                if type(then[name]) is not type(now[name]):
                    missing.append(f"{where}.{name} is of another kind")
            else:
                missing += lacks(then[name], now[name], f"{where}.{name}")
        return missing
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        pairs = enumerate(zip(then, now, strict=True))
        return [one for n, (a, b) in pairs for one in lacks(a, b, f"{where}[{n}]")]
    return [] if then == now else [f"{where} was {then!r} and is {now!r}"]


async def _record() -> None:
    state, room = RedisState(FakeAsyncRedis()), new_room()
    await state.show_room(room)
    with patch.object(limits, "WELCOME_BYTES", WELCOME_BYTES):
        async with running_relay(state) as relay:
            play = Play(relay, room.id)
            for text in sys.stdin:
                line = json.loads(text)
                now = await play.step(line)
                print(json.dumps(line if now is None else {**line, "frame": now}))
            await close_sockets()


if __name__ == "__main__":
    asyncio.run(_record())
