"""The old front-end's callables: their protocol outside, today's rules inside."""

import dataclasses
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jwt
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from adapters.identity_firebase import FirebaseTokens
from functions.app import build
from tests.fakes.firebase import PROJECT, Google, token
from tests.fakes.livekit import webhook
from tests.http_api import serving
from tests.identity_world import House
from tests.identity_world import _house as _house
from tests.identity_world import _log as _log


class Page:
    """A page of the old front-end, signed in with Firebase as `uid`."""

    def __init__(self, http: httpx.AsyncClient, uid: str, now: int) -> None:
        self._http = http
        times = {"iat": now, "auth_time": now, "exp": now + 3600}
        self.token = token({"sub": uid, "user_id": uid, "name": uid.title(), **times})

    async def post(self, name: str, body: Any, **headers: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", **headers}
        return await self._http.post(f"/{name}", json=body, headers=headers)

    async def call(self, which: str, /, **data: Any) -> dict[str, Any]:
        response = await self.post(which, {"data": data})
        assert response.status_code == 200, response.text
        assert response.json().keys() == {"result"}
        return response.json()["result"]

    async def refused(self, which: str, /, **data: Any) -> str:
        response = await self.post(which, {"data": data})
        assert response.json().keys() == {"error"}, response.text
        error = response.json()["error"]
        assert response.status_code >= 400
        assert error["message"]
        return error["status"]


class Old:
    def __init__(self, house: House, http: httpx.AsyncClient) -> None:
        self.house = house
        self.http = http

    def page(self, uid: str) -> Page:
        return Page(self.http, uid, self.house.clock.now // 1000)


@pytest.fixture(name="old")
async def _old(house: House) -> AsyncIterator[Old]:
    app = Starlette()
    async with serving(Google().app()) as google, serving(app) as base:
        firebase = FirebaseTokens(PROJECT, jwks=f"{google}/jwk")
        providers = {**house.services.providers, "firebase": firebase}
        services = dataclasses.replace(house.services, providers=providers)
        app.router.routes.append(Mount("/api", app=build(services)))
        async with httpx.AsyncClient(base_url=f"{base}/api", verify=False) as http:
            yield Old(house, http)
        await firebase.close()


async def test_a_room_lives_from_make_to_end(old: Old):
    owner, guest = old.page("owner"), old.page("guest")
    room = await owner.call("createRoom", name="Atrium", description="x", isPrivate=False)
    assert room["status"] == "active"
    assert (room["isPrivate"], room["maxMembers"]) == (False, 20)
    room_id = room["roomId"]
    assert (await guest.call("joinRoom", roomId=room_id))["name"] == "Atrium"
    voice = await guest.call("generateLivekitToken", roomId=room_id, participantName="Admin")
    claims = jwt.decode(voice["token"], options={"verify_signature": False})
    assert claims["name"] == "Guest"  # the account's, not what the page claims
    assert claims["video"]["room"] == room_id
    assert await guest.call("leaveRoom", roomId=room_id) == {"success": True}
    # Any member could end a room once; now its owner can.
    assert await guest.refused("endRoom", roomId=room_id) == "PERMISSION_DENIED"
    assert await guest.refused("deleteRoom", roomId=room_id) == "PERMISSION_DENIED"
    assert await owner.call("endRoom", roomId=room_id) == {"success": True}
    assert await guest.refused("joinRoom", roomId=room_id) == "FAILED_PRECONDITION"
    assert await guest.refused("generateLivekitToken", roomId=room_id) == "FAILED_PRECONDITION"
    second = await owner.call("createRoom", name="Two")
    assert await owner.call("deleteRoom", roomId=second["roomId"]) == {"success": True}


async def test_private_rooms_want_an_invite(old: Old):
    owner, guest = old.page("owner"), old.page("guest")
    room_id = (await owner.call("createRoom", name="Den", isPrivate=True))["roomId"]
    assert await guest.refused("joinRoom", roomId=room_id) == "PERMISSION_DENIED"
    assert await guest.refused("generateLivekitToken", roomId=room_id) == "PERMISSION_DENIED"
    assert (await owner.call("joinRoom", roomId=room_id))["isPrivate"]


async def test_two_find_each_other(old: Old):
    one, other = old.page("one"), old.page("other")
    waiting = {"status": "waiting", "roomId": None, "partnerId": None}
    assert await one.call("findMatch") == waiting
    mine = await other.call("findMatch")
    theirs = await one.call("findMatch")
    assert mine["status"] == theirs["status"] == "matched"
    assert mine["roomId"] == theirs["roomId"]
    assert (await one.call("joinRoom", roomId=mine["roomId"]))["isPrivate"]
    assert await one.call("cancelMatch") == {"success": True}
    assert await one.call("findMatch") == waiting


async def test_one_person_is_one_account_here_and_over_http(old: Old):
    page = old.page("same")
    room = await page.call("createRoom", name="Atrium")
    session = await old.http.post(
        "/auth/exchange", json={"provider": "firebase", "token": page.token}
    )
    assert session.json()["user"]["id"] == room["createdBy"]


async def test_an_old_page_may_stay_in_the_call_without_a_seat(old: Old):
    owner, guest = old.page("owner"), old.page("guest")
    room_id = (await owner.call("createRoom", name="Atrium"))["roomId"]
    voice = await guest.call("generateLivekitToken", roomId=room_id)
    user_id = jwt.decode(voice["token"], options={"verify_signature": False})["sub"]
    about = {"room": {"name": room_id}, "participant": {"identity": user_id, "sid": "PA1"}}
    old.house.clock.now = round(time.time() * 1000)
    for event_id, banned in (("EV1", False), ("EV2", True)):
        if banned:
            await old.house.services.state.ban(room_id, user_id, None)
        body, authorization = webhook("participant_joined", event_id, **about)
        headers = {"Authorization": authorization}
        told = await old.http.post("/hooks/livekit", content=body, headers=headers)
        assert told.status_code == 204
        out = ("RemoveParticipant", {"room": room_id, "identity": user_id})
        assert (out in old.house.livekit.asked) == banned


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"data": {}}, "INVALID_ARGUMENT"),
        ({"data": None}, "INVALID_ARGUMENT"),
        ({}, "INVALID_ARGUMENT"),
        ({"data": []}, "INVALID_ARGUMENT"),
        ({"data": {"roomId": 7}}, "INVALID_ARGUMENT"),
        ({"data": {"roomId": "../x"}}, "NOT_FOUND"),
        ({"data": {"roomId": "r" + "0" * 20}}, "NOT_FOUND"),
        ([], "INVALID_ARGUMENT"),
    ],
)
async def test_nonsense_gets_the_old_error_shape(old: Old, body, status):
    response = await old.page("one").post("joinRoom", body)
    assert response.json()["error"]["status"] == status
    assert response.json()["error"]["details"]["requestId"] == response.headers["x-request-id"]


async def test_bad_names_and_bad_json_are_invalid_arguments(old: Old):
    page = old.page("one")
    for name in ("", "x" * 81, 7, None):
        assert await page.refused("createRoom", name=name) == "INVALID_ARGUMENT"
    response = await old.http.post("/createRoom", content=b"{")
    assert response.json()["error"]["status"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer x.y.z", "Basic eDp5", "Bearer " + "x" * 9000]
)
async def test_who_is_not_signed_in_is_told_so(old: Old, authorization):
    response = await old.page("one").post("findMatch", {"data": {}}, Authorization=authorization)
    assert response.status_code == 401
    assert response.json()["error"]["status"] == "UNAUTHENTICATED"


async def test_calling_too_often_is_exhausting(old: Old):
    page = old.page("one")
    statuses = [(await page.post("findMatch", {"data": {}})).status_code for _ in range(25)]
    assert set(statuses) == {200, 429}
    assert await page.refused("findMatch") == "RESOURCE_EXHAUSTED"


async def test_pages_of_foreign_origins_are_not_answered(old: Old):
    response = await old.http.options(
        "/createRoom",
        headers={"Origin": "https://evil.test", "Access-Control-Request-Method": "POST"},
    )
    assert "access-control-allow-origin" not in response.headers


async def test_without_firebase_there_is_no_such_address(house: House):
    response = await house.http.post("/createRoom", json={"data": {"name": "x"}})
    assert response.status_code == 404
