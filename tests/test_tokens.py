"""Every attack on every kind of token, and every kind of token in every other's place."""

import base64
import hashlib
import hmac
import json
from functools import cache
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.fakes.livekit import webhook
from tests.http_api import Guest, refused
from tests.identity_world import House, nextauth_session
from tests.identity_world import _house as _house
from tests.identity_world import _log as _log
from vchat import limits
from vchat.errors import Refused, Why
from vchat.ids import new_room_id
from vchat.keys import new_ring
from vchat.policy import Role
from vchat.tokens import (
    ACCESS,
    LOBBY,
    TICKET,
    Kind,
    TokenError,
    TokenExpired,
    read_ticket,
    sign,
    ticket_claims,
    verify,
)

NOW = 1_800_000_000
ISSUER = "https://api.test"
RING = new_ring()
ROOM = new_room_id()
KINDS = pytest.mark.parametrize("kind", [ACCESS, TICKET, LOBBY], ids=["access", "ticket", "lobby"])
CLAIMS = ticket_claims(
    user_id="u1", room_id=ROOM, role=Role.MEMBER, name="Yuki", avatar=None, admitted=False
)


def good(kind: Kind) -> str:
    return sign(kind, CLAIMS, issuer=ISSUER, kid=RING.kid, key=RING.signing, now=NOW)


def judge(kind: Kind, token: str, now: float = NOW) -> dict[str, Any]:
    return verify(kind, token, issuer=ISSUER, keys=RING.public, now=now)


def payload(kind: Kind, **changes: Any) -> dict[str, Any]:
    claims = {**jwt.decode(good(kind), options={"verify_signature": False}), **changes}
    return {name: value for name, value in claims.items() if value is not None}


def made(kind: Kind, *, key: Any = RING.signing, alg: str = "EdDSA", header=None, **changes) -> str:
    head = {"kid": RING.kid, "typ": kind.typ, **(header or {})}
    return jwt.encode(payload(kind, **changes), key, algorithm=alg, headers=head)


def b64(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def raw(head: Any, body: Any, signature: bytes = b"") -> str:
    parts = (
        part if isinstance(part, bytes) else json.dumps(part).encode() for part in (head, body)
    )
    return ".".join(b64(part) for part in (*parts, signature))


def signed_with_the_public_key(kind: Kind) -> list[str]:
    """HS256, with what everybody knows as the secret."""
    public = RING.public[RING.kid]
    secrets = [
        public.public_bytes_raw(),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        base64.urlsafe_b64encode(public.public_bytes_raw()).rstrip(b"="),
        b"",
    ]
    head = {"alg": "HS256", "kid": RING.kid, "typ": kind.typ}
    start = raw(head, payload(kind)).rpartition(".")[0]
    return [
        f"{start}.{b64(hmac.new(secret, start.encode(), hashlib.sha256).digest())}"
        for secret in secrets
    ]


@cache
def attacks(kind: Kind) -> dict[str, str]:
    token = good(kind)
    head, body, signature = token.split(".")
    other = {ACCESS: TICKET, TICKET: LOBBY, LOBBY: ACCESS}[kind]
    stranger = Ed25519PrivateKey.generate()
    curve, modulus = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
    turned = "A" if body[-2] != "A" else "B"
    mine = {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}
    return {
        "none": raw({"alg": "none", "typ": kind.typ, "kid": RING.kid}, payload(kind)),
        "none with a signature": raw(
            {"alg": "none", "typ": kind.typ, "kid": RING.kid}, payload(kind), b"x" * 64
        ),
        "None": raw({"alg": "None", "typ": kind.typ, "kid": RING.kid}, payload(kind), b"x"),
        **{f"key confused {n}": t for n, t in enumerate(signed_with_the_public_key(kind))},
        "another key": made(kind, key=stranger),
        "another algorithm, EC": made(kind, key=curve, alg="ES256"),
        "another algorithm, RSA": made(kind, key=modulus, alg="RS256"),
        "unknown key": made(kind, header={"kid": "unknown"}),
        "no key id": raw({"alg": "EdDSA", "typ": kind.typ}, payload(kind), b"x" * 64),
        "key id of a wrong type": raw({"alg": "EdDSA", "typ": kind.typ, "kid": 7}, payload(kind)),
        "key id of a wrong shape": raw({"alg": "EdDSA", "typ": kind.typ, "kid": []}, payload(kind)),
        "its own key, jwk": made(kind, key=stranger, header={"jwk": mine}),
        "its own key, good signature": made(kind, header={"jwk": mine}),
        "its own key, jku": made(kind, header={"jku": "https://evil.test/keys"}),
        "its own key, x5u": made(kind, header={"x5u": "https://evil.test/keys"}),
        "critical": raw({"alg": "EdDSA", "kid": RING.kid, "typ": kind.typ, "crit": ["exp"]}, {}),
        "another kind's typ": made(kind, header={"typ": other.typ}),
        "no typ": made(kind, header={"typ": None}),
        "plain typ": made(kind, header={"typ": "JWT"}),
        "another kind's aud": made(kind, aud=other.aud),
        "many auds": made(kind, aud=[kind.aud, other.aud]),
        "aud in a list": made(kind, aud=[kind.aud]),
        "another issuer": made(kind, iss="https://evil.test"),
        "a longer issuer": made(kind, iss=ISSUER + "/"),
        **{
            f"no {name}": made(kind, **{name: None})
            for name in ("iss", "aud", "sub", "jti", "iat", "nbf", "exp")
        },
        "empty sub": made(kind, sub=""),
        "empty jti": made(kind, jti=""),
        "sub of a wrong type": raw(json.loads(base64.urlsafe_b64decode(head + "==")), {"sub": 7}),
        "text exp": made(kind, exp=str(NOW + 60)),
        "huge exp": made(kind, exp=10**30),
        "infinite life": made(kind, exp=NOW + kind.life_s + 1),
        "true exp": made(kind, exp=True),
        "from the future": made(kind, iat=NOW + 60, nbf=NOW + 60, exp=NOW + 61),
        "not yet": made(kind, nbf=NOW + 60),
        "expired": made(kind, iat=NOW - 1000, nbf=NOW - 1000, exp=NOW - 990),
        "tampered body": f"{head}.{body[:-2]}{turned}{body[-1]}.{signature}",
        "tampered signature": f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}",
        "cut": token[:-1],
        "no signature": f"{head}.{body}.",
        "two parts": f"{head}.{body}",
        "four parts": f"{token}.x",
        "oversized": made(kind, pad="x" * limits.TOKEN_BYTES),
        "not json": raw(b"\xff\xfe", b"\xff"),
        "a list": raw([], []),
        "empty": "",
        "spaces": f" {token} ",
        "not ascii": "é" * 20,
        "null": "\x00",
    }


NAMES = list(attacks(ACCESS))


@KINDS
@pytest.mark.parametrize("name", NAMES)
def test_no_attack_passes(kind, name):
    with pytest.raises(TokenError):
        judge(kind, attacks(kind)[name])


@pytest.mark.parametrize("name", NAMES)
def test_at_the_relays_door_an_attack_is_a_bad_token_or_an_expired_one(name):
    with pytest.raises(Refused) as caught:
        read_ticket(attacks(TICKET)[name], ROOM, issuer=ISSUER, keys=RING.public, now=NOW)
    assert caught.value.why is (Why.TICKET_EXPIRED if name == "expired" else Why.BAD_TOKEN)


@KINDS
def test_a_good_token_passes_for_as_long_as_it_lives(kind):
    assert judge(kind, good(kind))["sub"] == "u1"
    judge(kind, good(kind), NOW + kind.life_s)
    judge(kind, good(kind), NOW - limits.CLOCK_LEEWAY_S)
    with pytest.raises(TokenExpired):
        judge(kind, good(kind), NOW + kind.life_s + limits.CLOCK_LEEWAY_S)
    with pytest.raises(TokenError):
        judge(kind, good(kind), NOW - limits.CLOCK_LEEWAY_S - 1)


def test_a_ticket_is_for_one_room():
    with pytest.raises(Refused) as caught:
        read_ticket(good(TICKET), new_room_id(), issuer=ISSUER, keys=RING.public, now=NOW)
    assert caught.value.why is Why.BAD_TOKEN


@pytest.mark.parametrize(
    "changes",
    [
        {"role": "admin"},
        {"role": None},
        {"room": None},
        {"name": None},
        {"name": 7},
        {"name": ["Yuki"]},
        {"made": "7"},
        {"made": float("inf")},
        {"avatar": 7},
        {"admitted": None},
        {"muted": None},
        {"avatar": {"source": "file", "id": "x"}},
    ],
)
def test_a_ticket_that_lacks_what_it_must_say_is_bad(changes):
    with pytest.raises(Refused) as caught:
        read_ticket(made(TICKET, **changes), ROOM, issuer=ISSUER, keys=RING.public, now=NOW)
    assert caught.value.why is Why.BAD_TOKEN


# Every kind in every other's place, over HTTP


async def all_kinds(house: House) -> tuple[Guest, str, dict[str, str]]:
    """One good token of every kind there is."""
    person = await house.someone()
    room = await person.room()
    await house.sit(room, person)
    _, hook = webhook("room_started", "EV1")
    return (
        person,
        room,
        {
            "access": person.token,
            "refresh": person.session["refreshToken"],
            "ticket": (await person.ticket(room)).json()["ticket"],
            "invite": (await person("POST", f"/rooms/{room}/invites")).json()["invite"],
            "voice": (await person("POST", f"/rooms/{room}/voice-tokens")).json()["token"],
            "livekit hook": hook,
            "lobby": (await person("POST", "/matching", {})).json()["ticket"],
            "vroid code": (await house.sign_in_at_the_hub())["code"],
            "vroid access": list(house.hub.access)[-1],
            "vroid refresh": list(house.hub.refresh)[-1],
            "nextauth": nextauth_session("site-7", house.services.clock()),
        },
    )


async def test_no_kind_of_token_is_accepted_in_anothers_place(house: House):
    person, room, tokens = await all_kinds(house)
    stranger = await house.api.guest()
    private = await person.room(visibility="private")

    async def as_access(token: str) -> int:
        return (await house.api("GET", "/me", token=token)).status_code

    async def as_refresh(token: str) -> int:
        body = {"refreshToken": token}
        return (await house.api("POST", "/auth/refresh", body)).status_code

    async def as_nextauth(token: str) -> int:
        return (await house.exchange("nextauth", token)).status_code

    async def as_vroid_code(token: str) -> int:
        return (await house.exchange("vroid", token)).status_code

    async def as_state(token: str) -> int:
        query = {"state": token, "code": "x"}
        return (await house.http.get("/auth/vroid/callback", params=query)).status_code

    async def as_invite(token: str) -> int:
        return (await stranger.ticket(private, invite=token)).status_code

    async def as_hook(token: str) -> int:
        headers = {"Authorization": token}
        return (
            await house.api("POST", "/hooks/livekit", content=b"{}", headers=headers)
        ).status_code

    def as_ticket(token: str) -> int:
        try:
            keys, now = house.services.keys.public, house.services.clock()
            read_ticket(token, room, issuer=house.services.issuer, keys=keys, now=now)
        except Refused as refused:
            return int(refused.why.value.close or 0)
        return 200

    places = {
        "access": (as_access, 401),
        "refresh": (as_refresh, 400),
        "nextauth": (as_nextauth, 401),
        "vroid code": (as_vroid_code, 401),
        "state": (as_state, 400),
        "invite": (as_invite, 403),
        "livekit hook": (as_hook, 401),
    }
    for kind, token in tokens.items():
        for place, (present, refusal) in places.items():
            if kind != place:
                status = await present(token)
                allowed = {refusal, 400, 401, 403}
                assert status in allowed, (kind, place, status)
        if kind != "ticket":
            assert as_ticket(token) == Why.BAD_TOKEN.value.close, kind
    # And each is good in its own.
    assert await as_access(tokens["access"]) == 200
    assert as_ticket(tokens["ticket"]) == 200
    assert await as_nextauth(tokens["nextauth"]) == 200
    assert await as_refresh(tokens["refresh"]) == 200
    for token in tokens.values():
        assert token not in house.log.text


async def test_attacks_on_the_access_token_are_401_and_never_500(house: House):
    for name, token in attacks(ACCESS).items():
        if not token.isprintable() or not token.isascii() or token != token.strip():
            continue
        header = {"Authorization": f"Bearer {token}".strip()}
        response = await house.api("GET", "/me", headers=header)
        assert response.status_code == 401, (name, response.text)
        assert response.headers["www-authenticate"].startswith("Bearer")
    refused(await house.api("GET", "/me"), 401, "unauthenticated")


async def test_guessing_invites_has_a_rate(house: House):
    owner, guesser = await house.api.guest(), await house.api.guest()
    room = await owner.room(visibility="private")
    for _ in range(limits.INVITE_TRIES.burst):
        refused(await guesser.ticket(room, invite="vi_guess"), 403, "invite-required")
    refused(await guesser.ticket(room, invite="vi_guess"), 429, "too-fast")
