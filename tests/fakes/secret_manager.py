"""Google's Secret Manager, REST v1, and the metadata server that tells who asks.

Paths, shapes and errors are those of cloud.google.com/secret-manager/docs/reference/rest.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

TOKEN = "ya29.a-token-of-the-tests"
SECRET = "projects/p1/secrets/vchat-signing-keys"
_FLAVOR = {"Metadata-Flavor": "Google"}


@dataclass
class FakeSecretManager:
    """`versions` of SECRET, oldest first; None is a destroyed one. `trouble` is a status that all
    calls answer with, or "html" or "gone"."""

    versions: list[bytes | None] = field(default_factory=list)
    trouble: str = ""
    asked: int = 0
    tokens: int = 0

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/{name:path}", self._answer, methods=["GET", "POST"]),
                Route("/", self._flavour),
                Route("/computeMetadata/v1/{path:path}", self._metadata),
            ]
        )

    async def _answer(self, request: Request) -> Response:
        self.asked += 1
        if self.trouble == "html":
            return PlainTextResponse("<html>Bad gateway</html>", 502)
        if self.trouble:
            return _error(int(self.trouble), "UNAVAILABLE")
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return _error(401, "UNAUTHENTICATED")
        found = re.fullmatch(
            rf"{SECRET}(?:/versions/(latest|\d+))?:(access|addVersion)", request.path_params["name"]
        )
        if found is None:
            return _error(403, "PERMISSION_DENIED")  # what a secret of others is answered with
        version, verb = found.groups()
        if (request.method, verb, version is None) == ("POST", "addVersion", True):
            return self._add(await request.json())
        if (request.method, verb) != ("GET", "access") or version is None:
            return _error(404, "NOT_FOUND")
        number = len(self.versions) if version == "latest" else int(version)
        if not 1 <= number <= len(self.versions):
            return _error(404, "NOT_FOUND")
        value = self.versions[number - 1]
        if value is None:
            return _error(400, "FAILED_PRECONDITION")
        data = base64.b64encode(value).decode()
        return JSONResponse({"name": self._name(number), "payload": {"data": data}})

    def _add(self, body: Any) -> Response:
        try:
            value = base64.b64decode(body["payload"]["data"], validate=True)
        except (KeyError, TypeError, binascii.Error):
            return _error(400, "INVALID_ARGUMENT")
        if len(value) > 65536:
            return _error(400, "INVALID_ARGUMENT")
        self.versions.append(value)
        return JSONResponse({"name": self._name(len(self.versions)), "state": "ENABLED"})

    def _name(self, number: int) -> str:
        return f"projects/1234567890/secrets/vchat-signing-keys/versions/{number}"

    async def _flavour(self, request: Request) -> Response:
        return PlainTextResponse("computeMetadata/\n", headers=_FLAVOR)

    async def _metadata(self, request: Request) -> Response:
        if request.headers.get("metadata-flavor") != "Google":
            return PlainTextResponse("Missing Metadata-Flavor:Google header.", 403)
        match request.path_params["path"]:
            case "project/project-id":
                return PlainTextResponse("p1", headers=_FLAVOR)
            case "instance/service-accounts/default/token":
                self.tokens += 1
                token = {"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"}
                return JSONResponse(token, headers=_FLAVOR)
            case "instance/service-accounts/default/":
                who = {"aliases": ["default"], "email": "api@p1.test", "scopes": []}
                return JSONResponse(who, headers=_FLAVOR)
        return PlainTextResponse("not found", 404, headers=_FLAVOR)


def _error(code: int, status: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": status, "status": status}}, code)
