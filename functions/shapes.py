"""What browsers send and get over HTTP, one type each; the OpenAPI file is made from these."""

from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from functions.fields import Description, Id, Moment, Note, PersonName, RoomName
from vchat import limits
from vchat.hub import Model, Shelf
from vchat.model import (
    Account,
    Avatar,
    Conditions,
    Identity,
    Member,
    Room,
    RoomFields,
    Use,
    Visibility,
)

Capacity = Annotated[int, Meta(ge=1, le=limits.ROOM_CAPACITY)]
Uses = Annotated[tuple[Use, ...], Meta(max_length=len(Use))]
OpaqueText = Annotated[str, Meta(max_length=256)]


class Shape(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The base of all shapes: immutable, keyword-only, camelCase in JSON."""


# What browsers send


class GuestSignIn(Shape, frozen=True, kw_only=True):
    name: PersonName


Provider = Literal["firebase", "nextauth", "vroid"]


class ProviderToken(Shape, frozen=True, kw_only=True):
    """What a provider issued: a Firebase ID token; a NextAuth session, as the cookie's value, a
    whole Cookie header or a Bearer value; the code that a sign-in at VRoid Hub ended with."""

    provider: Provider
    token: Annotated[str, Meta(min_length=1, max_length=limits.SIGN_IN_TOKEN_BYTES)]


class HubSignIn(Shape, frozen=True, kw_only=True):
    """`return_to` is the page that the sign-in ends at."""

    return_to: Annotated[str, Meta(max_length=2048)]


class HubReturn(Shape, frozen=True, kw_only=True):
    """What VRoid Hub sends a browser back with: RFC 6749, sections 4.1.2 and 4.1.2.1."""

    state: OpaqueText
    code: Annotated[str, Meta(min_length=1, max_length=2048)] | None = None
    error: Annotated[str, Meta(max_length=256)] | None = None


class RefreshToken(Shape, frozen=True, kw_only=True):
    refresh_token: OpaqueText


class AccountChanges(Shape, frozen=True, kw_only=True):
    name: PersonName | None = None


class AvatarChoice(Shape, frozen=True, kw_only=True):
    source: Literal["vroid", "url", "preset"]
    id: Annotated[str, Meta(min_length=1, max_length=limits.AVATAR_ID_LENGTH)]


class AvatarQuery(Shape, frozen=True, kw_only=True):
    source: Shelf = Shelf.MINE
    limit: Annotated[int, Meta(ge=1, le=limits.PAGE_MAX)] = limits.PAGE_DEFAULT
    cursor: Annotated[str, Meta(max_length=4096)] | None = None


class NewRoom(Shape, frozen=True, kw_only=True):
    name: RoomName
    description: Description | None = None
    visibility: Visibility
    capacity: Capacity = limits.ROOM_CAPACITY_DEFAULT
    uses: Uses = ()


class RoomChanges(Shape, frozen=True, kw_only=True):
    """Who is inside is held to changed `uses` with their next ticket, within an hour."""

    name: RoomName | None = None
    description: Description | None = None
    visibility: Visibility | None = None
    capacity: Capacity | None = None
    uses: Uses | None = None


class RoomQuery(Shape, frozen=True, kw_only=True):
    q: Annotated[str, Meta(max_length=limits.ROOM_NAME_LENGTH)] = ""
    limit: Annotated[int, Meta(ge=1, le=limits.PAGE_MAX)] = limits.PAGE_DEFAULT
    cursor: OpaqueText | None = None


Unreached = Annotated[
    tuple[Annotated[str, Meta(max_length=limits.RELAY_URL_LENGTH)], ...],
    Meta(max_length=limits.RELAYS_AVOIDED),
]


class TicketRequest(Shape, frozen=True, kw_only=True):
    """`avoid` has relays that the caller could not reach, or the urls of earlier tickets. With
    `spectate` the ticket is a spectator's, whatever the caller may be otherwise."""

    invite: OpaqueText | None = None
    spectate: bool = False
    avoid: Unreached = ()


class Act(StrEnum):
    KICK = "kick"
    BAN = "ban"
    UNBAN = "unban"
    MUTE = "mute"
    UNMUTE = "unmute"
    LOCK = "lock"
    UNLOCK = "unlock"
    ROLE = "role"
    TRANSFER = "transfer"
    SLOW = "slow"


class Moderation(Shape, frozen=True, kw_only=True):
    action: Act
    user_id: Id | None = None
    role: Literal["moderator", "member", "spectator"] | None = None
    reason: Note | None = None
    until: Moment | None = None
    seconds: Annotated[int, Meta(ge=0, le=limits.SLOW_MODE_S)] | None = None
    """Between two chat messages of one person, with "slow"; 0 ends slow mode."""


class MatchWishes(Shape, frozen=True, kw_only=True):
    """Nothing said means: anybody. `max_wait_s` is when the caller no longer wants to wait;
    `avoid` has people, `avoid_relays` what a ticket's `avoid` has."""

    language: Annotated[str, Meta(pattern="^[a-z]{2,3}$")] | None = None
    interests: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=32)], ...],
        Meta(max_length=limits.MATCH_INTERESTS),
    ] = ()
    avoid: Annotated[
        tuple[Annotated[str, Meta(max_length=64)], ...], Meta(max_length=limits.MATCH_AVOID)
    ] = ()
    avoid_relays: Unreached = ()
    max_wait_s: Annotated[int, Meta(ge=10, le=limits.MATCH_WAIT_S)] = 120


# What browsers get


class User(Shape, frozen=True, kw_only=True):
    """The account as its owner sees it; others see `id`, `name` and `avatar` of a Member."""

    id: str
    name: str
    avatar: Avatar | None
    identities: tuple[Identity, ...]


class SignInChoices(Shape, frozen=True, kw_only=True):
    """What is configured here: ways to sign in, and whether rooms have voice."""

    sign_in: tuple[str, ...]
    voice: bool


class Session(Shape, frozen=True, kw_only=True):
    """`expires_in` is how many seconds the access token lives."""

    access_token: str
    expires_in: int
    refresh_token: str
    user: User


class AvatarList(Shape, frozen=True, kw_only=True):
    items: tuple[Model, ...]
    next_cursor: str | None


class AvatarDownload(Shape, frozen=True, kw_only=True):
    """`url` is good once or twice until `expires_at`, and for the caller alone."""

    url: str
    expires_at: str
    conditions: Conditions


class RoomView(RoomFields, frozen=True, kw_only=True):
    """A room, and how many people are inside right now."""

    occupancy: int


class RoomList(Shape, frozen=True, kw_only=True):
    items: tuple[RoomView, ...]
    next_cursor: str | None


class MemberList(Shape, frozen=True, kw_only=True):
    """Everyone inside right now; there is never a next page."""

    items: tuple[Member, ...]
    next_cursor: None = None


class InviteMade(Shape, frozen=True, kw_only=True):
    """`invite` is shown once: only its hash is kept."""

    id: str
    invite: str
    expires_at: str


class TicketMade(Shape, frozen=True, kw_only=True):
    """`url` is the relay to open within `expires_in` seconds."""

    ticket: str
    url: str
    expires_in: int


class Partner(Shape, frozen=True, kw_only=True):
    user_id: str
    name: str


class MatchPlace(Shape, frozen=True, kw_only=True):
    """`waiting` for `waited_ms` so far, with a ticket to the lobby's socket; `matched` with a
    partner and a ticket to the room; or `none`. Either ticket is for `url`, once, soon."""

    status: Literal["none", "waiting", "matched"]
    waited_ms: int = 0
    room_id: str | None = None
    partner: Partner | None = None
    ticket: str | None = None
    url: str | None = None
    expires_in: int | None = None


class MatchStatistics(Shape, frozen=True, kw_only=True):
    waiting: int
    pairs: int
    average_wait_ms: int


class VoiceTokenMade(Shape, frozen=True, kw_only=True):
    """`url` is the LiveKit server to connect to within `expires_in` seconds."""

    token: str
    url: str
    expires_in: int


class Jwk(Shape, frozen=True, kw_only=True):
    """A public key: RFC 8037."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    alg: Literal["EdDSA"]
    use: Literal["sig"]
    kid: str
    x: str


class Jwks(Shape, frozen=True, kw_only=True):
    keys: tuple[Jwk, ...]


class Health(Shape, frozen=True, kw_only=True):
    status: Literal["ok"] = "ok"


class FieldProblem(Shape, frozen=True, kw_only=True):
    """`pointer` (RFC 6901) names the field of the body, or the query parameter."""

    pointer: str
    detail: str


class Problem(Shape, frozen=True, kw_only=True, omit_defaults=True):
    """A refusal (RFC 9457). Programs read `code`, people `title` and `detail`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: tuple[FieldProblem, ...] = ()


def user_of(account: Account) -> User:
    return User(
        id=account.id, name=account.name, avatar=account.avatar, identities=account.identities
    )


def view_of(room: Room, occupancy: int) -> RoomView:
    fields = msgspec.structs.asdict(room)
    del fields["revision"]
    return RoomView(**fields, occupancy=occupancy)
