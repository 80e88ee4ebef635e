"""A browser, and people who come to the page with it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, async_playwright

from tests.browser.visitors import Arrive, Visitor, forget, new_profile
from tests.components import need


@pytest_asyncio.fixture(scope="session", loop_scope="session", name="chromium")
async def _chromium() -> AsyncIterator[Browser]:
    """One browser for the whole run; its tests are in its loop, `asyncio(loop_scope="session")`."""
    path = need("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session", name="profiles")
async def _profiles(chromium: Browser) -> AsyncIterator[dict[str, BrowserContext]]:
    """What is kept in the browser for those who draw alike, and with it the page's own files."""
    kept: dict[str, BrowserContext] = {}
    yield kept
    for profile in kept.values():
        await profile.close()


@pytest_asyncio.fixture(loop_scope="session", name="arrive")
async def _arrive(chromium: Browser, profiles: dict[str, BrowserContext]) -> AsyncIterator[Arrive]:
    """Lets people arrive; in the end nobody's page may have failed."""
    visitors: list[Visitor] = []
    own: list[BrowserContext] = []

    async def arrive(drawing: str = "none", *, apart: bool = False, **settings: Any) -> Visitor:
        if apart or settings:
            profile = await new_profile(chromium, drawing, **settings)
            own.append(profile)
        else:
            profile = profiles.get(drawing) or await new_profile(chromium, drawing)
            profiles[drawing] = profile
        visitors.append(await Visitor.at(profile))
        return visitors[-1]

    yield arrive
    for profile in own:
        await profile.close()
    for profile in profiles.values():
        await forget(profile)
    assert [visitor.errors for visitor in visitors] == [[] for _ in visitors]
