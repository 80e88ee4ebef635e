"""Opaque tokens that we look up instead of verify: refresh tokens and invites.

The text is `<kind>_<id>.<secret>`. Only a hash of it is kept, so that a copy of the store lets
nobody in. A plain hash is enough: the secret has 256 random bits, there is nothing to guess.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass

from vchat.ids import new_id

_TOKEN = re.compile(r"([a-z]{2})_(x[0-9a-z]{20})\.([A-Za-z0-9_-]{43})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Opaque:
    """A token's public id, its text for the bearer, and the hash that is kept."""

    id: str
    text: str
    hash: str


def _of(text: str, token_id: str) -> Opaque:
    return Opaque(token_id, text, hashlib.sha256(text.encode()).hexdigest())


def make(kind: str, token_id: str | None = None) -> Opaque:
    """A fresh token of a kind (two letters), with a fresh id unless it goes on with an old one."""
    token_id = token_id or new_id()
    return _of(f"{kind}_{token_id}.{secrets.token_urlsafe(32)}", token_id)


def read(kind: str, text: str) -> Opaque | None:
    """What a presented text stands for, or None when it has not the shape of this kind."""
    match = _TOKEN.fullmatch(text)
    if match is None or match[1] != kind:
        return None
    return _of(text, match[2])
