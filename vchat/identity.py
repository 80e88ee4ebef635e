"""The port to identity providers, and what we make of the person they vouch for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec

from vchat import limits
from vchat.errors import Refused, Why
from vchat.model import Account, Identity
from vchat.text import clean_line

NAMELESS = "Guest"


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a provider vouches for. `name` is fit to be shown; nobody is known by it."""

    identity: Identity
    name: str


class IdentityProvider(Protocol):
    """Judges what one provider issued."""

    async def verify(self, token: str, *, now: float) -> Person:
        """The person this token was issued to; `now` is in seconds since the epoch.

        Raises Refused with UNAUTHENTICATED for anything the provider did not issue to us, or that
        is over; with UNAVAILABLE when the provider would have to be asked and cannot be.
        """

    async def close(self) -> None: ...


IdentityProviders = Mapping[str, IdentityProvider]
"""By name, the `provider` of Identity. Only what is configured is in it."""


def linked(account: Account, identity: Identity, owner: str | None) -> Account:
    """The account with this identity, whose owner so far is given; itself if it has it already.

    Raises Refused(CONFLICT) for what is another account's, and for a second one of a provider.
    """
    if owner == account.id:
        return account
    if owner is not None:
        raise Refused(Why.CONFLICT, "This identity belongs to another account.")
    if any(one.provider == identity.provider for one in account.identities):
        raise Refused(Why.CONFLICT, f"Unlink your other {identity.provider} identity first.")
    return msgspec.structs.replace(account, identities=(*account.identities, identity))


def shown_name(claimed: object) -> str:
    """The name a provider gave, cut and cleaned until it can be shown, or a plain one.

    A person is never kept out for what another service lets them be called.
    """
    if not isinstance(claimed, str):
        return NAMELESS
    signs = "".join(sign for sign in claimed if sign.isprintable() or sign.isspace())
    try:
        return clean_line(" ".join(signs.split())[: limits.NAME_LENGTH], most=limits.NAME_LENGTH)
    except ValueError:
        return NAMELESS
