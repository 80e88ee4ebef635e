"""Firebase ID tokens, verified with Google's public keys and nothing else of Firebase.

The checks are those of firebase.google.com/docs/auth/admin/verify-id-tokens. A signature does not
tell whether the account was disabled since; the token lives an hour at most.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt

from adapters.keys_remote import RemoteKeys
from vchat import limits
from vchat.errors import Refused, Why
from vchat.identity import Person, shown_name
from vchat.model import Identity

PROVIDER = "firebase"
JWKS = "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com"
_ALGORITHM = "RS256"
_LIFE_S = 3600
_LEEWAY_S = 10
_SUBJECT_LENGTH = 128
_TIMES = ("iat", "auth_time", "exp")


class FirebaseTokens:
    """vchat.identity.IdentityProvider for the ID tokens of one Firebase project."""

    def __init__(
        self, project: str, *, jwks: str = JWKS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._project = project
        self._keys = RemoteKeys(jwks, _rsa_keys, clock=clock, cool_down_s=30)

    async def verify(self, token: str, *, now: float) -> Person:
        try:
            claims = await self._claims(token)
            return _person(claims, now)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Refused(Why.UNAUTHENTICATED, "The Firebase token is not valid here.") from error

    async def close(self) -> None:
        await self._keys.close()

    async def _claims(self, token: str) -> dict[str, Any]:
        if len(token) > limits.TOKEN_BYTES:
            raise ValueError("too long")
        header = jwt.get_unverified_header(token)
        kid = header.get("kid")
        # This also refuses what the Auth emulator makes: alg none, without a key.
        if header.get("alg") != _ALGORITHM or not isinstance(kid, str):
            raise ValueError("not signed by Firebase")
        key = await self._keys.find(kid)
        if key is None:
            if not self._keys.known():
                raise Refused(Why.UNAVAILABLE, "Google's keys cannot be fetched now; try again.")
            raise ValueError("signed with a key that Firebase does not have")
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=[_ALGORITHM],
            audience=self._project,
            issuer=f"https://securetoken.google.com/{self._project}",
            options={
                "require": ["iss", "aud", "sub", *_TIMES],
                "strict_aud": True,
                "verify_exp": False,  # judged below, by the caller's clock
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
        return claims


def _person(claims: Mapping[str, Any], now: float) -> Person:
    if not all(type(claims[name]) is int for name in _TIMES):
        raise ValueError("times must be whole seconds")
    issued, signed_in, ends = (claims[name] for name in _TIMES)
    if max(issued, signed_in) > now + _LEEWAY_S or ends - issued > _LIFE_S:
        raise ValueError("times that Firebase would not have given")
    if ends + _LEEWAY_S <= now:
        raise ValueError("expired")
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= _SUBJECT_LENGTH:
        raise ValueError("sub must be text")
    return Person(Identity(provider=PROVIDER, subject=subject), shown_name(claims.get("name")))


def _rsa_keys(jwks: Any) -> dict[str, jwt.PyJWK]:
    """The RS256 keys of a JWK set, by id. Raises ValueError."""
    try:
        keys = jwt.PyJWKSet.from_dict(jwks).keys
    except (jwt.PyJWTError, AttributeError, TypeError) as error:
        raise ValueError("expected a JWK set") from error
    return {key.key_id: key for key in keys if key.key_id and key.key_type == "RSA"}
