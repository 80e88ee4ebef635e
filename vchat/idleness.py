"""How long a page may go unattended before it should give up its socket, and then its seat."""

from dataclasses import dataclass

from vchat import limits
from vchat.config import Reader


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


def read_idleness(read: Reader) -> Idleness:
    """What the environment says of it, or the usual."""
    return Idleness(
        hidden_s=read.number("VCHAT_DOZE_HIDDEN_S", limits.DOZE_HIDDEN_S, least=1, most=86_400),
        idle_s=read.number("VCHAT_DOZE_IDLE_S", limits.DOZE_IDLE_S, least=1, most=86_400),
        away_s=read.number("VCHAT_AWAY_S", limits.AWAY_S, least=15, most=21_600),
        kick=read.choice("VCHAT_KICK_IDLE", ("yes", "no"), "no") == "yes",
    )
