"""A VRoid Hub of one's own: strict where the real one is, with every error it can make.

Field names and shapes come from tests/vectors/vroid_hub.json. `trouble` makes the next API calls
fail in a chosen way; `calls` keeps what was asked, for tests to look at.
"""

import asyncio
import base64
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "vroid_hub.json").read_text())
CLIENT_ID, CLIENT_SECRET = "app-id", "app-secret"
ME, SOMEBODY_ELSE = "1234567", "7654321000"
PRESIGNED = VECTORS["download_302"]["headers"]["Location"]
ACCESS_S = 3599


def model(model_id: str, author: str = ME, **changes: Any) -> dict[str, Any]:
    row = deepcopy(VECTORS["character_model"])
    row["id"] = model_id
    row["character"]["user"]["id"] = author
    row["character"]["user"]["name"] = "テスト太郎" if author == ME else "Someone Else"
    row.update(changes)
    return row


@dataclass
class FakeHub:
    redirect_uri: str = ""
    clock: Callable[[], float] = time.time
    user: str = ME
    deny: bool = False
    trouble: str = ""
    files: tuple[str, Path] | None = None
    """Where this server is reached, and the model that it hands out for all; without them a
    download leads to an address that nobody serves."""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    access: dict[str, float] = field(default_factory=dict)
    refresh: dict[str, bool] = field(default_factory=dict)
    revoked: list[str] = field(default_factory=list)
    licenses: dict[str, str] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    hearts: list[str] = field(default_factory=list)
    calls: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    presigned: set[str] = field(default_factory=set)
    fetched: list[str] = field(default_factory=list)
    issued: int = 0
    hung: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        for number in range(1, 6):
            self.add(model(f"643885609643331000{number}"))
        self.add(model("100", SOMEBODY_ELSE))
        self.add(model("101", SOMEBODY_ELSE, is_downloadable=False))
        self.hearts = ["100", "101", "6438856096433310001"]

    def add(self, row: dict[str, Any]) -> None:
        self.models[row["id"]] = row

    def secrets(self) -> list[str]:
        """Everything that may never be in a log or an answer."""
        return [CLIENT_SECRET, *self.codes, *self.access, *self.refresh, *self.presigned]

    def granted(self) -> list[str]:
        """The refresh tokens that somebody could still use."""
        return [token for token, good in self.refresh.items() if good]

    def app(self) -> Starlette:
        api = self._api
        return Starlette(
            routes=[
                Route("/oauth/authorize", self._authorize),
                Route("/oauth/token", self._token, methods=["POST"]),
                Route("/oauth/revoke", self._revoke, methods=["POST"]),
                Route("/api/account", api(self._account)),
                Route("/api/account/character_models", api(self._mine)),
                Route("/api/hearts", api(self._hearted)),
                Route("/api/staff_picks", api(self._picks)),
                Route("/api/character_models/{id}", api(self._detail)),
                Route("/api/download_licenses", api(self._license), methods=["POST"]),
                Route("/api/download_licenses/{id}/download", api(self._download)),
                Route("/files/{id}", self._file),
            ]
        )

    # OAuth

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        wanted = {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": self.redirect_uri,
            "scope": "default",
            "code_challenge_method": "S256",
        }
        plain = all(asked.get(name) == value for name, value in wanted.items())
        if not plain or not asked.get("state") or len(asked.get("code_challenge", "")) != 43:
            return JSONResponse({"error": "invalid_request"}, 400)
        back = {"state": asked["state"]}
        if self.deny:
            back["error"] = "access_denied"
        else:
            self.issued += 1
            back["code"] = f"code-{self.issued}"
            self.codes[back["code"]] = asked
        return RedirectResponse(f"{self.redirect_uri}?{urlencode(back)}", 302)

    async def _token(self, request: Request) -> Response:
        if trouble := await self._troubled(request):
            return trouble
        form = dict(parse_qsl((await request.body()).decode()))
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return JSONResponse({"error": "invalid_client", "error_description": "?"}, 401)
        if form.get("grant_type") == "authorization_code":
            asked = self.codes.get(form.get("code", ""))
            if asked is None or asked.get("used"):
                return self._invalid_grant()
            asked["used"] = "yes"
            digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            proof = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            if proof != asked["code_challenge"] or form.get("redirect_uri") != self.redirect_uri:
                return self._invalid_grant()
        elif form.get("grant_type") == "refresh_token":
            if not self.refresh.get(form.get("refresh_token", "")):
                return self._invalid_grant()
            self.refresh[form["refresh_token"]] = False
        else:
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        self.issued += 1
        answer = {
            **VECTORS["token_response_200"],
            "access_token": f"access-{self.issued}",
            "refresh_token": f"refresh-{self.issued}",
            "expires_in": ACCESS_S,
            "created_at": int(self.clock()),
        }
        self.access[answer["access_token"]] = self.clock() + ACCESS_S
        self.refresh[answer["refresh_token"]] = True
        return JSONResponse(answer)

    def _invalid_grant(self) -> Response:
        return JSONResponse(VECTORS["token_error_400"], 400)

    async def _revoke(self, request: Request) -> Response:
        if trouble := await self._troubled(request):
            return trouble
        form = dict(parse_qsl((await request.body()).decode()))
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return JSONResponse({"error": "invalid_client"}, 403)
        token = form.get("token", "")
        self.revoked.append(token)
        self.access.pop(token, None)
        self.refresh[token] = False
        return JSONResponse(VECTORS["revoke_200"])

    # The API

    def _api(self, answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            self.calls.append((request.method, request.url.path, dict(request.query_params)))
            if trouble := await self._troubled(request):
                return trouble
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            if self.access.get(token, 0) <= self.clock():
                return self._error(401)
            result = answer(request)
            return await result if asyncio.iscoroutine(result) else result

        return endpoint

    async def _troubled(self, request: Request) -> Response | None:
        if request.headers.get("x-api-version") != "11":
            return self._error(400)
        match self.trouble:
            case "":
                return None
            case "429":
                return self._error(429)
            case "429-after":
                response = self._error(429)
                response.headers["Retry-After"] = "120"
                return response
            case "401" | "403" | "404" | "500" | "503":
                return self._error(int(self.trouble))
            case "200-error":
                return JSONResponse(VECTORS["envelope_error_403"])
            case "html":
                return Response("<html>maintenance</html>", 503)
            case "html-200":
                return Response("<html>hello</html>")
            case "empty":
                return Response(b"")
            case "null":
                return JSONResponse({"data": None, "error": {}, "_links": {}, "rand": "c0ffee"})
            case "array":
                return JSONResponse([1, 2, 3])
            case "huge":
                return Response(b" " * (5 * 1024 * 1024))
            case "hang":
                await self.hung.wait()
                return Response(status_code=503)
            case "drip":
                return StreamingResponse(self._drops())
        raise AssertionError(f"no such trouble: {self.trouble}")

    async def _drops(self) -> AsyncIterator[bytes]:
        while not self.hung.is_set():
            yield b" "
            await asyncio.sleep(0.02)

    def _error(self, status: int) -> Response:
        known = VECTORS.get(f"envelope_error_{status}")
        body = known or {"data": None, "error": {"message": "broken"}, "_links": {}, "rand": "x"}
        return JSONResponse(body, status)

    def _ok(self, data: Any, links: dict[str, Any] | None = None) -> Response:
        return JSONResponse({"data": data, "error": {}, "_links": links or {}, "rand": "c0ffee"})

    def _account(self, request: Request) -> Response:
        account = deepcopy(VECTORS["account"])
        account["data"]["user_detail"]["user"]["id"] = self.user
        return JSONResponse(account)

    def _page(self, request: Request, ids: list[str], wrap: bool = False) -> Response:
        """One page, and a link to the next with the whole query and the Hub's stray `&`."""
        query = dict(request.query_params)
        start = ids.index(query["max_id"]) + 1 if "max_id" in query else 0
        count = int(query.get("count", "20"))
        chosen = ids[start : start + count]
        rows: list[Any] = [self.models[one] for one in chosen]
        if wrap:
            rows = [{"id": row["id"], "character_model": row, "created_at": "?"} for row in rows]
        links = {}
        if start + count < len(ids):
            more = urlencode({**query, "max_id": chosen[-1]})
            links = {"next": {"href": f"{request.url.path}?{more}&"}}
        return self._ok(rows, links)

    def _mine(self, request: Request) -> Response:
        ids = [one for one, row in self.models.items() if self._author(row) == self.user]
        return self._page(request, ids)

    def _hearted(self, request: Request) -> Response:
        if request.query_params.get("application_id") != CLIENT_ID:
            return self._error(400)
        return self._page(request, self.hearts)

    def _picks(self, request: Request) -> Response:
        return self._page(request, list(self.models), wrap=True)

    def _detail(self, request: Request) -> Response:
        row = self.models.get(request.path_params["id"])
        if row is None:
            return self._error(404)
        detail = deepcopy(VECTORS["character_model_detail"]["data"])
        detail["character_model"] = row
        return self._ok(detail)

    async def _license(self, request: Request) -> Response:
        model_id = (await request.json()).get("character_model_id")
        row = self.models.get(model_id)
        if row is None:
            return self._error(404)
        if not row["is_downloadable"] and self._author(row) != self.user:
            return self._error(403)
        self.issued += 1
        made = dict(VECTORS["download_license"]["data"])
        made.update(id=f"10534180-{self.issued}", character_model_id=model_id)
        self.licenses[made["id"]] = model_id
        return self._ok(made)

    def _download(self, request: Request) -> Response:
        if request.path_params["id"] not in self.licenses:
            return self._error(404)
        if self.files is None:
            return Response(status_code=302, headers={"Location": PRESIGNED})
        signature = secrets.token_hex(16)
        self.presigned.add(signature)
        model_id = self.licenses[request.path_params["id"]]
        location = f"{self.files[0]}/files/{model_id}?X-Amz-Signature={signature}"
        return Response(status_code=302, headers={"Location": location})

    async def _file(self, request: Request) -> Response:
        """Storage elsewhere, which knows no sessions: whoever holds an address may read, soon."""
        assert self.files is not None
        if request.query_params.get("X-Amz-Signature") not in self.presigned:
            return Response("<Error><Code>AccessDenied</Code></Error>", 403)
        if "authorization" in request.headers or "cookie" in request.headers:
            return Response("<Error><Code>InvalidArgument</Code></Error>", 400)
        self.fetched.append(request.path_params["id"])
        return FileResponse(self.files[1], headers={"Access-Control-Allow-Origin": "*"})

    @staticmethod
    def _author(row: dict[str, Any]) -> str:
        return str(row["character"]["user"]["id"])
