"""Somebody speaks on the page, is silenced by the host, and is removed, voice and all.

LiveKit's library is replaced in the page by demo/tests/fake-livekit.js; no LiveKit server ran.
"""

import asyncio

import httpx
import pytest
from playwright.async_api import Page, Route

from tests.browser.visitors import choose
from tests.components import need
from tests.fakes.livekit import KEY, SECRET, webhook
from tests.processes import local

pytestmark = pytest.mark.asyncio(loop_scope="session")

_LIBRARY = "/vendor/livekit-client/livekit-client.esm.mjs"
_FAKE = f"""
import {{ FakeServer }} from "/demo/tests/fake-livekit.js";
import * as real from "{_LIBRARY}?real";
globalThis.livekit = new FakeServer(real);
export * from "{_LIBRARY}?real";
export const Room = globalThis.livekit.Room;
"""


@pytest.fixture(name="url")
def _url(tmp_path):
    need("chromium")
    settings = {
        "LIVEKIT_URL": "ws://127.0.0.1:9",
        "LIVEKIT_API_KEY": KEY,
        "LIVEKIT_API_SECRET": SECRET,
    }
    with local(tmp_path / "data", **settings) as server:
        yield server.url


async def faked(page: Page) -> None:
    async def answer(route: Route) -> None:
        await route.fulfill(body=_FAKE, content_type="text/javascript")

    await page.route(f"**{_LIBRARY}", answer)


async def told(url: str, event: str, room: str, user: str) -> None:
    """LiveKit tells the API that somebody joined or left the call."""
    who = {"room": {"name": room}, "participant": {"identity": user, "sid": "PA1"}}
    body, authorization = webhook(event, f"EV-{event}", **who)
    async with httpx.AsyncClient(verify=False) as http:
        headers = {"Authorization": authorization}
        answer = await http.post(f"{url}/api/hooks/livekit", content=body, headers=headers)
    assert answer.status_code == 204


async def test_a_host_mutes_and_removes_someone_who_speaks(url, arrive):
    aya, ben = await arrive(), await arrive("light")
    await faked(ben.page)
    await aya.come(url, "Aya")
    await ben.come(aya.page.url, "Ben")
    await asyncio.gather(aya.knows(2), ben.sees(2))
    menu = aya.page.get_by_test_id("moderate")

    # Ben speaks, and hears Aya: her mouth moves, and the list shows it.
    mic, people = ben.page.get_by_test_id("mic"), ben.page.get_by_test_id("people-list")
    await mic.click()
    await ben.page.locator("#mic[data-state=speaking]").wait_for()
    aya_id = await aya.page.evaluate("vchat.room.user.id")
    await told(url, "participant_joined", await aya.page.evaluate("vchat.room.room.id"), aya_id)
    await people.get_by_text("in the call").wait_for(state="attached")
    await ben.page.evaluate("id => { livekit.enter(id); livekit.speak(id, 0.4); }", aya_id)
    await people.locator("li.speaking").filter(has_text="Aya").wait_for(state="attached")
    await ben.until("id => vchat.mouths()[id] > 0.2", arg=aya_id)
    await ben.page.evaluate("id => livekit.speak(id, 0)", aya_id)
    await people.locator("li.speaking").wait_for(state="detached")
    await ben.until("id => vchat.mouths()[id] === 0", arg=aya_id)

    await choose(menu, "Mute")
    await people.get_by_text("muted").wait_for(state="attached")
    await ben.page.locator("#mic[data-state=listening]:disabled").wait_for()
    says = await mic.get_attribute("aria-label")
    assert says == "A moderator muted you: others do not hear you"
    await choose(menu, "Unmute")
    await people.get_by_text("muted").wait_for(state="detached")
    await ben.page.locator("#mic[data-state=listening]:enabled").wait_for()

    # Aya has the real library, and nothing to talk to.
    await aya.page.get_by_test_id("mic").click()
    await aya.page.get_by_text("The voice server cannot be reached").wait_for()
    await aya.page.locator("#mic[data-state=off]").wait_for()

    await choose(menu, "Remove", "Remove")
    await ben.until("() => globalThis.vchat?.state === 'refused'")
    await ben.until("() => livekit.rooms[0].state === 'disconnected'")
    await aya.knows(1)
