"""`python -m console`: rooms, census, watch, soak; also `make vchat ARGS="..."` and `make soak`."""

import argparse
import asyncio
import os
import signal
import sys
from collections import Counter
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import httpx
import uvloop

from adapters.state_redis import connect
from console import recording
from console.account import Account, Trouble
from console.census import census
from console.seat import Ended
from console.server import own_server
from console.soak import Report, Wish, soak
from console.watch import Watch
from vchat.errors import Refused

_LOCAL = "http://localhost:8080/api"


def _say(text: str) -> None:
    print(f"  {text}", flush=True)


async def _soak(asked: argparse.Namespace) -> int:
    tracks = tuple(recording.read(asked.replay)) if asked.replay else ()
    wish = Wish(asked.rooms, asked.people, asked.minutes, asked.hz, asked.seed, tracks=tracks)
    if asked.api:
        report = await soak(asked.api, wish, _say)
    else:
        async with own_server(asked.cloud) as server:
            _say(f"a server of our own is at {server.address}")
            report = await soak(server.address, wish, _say, server)
    _explain(report)
    print(report.line())
    return 0 if report.good else 1


async def _rooms(asked: argparse.Namespace) -> int:
    async with httpx.AsyncClient(base_url=asked.api) as http:
        for room in await Account(http, "").rooms():
            locked = ", locked" if room["locked"] else ""
            seats = f"{room['occupancy']:>4} of {room['capacity']:<4}"
            print(f"{room['id']} {seats} {room['name']}{locked}")
    return 0


async def _census(asked: argparse.Namespace) -> int:
    redis = connect(asked.redis or os.environ.get("REDIS_URL", "redis://localhost:6379/0"))
    try:
        rooms = await census(redis)
    finally:
        await redis.aclose()
    instances: Counter[str] = Counter()
    for room in rooms:
        relays = ", ".join(f"{people} at {relay}" for relay, people in sorted(room.relays.items()))
        print(
            f"{room.room_id} {room.people:>4} people ({relays}), {room.away} away, log {room.head}"
        )
        instances.update(room.instances)
    for instance, count in instances.most_common():
        print(f"instance {instance}: {count} rooms")
    return 0


async def _watch(asked: argparse.Namespace) -> int:
    async with httpx.AsyncClient(base_url=asked.api) as http, AsyncExitStack() as ends:
        if token := os.environ.get("VCHAT_ACCESS_TOKEN"):
            account = Account(http, token)
        else:
            account = await Account.guest(http, asked.name)
            ends.push_async_callback(account.call, "DELETE", "/me")
        recorder = None
        if asked.record:
            recorder = recording.Recorder(ends.enter_context(asked.record.open("w")))
        watch = Watch(
            account,
            asked.room,
            lambda line: print(line, flush=True),
            invite=asked.invite,
            words=asked.words,
            recorder=recorder,
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(asked.seconds):
                await watch.look()
    return 0


def _explain(report: Report) -> None:
    for problem, count in report.problems.most_common(20):
        _say(f"{count} times: {problem}")
    for line in report.log[:20]:
        _say(f"the server said: {line}")
    if not report.settled:
        _say("not all that was said was heard by all in the end")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vchat", description="Look into a running V-Chat.")
    commands = parser.add_subparsers(required=True, metavar="command")

    one = commands.add_parser("rooms", help="the public rooms, as the api lists them")
    one.add_argument("--api", default=_LOCAL, help="the api's address")
    one.set_defaults(run=_rooms)

    one = commands.add_parser("census", help="all rooms in use and their relays, out of Redis")
    one.add_argument("--redis", help="its URL; without it REDIS_URL of the environment")
    one.set_defaults(run=_census)

    one = commands.add_parser(
        "watch", help="a room, live, as a spectator; as yourself with VCHAT_ACCESS_TOKEN"
    )
    one.add_argument("room", help="its id")
    one.add_argument("--api", default=_LOCAL, help="the api's address")
    one.add_argument("--invite", help="into a private room")
    one.add_argument("--name", default="Observer", help="what others see")
    one.add_argument("--words", action="store_true", help="show what people say")
    one.add_argument("--seconds", type=float, help="stop after so long; else on Ctrl-C")
    one.add_argument("--record", type=Path, help="write the motion into this file")
    one.set_defaults(run=_watch)

    one = commands.add_parser("soak", help="put bots into rooms and see that nothing is lost")
    one.add_argument("--api", default="", help="the api's address; without it a server is started")
    one.add_argument("--cloud", type=int, default=0, help="start it with so many relays")
    one.add_argument("--rooms", type=int, default=2)
    one.add_argument("--people", type=int, default=8, help="in each room")
    one.add_argument("--minutes", type=float, default=1)
    one.add_argument("--hz", type=float, default=20, help="poses a second")
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--replay", type=Path, help="a recording to move by")
    one.set_defaults(run=_soak)
    return parser


def main() -> None:
    asked = _parser().parse_args()
    # Told to end is as good as Ctrl-C: a soak has a server of its own to take along.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(uvloop.run(asked.run(asked)))
    except (Trouble, Ended, Refused, ValueError, OSError) as error:
        sys.exit(f"vchat: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
