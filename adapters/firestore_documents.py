"""How accounts, rooms and the rest look as Firestore documents, and how they are named and found.

Every document says in `v` which shape it has. Times are RFC 3339 text, as in HTTP, which sorts
like the times; `expireAt` is the same as a timestamp, for Firestore's own clean-up, and has no
index (infra/firestore.json).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from vchat.errors import Refused, Why
from vchat.model import Identity, Invite, Room, RoomStatus, Visibility
from vchat.store import Family
from vchat.text import search_key
from vchat.times import parse_rfc3339

Document = dict[str, Any]
T = TypeVar("T")

_VERSION = 1
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_GRAM = 3


def key(*parts: str) -> str:
    """A document's name. Parts that come from clients may hold anything, such as a slash."""
    if all(_PLAIN.fullmatch(part) for part in parts):
        return "_".join(parts)
    return "~" + _digest(*parts)


def identity_key(identity: Identity) -> str:
    return _digest(identity.provider, identity.subject)


def plain(value: Any) -> Document:
    """A value of vchat.model as a document."""
    document: Document = msgspec.to_builtins(value)
    return {"v": _VERSION, **document}


def room_document(room: Room) -> Document:
    return {
        **plain(room),
        "listed": room.visibility is Visibility.PUBLIC and room.status is RoomStatus.OPEN,
        "place": place(room.created_at, room.id),
        "grams": sorted(grams(search_key(room.name))),
    }


def invite_document(invite: Invite) -> Document:
    return {**plain(invite), "expireAt": _timestamp(parse_rfc3339(invite.expires_at))}


def family_document(family: Family) -> Document:
    return {
        "v": _VERSION,
        "id": family.id,
        "accountId": family.account_id,
        **family_turn(family.token_hash, family.expires_at),
    }


def family_turn(token_hash: str, expires_at: int) -> Document:
    """What changes in a family with each new token."""
    return {
        "tokenHash": token_hash,
        "expiresAt": expires_at,
        "expireAt": _timestamp(expires_at),
    }


def family_of(document: Mapping[str, Any]) -> Family:
    _check_version(document)
    return Family(
        id=document["id"],
        account_id=document["accountId"],
        token_hash=document["tokenHash"],
        expires_at=document["expiresAt"],
    )


def identity_document(account_id: str, identity: Identity) -> Document:
    return {**plain(identity), "accountId": account_id}


def value(document: Mapping[str, Any], kind: type[T]) -> T:
    """The value in a document. A shape from a newer version raises Refused(UNAVAILABLE)."""
    _check_version(document)
    return msgspec.convert(dict(document), kind)


def place(created_at: str, room_id: str) -> str:
    """Sorts rooms by age, and those of one moment by id."""
    return f"{created_at} {room_id}"


def grams(text: str) -> set[str]:
    """All pieces of one, two and three signs: what a text may be asked for by."""
    return {
        text[start : start + length]
        for length in range(1, _GRAM + 1)
        for start in range(len(text) - length + 1)
    }


def best_gram(text: str) -> str:
    """The piece of a query that likely the fewest names have; `text` is not empty.

    As long as can be, with signs that differ, and late in Unicode: ideographs before letters,
    letters before spaces.
    """
    longest = min(_GRAM, len(text))
    pieces = (text[start : start + longest] for start in range(len(text) - longest + 1))
    return max(pieces, key=lambda piece: (len(set(piece)), piece))


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _timestamp(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _check_version(document: Mapping[str, Any]) -> None:
    if document.get("v") != _VERSION:
        raise Refused(Why.UNAVAILABLE, "This was stored by another version of V-Chat.")
