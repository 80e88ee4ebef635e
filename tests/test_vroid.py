"""Signing in at VRoid Hub, linking, and what happens to what people grant there."""

import asyncio
import re
import sqlite3
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from functions.app import build
from tests.fakes.vroid_hub import ACCESS_S, ME, PRESIGNED, SOMEBODY_ELSE
from tests.http_api import Guest, refused
from tests.identity_world import PAGE, House, nextauth_session, query_of
from tests.identity_world import _house as _house
from tests.identity_world import _log as _log
from vchat import limits
from vchat.errors import Refused, Why
from vchat.tokens import ACCESS, sign


async def test_a_person_signs_in_and_is_the_same_one_next_time(house: House):
    first = await house.someone()
    again = await house.someone()
    assert first.id == again.id
    user = (await again("GET", "/me")).json()
    assert user["identities"] == [{"provider": "vroid", "subject": ME}]
    assert user["name"] == "テスト太郎"


async def test_the_way_out_carries_all_that_the_hub_demands(house: House):
    out = await house.to_the_hub()
    asked = query_of(out.headers["location"])
    assert asked["code_challenge_method"] == "S256"
    assert asked.keys() == {
        *("response_type", "client_id", "redirect_uri", "scope", "state"),
        *("code_challenge", "code_challenge_method"),
    }
    cookie = out.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


@pytest.mark.parametrize(
    "return_to",
    [
        "https://evil.test/",
        "https://page.test.evil.test/",
        "https://page.test@evil.test/",
        "https://page.test/other",
        "https://page.test",
        "http://page.test/",
        "//page.test/",
        "/",
        "https://page.test/#x",
        "https://page.test/\\evil.test",
        "https://page.test/ x",
        "https://page.test/\r\nSet-Cookie: a=b",
        "javascript:alert(1)//https://page.test/",
        "https://[::1",
        "",
    ],
)
async def test_a_sign_in_ends_only_at_pages_of_ours(house: House, return_to):
    response = await house.to_the_hub(return_to)
    assert refused(response, 400, "invalid-request")["errors"][0]["pointer"] == "/returnTo"


async def test_the_page_gets_its_own_query_back(house: House):
    assert "code" in await house.sign_in_at_the_hub("https://page.test/in?login=7")


async def test_a_code_works_once_and_for_a_minute(house: House):
    code = (await house.sign_in_at_the_hub())["code"]
    answers = await asyncio.gather(*(house.exchange("vroid", code) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]
    for bad in ("x", "vc_x", code[:-1], code.replace("vc_", "vo_")):
        refused(await house.exchange("vroid", bad), 401, "unauthenticated")


async def test_who_is_sent_back_by_somebody_elses_link_is_not_signed_in(house: House):
    out = await house.to_the_hub()
    agreed = await house.http.get(out.headers["location"])
    house.http.cookies.clear()  # another browser
    back = await house.http.get(agreed.headers["location"])
    refused(back, 400, "invalid-request")
    # Nor can the link be tried again from the right one.
    refused(await house.http.get(agreed.headers["location"]), 400, "invalid-request")


async def test_two_tabs_may_be_on_their_way_to_the_hub_at_once(house: House):
    agreed = []
    for _ in range(2):
        out = await house.to_the_hub()
        agreed.append(await house.http.get(out.headers["location"]))
    for there in agreed:
        back = await house.http.get(there.headers["location"])
        assert "#code=" in back.headers["location"]


async def test_a_cookie_that_no_sign_in_gave_is_not_taken_over(house: House):
    house.http.cookies.set("vchat-sign-in", "planted")
    assert "planted" not in (await house.to_the_hub()).headers["set-cookie"]


async def test_over_tls_no_other_host_can_plant_the_cookie(house: House):
    services = replace(house.services, issuer="https://api.test")
    house.hub.redirect_uri = "https://api.test/auth/vroid/callback"
    transport = httpx.ASGITransport(build(services))
    async with httpx.AsyncClient(transport=transport, base_url="https://api.test") as browser:
        out = await browser.get("/auth/vroid/start", params={"returnTo": PAGE})
        name, *rest = re.split("[=;] ?", out.headers["set-cookie"])
        assert name.startswith("__Host-")
        assert {"Secure", "Path"} <= set(rest)
        assert "Domain" not in rest
        agreed = await house.http.get(out.headers["location"])
        back = await browser.get(agreed.headers["location"])
        assert "#code=" in back.headers["location"]


@pytest.mark.parametrize("change", [{"state": "made-up"}, {"state": ""}, {"state": None}])
async def test_a_return_that_we_did_not_begin_is_refused(house: House, change):
    out = await house.to_the_hub()
    agreed = await house.http.get(out.headers["location"])
    parts = urlsplit(agreed.headers["location"])
    query = {**dict(parse_qsl(parts.query)), **change}
    query = {name: value for name, value in query.items() if value is not None}
    back = await house.http.get(parts._replace(query=urlencode(query)).geturl())
    refused(back, 400, "invalid-request")


async def test_a_return_works_once(house: House):
    out = await house.to_the_hub()
    agreed = await house.http.get(out.headers["location"])
    assert (await house.http.get(agreed.headers["location"])).status_code == 302
    refused(await house.http.get(agreed.headers["location"]), 400, "invalid-request")


async def test_who_does_not_agree_comes_back_to_the_page_and_hears_it(house: House):
    house.hub.deny = True
    assert await house.sign_in_at_the_hub() == {"error": "unauthenticated"}


@pytest.mark.parametrize("trouble", ["500", "429", "html", "html-200", "array", "null", "huge"])
async def test_a_hub_in_trouble_brings_people_back_with_a_reason(house: House, trouble):
    out = await house.to_the_hub()
    agreed = await house.http.get(out.headers["location"])
    house.hub.trouble = trouble
    back = await house.http.get(agreed.headers["location"])
    assert back.status_code == 302
    assert back.headers["location"] == f"{PAGE}#error=unavailable"


# Linking


async def test_one_account_has_many_identities_and_each_signs_in_to_it(house: House):
    guest = await house.api.guest()
    session = nextauth_session("site-7", house.services.clock())
    code = (await house.sign_in_at_the_hub())["code"]
    for provider, token in (("nextauth", session), ("vroid", code)):
        linked = await guest("POST", "/me/identities", {"provider": provider, "token": token})
        assert linked.status_code == 200, linked.text
    assert {one["provider"] for one in linked.json()["identities"]} == {"nextauth", "vroid"}
    assert (await house.with_nextauth("site-7")).id == guest.id
    assert (await house.someone()).id == guest.id


async def test_an_identity_of_another_account_cannot_be_taken(house: House):
    owner = await house.with_nextauth("site-7")
    thief = await house.api.guest()
    token = nextauth_session("site-7", house.services.clock())
    taken = await thief("POST", "/me/identities", {"provider": "nextauth", "token": token})
    refused(taken, 409, "conflict")
    assert (await house.with_nextauth("site-7")).id == owner.id


async def test_a_second_identity_of_one_provider_is_refused(house: House):
    person = await house.with_nextauth("site-7")
    token = nextauth_session("site-8", house.services.clock())
    second = await person("POST", "/me/identities", {"provider": "nextauth", "token": token})
    refused(second, 409, "conflict")


async def test_two_first_sign_ins_at_once_make_one_account(house: House):
    people = await asyncio.gather(*(house.with_nextauth("site-9") for _ in range(5)))
    assert len({person.id for person in people}) == 1


async def test_unlinking_revokes_at_the_hub_and_forgets(house: House):
    person = await house.someone()
    refresh = list(house.hub.refresh)
    assert (await person("DELETE", "/me/identities/vroid")).status_code == 204
    assert set(refresh) <= set(house.hub.revoked)
    assert (await person("GET", "/me")).json()["identities"] == []
    refused(await person("GET", "/avatars"), 409, "hub-sign-in")
    assert (await house.someone()).id != person.id


async def test_only_a_provider_that_there_is_can_be_unlinked(house: House):
    person = await house.someone()
    for unknown in ("zz", "VRoid", "%00"):
        refused(await person("DELETE", f"/me/identities/{unknown}"), 404, "not-found")
    assert (await person("DELETE", "/me/identities/firebase")).status_code == 204  # none linked


async def test_unlinking_works_while_the_hub_is_away(house: House):
    person = await house.someone()
    house.hub.trouble = "503"
    assert (await person("DELETE", "/me/identities/vroid")).status_code == 204
    assert (await person("GET", "/me")).json()["identities"] == []


async def test_a_deleted_account_leaves_nothing_behind_here_or_there(house: House):
    person = await house.someone()
    owner = await house.api.guest()
    room = await owner.room()
    ticket = (await person.ticket(room)).json()["ticket"]
    assert (await person("DELETE", "/me")).status_code == 204
    assert set(house.hub.refresh) <= set(house.hub.revoked)
    refused(await person("GET", "/me"), 401, "unauthenticated")
    body = {"refreshToken": person.session["refreshToken"]}
    refused(await house.api("POST", "/auth/refresh", body), 401, "unauthenticated")
    assert ticket
    assert await house.services.state.barred(room, person.id)  # the ticket that is still out
    assert (await house.someone()).id != person.id


# The grant


async def test_a_sign_in_takes_the_place_of_the_one_before_at_the_hub_too(house: House):
    for _ in range(3):
        person = await house.someone()
        assert len(house.hub.granted()) == 1
    assert (await fresh(house, person)).status_code == 200
    await person("DELETE", "/me")
    assert house.hub.granted() == []


async def test_a_hub_that_grants_the_same_again_is_not_asked_to_take_it_back(house: House):
    await house.someone()
    house.hub.issued = 0  # the next tokens are these once more
    person = await house.someone()
    assert house.hub.revoked == []
    assert (await fresh(house, person)).status_code == 200


async def test_what_is_granted_for_a_link_that_is_refused_is_given_back(house: House):
    person, guest = await house.someone(), await house.api.guest()
    kept = house.hub.granted()
    code = (await house.sign_in_at_the_hub())["code"]
    linked = await guest("POST", "/me/identities", {"provider": "vroid", "token": code})
    refused(linked, 409, "conflict")  # it is the person's
    house.hub.user = SOMEBODY_ELSE
    code = (await house.sign_in_at_the_hub())["code"]
    linked = await person("POST", "/me/identities", {"provider": "vroid", "token": code})
    refused(linked, 409, "conflict")  # they have one
    assert house.hub.granted() == kept
    assert (await fresh(house, person)).status_code == 200


async def test_what_is_granted_for_a_sign_in_that_fails_is_given_back(house: House, monkeypatch):
    def away(*args):
        raise Refused(Why.UNAVAILABLE)

    code = (await house.sign_in_at_the_hub())["code"]
    with monkeypatch.context() as broken:
        broken.setattr(house.services.store, "put_secret", away)
        refused(await house.exchange("vroid", code), 503, "unavailable")
        assert house.hub.granted() == []
    with monkeypatch.context() as broken:
        broken.setattr(house.services.vroid.hub, "person", away)
        assert await house.sign_in_at_the_hub() == {"error": "unavailable"}
        assert house.hub.granted() == []


@dataclass
class Renewal:
    """One that takes its time."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)


@pytest.fixture(name="renewal", params=["before the Hub is asked", "when the Hub has answered"])
def _renewal(request, house: House, monkeypatch) -> Renewal:
    renewal, renew = Renewal(), house.services.vroid.hub.renew

    async def slow(grant, *, now):
        if request.param.startswith("when"):
            grant = await renew(grant, now=now)
        renewal.begun.set()
        await renewal.goes_on.wait()
        return grant if request.param.startswith("when") else await renew(grant, now=now)

    monkeypatch.setattr(house.services.vroid.hub, "renew", slow)
    return renewal


async def test_a_renewal_brings_back_nothing_that_was_unlinked_meanwhile(house: House, renewal):
    person = await house.someone()
    house.clock.pass_s(ACCESS_S + 60)
    asked = asyncio.create_task(fresh(house, person))
    await renewal.begun.wait()
    unlinked = await fresh(house, person, "DELETE", "/me/identities/vroid")
    assert unlinked.status_code == 204
    renewal.goes_on.set()
    refused(await asked, 409, "hub-sign-in")
    assert house.hub.granted() == []
    assert await house.services.store.secret(person.id, "vroid") is None


async def test_a_renewal_leaves_a_sign_in_of_meanwhile_alone(house: House, renewal):
    person = await house.someone()
    house.clock.pass_s(ACCESS_S + 60)
    asked = asyncio.create_task(fresh(house, person))
    await renewal.begun.wait()
    await house.someone()
    newest = house.hub.granted()[-1]
    renewal.goes_on.set()
    assert (await asked).status_code == 200
    assert house.hub.granted() == [newest]
    assert (await fresh(house, person)).status_code == 200


async def test_what_a_person_granted_is_stored_sealed(house: House, tmp_path):
    person = await house.someone()
    sealed = await house.services.store.secret(person.id, "vroid")
    assert sealed is not None
    with sqlite3.connect(tmp_path / "vchat.db") as db:
        dump = "\n".join(db.iterdump()).encode()
    for secret in house.hub.secrets():
        assert secret.encode() not in sealed
        assert secret.encode() not in dump
    db.close()


async def test_tokens_are_renewed_before_they_end_and_once_by_all_together(house: House):
    person = await house.someone()
    house.clock.pass_s(ACCESS_S - 120)
    answers = await asyncio.gather(*(fresh(house, person) for _ in range(6)))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert list(house.hub.refresh.values()) == [False, True]


async def test_renewal_goes_on_from_the_newest_token(house: House):
    person = await house.someone()
    for _ in range(3):
        house.clock.pass_s(ACCESS_S + 60)
        await house.redis.flushall()  # nobody's turn to renew lasts for an hour
        assert (await fresh(house, person)).status_code == 200
    assert list(house.hub.refresh.values()) == [False, False, False, True]


async def test_who_took_the_grant_back_at_the_hub_is_asked_to_sign_in_again(house: House):
    person = await house.someone()
    house.clock.pass_s(ACCESS_S + 60)
    for token in house.hub.refresh:
        house.hub.refresh[token] = False
    refused(await fresh(house, person), 409, "hub-sign-in")
    refused(await fresh(house, person), 409, "hub-sign-in")
    await house.someone()
    assert (await fresh(house, person)).status_code == 200


async def test_a_renewal_that_the_hub_could_not_do_loses_nothing(house: House):
    person = await house.someone()
    house.clock.pass_s(ACCESS_S + 60)
    house.hub.trouble = "503"
    refused(await fresh(house, person), 503, "unavailable")
    house.hub.trouble = ""
    await house.redis.flushall()  # the renewal's turn is over after some seconds
    assert (await fresh(house, person)).status_code == 200


async def fresh(house: House, person: Guest, method: str = "GET", path: str = "/avatars"):
    """Ask for avatars, or something else, with an access token of ours that has not ended."""
    keys, now = house.services.keys, int(house.services.clock())
    token = sign(
        ACCESS,
        {"sub": person.id},
        issuer=house.services.issuer,
        kid=keys.kid,
        key=keys.signing,
        now=now,
    )
    return await house.api(method, path, token=token)


# Nothing secret


async def test_nothing_secret_is_logged_or_shown(house: House):
    person = await house.someone()
    session = nextauth_session("site-7", house.services.clock())
    await house.exchange("nextauth", session)
    await house.exchange("nextauth", session[:-3])
    code = (await house.sign_in_at_the_hub())["code"]
    await person("GET", "/avatars?source=hearts&limit=1")
    await person("POST", "/avatars/100/download")
    house.hub.trouble = "500"
    await person("POST", "/avatars/100/download")
    house.hub.trouble = ""
    await house.exchange("vroid", code)
    await person("DELETE", "/me")
    ours = [person.token, person.session["refreshToken"], session, code]
    logged = house.log.text
    assert "/auth/exchange" in logged  # the log was listening
    for secret in [*house.hub.secrets(), *ours, PRESIGNED, "Signature="]:
        assert secret not in logged


async def test_sign_ins_from_one_address_are_limited(house: House):
    for _ in range(limits.SIGN_INS.burst):
        refused(await house.exchange("vroid", "guess"), 401, "unauthenticated")
    response = await house.exchange("vroid", "guess")
    refused(response, 429, "too-fast")
    assert int(response.headers["retry-after"]) >= 1


async def test_what_is_not_configured_is_said(house: House):
    choices = (await house.api("GET", "/auth/providers")).json()
    assert choices["signIn"] == ["guest", "nextauth", "vroid"]
    response = await house.exchange("firebase", "x")
    assert refused(response, 400, "invalid-request")["errors"][0]["pointer"] == "/provider"
