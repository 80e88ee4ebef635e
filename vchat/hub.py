"""The port to VRoid Hub: signing in there, a person's models, and leave to load one."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from vchat.identity import Person
from vchat.model import Conditions, Value
from vchat.vault import Vault

PROVIDER = "vroid"


class Grant(Value, frozen=True, kw_only=True):
    """What a person granted us there. `expires_at` of the access token is in seconds since the
    epoch. A refresh token works once: the answer brings the next."""

    access_token: str
    refresh_token: str
    expires_at: int


class Shelf(StrEnum):
    """Where to look for models."""

    MINE = "mine"
    HEARTS = "hearts"
    PICKS = "picks"


class Model(Value, frozen=True, kw_only=True):
    """A character model as it may be shown: never without its author and conditions.

    `downloadable` means that everyone may load it, with a licence of their own; `thumbnail` is
    None where there is no picture.
    """

    id: str
    title: str
    author: str
    author_id: str
    thumbnail: str | None
    downloadable: bool
    vrm: str
    conditions: Conditions


@dataclass(frozen=True, slots=True)
class ModelPage:
    """Some models and the cursor of the next page, if there is one."""

    models: tuple[Model, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Download:
    """Where one person's client may load one model, soon. The address is itself a secret."""

    url: str
    expires_at: str


class Hub(Protocol):
    """VRoid Hub, as one application sees it.

    Methods that need a person's access token raise Refused with HUB_SIGN_IN when that is no longer
    good, TOO_FAST when the Hub asks us to wait, and UNAVAILABLE when it cannot be reached, breaks,
    or does not answer in time.
    """

    def sign_in_url(self, *, redirect_uri: str, state: str, challenge: str) -> str:
        """Where to send a person who wants to sign in; `challenge` is PKCE's, by S256."""

    async def redeem(self, code: str, *, verifier: str, redirect_uri: str, now: float) -> Grant:
        """What a person granted, for the code they came back with. Raises Refused(UNAUTHENTICATED)
        for a code that is not good."""

    async def renew(self, grant: Grant, *, now: float) -> Grant: ...

    async def revoke(self, grant: Grant) -> None: ...

    async def person(self, access_token: str) -> Person: ...

    async def models(
        self, shelf: Shelf, access_token: str, *, cursor: str | None, count: int
    ) -> ModelPage:
        """A page of a shelf. Raises Refused(INVALID_REQUEST) for a cursor we did not make."""

    async def model(self, model_id: str, access_token: str) -> Model:
        """One model. Raises Refused(NOT_FOUND)."""

    async def download(self, model_id: str, access_token: str) -> Download:
        """A licence for this person, and where it leads. Raises Refused with NOT_FOUND, or with
        FORBIDDEN when the author does not let this person load it."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HubAccess:
    """The Hub, the vault for what people grant us there, and the pages that a sign-in there may
    end at (exact URLs, but for the query)."""

    hub: Hub
    vault: Vault
    return_urls: frozenset[str]
