"""Access tokens and tickets: JWTs signed with Ed25519, and how each kind is checked.

Every kind has its own `typ` and `aud`, so none is accepted in another's place. The key id alone
picks the key, and the key picks the algorithm: a token's own word is never asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from vchat import limits
from vchat.errors import Refused, Why
from vchat.ids import new_id
from vchat.model import Avatar
from vchat.policy import Role

ALGORITHM = "EdDSA"
_REQUIRED = ("iss", "aud", "sub", "jti", "iat", "nbf", "exp")


@dataclass(frozen=True, slots=True)
class Kind:
    """What tells one kind of token from another, and how long it lives at most, in seconds."""

    typ: str
    aud: str
    life_s: int


ACCESS = Kind("vchat-access+jwt", "vchat-api", limits.ACCESS_TOKEN_S)
TICKET = Kind("vchat-ticket+jwt", "vchat-relay", limits.TICKET_S)
TICKET_KNOWN_S = limits.TICKET_S + 2 * limits.CLOCK_LEEWAY_S
"""For so long whatever makes a ticket bad must be remembered."""
LOBBY = Kind("vchat-lobby+jwt", "vchat-lobby", limits.TICKET_S)


class TokenError(Exception):
    """The token is not valid here: forged, malformed, of another kind, or not meant for us."""


class TokenExpired(TokenError):
    """The token was good, and its time is over."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Permission to take a seat in one room, once."""

    jti: str
    user_id: str
    room_id: str
    role: Role
    name: str
    avatar: Avatar | None
    admitted: bool
    """Whether an invite or a rank lets the bearer into a locked room."""
    muted: bool
    made_at: int
    """When it was made, in milliseconds; what changed about the person since is not in it."""
    expires_at: int


def sign(
    kind: Kind,
    claims: Mapping[str, Any],
    *,
    issuer: str,
    kid: str,
    key: Ed25519PrivateKey,
    now: int,
) -> str:
    """Sign `claims` (at least `sub`) as a token of this kind, valid from `now` (seconds)."""
    body = {
        **claims,
        "iss": issuer,
        "aud": kind.aud,
        "jti": new_id(),
        "iat": now,
        "nbf": now,
        "exp": now + kind.life_s,
    }
    return jwt.encode(body, key, algorithm=ALGORITHM, headers={"kid": kid, "typ": kind.typ})


def verify(
    kind: Kind, token: str, *, issuer: str, keys: Mapping[str, Ed25519PublicKey], now: float
) -> dict[str, Any]:
    """The claims of a valid token of this kind. Raises TokenError or TokenExpired.

    Times are judged here and not by the library, so that the clock is the caller's.
    """
    try:
        if len(token) > limits.TOKEN_BYTES:
            raise TokenError("too long")
        header = jwt.get_unverified_header(token)
        key = keys.get(header.get("kid", ""))
        if key is None:
            raise TokenError("signed with a key that is not known here")
        if header.get("typ") != kind.typ:
            raise TokenError(f"expected {kind.typ}")
        if header.keys() & {"jku", "jwk", "x5u", "x5c", "crit"}:
            raise TokenError("a header that chooses its own key")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=kind.aud,
            issuer=issuer,
            options={
                "require": list(_REQUIRED),
                "strict_aud": True,
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise TokenError(type(error).__name__) from error
    times = [claims[name] for name in ("iat", "nbf", "exp")]
    if not all(type(time) is int for time in times):
        raise TokenError("times must be whole seconds")
    issued, starts, ends = times
    if ends - issued > kind.life_s or max(issued, starts) > now + limits.CLOCK_LEEWAY_S:
        raise TokenError("times that we would not have given")
    if ends + limits.CLOCK_LEEWAY_S <= now:
        raise TokenExpired("expired")
    if not all(isinstance(claims[name], str) and claims[name] for name in ("sub", "jti")):
        raise TokenError("sub and jti must be text")
    return claims


def ticket_claims(
    *,
    user_id: str,
    room_id: str,
    role: Role,
    name: str,
    avatar: Avatar | None,
    admitted: bool,
    muted: bool = False,
    made_at: float | None = None,
) -> dict[str, Any]:
    """What a ticket says beside the registered claims. `made_at` (s) is finer than `iat`."""
    return {
        **({} if made_at is None else {"made": round(made_at * 1000)}),
        "sub": user_id,
        "room": room_id,
        "role": role.value,
        "name": name,
        "avatar": msgspec.to_builtins(avatar),
        "admitted": admitted,
        "muted": muted,
    }


def read_ticket(
    token: str, room_id: str, *, issuer: str, keys: Mapping[str, Ed25519PublicKey], now: float
) -> Ticket:
    """A ticket to this room, or Refused: judged by signature and type, then expiry, then room."""
    try:
        claims = verify(TICKET, token, issuer=issuer, keys=keys, now=now)
        made_at = claims.get("made", claims["iat"] * 1000)
        if not isinstance(claims["name"], str) or type(made_at) is not int:
            raise TokenError("name must be text, and made a whole number")
        ticket = Ticket(
            jti=claims["jti"],
            user_id=claims["sub"],
            room_id=claims["room"],
            role=Role(claims["role"]),
            name=claims["name"],
            avatar=msgspec.convert(claims["avatar"], Avatar | None),
            admitted=claims["admitted"] is True,
            muted=claims["muted"] is True,
            made_at=made_at,
            expires_at=claims["exp"],
        )
    except TokenExpired as error:
        raise Refused(Why.TICKET_EXPIRED) from error
    except (TokenError, KeyError, ValueError, TypeError) as error:
        raise Refused(Why.BAD_TOKEN, "The ticket is not valid.") from error
    if ticket.room_id != room_id:
        raise Refused(Why.BAD_TOKEN, "The ticket is for another room.")
    return ticket


def outdated_note(room_id: str, user_id: str) -> str:
    """The name of the note that tells, for as long as tickets live, since when (ms) older ones say
    something of the person that is no longer so: a role, or that they are not muted."""
    return f"outdated:{room_id}:{user_id}"
