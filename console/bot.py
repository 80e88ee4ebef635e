"""One bot: comes into a room, moves, chats, loses its network, leaves, and comes back."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from console.account import Account, Ticket, Trouble
from console.ledger import Ledger
from console.recording import Track
from console.seat import Ended, Seat
from vchat.ticks import parse_tick

AGAIN_S = 2.0
"""An unacknowledged chat is sent again after this long, under the same id."""
_LOOK_EVERY = 5
"""Of every so many ticks one is read: reading all would make the bots the bottleneck."""
_REMEMBERED = 100
"""Of one's last poses it is known when they were sent."""
_WAIT_S = (0.2, 10.0)


@dataclass(frozen=True, slots=True)
class Habits:
    """Seconds between what a bot does, on average."""

    chat_s: float = 2.0
    vanish_s: float = 60.0
    leave_s: float = 120.0


USUAL = Habits()


class Bot:
    """Lives until cancelled. Whatever it could not explain is in `problems`."""

    def __init__(
        self,
        name: str,
        account: Account,
        way_in: Callable[[], Awaitable[Ticket]],
        ledger: Ledger,
        track: Track,
        habits: Habits,
        shown: dict[tuple[int, int], float],
        chance: random.Random,
    ) -> None:
        self.account = account
        self.problems: list[str] = []
        self.returns = 0
        self.here = False
        self.known = 0
        self.chatting = True
        self.unacked: dict[str, tuple[str, float]] = {}
        self._name = name
        self._way_in = way_in
        self._ledger = ledger
        self._motion = track.frames()
        self._habits = habits
        self._shown = shown
        self._chance = chance
        self._epoch = ""
        self._resume = ""
        self._url = ""
        self._said = 0
        self._went = False

    async def live(self) -> None:
        wait = _WAIT_S[0]
        while True:
            try:
                seat = await self._come_in()
                wait = _WAIT_S[0]
                self.here = True
                await self._stay(seat)
            except Ended as ended:
                if ended.final:
                    self.problems.append(f"{self._name} was closed: {ended}")
                if not ended.resumable or self._went:
                    self._resume = ""
            except Trouble as trouble:
                self.problems.append(f"{self._name}: {trouble}")
            self.here, self._went = False, False
            self.returns += 1
            await asyncio.sleep(wait * (0.5 + self._chance.random()))
            wait = min(_WAIT_S[1], wait * 2)

    async def _come_in(self) -> Seat:
        resuming = bool(self._resume)
        if resuming:
            token = {"token": self._resume, "epoch": self._epoch, "offset": self.known}
            seat = await Seat.take(self._url, resume=token)
        else:
            ticket = await self._way_in()
            self._url = ticket.url
            seat = await Seat.take(ticket.url, ticket=ticket.ticket)
        welcome = seat.welcome
        if resuming and not welcome["recovered"]:
            self._ledger.unrecovered += 1
        self._resume, self._epoch = welcome["resume"], welcome["epoch"]
        self._ledger.begin(self._epoch)
        self.known = welcome["offset"]
        self.unacked = {name: (text, 0.0) for name, (text, _) in self.unacked.items()}
        return seat

    async def _stay(self, seat: Seat) -> None:
        work = [self._talk(seat), self._move(seat), self._wander(seat)]
        tasks = [asyncio.create_task(one) for one in work]
        last_tick = ticks = 0.0
        try:
            async for frame in seat.frames():
                now = time.monotonic()
                if isinstance(frame, bytes):
                    if last_tick:
                        self._ledger.gaps.add(now - last_tick)
                    last_tick = now
                    ticks += 1
                    if ticks % _LOOK_EVERY == 0:
                        self._look(frame, now)
                elif frame["type"] == "migrate":
                    asyncio.get_running_loop().call_later(frame["afterMs"] / 1000, seat.vanish)
                else:
                    self._take(frame, now)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            seat.vanish()

    def _take(self, frame: dict[str, Any], now: float) -> None:
        if "offset" in frame and "time" in frame:
            said = frame["id"] if frame["type"] == "chat" else ""
            self.known = self._ledger.event(self.known, frame["offset"], said, now)
        elif frame["type"] == "ack":
            if self.unacked.pop(frame["id"], None) is not None:
                self._ledger.ack(frame["offset"], frame["id"])
        elif frame["type"] == "refreshed":
            self._resume = frame["resume"]
        elif frame["type"] == "error" and frame["code"] not in ("unavailable", "session-unknown"):
            self.problems.append(f"{self._name} was told {frame['code']}: {frame['detail']}")

    def _look(self, frame: bytes, now: float) -> None:
        snapshot, _, _, poses = parse_tick(frame)
        if not snapshot:
            for seat, seq, _ in poses:
                if (sent := self._shown.get((seat, seq))) is not None:
                    self._ledger.poses.add(now - sent)

    async def _talk(self, seat: Seat) -> None:
        while True:
            await asyncio.sleep(self._pause(self._habits.chat_s))
            if self.chatting:
                self._said += 1
                self.unacked[f"{self._name}-{self._said}"] = (f"Word {self._said}", 0.0)
            now = time.monotonic()
            for name, (text, sent) in list(self.unacked.items()):
                if now - sent > AGAIN_S:
                    self.unacked[name] = (text, now)
                    # Only what was never on its way before tells how long the way is.
                    if sent:
                        self._ledger.sent.pop(name, None)
                    else:
                        self._ledger.sent[name] = now
                    await seat.say(type="chat", id=name, text=text)

    async def _move(self, seat: Seat) -> None:
        began = time.monotonic()
        me = seat.welcome["seat"]
        first = None
        recent: deque[tuple[int, int]] = deque()
        for at, seq, frame in self._motion:
            first = at if first is None else first
            wait = began + at - first - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            else:
                # Who was held up goes on from there, as a page does: catching up would be too fast.
                began -= wait
                await asyncio.sleep(0)
            recent.append((me, seq))
            self._shown[me, seq] = time.monotonic()
            if len(recent) > _REMEMBERED:
                self._shown.pop(recent.popleft(), None)
            await seat.pose(frame)

    async def _wander(self, seat: Seat) -> None:
        vanish, leave = self._pause(self._habits.vanish_s), self._pause(self._habits.leave_s)
        await asyncio.sleep(min(vanish, leave))
        if leave < vanish:
            self._went = True
            await seat.leave()
        else:
            seat.vanish()

    def _pause(self, mean_s: float) -> float:
        return mean_s * (0.5 + self._chance.random())
