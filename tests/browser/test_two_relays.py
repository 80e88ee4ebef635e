"""Two people on the page whose rooms span two relays, as `make cloud` runs them."""

import asyncio
import os
import signal

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_two_browsers_on_two_relays_see_each_other_and_lose_nothing_with_one(cloud, arrive):
    addresses = {name: f"ws://localhost:{name.rpartition('-')[2]}" for name in cloud.relays}
    lost, kept = addresses
    aya, ben = await arrive("light", apart=True), await arrive("light", apart=True)
    await aya.come(f"{cloud.url}/?avoid={addresses[kept]}", "Aya")
    room = aya.page.url.partition("#")[2]
    await ben.come(f"{cloud.url}/?avoid={addresses[lost]}#{room}", "Ben")
    await asyncio.gather(aya.sees(2), ben.sees(2))
    for one in (aya, ben):
        people = one.page.get_by_test_id("people-list")
        for relay in (lost, kept):
            await people.get_by_text(relay).wait_for(state="attached")
    await aya.say("hello over there")
    await ben.reads("hello over there")

    os.kill(cloud.relays[lost], signal.SIGKILL)
    texts = [f"meanwhile {n}" for n in range(4)]
    for n, text in enumerate(texts):
        await (aya, ben)[n % 2].say(text)
    for text in (*texts, "hello over there"):
        for one in (aya, ben):
            await one.reads(text)
            assert await one.count(text) == 1
    await aya.joined()
    for one in (aya, ben):  # on one relay again, which nobody needs to be told
        await one.page.get_by_test_id("people-list").get_by_text(lost).wait_for(state="detached")
        await one.knows(2)
