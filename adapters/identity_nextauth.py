"""Sessions of NextAuth.js 4 and Auth.js 5, verified by decrypting them with the site's secret.

Formats, as the libraries write them (next-auth 4.24, @auth/core 0.41): a compact JWE with
`alg: dir`, whose key is HKDF-SHA256 of the secret. Version 4: A256GCM, no salt. Version 5:
A256CBC-HS512, salted with the name of the session cookie. A cookie above 4 KiB comes in chunks
`name.0`, `name.1`, and so on.
"""

import base64
import re
from functools import cache
from typing import Any
from urllib.parse import unquote

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from vchat.errors import Refused, Why
from vchat.identity import Person, shown_name
from vchat.model import Identity

PROVIDER = "nextauth"
COOKIES_V4 = ("__Secure-next-auth.session-token", "next-auth.session-token")
COOKIES_V5 = ("__Secure-authjs.session-token", "authjs.session-token")
_TOKEN_BYTES = 32 * 1024
_CHUNKS = 8
_LEEWAY_S = 15  # what the libraries themselves allow
_SUBJECT_LENGTH = 255
_JWE = re.compile(r"[A-Za-z0-9_-]+\.\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+", re.ASCII)
_V4, _V5 = "A256GCM", "A256CBC-HS512"


class NextAuthSessions:
    """vchat.identity.IdentityProvider for the sessions of one site.

    The token is the session as the site's server holds it: the cookie's value (chunks joined), a
    whole `Cookie` header, or the value of an `Authorization: Bearer` header, which getToken() also
    takes. `cookie` is the session cookie's name where the site gave it one of its own.
    """

    def __init__(self, secret: str, *, cookie: str | None = None) -> None:
        self._secret = secret.encode()
        self._names = (*((cookie,) if cookie else ()), *COOKIES_V5, *COOKIES_V4)
        self._key = cache(self._derived)

    async def verify(self, token: str, *, now: float) -> Person:
        try:
            name, session = self._session(token)
            claims = self._decrypted(session, [name] if name else list(self._names))
            return _person(claims, now)
        except (JoseError, ValueError, RecursionError) as error:
            # joserfc raises bare ValueError for junk, and JSON may be nested without end. Nothing
            # of it is shown: it may hold parts.
            raise Refused(Why.UNAUTHENTICATED, "The session is not valid here.") from error

    async def close(self) -> None:
        """Nobody is asked here, so nothing is open."""

    def _session(self, text: str) -> tuple[str | None, str]:
        """The JWE in a text, and the name of the cookie that it came in, if it says."""
        if len(text) > _TOKEN_BYTES:
            raise ValueError("too long")
        scheme, _, rest = text.strip().partition(" ")
        if scheme.lower() == "bearer":
            return None, unquote(rest.strip())
        if "=" not in text:
            return None, unquote(text.strip())
        cookies = _cookies(text)
        for name in self._names:
            if name in cookies:
                return name, unquote(cookies[name])
            if f"{name}.0" in cookies:
                return name, unquote(_joined(cookies, name))
        raise ValueError("no session cookie")

    def _decrypted(self, session: str, cookies: list[str]) -> dict[str, Any]:
        if not _JWE.fullmatch(session):
            raise ValueError("not a compact JWE with a direct key")
        head = _json(_unpadded(session.partition(".")[0]))
        enc = head.get("enc")
        if head.get("alg") != "dir" or enc not in (_V4, _V5) or head.keys() & {"zip", "crit"}:
            raise ValueError("not a header that the libraries write")
        # Version 4 knows no salt. Version 5 salts with the cookie's name: any that it may have had.
        keys = [self._key(enc, name) for name in ([""] if enc == _V4 else cookies)]
        registry = jwe.JWERegistry(algorithms=["dir", enc])
        registry.max_ciphertext_length = _TOKEN_BYTES
        problem: Exception = ValueError("no key to try")
        for key in keys:
            try:
                found = jwe.decrypt_compact(session, key, registry=registry)
            except (JoseError, ValueError) as error:
                problem = error
            else:
                return _json(found.plaintext or b"")
        raise problem

    def _derived(self, enc: str, cookie: str) -> OctKey:
        maker, size = ("NextAuth.js", 32) if enc == _V4 else ("Auth.js", 64)
        info = f"{maker} Generated Encryption Key" + (f" ({cookie})" if cookie else "")
        kdf = HKDF(SHA256(), size, salt=cookie.encode(), info=info.encode())
        return OctKey.import_key(kdf.derive(self._secret))


def _cookies(header: str) -> dict[str, str]:
    """The cookies in a header; of two with one name the first, as NextAuth takes it.

    Not http.cookies, which reads nothing at all of a header with one odd cookie in it.
    """
    pairs = (pair.partition("=") for pair in reversed(header.split(";")))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _joined(cookies: dict[str, str], name: str) -> str:
    chunks = [cookies.get(f"{name}.{number}") for number in range(_CHUNKS + 1)]
    count = chunks.index(None)  # ValueError when there are more than we take
    others = {key for key in cookies if key.startswith(f"{name}.")}
    if others != {f"{name}.{number}" for number in range(count)}:
        raise ValueError("a chunk is missing")
    return "".join(chunk for chunk in chunks[:count] if chunk)


def _person(claims: dict[str, Any], now: float) -> Person:
    subject, ends = claims.get("sub"), claims.get("exp")
    if not isinstance(subject, str) or not 0 < len(subject) <= _SUBJECT_LENGTH:
        raise ValueError("no sub")
    if not isinstance(ends, int | float) or ends + _LEEWAY_S < now:
        raise ValueError("expired, or no exp")
    return Person(Identity(provider=PROVIDER, subject=subject), shown_name(claims.get("name")))


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _json(raw: bytes) -> dict[str, Any]:
    value = msgspec.json.decode(raw)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value
