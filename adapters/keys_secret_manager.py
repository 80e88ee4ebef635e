"""Signing keys in a secret of Google's Secret Manager (REST v1): the newest version counts."""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from adapters.certificates import trusted
from vchat.keys import KeyPlaceError, KeyRing, dump_ring, load_ring

API = "https://secretmanager.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_DEADLINE_S = 5.0

Token = Callable[[], Awaitable[str]]


class SecretManagerKeys:
    """vchat.keys.KeyPlace. `secret` is projects/P/secrets/S; `token` gives an access token for
    Google's API that may read it, and write it where that is wanted."""

    def __init__(self, secret: str, token: Token, *, api: str = API) -> None:
        self._path = f"/v1/{secret}"
        self._secret = secret
        self._token = token
        self._http = httpx.AsyncClient(base_url=api, timeout=_DEADLINE_S, verify=trusted())

    async def read(self) -> KeyRing | None:
        status, answer = await self._ask("GET", f"{self._path}/versions/latest:access")
        if status == 404:
            return None
        self._judge(status, answer)
        try:
            return load_ring(base64.b64decode(answer["payload"]["data"], validate=True).decode())
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise KeyPlaceError(f"What is in {self._secret} is no private JWK set.") from error

    async def write(self, ring: KeyRing) -> None:
        data = base64.b64encode(dump_ring(ring).encode()).decode()
        body = {"payload": {"data": data}}
        self._judge(*await self._ask("POST", f"{self._path}:addVersion", json=body))

    async def close(self) -> None:
        await self._http.aclose()

    async def _ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        try:
            async with asyncio.timeout(_DEADLINE_S):
                headers = {"Authorization": f"Bearer {await self._token()}"}
                answer = await self._http.request(method, path, headers=headers, **more)
                return answer.status_code, answer.json()
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            problem = f"Secret Manager did not answer for {self._secret}: {type(error).__name__}."
            raise KeyPlaceError(problem) from error

    def _judge(self, status: int, answer: Any) -> None:
        if status == 200:
            return
        error = answer.get("error") if isinstance(answer, dict) else None
        said = error.get("status") if isinstance(error, dict) else None
        raise KeyPlaceError(f"Secret Manager refused {self._secret}: {said or status}.")


def own_token() -> Token:
    """Tokens of the identity that this process runs as, renewed by Google's own library."""
    import google.auth
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import Request

    held: list[Any] = []

    def fresh() -> str:
        try:
            if not held:
                held.append(google.auth.default(scopes=[_SCOPE])[0])
            if not held[0].valid:
                held[0].refresh(Request())
        except GoogleAuthError as error:
            raise KeyPlaceError(f"Google gave no token: {type(error).__name__}.") from error
        return str(held[0].token)

    return lambda: asyncio.to_thread(fresh)
