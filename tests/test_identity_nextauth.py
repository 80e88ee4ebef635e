"""Sessions minted by next-auth 4.24.15 and @auth/core 0.41.3 themselves (tests/vectors)."""

import base64
import json
from pathlib import Path

import pytest
from joserfc import jwe

from adapters.identity_nextauth import NextAuthSessions
from vchat.errors import Refused, Why
from vchat.model import Identity

VECTORS = Path(__file__).parent / "vectors"
V4 = json.loads((VECTORS / "nextauth_v4.json").read_text())
V5 = json.loads((VECTORS / "authjs_v5.json").read_text())
NOW = 1_795_464_300
V4_SITE = NextAuthSessions(V4["secret"])
V5_SITE = NextAuthSessions(V5["secret"])
SOMEBODY = Identity(provider="nextauth", subject="123456")


async def refused(site: NextAuthSessions, token: str, now: float = NOW) -> None:
    with pytest.raises(Refused) as caught:
        await site.verify(token, now=now)
    assert caught.value.why is Why.UNAUTHENTICATED
    assert token[:40] not in str(caught.value) or len(token) < 40


def as_cookies(cookies: list[dict[str, str]]) -> str:
    return "; ".join(f"{one['name']}={one['value']}" for one in cookies)


def sealed(claims: object, enc: str = "A256GCM", cookie: str = "", **header: str) -> str:
    """A session as a site with the version 4 secret would write it."""
    key = V4_SITE._key(enc, cookie)
    plain = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    registry = jwe.JWERegistry(algorithms=["dir", enc, "DEF"])
    return jwe.encrypt_compact({"alg": "dir", "enc": enc, **header}, plain, key, registry=registry)


@pytest.mark.parametrize(
    ("site", "token"),
    [
        (V4_SITE, V4["token"]),
        (V4_SITE, f"Bearer {V4['token']}"),
        (V4_SITE, f"next-auth.session-token={V4['token']}; theme=dark"),
        (V5_SITE, V5["token"]),
        (V5_SITE, V5["secureToken"]),
        (V5_SITE, f"a=b; __Secure-authjs.session-token={V5['secureToken']}"),
        (V4_SITE, f'prefs={{"a":1}}; next-auth.session-token={V4["token"]}'),
        (V4_SITE, f"theme=dark mode; flag; é=1; next-auth.session-token={V4['token']} ;=;"),
        (V4_SITE, f"next-auth.session-token={V4['token']};next-auth.session-token=older"),
    ],
)
async def test_a_real_session_says_who_it_is(site, token):
    person = await site.verify(token, now=NOW)
    assert person.identity == SOMEBODY
    assert person.name == "V Tester"


@pytest.mark.parametrize(
    ("site", "cookies"),
    [
        (V4_SITE, as_cookies(V4["handler_cookies"])),
        (V5_SITE, "; ".join(line.partition(";")[0] for line in V5["handler_set_cookie"])),
    ],
)
async def test_a_session_set_by_the_real_sign_in_handler_is_taken(site, cookies):
    assert (await site.verify(cookies, now=NOW)).identity.subject


async def test_chunks_are_joined_in_any_order_and_none_may_be_missing():
    chunks = V4["chunked_cookies"]
    assert len(chunks) == 3
    first = await V4_SITE.verify(as_cookies(chunks), now=NOW)
    assert await V4_SITE.verify(as_cookies(chunks[::-1]), now=NOW) == first
    assert await V4_SITE.verify("".join(chunk["value"] for chunk in chunks), now=NOW) == first
    await refused(V4_SITE, as_cookies([chunks[0], chunks[2]]))
    await refused(V4_SITE, as_cookies(chunks[1:]))
    name = chunks[0]["name"].removesuffix(".0")
    await refused(V4_SITE, as_cookies([{"name": f"{name}.{n}", "value": "x"} for n in range(9)]))


@pytest.mark.parametrize(
    ("site", "token"),
    [
        (V4_SITE, V4["expired"]),
        (V4_SITE, V4["wrong_secret"]),
        (V4_SITE, V4["salted_state_token"]),
        (V4_SITE, V5["token"]),
        (V5_SITE, V4["token"]),
        (V5_SITE, V5["expired"]),
        (V5_SITE, f"authjs.session-token={V5['secureToken']}"),
    ],
)
async def test_what_is_no_session_of_this_site_is_refused(site, token):
    await refused(site, token)


def head(**fields: str) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("real", [V4["token"], V5["token"]], ids=["v4", "v5"])
async def test_a_tampered_session_is_refused(real):
    site = V4_SITE if real == V4["token"] else V5_SITE
    header, _, iv, text, tag = real.split(".")
    turned = "A" if text[9] != "A" else "B"
    for bad in (
        ".".join([header, "", iv, text, tag[:8]]),
        f"{header}..{iv}.{text}.",
        ".".join([header, "", iv, text[:9] + turned + text[10:], tag]),
        f"{header}.AAAA.{iv}.{text}.{tag}",
        ".".join([header, "", iv[:-2], text, tag]),
        ".".join([head(alg="none"), "", "", text, ""]),
        ".".join([head(alg="none", enc="A256GCM"), "", iv, text, tag]),
        ".".join([head(alg="dir", enc="A128GCM"), "", iv, text, tag]),
        ".".join([head(alg="PBES2-HS256+A128KW", enc="A256GCM", p2c="9"), "", iv, text, tag]),
        f"{header}.{text}.{tag}",
        real + "." + real,
        real[:-1],
    ):
        await refused(site, bad)


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "....",
        "a..b.c.d",
        "Bearer ",
        "=;=",
        "next-auth.session-token=",
        "é" * 40,
        "x" * 40000,
        f"e30..{'A' * 16}.AAAA.{'A' * 22}",
        f"W10..{'A' * 16}.AAAA.{'A' * 22}",
        "\ud800" * 5,
        f"{base64.urlsafe_b64encode(b'[' * 1500).decode()}..{'A' * 16}.AAAA.{'A' * 22}",
    ],
)
async def test_junk_is_refused_and_breaks_nothing(token):
    await refused(V4_SITE, token)


GOOD = {"sub": "7", "exp": NOW + 60}


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "7"},
        {"exp": NOW + 60},
        {**GOOD, "exp": "2110824283"},
        {**GOOD, "exp": NOW - 16},
        {**GOOD, "sub": ""},
        {**GOOD, "sub": 7},
        {**GOOD, "sub": "x" * 256},
        ["not", "an", "object"],
        b"\xff\xfe",
    ],
)
async def test_a_session_must_say_who_and_until_when(claims):
    await refused(V4_SITE, sealed(claims))


async def test_a_session_that_inflates_is_refused():
    await refused(V4_SITE, sealed({**GOOD, "pad": "x" * 9000}, zip="DEF"))


@pytest.mark.parametrize(
    ("claimed", "shown"),
    [
        ("  夜の \n さくら", "夜の さくら"),
        (None, "Guest"),
        (7, "Guest"),
        ("\u202e", "Guest"),
        ("a\u202eb", "ab"),
        ("x" * 99, "x" * 40),
        ("\x00", "Guest"),
    ],
)
async def test_nobody_is_kept_out_for_a_name_that_cannot_be_shown(claimed, shown):
    assert (await V4_SITE.verify(sealed({**GOOD, "name": claimed}), now=NOW)).name == shown


async def test_a_site_may_name_its_cookie_itself():
    site = NextAuthSessions(V4["secret"], cookie="my.session")
    token = sealed(GOOD, "A256CBC-HS512", "my.session")
    assert (await site.verify(f"my.session={token}", now=NOW)).identity.subject == "7"
    await refused(V4_SITE, token)
