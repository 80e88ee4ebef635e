"""VRoid Hub's models: shown with author and conditions, loaded by the person's own client only."""

import asyncio
import base64
import time
from copy import deepcopy
from pathlib import Path

import pytest

from adapters import vroid_hub
from tests import identity_world
from tests.fakes.livekit import webhook
from tests.fakes.vroid_hub import PRESIGNED, SOMEBODY_ELSE, VECTORS, model
from tests.http_api import refused
from tests.identity_world import House, nextauth_session
from tests.identity_world import _house as _house
from tests.identity_world import _log as _log
from vchat.conditions import conditions_of, forbidden
from vchat.model import Conditions, Credit, Stance, Use

YES, NO, UNSAID = Stance.ALLOWED, Stance.FORBIDDEN, Stance.NOT_STATED


def vrm1(**meta: object) -> Conditions:
    row = deepcopy(VECTORS["character_model"])
    row["latest_character_model_version"]["vrm_meta"] = meta
    return conditions_of(row)


def vrm0(**license_: object) -> Conditions:
    row = deepcopy(VECTORS["character_model"])
    row["latest_character_model_version"]["spec_version"] = "0.0"
    row["license"] = license_
    return conditions_of(row)


def test_what_is_not_stated_is_never_allowed():
    nothing = Conditions()
    assert set(Conditions.__struct_fields__) > {use.value for use in Use}
    assert forbidden(nothing, Use) == tuple(Use)
    assert vrm1() == vrm0() == nothing
    for row in ({}, {"license": None}, {"latest_character_model_version": 7}, {"license": []}):
        assert conditions_of(row) == nothing


@pytest.mark.parametrize("odd", [None, "default", "", 1, 0, "true", [], {}])
def test_only_the_hubs_own_words_state_anything(odd):
    names = (*VECTORS["character_model"]["license"], "spec_version")
    assert vrm0(**dict.fromkeys(names, odd)) == Conditions()
    names = VECTORS["character_model"]["latest_character_model_version"]["vrm_meta"]
    assert vrm1(**dict.fromkeys(names, odd)) == Conditions()


@pytest.mark.parametrize(
    ("meta", "stated"),
    [
        ({"avatarPermission": "everyone"}, {"avatar_use": YES}),
        ({"avatarPermission": "onlyAuthor"}, {"avatar_use": NO}),
        ({"allowExcessivelyViolentUsage": True}, {"violent": YES}),
        ({"allowExcessivelySexualUsage": False}, {"sexual": NO}),
        ({"allowPoliticalOrReligiousUsage": True}, {"political": YES}),
        ({"allowAntisocialOrHateUsage": False}, {"antisocial": NO}),
        ({"commercialUsage": "personalNonProfit"}, {"corporate": NO, "profit": NO}),
        ({"commercialUsage": "personalProfit"}, {"corporate": NO, "profit": YES}),
        ({"commercialUsage": "corporation"}, {"corporate": YES, "profit": YES}),
        ({"modification": "prohibited"}, {"alteration": NO, "altered_redistribution": NO}),
        ({"modification": "allowModification"}, {"alteration": YES, "altered_redistribution": NO}),
        (
            {"modification": "allowModificationRedistribution"},
            {"alteration": YES, "altered_redistribution": YES},
        ),
        ({"allowRedistribution": True}, {"redistribution": YES}),
        ({"creditNotation": "required"}, {"credit": Credit.REQUIRED}),
        ({"creditNotation": "unnecessary"}, {"credit": Credit.UNNECESSARY}),
    ],
)
def test_vrm_1_conditions_are_read_as_the_hub_shows_them(meta, stated):
    assert vrm1(**meta) == Conditions(**stated)


@pytest.mark.parametrize(
    ("license_", "stated"),
    [
        ({"characterization_allowed_user": "everyone"}, {"avatar_use": YES}),
        ({"characterization_allowed_user": "author"}, {"avatar_use": NO}),
        ({"violent_expression": "allow"}, {"violent": YES}),
        ({"sexual_expression": "disallow"}, {"sexual": NO}),
        ({"corporate_commercial_use": "allow"}, {"corporate": YES}),
        ({"personal_commercial_use": "profit"}, {"profit": YES}),
        ({"personal_commercial_use": "nonprofit"}, {"profit": NO}),
        ({"personal_commercial_use": "disallow"}, {"profit": NO}),
        ({"redistribution": "disallow"}, {"redistribution": NO}),
        ({"modification": "allow"}, {"alteration": YES}),
        ({"credit": "necessary"}, {"credit": Credit.REQUIRED}),
        ({"credit": "unnecessary"}, {"credit": Credit.UNNECESSARY}),
    ],
)
def test_vrm_0_conditions_are_read_as_the_hub_shows_them(license_, stated):
    assert vrm0(**license_) == Conditions(**stated)


# Looking at models


async def shelf(person, source: str, limit: int) -> list[dict]:
    items, cursor = [], ""
    for _ in range(20):
        path = f"/avatars?source={source}&limit={limit}" + (f"&cursor={cursor}" if cursor else "")
        response = await person("GET", path)
        assert response.status_code == 200, response.text
        items += response.json()["items"]
        cursor = response.json()["nextCursor"]
        if cursor is None:
            return items
    raise AssertionError("the pages never end")


@pytest.mark.parametrize("limit", [1, 2, 20])
async def test_every_shelf_is_paged_by_the_hubs_own_links(house: House, limit):
    person = await house.someone()
    mine = [one["id"] for one in await shelf(person, "mine", limit)]
    assert mine == [f"643885609643331000{number}" for number in range(1, 6)]
    assert [one["id"] for one in await shelf(person, "hearts", limit)] == house.hub.hearts
    assert [one["id"] for one in await shelf(person, "picks", limit)] == list(house.hub.models)


async def test_a_model_comes_with_author_and_conditions(house: House):
    person = await house.someone()
    shown = (await person("GET", "/avatars/6438856096433310001")).json()
    assert shown["title"] == "テストキャラ"  # the character's, as the model has none
    assert shown["author"] == "テスト太郎"
    assert shown["conditions"]["credit"] == "required"
    assert shown["conditions"]["violent"] == "forbidden"
    assert shown["vrm"] == "1.0"
    # 19 digits, kept as text: as a number the last ones would be lost.
    assert shown["id"] == "6438856096433310001"


@pytest.mark.parametrize(
    "href",
    [
        "/api/account?x=1",
        "https://evil.test/api/hearts?x",
        "//evil.test/api/hearts",
        "/api/hearts/../account",
        "/api/hearts?a b",
        "",
    ],
)
async def test_a_cursor_leads_nowhere_but_on(house: House, href):
    person = await house.someone()
    cursor = base64.urlsafe_b64encode(href.encode()).rstrip(b"=").decode() or "x"
    before = len(house.hub.calls)
    response = await person("GET", f"/avatars?source=hearts&cursor={cursor}")
    assert refused(response, 400, "invalid-request")["errors"][0]["pointer"] == "/cursor"
    assert len(house.hub.calls) == before


async def test_a_link_of_the_hub_to_elsewhere_is_not_followed(house: House):
    person = await house.someone()
    real, path = house.hub._ok, "/api/hearts"
    elsewhere = ("https://evil.test/api/hearts?x=1", "/api/account?x=1", "//[", 7, None)
    for href in (*elsewhere, f"{path}?a b", f"{path}?é", f"{path}?\ud800"):
        house.hub._ok = lambda data, links=None, href=href: real(data, {"next": {"href": href}})
        refused(await person("GET", "/avatars?source=hearts"), 503, "unavailable")


@pytest.mark.parametrize("bad", ["..%2F..%2Faccount", "x", "1" * 20, "-1", "1%3Fx=1", "１"])
async def test_only_ids_reach_the_hub(house: House, bad):
    person = await house.someone()
    for method, path in (("GET", f"/avatars/{bad}"), ("POST", f"/avatars/{bad}/download")):
        response = await person(method, path)
        assert response.status_code == 404, response.text
    before = [path for _, path, _ in house.hub.calls if path.startswith("/api/character")]
    assert not before


async def test_who_has_not_signed_in_at_the_hub_is_told_to(house: House):
    guest = await house.api.guest()
    refused(await guest("GET", "/avatars"), 409, "hub-sign-in")
    refused(await guest("POST", "/avatars/100/download"), 409, "hub-sign-in")


# Leave to load


async def test_a_download_is_an_address_for_the_callers_own_client(house: House):
    person = await house.someone()
    response = await person("POST", "/avatars/100/download")
    assert response.json()["url"] == PRESIGNED
    assert response.json()["expiresAt"].endswith("Z")
    assert response.json()["conditions"]["avatarUse"] == "allowed"
    assert response.headers["cache-control"] == "no-store"
    assert "Signature" not in house.log.text


async def test_only_own_models_and_those_for_everyone_may_be_loaded(house: House):
    person = await house.someone()
    licence = "/api/download_licenses"
    refused(await person("POST", "/avatars/101/download"), 403, "forbidden")
    house.hub.add(
        model("102", SOMEBODY_ELSE, latest_character_model_version={"spec_version": "1.0"})
    )
    refused(await person("POST", "/avatars/102/download"), 403, "forbidden")  # not stated
    assert licence not in {path for _, path, _ in house.hub.calls}
    house.hub.add(model("103", is_downloadable=False))
    assert (await person("POST", "/avatars/103/download")).status_code == 200


async def test_a_model_becomes_the_avatar_with_its_credit_beside_it(house: House):
    person = await house.someone()
    user = (await person("PUT", "/me/avatar", {"source": "vroid", "id": "100"})).json()
    avatar = user["avatar"]
    assert (avatar["id"], avatar["author"]) == ("100", "Someone Else")
    assert avatar["conditions"]["credit"] == "required"
    refused(await person("PUT", "/me/avatar", {"source": "vroid", "id": "101"}), 403, "forbidden")
    refused(await person("PUT", "/me/avatar", {"source": "vroid", "id": "999"}), 404, "not-found")
    house.hub.add(model("103", is_downloadable=False))
    own = (await person("PUT", "/me/avatar", {"source": "vroid", "id": "103"})).json()
    assert own["avatar"]["shared"] is False  # others see a stand-in


@pytest.mark.parametrize(
    "url",
    [
        "http://page.test/a.vrm",
        "https://127.0.0.1/a.vrm",
        "https://169.254.169.254/latest",
        "https://10.0.0.1/a.vrm",
        "https://[::1]/a.vrm",
        "https://[::ffff:10.0.0.1]/a.vrm",
        "https://localhost/a.vrm",
        "https://0x7f.1/a.vrm",
        "https://2130706433/a.vrm",
        "https://printer.local/a.vrm",
        "https://metadata.google.internal/a.vrm",
        "https://user:pass@page.test/a.vrm",
        "https://page.test/\n",
        # What Python takes for a part of the name ends it in a browser, or is decoded there.
        "https://192.168.0.1\\.example.com/a.vrm",
        "https://169.254.169.254\\.example.com/",
        "https://127.0.0.1:443\\x.example.com/",
        "https://page.example\\@10.0.0.1/a.vrm",
        "https://page.example/models\\a.vrm",
        "https://router.loca%6c/a.vrm",
        "https://foo.localhost%2e/",
        "https://[fe80::1%25eth0]/",
        "https://[2606:4700::1111%25eth0]/",
        "https://page_test.example/",
        # Addresses that lead to the IPv4 host written in them.
        "https://[64:ff9b::7f00:1]/",
        "https://[64:ff9b::c0a8:1]/",
        "https://[2002:7f00:1::]/",
        "https://[::7f00:1]/",
        "https://224.0.0.1/",
        "https://[ff0e::1]/",
        "https://page.example:x/",
        "https://page.example:99999/",
    ],
)
async def test_an_avatar_url_leads_into_no_private_network(house: House, url):
    guest = await house.api.guest()
    response = await guest("PUT", "/me/avatar", {"source": "url", "id": url})
    assert refused(response, 400, "invalid-request")["errors"][0]["pointer"] == "/id"


@pytest.mark.parametrize(
    "url",
    [
        "https://page.example/models/a%20b.vrm?version=%5C&x=[1]#top",
        "https://cdn-1.Page.Example.:8443/a.vrm",
        "https://xn--8ws78g.jp",
        "https://1.1.1.1/a.vrm",
        "https://[2606:4700:4700::1111]:443/a.vrm",
    ],
)
async def test_an_avatar_may_lie_at_any_public_address(house: House, url):
    guest = await house.api.guest()
    chosen = await guest("PUT", "/me/avatar", {"source": "url", "id": url})
    assert chosen.json()["avatar"]["id"] == url


async def test_a_room_takes_only_avatars_whose_authors_allow_what_happens_there(house: House):
    person = await house.someone()
    owner = await house.api.guest()
    fight = await owner.room(uses=["violent"])
    await person("PUT", "/me/avatar", {"source": "vroid", "id": "100"})
    problem = refused(await person.ticket(fight), 409, "avatar-not-allowed")
    assert "violent" in problem["detail"]
    assert (await person.ticket(await owner.room())).status_code == 201
    meta = {**VECTORS["character_model"]["latest_character_model_version"]["vrm_meta"]}
    meta["allowExcessivelyViolentUsage"] = True
    version = {"spec_version": "1.0", "vrm_meta": meta}
    house.hub.add(model("104", SOMEBODY_ELSE, latest_character_model_version=version))
    await person("PUT", "/me/avatar", {"source": "vroid", "id": "104"})
    assert (await person.ticket(fight)).status_code == 201
    await person("PUT", "/me/avatar", {"source": "url", "id": "https://page.example/a.vrm"})
    refused(await person.ticket(fight), 409, "avatar-not-allowed")  # nothing is stated
    await person("PUT", "/me/avatar", {"source": "preset", "id": "fox"})
    assert (await person.ticket(fight)).status_code == 201


# Trouble


@pytest.mark.parametrize(
    ("trouble", "status", "code"),
    [
        ("401", 409, "hub-sign-in"),
        ("403", 403, "forbidden"),
        ("200-error", 403, "forbidden"),
        ("404", 404, "not-found"),
        ("429", 429, "too-fast"),
        ("429-after", 429, "too-fast"),
        ("500", 503, "unavailable"),
        ("503", 503, "unavailable"),
        ("html", 503, "unavailable"),
        ("html-200", 503, "unavailable"),
        ("empty", 503, "unavailable"),
        ("null", 503, "unavailable"),
        ("array", 503, "unavailable"),
        ("huge", 503, "unavailable"),
    ],
)
async def test_every_way_the_hub_says_no_has_a_clear_answer(house: House, trouble, status, code):
    person = await house.someone()
    house.hub.trouble = trouble
    for method, path in (("GET", "/avatars/100"), ("POST", "/avatars/100/download")):
        response = await person(method, path)
        refused(response, status, code)
    if status in (429, 503):
        assert int(response.headers["retry-after"]) >= 1
    if trouble == "429-after":
        assert response.headers["retry-after"] == "120"


async def test_a_model_of_another_shape_is_an_odd_answer(house: House):
    person = await house.someone()
    for odd in (
        {"latest_character_model_version": ["x"]},
        {"latest_character_model_version": "1.0"},
        {"character": []},
        {"character": {"user": "abc"}},
        {"character": {"user": {"id": 7}}},
        {"id": "x"},
    ):
        house.hub.models["101"] = {**model("101", SOMEBODY_ELSE), **odd}
        refused(await person("GET", "/avatars?source=hearts"), 503, "unavailable")
        refused(await person("GET", "/avatars/101"), 503, "unavailable")


async def test_an_address_in_other_letters_than_ascii_is_handed_on(house: House):
    person = await house.someone()
    house.hub.files = ("https://files.test/é", Path())
    response = await person("POST", "/avatars/100/download")
    assert response.json()["url"].startswith("https://files.test/é/")


@pytest.mark.parametrize("trouble", ["hang", "drip"])
async def test_a_hub_that_never_comes_to_an_end_hangs_nobody(house: House, monkeypatch, trouble):
    person = await house.someone()
    monkeypatch.setattr(vroid_hub, "_DEADLINE_S", 0.2)
    house.hub.trouble = trouble
    async with asyncio.timeout(10):
        refused(await person("GET", "/avatars"), 503, "unavailable")
    house.hub.hung.set()


async def test_a_hub_that_is_gone_is_said_to_be(house: House):
    person = await house.someone()
    house.services.vroid.hub._base = "http://127.0.0.1:9"
    await house.services.vroid.hub.close()
    house.services.vroid.hub._http = None
    refused(await person("GET", "/avatars"), 503, "unavailable")


async def test_every_operation_of_this_world_answers_as_described(house: House):
    """Each answer is held to the OpenAPI file by the client of these tests."""
    person = await house.someone()
    token = nextauth_session("site-7", house.services.clock())
    await house.api("GET", "/auth/providers")
    await person("POST", "/me/identities", {"provider": "nextauth", "token": token})
    await person("GET", "/avatars")
    await person("GET", "/avatars/100")
    await person("POST", "/avatars/100/download")
    await person("DELETE", "/me/identities/nextauth")
    room = await person.room()
    await house.sit(room, person)
    await person("POST", f"/rooms/{room}/voice-tokens")
    await person("POST", "/matching", {})
    await person("GET", "/matching")
    await person("GET", "/matching/statistics")
    await person("DELETE", "/matching")
    body, authorization = webhook("room_started", "EV1")
    house.clock.now = round(time.time() * 1000)  # the signature is of now
    headers = {"Authorization": authorization}
    await house.api("POST", "/hooks/livekit", content=body, headers=headers)
    assert {name for name, status in house.api.spoken if status < 300} >= identity_world.OPERATIONS
