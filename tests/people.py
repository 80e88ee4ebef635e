"""People who use a running V-Chat over its public addresses only."""

import json
from dataclasses import dataclass
from typing import Any

import httpx

from tests.relays import Browser, open_socket


@dataclass
class Person:
    """Someone signed in as a guest."""

    http: httpx.AsyncClient
    session: dict[str, Any]

    @classmethod
    async def guest(cls, http: httpx.AsyncClient, name: str) -> "Person":
        answer = await http.post("/auth/guest", json={"name": name})
        assert answer.status_code == 201, answer.text
        return cls(http, answer.json())

    async def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.session['accessToken']}"}
        content = None if body is None else json.dumps(body)
        return await self.http.request(method, path, headers=headers, content=content)

    async def make_room(self, name: str = "Atrium", **fields: Any) -> dict[str, Any]:
        answer = await self.call("POST", "/rooms", {"name": name, "visibility": "public", **fields})
        assert answer.status_code == 201, answer.text
        room: dict[str, Any] = answer.json()
        return room

    async def join(self, room_id: str, **wishes: Any) -> Browser:
        answer = await self.call("POST", f"/rooms/{room_id}/tickets", wishes)
        assert answer.status_code == 201, answer.text
        ticket = answer.json()
        browser = await open_socket(ticket["url"])
        await browser.send(type="hello", ticket=ticket["ticket"])
        browser.welcome = await browser.text()
        return browser
