"""A person signs in at a VRoid Hub in a real browser, and is known in the room."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page

from tests.browser.visitors import Visitor
from tests.components import free_port
from tests.fakes.vroid_hub import CLIENT_ID, CLIENT_SECRET, SOMEBODY_ELSE, FakeHub
from tests.http_api import serving
from tests.processes import ROOT, local
from vchat.vault import new_vault_key

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session", name="hub")
async def _hub() -> AsyncIterator[tuple[FakeHub, str]]:
    hub = FakeHub()
    async with serving(hub.app()) as base:
        hub.files = (base, ROOT / "demo" / "avatars" / "luna.vrm")
        yield hub, base


@pytest.fixture(scope="module", name="url")
def _url(hub: tuple[FakeHub, str], tmp_path_factory: pytest.TempPathFactory):
    fake, base = hub
    folder = tmp_path_factory.mktemp("house")
    port = free_port()
    settings = {
        "VROID_CLIENT_ID": CLIENT_ID,
        "VROID_CLIENT_SECRET": CLIENT_SECRET,
        "VROID_HUB_URL": base,
        "VCHAT_VAULT_KEY": new_vault_key(),
        "VCHAT_RETURN_URLS": f"http://localhost:{port}/",
    }
    fake.redirect_uri = f"http://localhost:{port}/api/auth/vroid/callback"
    with local(folder / "data", port, **settings) as server:
        yield server.url
    said = (folder / "data.log").read_text()
    assert not [secret for secret in fake.secrets() if secret in said]


async def signed_in(page: Page, name: str | None) -> None:
    wanted = "Sign in with VRoid Hub" if name is None else "Sign out"
    await page.get_by_test_id("sign-in").filter(has_text=wanted).wait_for()
    note = await page.locator("#sign-in-note").text_content()
    assert note == ("" if name is None else f"Signed in with VRoid Hub as {name}")


async def test_a_person_signs_in_at_the_hub_and_out_again(url, hub, arrive):
    fake, _ = hub
    one = await arrive()
    await one.page.goto(url)
    await signed_in(one.page, None)
    await one.page.get_by_test_id("sign-in").click()
    await signed_in(one.page, "テスト太郎")
    assert one.page.url == f"{url}/"  # the code is out of the address
    assert await one.page.get_by_test_id("name-input").input_value() == "テスト太郎"
    stored = await one.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert not re.search(r"access-\d|refresh-\d", stored)  # what the Hub gave is not for pages
    await one.page.get_by_test_id("create-room").click()
    await one.joined()
    user = await one.page.evaluate("vchat.api.me()")
    assert [identity["provider"] for identity in user["identities"]] == ["vroid"]
    assert fake.revoked == []

    token = await one.page.evaluate("sessionStorage.getItem('vchat.refreshToken')")
    await one.page.goto(f"{url}/#/")
    await one.page.get_by_test_id("sign-in").click()
    await signed_in(one.page, None)
    assert await one.page.evaluate("sessionStorage.getItem('vchat.refreshToken')") is None
    again = await one.page.request.post(f"{url}/api/auth/refresh", data={"refreshToken": token})
    assert again.status == 401


async def test_who_does_not_agree_is_told_and_may_be_a_guest(url, hub, arrive, monkeypatch):
    fake, _ = hub
    monkeypatch.setattr(fake, "deny", True)
    one = await arrive()
    await one.page.goto(url)
    await one.page.get_by_test_id("sign-in").click()
    await one.page.get_by_text("Signing in at VRoid Hub did not work").wait_for()
    await signed_in(one.page, None)
    await one.page.get_by_test_id("name-input").fill("Aya")
    await one.page.get_by_test_id("create-room").click()
    await one.joined()
    assert (await one.page.evaluate("vchat.api.me()"))["identities"] == []


async def test_a_strangers_link_signs_nobody_in(url, hub, arrive):
    one = await arrive()
    await one.page.goto(f"{url}/?login=x#code=vc_{'x' * 21}.{'y' * 43}")
    await one.page.get_by_text("Signing in at VRoid Hub did not work").wait_for()
    await signed_in(one.page, None)
    assert await one.page.evaluate("vchat.api.signedIn") is False


async def came_in_by_the_hub(one: Visitor, url: str) -> None:
    await one.page.goto(url)
    await one.page.get_by_test_id("sign-in").click()
    await signed_in(one.page, "テスト太郎")


async def wears(one: Visitor, title: str) -> None:
    await one.page.get_by_test_id("hub-worn").filter(has_text=f"You wear {title}").wait_for()


async def is_seen_in(user_id: str, body: str, by: Visitor) -> None:
    shown = "([id, body]) => vchat.bodies()[id] === body"
    await by.until(shown, arg=[user_id, body])


async def test_a_model_of_the_hub_is_chosen_worn_and_seen_with_its_author(
    url, hub, arrive, monkeypatch
):
    fake, _ = hub
    monkeypatch.setitem(fake.models["100"], "name", "Kite")
    aya, ben, guest = [await arrive("light") for _ in range(3)]
    await came_in_by_the_hub(aya, url)
    page = aya.page
    await page.get_by_test_id("hub-open").click()
    models = page.get_by_test_id("hub-model")
    await models.nth(4).wait_for()
    assert await models.count() == 5  # one's own

    await page.get_by_test_id("hub-hearts").click()
    await models.filter(has_text="not for others to use").wait_for()
    assert await models.filter(has_text="not for others to use").is_disabled()
    fake.trouble = "503"
    await page.get_by_test_id("hub-picks").click()
    await page.get_by_test_id("hub-note").filter(has_text="does not answer").wait_for()
    fake.trouble = "429"
    await page.get_by_test_id("hub-more").click()
    await page.get_by_test_id("hub-note").filter(has_text="pause of a few minutes").wait_for()
    fake.trouble = ""
    await page.get_by_test_id("hub-more").click()
    await models.filter(has_text="Kite").click()
    conditions = await page.locator("#hub-conditions").inner_text()
    assert re.search(r"Violent scenes\s+not allowed", conditions)
    assert re.search(r"Credit\s+must be given", conditions)
    assert re.search(r"Political or religious use\s+not allowed", conditions)
    await page.get_by_test_id("hub-wear").click()
    await wears(aya, "Kite")
    await page.reload()
    await wears(aya, "Kite")  # and is still signed in
    await page.get_by_test_id("create-room").click()
    await aya.joined()
    aya_id = await page.evaluate("vchat.room.user.id")
    await is_seen_in(aya_id, "Luna", aya)

    # Another person of the Hub loads it with a licence of their own, straight from where it lies.
    monkeypatch.setattr(fake, "user", SOMEBODY_ELSE)
    await came_in_by_the_hub(ben, url)
    fake.fetched.clear()
    await ben.page.goto(aya.page.url)
    await ben.joined()
    await ben.sees(2)
    people = ben.page.get_by_test_id("people-list")
    await people.get_by_text("Kite by Someone Else").wait_for(state="attached")
    await people.get_by_text("credit required").wait_for(state="attached")
    await is_seen_in(aya_id, "Luna", ben)
    assert fake.fetched == ["100"]

    # A guest sees a stand-in, and why.
    await guest.come(aya.page.url, "Gus")
    await guest.sees(3)
    await is_seen_in(aya_id, "Hana", guest)
    note = guest.page.get_by_test_id("people-list").get_by_text("sign in with VRoid Hub to see")
    await note.wait_for(state="attached")
    assert fake.fetched == ["100"]
