"""An account of a running V-Chat, over its public API only."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import httpx

_PATIENCE_S = 60.0
"""For each answer: the first one may wait for a cold start."""
_BUSY = (429, 503)
_TRIES = 20


class Trouble(Exception):
    """It cannot go on; the text says why, for a person."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A way into a room: where, and with what to show there."""

    url: str
    ticket: str


class Account:
    """Someone who is signed in. Who is asked to wait waits; every other refusal is Trouble."""

    def __init__(self, http: httpx.AsyncClient, token: str) -> None:
        self._http = http
        self._token = token
        self._refresh = ""
        self._refreshing = asyncio.Lock()
        self.waited = 0
        """How often the api was too busy."""

    @classmethod
    async def guest(cls, http: httpx.AsyncClient, name: str) -> "Account":
        account = cls(http, "")
        account._take(await account.call("POST", "/auth/guest", {"name": name}))
        return account

    def _take(self, session: dict[str, Any]) -> None:
        self._token, self._refresh = session["accessToken"], session["refreshToken"]

    async def rooms(self) -> list[dict[str, Any]]:
        """The public rooms, all pages of them."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = await self.call("GET", f"/rooms?limit=100{cursor}")
            found += page["items"]
            if page["nextCursor"] is None:
                return found
            cursor = f"&cursor={page['nextCursor']}"

    async def ticket(
        self, room_id: str, *, spectate: bool = False, invite: str | None = None
    ) -> Ticket:
        wishes = {"spectate": spectate} if spectate else {}
        made = await self.call(
            "POST",
            f"/rooms/{room_id}/tickets",
            {**wishes, **({"invite": invite} if invite else {})},
        )
        return Ticket(made["url"], made["ticket"])

    async def make_room(self, name: str, capacity: int) -> str:
        body = {"name": name, "visibility": "private", "capacity": capacity}
        return str((await self.call("POST", "/rooms", body))["id"])

    async def invite(self, room_id: str) -> str:
        return str((await self.call("POST", f"/rooms/{room_id}/invites", {}))["invite"])

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """What the api answers; an access token that ran out is renewed. Raises Trouble."""
        shown = self._token
        answer = await self._ask(method, path, body)
        if answer.status_code == httpx.codes.UNAUTHORIZED and self._refresh:
            await self._renew(shown)
            answer = await self._ask(method, path, body)
        if answer.is_error:
            raise Trouble(f"{method} {path} answered {answer.status_code}: {answer.text[:300]}")
        return answer.json() if answer.content else None

    async def _renew(self, shown: str) -> None:
        async with self._refreshing:
            if self._token != shown:
                return  # somebody else did, meanwhile; a refresh token works once
            answer = await self._ask("POST", "/auth/refresh", {"refreshToken": self._refresh})
            if answer.is_error:
                raise Trouble(f"The sign-in could not be renewed: {answer.text[:300]}")
            self._take(answer.json())

    async def _ask(self, method: str, path: str, body: object) -> httpx.Response:
        for _ in range(_TRIES):
            headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
            try:
                answer = await self._http.request(
                    method,
                    path,
                    headers={**headers, "Content-Type": "application/json"},
                    content=None if body is None else json.dumps(body),
                    timeout=_PATIENCE_S,
                )
            except httpx.HTTPError as error:
                raise Trouble(f"{method} {path} did not come through: {error!r}") from error
            if answer.status_code not in _BUSY:
                break
            self.waited += 1
            await asyncio.sleep(float(answer.headers.get("Retry-After", "1")))
        return answer
