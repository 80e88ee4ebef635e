"""A room, live, as somebody sees it who only looks on: who comes and goes, how much moves."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from console.account import Account
from console.recording import Recorder
from console.seat import Ended, Seat
from vchat.ticks import parse_tick

EVERY_S = 5.0
_AGAIN_S = 1.0
_FIELDS = {"left": "reason", "signal": "signal", "room": "name", "ended": "reason"}


def printable(text: str) -> str:
    r"""One line that does nothing to a terminal but stand there: what cannot be seen is escaped,
    as `\x1b` or `\n`."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


class Watch:
    """One spectator. `say` gets lines for a person; chats are told by length unless `words`."""

    def __init__(
        self,
        account: Account,
        room_id: str,
        say: Callable[[str], None],
        *,
        invite: str | None = None,
        words: bool = False,
        recorder: Recorder | None = None,
    ) -> None:
        self._account = account
        self._room_id = room_id
        self._print = say
        self._invite = invite
        self._words = words
        self._recorder = recorder
        self._people: dict[int, str] = {}
        self._offset = 0
        self._ticks = self._poses = self._bytes = 0

    async def look(self) -> None:
        """Look on until cancelled, coming back where the relay wants that. Raises Trouble, and
        Ended when there is no coming back."""
        resume: dict[str, Any] | None = None
        url = ""
        counting = asyncio.create_task(self._count())
        try:
            while True:
                try:
                    if resume is None:
                        ticket = await self._account.ticket(
                            self._room_id, spectate=True, invite=self._invite
                        )
                        url = ticket.url
                        seat = await Seat.take(url, ticket=ticket.ticket)
                    else:
                        seat = await Seat.take(url, resume={**resume, "offset": self._offset})
                    welcome = seat.welcome
                    resume = {"token": welcome["resume"], "epoch": welcome["epoch"]}
                    self._enter(welcome)
                    await self._listen(seat)
                except Ended as ended:
                    self._say(f"-- the connection ended: {ended}")
                    if ended.final:
                        raise
                    if not ended.resumable:
                        resume = None
                    await asyncio.sleep(_AGAIN_S)
        finally:
            counting.cancel()
            await asyncio.gather(counting, return_exceptions=True)

    def _enter(self, welcome: dict[str, Any]) -> None:
        room = welcome["room"]
        self._offset = welcome["offset"]
        self._people = {one["seat"]: one["name"] for one in welcome["members"]}
        self._say(
            f"-- {room['name']} ({room['id']}) at {welcome['relay']}: {len(self._people)} of "
            f"{room['capacity']} seats, log {welcome['epoch']}:{welcome['head']}"
        )
        for one in welcome["members"]:
            away = ", away" if one["away"] else ""
            self._say(
                f"   seat {one['seat']}: {one['name']}, {one['role']} at {one['relay']}{away}"
            )

    def _say(self, line: str) -> None:
        self._print(printable(line))

    async def _listen(self, seat: Seat) -> None:
        heard = seat.bytes
        try:
            async for frame in seat.frames():
                self._bytes += seat.bytes - heard
                heard = seat.bytes
                if isinstance(frame, bytes):
                    _, _, _, poses = parse_tick(frame)
                    self._ticks += 1
                    self._poses += len(poses)
                    if self._recorder is not None:
                        self._recorder.write(time.monotonic(), poses)
                elif frame["type"] == "migrate":
                    seat.vanish()
                else:
                    self._tell(frame)
        except asyncio.CancelledError:
            await seat.leave()
            raise
        finally:
            seat.vanish()

    def _tell(self, frame: dict[str, Any]) -> None:
        if "time" not in frame:
            return
        self._offset = frame.get("offset", self._offset)
        kind, seat = frame["type"], frame.get("seat")
        if kind == "joined":
            self._people[frame["seat"]] = frame["name"]
        who = self._people.get(frame.get("seat", 0), "")
        if kind == "left":
            self._people.pop(frame["seat"], None)
        if kind == "chat":
            more = frame["text"] if self._words else f"{len(frame['text'])} characters"
        elif kind == "member":
            known = ("type", "offset", "time", "seat", "userId")
            more = ", ".join(
                f"{name} {value}" for name, value in frame.items() if name not in known
            )
        else:
            more = str(frame.get(_FIELDS.get(kind, ""), ""))
        clock = time.strftime("%H:%M:%S", time.localtime(frame["time"] / 1000))
        place = "" if seat is None else f" seat {seat}"
        self._say(f"{clock} {frame.get('offset', '-'):>6} {kind}{place} {who}: {more}".rstrip(": "))

    async def _count(self) -> None:
        while True:
            before = self._ticks, self._poses, self._bytes
            await asyncio.sleep(EVERY_S)
            ticks, poses, size = (
                (now - then) / EVERY_S
                for now, then in zip((self._ticks, self._poses, self._bytes), before, strict=True)
            )
            if size:
                self._say(
                    f"-- {len(self._people)} people, {ticks:.1f} ticks, {poses:.1f} poses and "
                    f"{size / 1000:.1f} kB a second"
                )
