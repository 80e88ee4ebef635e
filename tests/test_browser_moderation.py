"""A host silences and removes somebody with the page's own menu, in real browsers."""

import asyncio

from tests.test_browsers import _chromium as _chromium
from tests.test_browsers import _url as _url
from tests.test_browsers import _visitor as _visitor


async def test_a_host_mutes_and_removes_someone(url, visitor):
    aya, ben = await visitor(), await visitor()
    await aya.come(url, "Aya")
    await ben.come(aya.page.url, "Ben")
    await asyncio.gather(aya.sees(2), ben.sees(2))
    menu = aya.page.get_by_test_id("moderate")
    assert await menu.count() == 1  # for the guest, not for oneself
    assert await ben.page.get_by_test_id("moderate").count() == 0

    await menu.select_option("mute")
    people = ben.page.get_by_test_id("people-list")
    await people.get_by_text("muted").wait_for(state="attached")
    await menu.select_option("unmute")
    await people.get_by_text("muted").wait_for(state="detached")

    await menu.select_option("kick")
    await ben.page.wait_for_function("() => globalThis.vchat?.state === 'refused'")
    await aya.sees(1)
    assert await menu.count() == 0
