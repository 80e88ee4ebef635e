"""The HTTP API as tests call it: over a real socket, every answer held to the OpenAPI file."""

import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from jsonschema import Draft202012Validator
from starlette.types import ASGIApp

from tests.brief_server import BriefServer

OPENAPI = json.loads((Path(__file__).parents[1] / "docs" / "openapi.json").read_text())


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """Serve an app at a free port of this machine; yields its base URL."""
    # Named TCP, or asyncio does not switch off Nagle's algorithm and each answer takes 40 ms.
    with socket.socket(proto=socket.IPPROTO_TCP) as sock:
        sock.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="error", lifespan="off", access_log=False)
        server = BriefServer(config)
        await server.begin(sock)
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            await server.end()


class Api:
    """A browser's view of the API. `spoken` collects (operationId, status) of what was answered."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.spoken: set[tuple[str, int]] = set()
        # No TLS here, and reading the machine's certificates takes longer than most tests.
        self._http = httpx.AsyncClient(base_url=base, timeout=20, verify=False)

    async def close(self) -> None:
        await self._http.aclose()

    async def __call__(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **more: Any
    ) -> httpx.Response:
        headers = more.pop("headers", {})
        unmarked = more.pop("unmarked", False)  # a preflight is answered before it gets an id
        if token is not None:
            headers = {**headers, "Authorization": f"Bearer {token}"}
        if body is not None:
            more["json"] = body
        response = await self._http.request(method, path, headers=headers, **more)
        if not unmarked:
            self._check(method, path.partition("?")[0], response)
        return response

    def _check(self, method: str, path: str, response: httpx.Response) -> None:
        assert response.headers["x-request-id"]
        assert response.headers["x-content-type-options"] == "nosniff"
        if response.status_code == 204:
            assert response.content == b""
        operation = self._operation(method, path)
        if operation is None or response.status_code == 405:
            return
        self.spoken.add((operation["operationId"], response.status_code))
        answers = operation["responses"]
        ours = response.status_code in (500, 503)
        answer = answers["default" if ours else str(response.status_code)]
        if "$ref" in answer:
            answer = OPENAPI["components"]["responses"][answer["$ref"].rpartition("/")[2]]
        if "content" in answer:
            content = answer["content"][response.headers["content-type"]]
            schema = {**content["schema"], "components": OPENAPI["components"]}
            Draft202012Validator(schema).validate(response.json())

    @staticmethod
    def _operation(method: str, path: str) -> dict[str, Any] | None:
        for template, operations in OPENAPI["paths"].items():
            if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path):
                return operations.get(method.lower())
        return None

    # What most tests begin with.

    async def guest(self, name: str = "さくら") -> "Guest":
        response = await self("POST", "/auth/guest", {"name": name})
        assert response.status_code == 201, response.text
        return Guest(self, response.json())


class Guest:
    """Somebody who is signed in."""

    def __init__(self, api: Api, session: dict[str, Any]) -> None:
        self.api = api
        self.session = session
        self.id = session["user"]["id"]
        self.token = session["accessToken"]

    async def __call__(
        self, method: str, path: str, body: Any = None, **more: Any
    ) -> httpx.Response:
        return await self.api(method, path, body, token=self.token, **more)

    async def room(self, **fields: Any) -> str:
        """Make a room; its id."""
        body = {"name": "Rooftop", "visibility": "public", **fields}
        response = await self("POST", "/rooms", body)
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    async def ticket(self, room: str, **fields: Any) -> httpx.Response:
        return await self("POST", f"/rooms/{room}/tickets", fields)

    async def moderate(self, room: str, action: str, **fields: Any) -> httpx.Response:
        return await self("POST", f"/rooms/{room}/moderation", {"action": action, **fields})


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Assert that this is the refusal meant; its problem."""
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["requestId"] == response.headers["x-request-id"]
    assert problem["status"] == status
    return problem


def pointers(response: httpx.Response) -> list[str]:
    """The bad fields that a refusal names."""
    return [error["pointer"] for error in refused(response, 400, "invalid-request")["errors"]]
