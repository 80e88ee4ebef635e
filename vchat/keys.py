"""Signing keys as JSON Web Keys (RFC 7517, RFC 8037): private to sign, public to verify."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from vchat.ids import new_id


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Private keys by id, the one that signs now first.

    The others are published too: the next one so that everybody knows it before it signs, the
    last one until all it signed has expired.
    """

    keys: Mapping[str, Ed25519PrivateKey]

    @property
    def kid(self) -> str:
        return next(iter(self.keys))

    @property
    def signing(self) -> Ed25519PrivateKey:
        return self.keys[self.kid]

    @property
    def public(self) -> dict[str, Ed25519PublicKey]:
        return {kid: key.public_key() for kid, key in self.keys.items()}

    def with_new_key(self) -> "KeyRing":
        """A ring with a fresh key behind the current one, to sign after the next rotation."""
        return KeyRing({**self.keys, new_id(): Ed25519PrivateKey.generate()})


class SigningKeys(Protocol):
    """A ring, or what has one and may have another after the next await."""

    @property
    def kid(self) -> str: ...

    @property
    def signing(self) -> Ed25519PrivateKey: ...

    @property
    def public(self) -> dict[str, Ed25519PublicKey]: ...


class KeyPlaceError(Exception):
    """A place of keys cannot be used; the text says why, and shows nothing of them."""


class KeyPlace(Protocol):
    """Where a ring is kept. Every wait has a deadline."""

    async def read(self) -> KeyRing | None:
        """The ring, None before the first. Raises KeyPlaceError."""

    async def write(self, ring: KeyRing) -> None:
        """Put a ring in the old one's place, whole or not at all. Raises KeyPlaceError."""

    async def close(self) -> None: ...


def new_ring() -> KeyRing:
    """A ring with one fresh key."""
    return KeyRing({}).with_new_key()


def public_jwks(public: Mapping[str, Ed25519PublicKey]) -> dict[str, Any]:
    """The public JWK set that verifiers fetch."""
    return {
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "alg": "EdDSA",
                "use": "sig",
                "kid": kid,
                "x": _encode(key.public_bytes_raw()),
            }
            for kid, key in public.items()
        ]
    }


def parse_public(jwks: Any) -> dict[str, Ed25519PublicKey]:
    """Verifying keys by id from a JWK set; kinds we do not use are left out. Raises ValueError."""
    try:
        return {
            jwk["kid"]: Ed25519PublicKey.from_public_bytes(_decode(jwk["x"]))
            for jwk in jwks["keys"]
            if jwk.get("kty") == "OKP" and jwk.get("crv") == "Ed25519"
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("expected a JWK set") from error


def dump_ring(ring: KeyRing) -> str:
    """The private JWK set as text, to be kept where secrets are kept."""
    return json.dumps(
        {
            "keys": [
                {
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "kid": kid,
                    "d": _encode(key.private_bytes_raw()),
                    "x": _encode(key.public_key().public_bytes_raw()),
                }
                for kid, key in ring.keys.items()
            ]
        }
    )


def load_ring(text: str) -> KeyRing:
    """A ring from `dump_ring`'s text. Raises ValueError, which never shows the text."""
    try:
        keys = {
            jwk["kid"]: Ed25519PrivateKey.from_private_bytes(_decode(jwk["d"]))
            for jwk in json.loads(text)["keys"]
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError("expected a private JWK set with Ed25519 keys") from error
    if not keys:
        raise ValueError("expected at least one key")
    return KeyRing(keys)
