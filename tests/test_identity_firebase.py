"""Firebase ID tokens: only what Google signed for this project, and only while it is good."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from adapters.identity_firebase import FirebaseTokens
from tests.fakes.firebase import CLAIMS, KEY, NOW, OTHER, PROJECT, Google, token
from tests.http_api import serving
from vchat.errors import Refused, Why
from vchat.model import Identity


@pytest.fixture(name="google")
def _google() -> Google:
    return Google()


@pytest.fixture(name="firebase")
async def _firebase(google: Google) -> AsyncIterator[FirebaseTokens]:
    async with serving(google.app()) as base:
        firebase = FirebaseTokens(PROJECT, jwks=f"{base}/jwk")
        yield firebase
        await firebase.close()


async def refused(firebase: FirebaseTokens, bad: str, why: Why = Why.UNAUTHENTICATED) -> None:
    with pytest.raises(Refused) as caught:
        await firebase.verify(bad, now=NOW)
    assert caught.value.why is why


async def test_a_good_token_says_who_it_is(firebase, google):
    for _ in range(3):
        person = await firebase.verify(token(), now=NOW)
    assert person.identity == Identity(provider="firebase", subject="firebase-uid-1")
    assert person.name == "V Tester"
    assert google.fetches == 1


def unsigned() -> str:
    """What the Auth emulator makes."""
    parts = (json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, CLAIMS))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


def key_confused() -> str:
    """HS256 with the public key as the secret."""
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"k1"}').rstrip(b"=")
    body = base64.urlsafe_b64encode(json.dumps(CLAIMS).encode()).rstrip(b"=")
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    mac = hmac.new(pem, head + b"." + body, hashlib.sha256).digest()
    return b".".join([head, body, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()


NOT_ISSUED = {
    "unsigned": unsigned(),
    "signed with the public key": key_confused(),
    "another key": token(key=OTHER),
    "an unknown key": token(kid="unknown"),
    "no key named": jwt.encode(CLAIMS, KEY, algorithm="RS256"),
    "another algorithm": token(alg="RS512"),
    "another audience": token({"aud": "another-project"}),
    "a list of audiences": token({"aud": [PROJECT]}),
    "a session cookie": token({"iss": f"https://session.firebase.google.com/{PROJECT}"}),
    "expired": token({"exp": NOW - 11}),
    "too long a life": token({"exp": NOW + 7200}),
    "an expiry in letters": token({"exp": str(NOW + 3590)}),
    "issued later": token({"iat": NOW + 60}),
    "signed in later": token({"auth_time": NOW + 60}),
    "signed in at true": token({"auth_time": True}),
    "nobody": token({"sub": ""}),
    "too long a name": token({"sub": "x" * 129}),
    **{
        f"no {name}": token(without=name)
        for name in ("iss", "aud", "sub", "exp", "iat", "auth_time")
    },
    "a changed signature": token()[:-4] + "AAAA",
    "too long": token({"pad": "x" * 9000}),
    "nothing": "",
    "junk": "a.b.c",
    "no ASCII": "é.é.é",
}


@pytest.mark.parametrize("bad", NOT_ISSUED.values(), ids=NOT_ISSUED)
async def test_what_firebase_did_not_issue_to_us_is_refused(firebase, bad):
    await refused(firebase, bad)


async def test_made_up_key_ids_do_not_make_us_ask_google(firebase, google):
    await firebase.verify(token(), now=NOW)
    for number in range(10):
        await refused(firebase, token(kid=f"made-up-{number}"))
    assert google.fetches == 1


async def test_google_being_away_is_said_as_such_and_passes(firebase, google):
    google.up = False
    await refused(firebase, token(), Why.UNAVAILABLE)


async def test_google_going_away_later_keeps_nobody_out(firebase, google):
    await firebase.verify(token(), now=NOW)
    google.up = False
    firebase._keys._due = firebase._keys._tried = float("-inf")
    assert (await firebase.verify(token(), now=NOW)).identity.subject == "firebase-uid-1"
    assert google.fetches == 2
