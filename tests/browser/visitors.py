"""People at the page, in windows of one browser or in browsers of their own."""

import base64
from dataclasses import dataclass, field
from typing import Any, Protocol

from playwright.async_api import Browser, BrowserContext, Locator, Page, WebSocketRoute
from playwright.async_api import TimeoutError as TooLate

_WAIT_MS = 45_000  # a browser that draws in software on a busy machine is slow to start
_ARRIVE = """if (location.protocol.startsWith('http')) {
  const [{ type }] = performance.getEntriesByType('navigation');
  if (type !== 'reload' && !sessionStorage.arrived) localStorage.clear();
  sessionStorage.arrived = true;
  localStorage.setItem('vchat.drawing', '%s');
}"""
"""Who opens a window is nobody yet, also where others were; a reload or a copy of it is they."""
_WIDE, _SMALL = {"width": 900, "height": 600}, {"width": 360, "height": 320}
"""Where something is drawn each pixel costs; a window this narrow shows chat over the 3D view."""


@dataclass
class Visitor:
    """Someone at the page. `errors` are what no code caught, `sockets` those of the rooms, once
    they are handed over."""

    page: Page
    errors: list[str] = field(default_factory=list)
    sockets: list[WebSocketRoute] = field(default_factory=list)

    @classmethod
    async def at(cls, profile: BrowserContext) -> "Visitor":
        """In front of an empty window: a tab that is behind another is drawn once a second."""
        if profile.pages:
            async with profile.expect_page() as opened:
                await profile.pages[0].evaluate("void open('', '_blank', 'noopener,popup')")
            page = await opened.value
        else:
            page = await profile.new_page()
        page.set_default_timeout(_WAIT_MS)
        visitor = cls(page)
        page.on("pageerror", lambda error: visitor.errors.append(str(error)))
        return visitor

    async def hand_over_sockets(self) -> None:
        """Have `sockets` to break. Each frame then takes a way through the tests' own process."""

        def carry(socket: WebSocketRoute) -> None:
            socket.connect_to_server()
            self.sockets.append(socket)

        await self.page.route_web_socket("**/rooms/*", carry)

    async def come(self, url: str, name: str, *, look: str | None = None) -> None:
        """Open the page, say a name, and enter the room of the address or a new one."""
        await self.page.goto(url)
        await self.page.get_by_test_id("name-input").fill(name)
        if look:
            await self.page.get_by_text(look, exact=True).click()
        door = "join-invited" if "#/rooms/" in url else "create-room"
        await self.page.get_by_test_id(door).click()
        await self.joined()

    async def until(self, expression: str, arg: Any = None) -> None:
        """Wait until a JavaScript function is true, looked at whether or not frames are drawn."""
        try:
            await self.page.wait_for_function(expression, arg=arg, polling=50)
        except TooLate:
            told = await self.page.evaluate("[vchat.state, document.body.innerText]")
            raise AssertionError(f"not true in time: {expression}; the page says {told}") from None

    async def joined(self) -> None:
        await self.until("() => globalThis.vchat?.state === 'joined'")

    async def knows(self, people: int) -> None:
        """Wait until the list of people has that many."""
        await self.until(
            "people => document.querySelectorAll('#people > li').length === people", people
        )

    async def sees(self, people: int) -> None:
        """Wait until that many avatars stand on the stage."""
        await self.until(
            "people => Object.keys(globalThis.vchat?.positions() ?? {}).length === people", people
        )

    async def say(self, text: str) -> None:
        field = self.page.get_by_test_id("chat-input")
        if not await field.is_visible():
            await self.page.locator("#panel-toggle").click()
        await field.fill(text)
        await field.press("Enter")

    async def reads(self, text: str) -> None:
        await (
            self.page.get_by_test_id("chat-log")
            .get_by_text(text, exact=True)
            .wait_for(state="attached")
        )

    async def count(self, text: str) -> int:
        log = self.page.get_by_test_id("chat-log")
        return await log.get_by_text(text, exact=True).count()

    async def pixels(self, colour: int) -> int:
        """How many pixels of the page have about this colour, 0xRRGGBB."""
        picture = base64.b64encode(await self.page.screenshot()).decode()
        found: int = await self.page.evaluate(_COUNT, [picture, list(colour.to_bytes(3, "big"))])
        return found


async def new_profile(chromium: Browser, drawing: str, **settings: Any) -> BrowserContext:
    """A browser that nobody used, with the 3D view as chosen at the page before."""
    size = _WIDE if drawing == "none" else _SMALL
    profile = await chromium.new_context(**{"locale": "en-US", "viewport": size, **settings})
    await profile.add_init_script(_ARRIVE % drawing)
    return profile


async def forget(profile: BrowserContext) -> None:
    """Close all windows of a profile, and have it know nobody any more."""
    for page in profile.pages:
        await page.close()
    await profile.clear_cookies()


async def choose(menu: Locator, *names: str) -> None:
    """Open a menu and press what has these names, one after the other."""
    await menu.click()
    for name in names:
        await menu.page.get_by_role("button", name=name, exact=True).click()


_COUNT = """async ([picture, wanted]) => {
  const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
  canvas.drawImage(image, 0, 0);
  const { data } = canvas.getImageData(0, 0, image.width, image.height);
  let found = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (wanted.every((value, i) => Math.abs(data[at + i] - value) <= 12)) found++;
  }
  return found;
}"""


class Arrive(Protocol):
    """Somebody else comes, in another window of the browser or, `apart` or with settings, in a
    profile of their own; at the end of the test no page may have failed."""

    async def __call__(
        self, drawing: str = "none", *, apart: bool = False, **settings: Any
    ) -> Visitor: ...
