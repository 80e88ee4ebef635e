"""What a month costs: V-Chat in one's own project, and the same people elsewhere.

    python -m infra.tools.cost --rooms 10 --people 8 --hours 90 --hz 20
    python -m infra.tools.cost --tables     # the tables of docs/cost.md
    python -m infra.tools.cost --sent-bytes 52428800 --seconds 600 --rooms 3

Prices and their dates are in infra/prices.json. An estimate: how much people move, how often they
come and how long they stay decides more than any price.
"""

import argparse
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from infra.tools.bundle import ROOT
from vchat.cost import WIRE_BYTES

POSE_BYTES = 60
"""One avatar's body in one tick; see the table of docs/pose.md."""
TICK_BYTES, ENTRY_BYTES = 8, 6
"""Headers of a tick frame and of each avatar in it."""
SOCKETS, CPU, GIB = 500, 1.0, 0.5
"""A relay instance as Terraform makes it by default."""
SPLIT = 0.05
"""Rooms that happen to be on two instances, as while a new version is deployed."""
EVENTS = 30
"""Chat, joins and signals, for each person and hour."""
CALLS = 10
"""Api calls for each person and hour: sign in, look around, tickets, refresh."""
CALL_CPU_S = 0.05
READS, WRITES = 20, 6
"""Firestore documents for each person and hour."""
RENEW_S = 3.0
"""A relay renews the seats of a room this often, with one command to Redis."""
IMAGES_GIB, SECRETS, JOBS = 0.8, 2, 1
JANITOR_S = 6 * 24 * 30 * 1.0
"""Seconds a month: every ten minutes, one second."""


@dataclass(frozen=True, slots=True)
class Load:
    """`people` in each of `rooms` for `hours` a month, all at the same hours, moving at `hz`."""

    rooms: int
    people: int
    hours: float
    hz: float

    @property
    def peak(self) -> int:
        return self.rooms * self.people

    @property
    def person_hours(self) -> float:
        return self.peak * self.hours

    @property
    def sent_gib(self) -> float:
        """Bytes to browsers: one merged frame for each person and tick."""
        frame = TICK_BYTES + self.people * (ENTRY_BYTES + POSE_BYTES) + WIRE_BYTES
        return self.person_hours * 3600 * self.hz * frame / 2**30

    @property
    def instances(self) -> int:
        return math.ceil(self.peak / SOCKETS)


def charged(price: dict[str, Any], amount: float) -> float:
    """USD for an amount, after what is free. A price may have steps, as [up to, price]."""
    left = max(0.0, amount - price["free"])
    if not isinstance(price["price"], list):
        return float(left * price["price"])
    total, start = 0.0, 0.0
    for end, each in price["price"]:
        part = left if end is None else min(left, end - start)
        total, left, start = total + part * each, left - part, end or start
    return total


def own(load: Load, prices: dict[str, Any]) -> dict[str, float]:
    """USD a month of each item, in one's own project."""
    google, redis = prices["google"], prices["redis"]
    seconds = load.instances * load.hours * 3600
    calls = load.person_hours * CALLS
    api_s = calls * CALL_CPU_S + JANITOR_S
    ticks = load.rooms * SPLIT * load.hours * 3600 * load.hz * 2  # two instances publish
    tick_bytes = max(1000.0, load.people * (ENTRY_BYTES + POSE_BYTES) / 2)
    events = load.person_hours * EVENTS
    # Each publish is delivered to both instances; an event of an unsplit room to its one.
    carried = ticks * 3 * tick_bytes + events * 2 * 1000
    renewals = load.rooms * load.hours * 3600 / RENEW_S
    return {
        "Cloud Run: relays and functions": charged(google["cpu_s"], seconds * CPU + api_s)
        + charged(google["gib_s"], seconds * GIB + api_s * GIB)
        + charged(google["requests"], calls + load.person_hours),
        "Traffic to browsers": charged(google["egress_gib"], load.sent_gib),
        "Pub/Sub": charged(google["pubsub_gib"], carried / 2**30),
        "Redis, external": min(
            charged(redis["command"], renewals + events * 2 + calls * 2), redis["most"]["price"]
        ),
        "Firestore": charged(google["firestore_read"], load.person_hours * READS)
        + charged(google["firestore_write"], load.person_hours * WRITES),
        "Images, secrets, schedule": charged(google["registry_gib"], IMAGES_GIB)
        + charged(google["secret_version"], SECRETS)
        + charged(google["scheduler_job"], JOBS),
    }


def elsewhere(load: Load, prices: dict[str, Any]) -> dict[str, tuple[float | None, str]]:
    """USD a month at others (None: no public plan reaches that far), and what to know of it."""
    others = prices["others"]
    sent = load.person_hours * 3600 * load.hz
    messages = sent * load.people  # each pose is one message in, and one out for each other person
    ably, objects = others["ably"], others["durable_objects"]
    minutes = load.person_hours * 60
    requests = sent / objects["messages_per_request"]
    gb_s = load.rooms * load.hours * 3600 * objects["gb"]
    month = messages / 30
    users = load.peak * 3
    return {
        "Ably": (
            ably["month"] + messages * ably["message"] + minutes * ably["connection_minute"],
            "a message per pose and listener; at most 50 a second for a connection: merge first",
        ),
        "Pusher Channels": (
            _plan((c, m, p) for c, m, p in others["pusher"]["plans"] if _fits(load, month, c, m)),
            "by connections and messages a day",
        ),
        "PubNub": (
            _plan((u, 0, p) for u, p in others["pubnub"]["plans"] if users <= u),
            "users are three times the peak; a moving room exceeds the 15 a second advised",
        ),
        "LiveKit Cloud": (
            min(_livekit(plan, minutes, load) for plan in others["livekit"]["plans"])
            if load.peak
            else 0.0,
            "includes the voices, which V-Chat leaves to LiveKit as well",
        ),
        "Photon": (
            math.ceil(load.peak / 100) * others["photon"]["per_100"],
            "a game engine's SDK, by people at once; bulk prices are lower, traffic has a limit",
        ),
        "Cloudflare Durable Objects": (
            (objects["month"] if load.peak else 0.0)
            + max(0.0, requests - objects["requests_included"]) * objects["request"]
            + max(0.0, gb_s - objects["gb_s_included"]) * objects["gb_s"],
            "traffic out is free; one writes what V-Chat is oneself",
        ),
    }


def _fits(load: Load, messages_a_day: float, connections: int, messages: int) -> bool:
    return load.peak <= connections and messages_a_day <= messages


def _plan(fitting: Iterable[tuple[int, int, float]]) -> float | None:
    return min((price for _, _, price in fitting), default=None)


def _livekit(plan: list[Any], minutes: float, load: Load) -> float:
    month, included, minute, gb_included, gb = plan
    more = max(0.0, load.sent_gib * 1.074 - gb_included) * gb if gb_included is not None else 0.0
    return float(month + max(0.0, minutes - included) * minute + more)


def money(amount: float | None) -> str:
    if amount is None:
        return "no public plan"
    return f"{amount:,.2f}" if amount < 100 else f"{amount:,.0f}"


PROFILES = {
    "nobody": Load(0, 0, 0, 0),
    "10 rooms of 8, 3 hours a day": Load(10, 8, 90, 20),
    "1,000 rooms of 10, 4 hours a day": Load(1000, 10, 120, 20),
}


def tables(prices: dict[str, Any]) -> str:
    """The tables of docs/cost.md, as Markdown."""
    names = list(PROFILES)
    mine = [own(load, prices) for load in PROFILES.values()]
    theirs = [elsewhere(load, prices) for load in PROFILES.values()]
    head = "| USD a month | " + " | ".join(names) + " |\n|---|" + "---:|" * len(names)
    lines = [head]
    lines += [f"| {i} | " + " | ".join(money(m[i]) for m in mine) + " |" for i in mine[0]]
    total = [money(sum(m.values())) for m in mine]
    lines.append("| **V-Chat** | " + " | ".join(f"**{t}**" for t in total) + " |")
    lines += ["", head.replace("|\n|---|", "| what to know |\n|---|") + "---|"]
    lines.append("| **V-Chat**, voices not included | " + " | ".join(total) + " | |")
    for name, (_, note) in theirs[0].items():
        lines.append(
            f"| {name} | " + " | ".join(money(t[name][0]) for t in theirs) + f" | {note} |"
        )
    rows = [("google", name, entry) for name, entry in prices["google"].items()]
    rows += [("redis", name, entry) for name, entry in prices["redis"].items()]
    lines += ["", "| price | USD | free a month | of | read |", "|---|---:|---:|---|---|"]
    for _, name, entry in rows:
        price = entry["price"] if not isinstance(entry["price"], list) else entry["price"][0][1]
        checked = entry["date"] if entry["checked"] else f"{entry['date']}, unchecked"
        cells = (name, f"{price:.10f}".rstrip("0"), f"{entry['free']:,}", entry["unit"], checked)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def live(sent_bytes: float, seconds: float, rooms: int, prices: dict[str, Any]) -> str:
    """What rooms cost now, from the bytes their relay counted and the price of traffic alone."""
    gib_hour = sent_bytes / seconds * 3600 / 2**30
    hour = gib_hour * prices["google"]["egress_gib"]["price"][0][1]
    cpu = prices["google"]["cpu_s"]["price"] * CPU + prices["google"]["gib_s"]["price"] * GIB
    return (
        f"traffic {gib_hour:.2f} GiB an hour: {hour:.4f} USD, {hour / rooms:.4f} for each room\n"
        f"instance {cpu * 3600:.4f} USD an hour while somebody is there, before the free amount"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rooms", type=int, default=10)
    parser.add_argument("--people", type=int, default=8, help="in each room")
    parser.add_argument("--hours", type=float, default=90, help="a month, in which they are there")
    parser.add_argument("--hz", type=float, default=20, help="poses a second while people move")
    parser.add_argument("--tables", action="store_true", help="the tables of docs/cost.md")
    parser.add_argument("--sent-bytes", type=float, help="counted by a relay, over --seconds")
    parser.add_argument("--seconds", type=float, default=60)
    asked = parser.parse_args()
    if min(asked.rooms, asked.people, asked.hours, asked.hz) < 0 or asked.seconds <= 0:
        parser.error("numbers must not be negative, and --seconds must be above 0")
    prices = json.loads((ROOT / "infra" / "prices.json").read_text())
    if asked.tables:
        print(tables(prices), end="")
    elif asked.sent_bytes is not None:
        print(live(asked.sent_bytes, asked.seconds, max(1, asked.rooms), prices))
    else:
        load = Load(asked.rooms, asked.people, asked.hours, asked.hz)
        items = own(load, prices)
        for name, amount in {**items, "together": sum(items.values())}.items():
            print(f"{name:34} {money(amount):>12} USD a month")
        print(f"\n{load.sent_gib:,.0f} GiB to browsers, {load.instances} instances at the peak")
        for name, (usd, note) in elsewhere(load, prices).items():
            print(f"{name:34} {money(usd):>14}   {note}")


if __name__ == "__main__":
    main()
