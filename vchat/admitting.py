"""How many may be at a relay's door, and how fast they are let in."""

from dataclasses import dataclass

from vchat import limits
from vchat.limits import Rate


@dataclass(frozen=True, slots=True)
class Admitting:
    """`knocking` connections that are not let in yet, altogether and from one address; `address`
    and `account`: all connections of one address, and of one account; `connects`: new ones;
    `entering`: those that are being let in at the same time."""

    knocking: int = limits.KNOCKING
    knocking_address: int = limits.KNOCKING_ADDRESS
    address: int = limits.ADDRESS_CONNECTIONS
    account: int = limits.ACCOUNT_CONNECTIONS
    connects: Rate = limits.CONNECTS
    entering: int = limits.ENTERING


USUAL = Admitting()
