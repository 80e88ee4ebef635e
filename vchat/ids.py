"""Opaque ids: unguessable, evenly distributed, safe in a URL, a log line and a topic name."""

import re
import secrets

# Crockford's base 32 in lower case: 32 signs, so 5 random bits each and no bias; no i, l, o, u.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_SIGNS = (
    20  # 100 random bits: at a million guesses a second, a hit among 10,000 rooms takes 10^12 years
)
_ID = re.compile(rf"[a-z][{_ALPHABET}]{{{_SIGNS}}}")


def _new(prefix: str) -> str:
    bits = secrets.randbits(5 * _SIGNS)
    return prefix + "".join(_ALPHABET[bits >> 5 * i & 31] for i in range(_SIGNS))


def new_room_id() -> str:
    """A room's id. It starts with a letter, as Pub/Sub wants of names."""
    return _new("r")


def new_user_id() -> str:
    return _new("u")


def new_session_id() -> str:
    return _new("s")


def new_id() -> str:
    """An id for anything else: a request, an invite, a relay instance, a token's `jti`."""
    return _new("x")


def is_id(text: str) -> bool:
    """Whether `text` has the shape of any of our ids; anything else never reaches a store."""
    return _ID.fullmatch(text) is not None


def is_room_id(text: str) -> bool:
    """Whether `text` has a room id's shape; anything else never reaches a key or a topic name."""
    return text.startswith("r") and is_id(text)
