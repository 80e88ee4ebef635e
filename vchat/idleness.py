"""How long a page may go unattended before it should give up its socket, and then its seat."""

from dataclasses import dataclass

from vchat import limits


@dataclass(frozen=True, slots=True)
class Idleness:
    """What a welcome announces, in seconds.

    A page out of sight for `hidden_s`, or untouched for `idle_s`, should doze; the seat is kept for
    `away_s`. With `kick` the relay also removes who stays connected and does nothing for
    `idle_s + away_s`, such as a page that does not know how to doze.
    """

    hidden_s: int = limits.DOZE_HIDDEN_S
    idle_s: int = limits.DOZE_IDLE_S
    away_s: int = limits.AWAY_S
    kick: bool = False


USUAL = Idleness()
