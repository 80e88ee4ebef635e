"""Two people in two browsers, with the real page, SDK, functions and relay."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from playwright.async_api import Browser, Page, WebSocketRoute, async_playwright

from tests.components import need
from tests.processes import ROOT, local

_WAIT_MS = 45_000  # a browser that draws in software on a busy machine is slow to start


@pytest.fixture(name="url")
def _url(tmp_path):
    if not (ROOT / "demo/node_modules/three").exists():
        pytest.fail("the demo's npm packages are missing: run the tests with `make test`")
    need("chromium")
    with local(tmp_path / "data") as server:
        yield server.url


@pytest.fixture(name="chromium")
async def _chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=need("chromium"), args=["--no-sandbox"]
        )
        yield browser
        await browser.close()


@dataclass
class Visitor:
    """Someone at the page, in a browser profile of their own."""

    page: Page
    errors: list[str]
    sockets: list[WebSocketRoute] = field(default_factory=list)

    async def come(self, url: str, name: str) -> None:
        """Open the page, say a name, and enter the room of the address or a new one."""
        await self.page.goto(url)
        await self.page.get_by_test_id("name-input").fill(name)
        door = "join-invited" if "#/rooms/" in url else "create-room"
        await self.page.get_by_test_id(door).click()
        await self.joined()

    async def joined(self) -> None:
        await self.page.wait_for_function("() => globalThis.vchat?.state === 'joined'")

    async def sees(self, people: int) -> None:
        """Wait until that many avatars stand on the stage."""
        await self.page.wait_for_function(
            "people => Object.keys(globalThis.vchat?.positions() ?? {}).length === people",
            arg=people,
        )

    async def say(self, text: str) -> None:
        await self.page.get_by_test_id("chat-input").fill(text)
        await self.page.get_by_test_id("chat-input").press("Enter")

    async def reads(self, text: str) -> None:
        await (
            self.page.get_by_test_id("chat-log")
            .get_by_text(text, exact=True)
            .wait_for(state="attached")
        )

    async def count(self, text: str) -> int:
        log = self.page.get_by_test_id("chat-log")
        return await log.get_by_text(text, exact=True).count()


@pytest.fixture(name="visitor")
async def _visitor(chromium):
    visitors: list[Visitor] = []

    async def open_page() -> Visitor:
        context = await chromium.new_context(locale="en-US", viewport={"width": 900, "height": 600})
        page = await context.new_page()
        page.set_default_timeout(_WAIT_MS)
        visitor = Visitor(page, [])
        page.on("pageerror", lambda error: visitor.errors.append(str(error)))

        def carry(socket: WebSocketRoute) -> None:
            socket.connect_to_server()
            visitor.sockets.append(socket)

        await page.route_web_socket("**/rooms/*", carry)
        visitors.append(visitor)
        return visitor

    yield open_page
    assert [visitor.errors for visitor in visitors] == [[] for _ in visitors]


async def test_two_people_meet_walk_and_chat(url, visitor, tmp_path):
    aya, ben = await visitor(), await visitor()
    await aya.come(url, "Aya")
    await ben.come(aya.page.url, "Ben")
    await asyncio.gather(aya.sees(2), ben.sees(2))

    aya_id = await aya.page.evaluate("vchat.room.user.id")
    before = await ben.page.evaluate("id => vchat.positions()[id]", aya_id)
    await aya.page.locator("#stage").focus()
    await aya.page.keyboard.down("w")
    await ben.page.wait_for_function(
        "([id, [x, , z]]) => { const at = vchat.positions()[id];"
        " return Math.hypot(at[0] - x, at[2] - z) > 0.3; }",
        arg=[aya_id, before],
    )
    await aya.page.keyboard.up("w")

    await aya.say("こんにちは, Ben")
    await ben.reads("こんにちは, Ben")
    await ben.say("Hello, Aya")
    for one in (aya, ben):
        await one.reads("Hello, Aya")
        assert await one.count("Hello, Aya") == 1
        assert await one.count("こんにちは, Ben") == 1
    assert await ben.page.get_by_test_id("people-list").locator("li").count() == 2
    picture = await ben.page.screenshot(path=tmp_path / "together.png")
    assert len(picture) > 20_000  # a scene with two people in it is no plain colour


async def test_a_reload_comes_back_into_the_room_without_loss_or_repeats(url, visitor):
    aya, ben = await visitor(), await visitor()
    await aya.come(url, "Aya")
    await ben.come(aya.page.url, "Ben")
    await aya.sees(2)
    await aya.say("before")
    await ben.reads("before")

    reload = asyncio.create_task(ben.page.reload())
    await aya.say("meanwhile")
    await reload
    await ben.joined()
    await aya.say("after")
    await ben.reads("after")
    assert await ben.count("meanwhile") == 1
    assert await ben.count("after") == 1
    assert await aya.page.get_by_test_id("people-list").locator("li").count() == 2


async def test_a_cut_connection_comes_back_by_itself_with_what_it_missed(url, visitor):
    aya, ben = await visitor(), await visitor()
    await aya.come(url, "Aya")
    await ben.come(aya.page.url, "Ben")
    await ben.say("first")
    await aya.reads("first")

    sockets = len(ben.sockets)
    await ben.sockets[-1].close(code=1012)
    await aya.say("while you were out")
    await ben.reads("while you were out")
    await ben.joined()
    assert len(ben.sockets) > sockets
    assert await ben.count("first") == 1
    await ben.say("back")
    await aya.reads("back")
    assert await aya.count("back") == 1


async def test_who_is_removed_is_told_and_stays_out(url, visitor):
    aya, ben = await visitor(), await visitor()
    await aya.come(url, "Aya")
    await ben.come(aya.page.url, "Ben")
    await aya.sees(2)
    await aya.page.evaluate(
        """async () => {
          const other = [...vchat.room.members.values()].find((m) => m.name === "Ben");
          const id = location.hash.split("/").at(-1);
          await vchat.api.request("POST", `/rooms/${id}/moderation`,
            { body: { action: "kick", userId: other.userId } });
        }"""
    )
    await ben.page.wait_for_function("() => globalThis.vchat?.state === 'refused'")
    await ben.page.get_by_text("A moderator removed you from the room.").first.wait_for()
    await aya.sees(1)
