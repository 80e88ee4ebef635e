"""VRoid Hub over HTTP: OAuth 2.0 and API version 11, as developer.vroid.com describes them.

Models never pass through here: a download is an address that the Hub redirects to, which goes to
the person's own client, and into no log. Nothing the Hub says is followed anywhere but on the Hub.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec

from adapters.certificates import trusted
from vchat.conditions import conditions_of
from vchat.errors import Refused, Why
from vchat.hub import PROVIDER, Download, Grant, Model, ModelPage, Shelf
from vchat.identity import Person, shown_name
from vchat.model import Identity
from vchat.text import clean_line
from vchat.times import parse_rfc3339, rfc3339

HUB = "https://hub.vroid.com"
_VERSION = {"X-Api-Version": "11"}
_DEADLINE_S = 8.0
"""For a whole answer: what comes drop by drop would keep to any deadline between two of them."""
_MOST_BYTES = 4 * 1024 * 1024
_WAIT_MS = 60_000  # "wait a few minutes" is all that the Hub says of its limits
_NAME_LENGTH = 80
_MODEL_ID = re.compile(r"[0-9]{1,19}", re.ASCII)
_LICENSE_ID = re.compile(r"[0-9]+(-[0-9]+)?", re.ASCII)
_PATHS = {
    Shelf.MINE: "/api/account/character_models",
    Shelf.HEARTS: "/api/hearts",
    Shelf.PICKS: "/api/staff_picks",
}
_SCOPE = "default"
_OTHER_SHAPE = (AttributeError, KeyError, TypeError, ValueError)
"""What comes of reading an answer in which something is not what it should be."""


class VroidHub:
    """vchat.hub.Hub for one registered application."""

    def __init__(self, client_id: str, client_secret: str, *, base: str = HUB) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._base = base
        self._http: httpx.AsyncClient | None = None

    # Signing in

    def sign_in_url(self, *, redirect_uri: str, state: str, challenge: str) -> str:
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": _SCOPE,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._base}/oauth/authorize?{urlencode(query)}"

    async def redeem(self, code: str, *, verifier: str, redirect_uri: str, now: float) -> Grant:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": redirect_uri,
        }
        return await self._token(form, now, Why.UNAUTHENTICATED, old="")

    async def renew(self, grant: Grant, *, now: float) -> Grant:
        form = {"grant_type": "refresh_token", "refresh_token": grant.refresh_token}
        return await self._token(form, now, Why.HUB_SIGN_IN, old=grant.refresh_token)

    async def revoke(self, grant: Grant) -> None:
        for token in (grant.refresh_token, grant.access_token):
            form = {"token": token, **self._client}
            response = await self._send("POST", "/oauth/revoke", data=form)
            if response.status_code != 200:
                raise _away(response)

    async def _token(self, form: Mapping[str, str], now: float, why: Why, *, old: str) -> Grant:
        """Ask for tokens; `why` says what it means when the Hub does not grant them."""
        response = await self._send("POST", "/oauth/token", data={**form, **self._client})
        answer = _json(response)
        if response.status_code in (400, 401) and answer.get("error") == "invalid_grant":
            raise Refused(why, "VRoid Hub did not accept the sign-in.")
        if response.status_code != 200:
            raise _away(response)
        try:
            return Grant(
                access_token=_text(answer["access_token"]),
                # The Hub's refresh tokens work once; one that is not replaced goes on working.
                refresh_token=_text(answer.get("refresh_token") or old),
                expires_at=int(now) + int(answer["expires_in"]),
            )
        except _OTHER_SHAPE as error:
            raise _odd() from error

    @property
    def _client(self) -> dict[str, str]:
        return {"client_id": self._client_id, "client_secret": self._client_secret}

    async def person(self, access_token: str) -> Person:
        answer = await self._call("GET", "/api/account", access_token)
        try:
            user = answer["data"]["user_detail"]["user"]
            identity = Identity(provider=PROVIDER, subject=_text(user["id"]))
        except _OTHER_SHAPE as error:
            raise _odd() from error
        return Person(identity, shown_name(user.get("name")))

    # Models

    async def models(
        self, shelf: Shelf, access_token: str, *, cursor: str | None, count: int
    ) -> ModelPage:
        path = _PATHS[shelf]
        query = {"count": str(count), "application_id": self._client_id}
        where = f"{path}?{urlencode(query)}" if cursor is None else _read_cursor(cursor, path)
        answer = await self._call("GET", where, access_token)
        try:
            rows = answer["data"]
            if shelf is Shelf.PICKS:
                rows = [row["character_model"] for row in rows]
            models = tuple(_model(row) for row in rows)
        except _OTHER_SHAPE as error:
            raise _odd() from error
        return ModelPage(models, _next_cursor(answer, path))

    async def model(self, model_id: str, access_token: str) -> Model:
        path = f"/api/character_models/{_checked(model_id)}"
        answer = await self._call("GET", path, access_token)
        try:
            return _model(answer["data"]["character_model"])
        except _OTHER_SHAPE as error:
            raise _odd() from error

    async def download(self, model_id: str, access_token: str) -> Download:
        wanted = {"character_model_id": _checked(model_id)}
        answer = await self._call("POST", "/api/download_licenses", access_token, json=wanted)
        try:
            license_id = _text(answer["data"]["id"])
            if not _LICENSE_ID.fullmatch(license_id):
                raise ValueError("not a licence")
            expires_at = rfc3339(parse_rfc3339(_text(answer["data"]["expires_at"])))
        except _OTHER_SHAPE as error:
            raise _odd() from error
        path = f"/api/download_licenses/{license_id}/download"
        response = await self._send("GET", path, token=access_token)
        location = response.headers.get("location", "")
        if response.status_code != 302 or not _is_safe(location, self._base):
            _judge(response)
            raise _odd()
        return Download(location, expires_at)

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def _call(self, method: str, path: str, token: str, **more: Any) -> dict[str, Any]:
        """What an API call answers, or Refused for any of the ways in which it says no."""
        response = await self._send(method, path, token=token, **more)
        _judge(response)
        return _json(response)

    async def _send(
        self, method: str, path: str, *, token: str | None = None, **more: Any
    ) -> httpx.Response:
        if self._http is None:  # made late: to read whom the machine believes takes a while
            self._http = httpx.AsyncClient(
                base_url=self._base, timeout=_DEADLINE_S, follow_redirects=False, verify=trusted()
            )
        headers = {**_VERSION, **({"Authorization": f"Bearer {token}"} if token else {})}
        try:
            request = self._http.build_request(method, path, headers=headers, **more)
            async with asyncio.timeout(_DEADLINE_S):
                response = await self._http.send(request, stream=True)
                try:
                    body = bytearray()
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        if len(body) > _MOST_BYTES:
                            raise _odd()
                finally:
                    await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise Refused(
                Why.UNAVAILABLE, "VRoid Hub cannot be reached; try again soon.", retry_ms=5000
            ) from error
        # As bytes: httpx reads headers in more letters than it writes.
        kept = [(name, value) for name, value in response.headers.raw if name.lower() in _KEPT]
        return httpx.Response(response.status_code, headers=kept, content=bytes(body))


_KEPT = frozenset({b"location", b"retry-after"})
_SIGN_IN_CODES = ("OAUTH_UNAUTHORIZED", "OAUTH_AUTHORIZATION_REQUIRED", "COMMON_SIGNED_IN_REQUIRED")


def _judge(response: httpx.Response) -> None:
    """Raise Refused unless a call succeeded; the Hub may say no with a 200 as well."""
    error = _json(response, strict=False).get("error")
    code = error.get("code") if isinstance(error, dict) else None
    status = response.status_code
    if status == 200 and not code:
        return
    if status == 429 or code == "TOO_MANY_REQUESTS":
        given = response.headers.get("retry-after", "")
        wait_ms = int(given) * 1000 if given.isdecimal() and len(given) < 6 else _WAIT_MS
        raise Refused(
            Why.TOO_FAST, "VRoid Hub asks for a pause of a few minutes.", retry_ms=wait_ms
        )
    if status == 401 or (
        code and str(code).startswith(("OAUTH_UNAUTH", "OAUTH_AUTHOR", "COMMON_SIGNED"))
    ):
        raise Refused(Why.HUB_SIGN_IN)
    if status == 403 or code == "OAUTH_FORBIDDEN":
        raise Refused(Why.FORBIDDEN, "VRoid Hub does not let you use this model here.")
    if status == 404 or code == "COMMON_NOT_FOUND":
        raise Refused(Why.NOT_FOUND, "VRoid Hub has no such model, or does not show it to you.")
    raise _away(response)


def _away(response: httpx.Response) -> Refused:
    return Refused(
        Why.UNAVAILABLE,
        f"VRoid Hub has a problem (status {response.status_code}); try again soon.",
        retry_ms=5000,
    )


def _is_safe(location: str, base: str) -> bool:
    """Whether an address may be handed to a browser: as safe as the Hub's own."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return False
    return parts.scheme in ("https", urlsplit(base).scheme) and bool(parts.netloc)


def _odd() -> Refused:
    return Refused(Why.UNAVAILABLE, "VRoid Hub answered something unexpected.", retry_ms=5000)


def _json(response: httpx.Response, *, strict: bool = True) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = None
    if isinstance(value, dict):
        return value
    if strict:
        raise _away(response) if response.status_code >= 400 else _odd()
    return {}


def _model(row: Mapping[str, Any]) -> Model:
    character = row["character"]
    version = row.get("latest_character_model_version") or {}
    author = character["user"]
    return Model(
        id=_checked_row_id(row),
        title=_line(row.get("name")) or _line(character.get("name")) or "Untitled",
        author=_line(author.get("name")) or "Unknown",
        author_id=_text(author["id"]),
        thumbnail=_picture(row),
        downloadable=row.get("is_downloadable") is True,
        vrm="1.0" if str(version.get("spec_version") or "").startswith("1") else "0.0",
        conditions=conditions_of(row),
    )


def _checked_row_id(row: Mapping[str, Any]) -> str:
    model_id = _text(row["id"])
    if not _MODEL_ID.fullmatch(model_id):
        raise ValueError("not an id")
    return model_id


def _picture(row: Mapping[str, Any]) -> str | None:
    try:
        url = row["portrait_image"]["sq150"]["url"]
    except (KeyError, TypeError):
        return None
    return url if isinstance(url, str) and url.startswith("https://") else None


def _line(value: object) -> str:
    if not isinstance(value, str):
        return ""
    shown = "".join(sign for sign in value if sign.isprintable() or sign.isspace())
    try:
        return clean_line(" ".join(shown.split())[:_NAME_LENGTH], most=_NAME_LENGTH)
    except ValueError:
        return ""


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 2048:
        raise ValueError("expected text")
    return value


def _checked(model_id: str) -> str:
    if not _MODEL_ID.fullmatch(model_id):
        raise Refused(Why.NOT_FOUND, "VRoid Hub has no such model, or does not show it to you.")
    return model_id


def _next_cursor(answer: Mapping[str, Any], path: str) -> str | None:
    """The Hub's own link to the next page, to be replayed as it is; its parts are not ours."""
    try:
        href = answer["_links"]["next"]["href"]
    except (KeyError, TypeError):
        return None
    try:
        link = _leading_on(_text(href), path)
    except ValueError as error:
        raise _odd() from error
    return base64.urlsafe_b64encode(link.encode()).rstrip(b"=").decode()


def _read_cursor(cursor: str, path: str) -> str:
    """The path and query a cursor stands for: only ever the same shelf of the Hub."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return _leading_on(base64.b64decode(padded, b"-_", validate=True).decode(), path)
    except (ValueError, binascii.Error) as error:
        problem = "This cursor did not come from nextCursor"
        raise Refused(Why.INVALID_REQUEST, errors=(("/cursor", problem),)) from error


def _leading_on(href: str, path: str) -> str:
    """A link, if it leads on in this shelf and nowhere else. Raises ValueError."""
    plain = href.isascii() and href.isprintable() and " " not in href
    if not plain or urlsplit(href)[:3] != ("", "", path):
        raise ValueError("another place")
    return href
