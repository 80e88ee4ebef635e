"""A person signs in at a VRoid Hub in a real browser, and is known in the room."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.components import free_port
from tests.fakes.vroid_hub import CLIENT_ID, CLIENT_SECRET, FakeHub
from tests.http_api import serving
from tests.processes import local
from tests.test_browsers import _chromium as _chromium
from tests.test_browsers import _visitor as _visitor
from vchat.vault import new_vault_key


@pytest.fixture(name="hub")
async def _hub() -> AsyncIterator[tuple[FakeHub, str]]:
    hub = FakeHub()
    async with serving(hub.app()) as base:
        yield hub, base


@pytest.fixture(name="url")
def _url(hub: tuple[FakeHub, str], tmp_path: Path):
    fake, base = hub
    port = free_port()
    settings = {
        "VROID_CLIENT_ID": CLIENT_ID,
        "VROID_CLIENT_SECRET": CLIENT_SECRET,
        "VROID_HUB_URL": base,
        "VCHAT_VAULT_KEY": new_vault_key(),
        "VCHAT_RETURN_URLS": f"http://localhost:{port}/",
    }
    fake.redirect_uri = f"http://localhost:{port}/api/auth/vroid/callback"
    with local(tmp_path / "data", port, **settings) as server:
        yield server.url
    said = (tmp_path / "data.log").read_text()
    assert not [secret for secret in fake.secrets() if secret in said]


async def signed_in(page: Page, name: str | None) -> None:
    wanted = "Sign in with VRoid Hub" if name is None else "Sign out"
    await page.get_by_test_id("sign-in").filter(has_text=wanted).wait_for()
    note = await page.locator("#sign-in-note").text_content()
    assert note == ("" if name is None else f"Signed in with VRoid Hub as {name}")


async def test_a_person_signs_in_at_the_hub_and_out_again(url, hub, visitor):
    fake, _ = hub
    one = await visitor()
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


async def test_who_does_not_agree_is_told_and_may_be_a_guest(url, hub, visitor):
    fake, _ = hub
    fake.deny = True
    one = await visitor()
    await one.page.goto(url)
    await one.page.get_by_test_id("sign-in").click()
    await one.page.get_by_text("Signing in at VRoid Hub did not work").wait_for()
    await signed_in(one.page, None)
    await one.page.get_by_test_id("name-input").fill("Aya")
    await one.page.get_by_test_id("create-room").click()
    await one.joined()


async def test_a_strangers_link_signs_nobody_in(url, hub, visitor):
    one = await visitor()
    await one.page.goto(f"{url}/?login=x#code=vc_{'x' * 21}.{'y' * 43}")
    await one.page.get_by_text("Signing in at VRoid Hub did not work").wait_for()
    await signed_in(one.page, None)
