"""What goes wrong in a run, and when: all of it follows from the seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    RELAY_KILLED = "relay killed"
    RELAY_TERMINATED = "relay terminated"
    RELAY_FROZEN = "relay frozen below the lease"
    RELAY_FROZEN_LONG = "relay frozen beyond the lease"
    RELAY_WITHOUT_STATE = "relay cut from Redis"
    RELAY_WITHOUT_BUS = "relay cut from Pub/Sub"
    BUS_KILLED = "Pub/Sub killed, its state lost"
    STATE_RESTARTED = "Redis restarted, its data kept"
    STATE_FLUSHED = "Redis flushed"
    CLOCK_STEPPED = "a relay's clock stepped"
    CLIENT_CUT = "a client's connection reset"
    CLIENT_SILENT = "a client's packets dropped"


LANES = {
    Kind.RELAY_KILLED: "relays",
    Kind.RELAY_TERMINATED: "relays",
    Kind.RELAY_FROZEN: "relays",
    Kind.RELAY_FROZEN_LONG: "relays",
    Kind.RELAY_WITHOUT_STATE: "relays",
    Kind.RELAY_WITHOUT_BUS: "bus",
    Kind.BUS_KILLED: "bus",
    Kind.STATE_RESTARTED: "state",
    Kind.STATE_FLUSHED: "state",
    Kind.CLOCK_STEPPED: "clocks",
    Kind.CLIENT_CUT: "clients",
    Kind.CLIENT_SILENT: "clients",
}
"""Faults of one lane come one after another, those of different lanes at the same time."""

_WEIGHTS = {
    Kind.RELAY_KILLED: 12,
    Kind.RELAY_TERMINATED: 6,
    Kind.RELAY_FROZEN: 5,
    Kind.RELAY_FROZEN_LONG: 2,
    Kind.RELAY_WITHOUT_STATE: 4,
    Kind.RELAY_WITHOUT_BUS: 8,
    Kind.BUS_KILLED: 8,
    Kind.STATE_RESTARTED: 10,
    Kind.STATE_FLUSHED: 1,
    Kind.CLOCK_STEPPED: 5,
    Kind.CLIENT_CUT: 25,
    Kind.CLIENT_SILENT: 14,
}
_SECONDS = {
    Kind.RELAY_FROZEN: (1.0, 6.0),
    Kind.RELAY_FROZEN_LONG: (12.0, 16.0),
    Kind.RELAY_WITHOUT_STATE: (0.5, 5.0),
    Kind.RELAY_WITHOUT_BUS: (0.5, 6.0),
    Kind.BUS_KILLED: (0.0, 2.0),
    Kind.STATE_RESTARTED: (0.0, 1.5),
    Kind.CLIENT_SILENT: (0.5, 6.0),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """`which` picks the relay or client it strikes, modulo how many there are; `seconds` is how
    long it lasts, and `pause` how long its lane is left in peace before it."""

    kind: Kind
    which: int
    seconds: float
    pause: float


def schedule(seed: int, faults: int, kinds: Sequence[Kind] = tuple(Kind)) -> list[Fault]:
    """The same for the same arguments, on every machine."""
    chance = random.Random(seed)
    weights = [_WEIGHTS[kind] for kind in kinds]
    return [
        Fault(
            kind=kind,
            which=chance.randrange(1_000_000),
            seconds=round(chance.uniform(*_SECONDS.get(kind, (0.0, 0.0))), 2),
            pause=round(chance.uniform(0.3, 2.5), 2),
        )
        for kind in chance.choices(kinds, weights, k=faults)
    ]
