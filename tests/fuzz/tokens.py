"""Tokens: whatever text comes, only what we signed is believed, and only ours is said of it."""

import base64
import json
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager, suppress
from random import Random

import jwt

from tests.fuzz.mutate import mutated, mutated_json
from tests.fuzz.target import Target
from tests.relays import ISSUER, RING
from vchat import tokens
from vchat.errors import Refused, Why

_NOW = 1_800_000_000
_ROOM = "r" + "0" * 20
_KINDS = (tokens.ACCESS, tokens.TICKET, tokens.LOBBY)


@asynccontextmanager
async def strangers_tokens() -> AsyncIterator[Target]:
    """An input is a token; some are signed by us, with claims that we would not have given."""
    ours = {_signed(kind): kind for kind in _KINDS}
    yield Target(tuple(one.encode() for one in ours), _make, _attempt)


def _claims() -> dict[str, object]:
    return tokens.ticket_claims(
        user_id="u" + "0" * 20,
        room_id=_ROOM,
        role=tokens.Role.MEMBER,
        name="Yuki",
        avatar=None,
        admitted=False,
    )


def _signed(kind: tokens.Kind) -> str:
    return tokens.sign(kind, _claims(), issuer=ISSUER, kid=RING.kid, key=RING.signing, now=_NOW)


def _make(rng: Random, known: Sequence[bytes]) -> bytes:
    if rng.random() < 0.6:
        return mutated(rng, known)
    parts = rng.choice(known).split(b".")
    if len(parts) != 3:
        return mutated(rng, known)
    head, body = (_opened(part) for part in parts[:2])
    if rng.random() < 0.5:
        head = mutated_json(rng, [head])
    else:
        body = mutated_json(rng, [body])
    start = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (head, body))
    if rng.random() < 0.5:
        return start + b"." + parts[2]
    return start + b"." + base64.urlsafe_b64encode(RING.signing.sign(start)).rstrip(b"=")


def _opened(part: bytes) -> bytes:
    with suppress(ValueError):
        return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    return b"{}"


async def _attempt(data: bytes) -> Hashable:
    token = data.decode("utf-8", "surrogateescape")
    verdicts = []
    for kind in _KINDS:
        try:
            claims = tokens.verify(kind, token, issuer=ISSUER, keys=RING.public, now=_NOW)
        except tokens.TokenError as error:
            verdicts.append(str(error))
        else:
            _believed(kind, token, claims)
            verdicts.append("good")
    try:
        ticket = tokens.read_ticket(token, _ROOM, issuer=ISSUER, keys=RING.public, now=_NOW)
        assert ticket.room_id == _ROOM
        assert verdicts[1] == "good"
    except Refused as refused:
        assert refused.why in {Why.BAD_TOKEN, Why.TICKET_EXPIRED}
        assert len(token) < 16 or token not in f"{refused}{refused.detail}"
    assert verdicts.count("good") <= 1, "one token passes as two kinds"
    return tuple(verdicts)


def _believed(kind: tokens.Kind, token: str, claims: dict[str, object]) -> None:
    """What is believed carries our signature over these very claims, by the way it says."""
    start, _, signature = token.rpartition(".")
    RING.public[RING.kid].verify(_opened(signature.encode()), start.encode())
    head = jwt.get_unverified_header(token)
    assert (head["alg"], head["typ"], head["kid"]) == ("EdDSA", kind.typ, RING.kid)
    assert claims == json.loads(_opened(start.split(".")[1].encode()))
    assert (claims["aud"], claims["iss"]) == (kind.aud, ISSUER)
