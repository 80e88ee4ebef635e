"""The old front-end's callables: their protocol outside, today's rules inside."""

import dataclasses
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jwt
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from adapters.identity_firebase import FirebaseTokens
from functions.app import build
from tests.fakes.firebase import PROJECT, Google, token
from tests.fakes.livekit import webhook
from tests.http_api import Api, Guest, refused, serving
from tests.identity_world import House
from tests.identity_world import _house as _house
from tests.identity_world import _log as _log
from vchat.ids import new_id
from vchat.model import Room


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
    def __init__(self, house: House, http: httpx.AsyncClient, api: Api) -> None:
        self.house = house
        self.http = http
        self._api = api

    def page(self, uid: str) -> Page:
        return Page(self.http, uid, self.house.clock.now // 1000)

    async def over_http(self, page: Page) -> Guest:
        """The same person, signed in as pages of today are."""
        signing_in = {"provider": "firebase", "token": page.token}
        return Guest(self._api, (await self._api("POST", "/auth/exchange", signing_in)).json())

    async def stays(self, room_id: str, user_id: str) -> bool:
        """Whether who joins the call, as LiveKit tells it, is left there."""
        about = {"room": {"name": room_id}, "participant": {"identity": user_id, "sid": "PA1"}}
        body, authorization = webhook("participant_joined", new_id(), **about)
        self.house.livekit.asked.clear()
        headers = {"Authorization": authorization}
        told = await self.http.post("/hooks/livekit", content=body, headers=headers)
        assert told.status_code == 204
        return out_of_call(room_id, user_id) not in self.house.livekit.asked


def out_of_call(room_id: str, user_id: str) -> tuple[str, dict[str, str]]:
    return "RemoveParticipant", {"room": room_id, "identity": user_id}


@pytest.fixture(name="old")
async def _old(house: House) -> AsyncIterator[Old]:
    app = Starlette()
    async with serving(Google().app()) as google, serving(app) as base:
        firebase = FirebaseTokens(PROJECT, jwks=f"{google}/jwk")
        providers = {**house.services.providers, "firebase": firebase}
        services = dataclasses.replace(house.services, providers=providers)
        app.router.routes.append(Mount("/api", app=build(services)))
        api = Api(f"{base}/api")
        async with httpx.AsyncClient(base_url=f"{base}/api", verify=False) as http:
            yield Old(house, http, api)
        await api.close()
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


async def test_a_room_that_is_to_be_private_in_other_words_is_not_made_public(old: Old):
    owner = old.page("owner")
    for private in ("true", "yes", 1, 0, [], {}):
        response = await owner.post("createRoom", {"data": {"name": "Den", "isPrivate": private}})
        assert response.json()["error"]["status"] == "INVALID_ARGUMENT"
        assert "isPrivate" in response.json()["error"]["message"]
    for public in ({}, {"isPrivate": None}, {"isPrivate": False}):
        assert not (await owner.call("createRoom", name="Atrium", **public))["isPrivate"]


async def test_two_find_each_other(old: Old):
    one, other = old.page("one"), old.page("other")
    waiting = {"status": "waiting", "roomId": None, "partnerId": None}
    assert await one.call("findMatch") == waiting
    mine = await other.call("findMatch")
    theirs = await one.call("findMatch")
    assert mine["status"] == theirs["status"] == "matched"
    assert mine["roomId"] == theirs["roomId"]
    assert (await one.call("joinRoom", roomId=mine["roomId"]))["isPrivate"]
    await one.call("endRoom", roomId=mine["roomId"])
    assert await other.call("findMatch") == waiting
    assert await other.call("cancelMatch") == {"success": True}
    assert await one.call("findMatch") == waiting
    assert await one.call("cancelMatch") == {"success": True}
    assert await one.call("findMatch") == waiting


async def test_one_person_is_one_account_here_and_over_http(old: Old):
    page = old.page("same")
    room = await page.call("createRoom", name="Atrium")
    session = await old.http.post(
        "/auth/exchange", json={"provider": "firebase", "token": page.token}
    )
    assert session.json()["user"]["id"] == room["createdBy"]


# In a call without a seat, as pages that know nothing of relays are


@dataclasses.dataclass
class InCall:
    """A room's owner and, in its call, a guest: as old pages and as persons over HTTP."""

    room_id: str
    host: Page
    owner: Guest
    page: Page
    guest: Guest


@pytest.fixture(name="call")
async def _call(old: Old) -> InCall:
    old.house.clock.now = round(time.time() * 1000)  # LiveKit's library signs for the present
    host, page = old.page("owner"), old.page("guest")
    room_id = (await host.call("createRoom", name="Atrium"))["roomId"]
    await page.call("generateLivekitToken", roomId=room_id)
    call = InCall(room_id, host, await old.over_http(host), page, await old.over_http(page))
    old.house.livekit.asked.clear()
    return call


async def test_an_old_page_may_stay_in_the_call_without_a_seat(old: Old, call: InCall):
    assert await old.stays(call.room_id, call.guest.id)
    assert not await old.stays(call.room_id, "stranger")
    await old.house.services.state.ban(call.room_id, call.guest.id, None)
    assert not await old.stays(call.room_id, call.guest.id)


@pytest.mark.parametrize("decided", [{"action": "mute"}, {"action": "role", "role": "spectator"}])
async def test_a_token_from_before_gives_nobody_the_voice_that_was_taken_since(
    old: Old, call: InCall, decided
):
    act = {**decided, "userId": call.guest.id}
    done = await call.owner("POST", f"/rooms/{call.room_id}/moderation", act)
    assert done.status_code == 204
    assert await old.stays(call.room_id, call.guest.id)
    ((method, fields),) = old.house.livekit.asked
    assert (method, fields["identity"]) == ("UpdateParticipant", call.guest.id)
    assert "can_publish" not in fields["permission"]


async def _leaves(call: InCall) -> None:
    await call.page.call("leaveRoom", roomId=call.room_id)


async def _is_kicked(call: InCall) -> None:
    kicked = await call.owner.moderate(call.room_id, "kick", userId=call.guest.id)
    assert kicked.status_code == 204


async def _is_banned_and_forgiven(call: InCall) -> None:
    for action in ("ban", "unban"):
        done = await call.owner.moderate(call.room_id, action, userId=call.guest.id)
        assert done.status_code == 204


async def _deletes_the_account(call: InCall) -> None:
    assert (await call.guest("DELETE", "/me")).status_code == 204


@pytest.mark.parametrize(
    "goes", [_leaves, _is_kicked, _is_banned_and_forgiven, _deletes_the_account]
)
async def test_who_goes_is_out_of_the_call_and_needs_a_new_token(old: Old, call: InCall, goes):
    await goes(call)
    assert out_of_call(call.room_id, call.guest.id) in old.house.livekit.asked
    old.house.clock.pass_s(120)  # a kick keeps people out for a minute
    assert not await old.stays(call.room_id, call.guest.id)


async def test_a_token_for_the_call_outlives_no_account(old: Old, call: InCall):
    await old.house.services.store.delete_account(call.guest.id)
    assert not await old.stays(call.room_id, call.guest.id)


async def test_the_call_of_a_room_that_ended_cannot_be_joined_again(old: Old, call: InCall):
    await call.host.call("endRoom", roomId=call.room_id)
    assert ("DeleteRoom", {"room": call.room_id}) in old.house.livekit.asked
    assert not await old.stays(call.room_id, call.guest.id)


async def test_nor_can_that_of_a_room_whose_time_is_over(old: Old, call: InCall):
    def age(room: Room) -> Room:
        return msgspec.structs.replace(room, expires_at=room.created_at)

    await old.house.services.store.change_room(call.room_id, age)
    assert not await old.stays(call.room_id, call.guest.id)


async def test_a_kick_of_someone_who_is_not_known_to_be_there_reaches_the_call_as_well(
    old: Old, call: InCall
):
    await _is_kicked(call)
    again = await call.owner.moderate(call.room_id, "kick", userId=call.guest.id)
    refused(again, 409, "conflict")
    assert old.house.livekit.asked == 2 * [out_of_call(call.room_id, call.guest.id)]


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
