"""People in browsers, with the real page, SDK, functions and relay.

What has to be seen is drawn (little, as the page does where it draws in software); everything else
is shown on pages without the 3D view.
"""

import asyncio
from math import dist

import pytest
from axe_playwright_python.async_playwright import Axe

from demo.tailor.looks import LOOKS
from tests.browser.visitors import Visitor, choose
from tests.components import need
from tests.processes import ROOT, local

pytestmark = pytest.mark.asyncio(loop_scope="session")
_LOOK_S = 0.1
"""To look without a pause would keep the page from drawing what is looked for."""


@pytest.fixture(scope="module", name="url")
def _url(tmp_path_factory):
    if not (ROOT / "demo/node_modules/three").exists():
        pytest.fail("the demo's npm packages are missing: run the tests with `make test`")
    need("chromium")
    with local(tmp_path_factory.mktemp("house") / "data") as server:
        yield server.url


async def test_two_people_meet_and_see_each_other_walk(url, arrive):
    aya, ben = await arrive("light", apart=True), await arrive("light", apart=True)
    await aya.come(url, "Aya", look="Hana")
    await aya.sees(1)
    aya_id = await aya.page.evaluate("vchat.room.user.id")
    await ben.come(aya.page.url, "Ben", look="Sora")
    await asyncio.gather(aya.sees(2), ben.sees(2))
    await drawn(ben, "hana", "sora")  # who comes in turns to who is there

    before = await ben.page.evaluate("id => vchat.positions()[id]", aya_id)
    await aya.page.locator("#stage").focus()
    await aya.page.keyboard.down("w")
    await ben.until(
        "([id, [x, , z]]) => { const at = vchat.positions()[id];"
        " return Math.hypot(at[0] - x, at[2] - z) > 0.3; }",
        arg=[aya_id, before],
    )
    await aya.page.keyboard.up("w")
    async with asyncio.timeout(20):  # and there, where she is, she stands still
        place = "id => vchat.positions()[id]"
        while dist(*[await one.page.evaluate(place, aya_id) for one in (aya, ben)]) > 0.02:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)

    # Somebody whose page draws nothing is seen all the same.
    cem = await arrive()
    await cem.come(aya.page.url, "Cem")
    await asyncio.gather(aya.sees(3), ben.sees(3))


async def drawn(visitor, *looks):
    """Wait until the picture on somebody's screen has the hair of these looks in it."""
    hair = [LOOKS[look]().palette["hair"][0] for look in looks]
    async with asyncio.timeout(45):
        while min([await visitor.pixels(colour) for colour in hair]) < 100:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)


async def test_what_is_said_is_read_once_each_way(url, arrive):
    aya, ben = await arrive(), await arrive()
    await aya.come(url, "Aya")
    await ben.come(aya.page.url, "Ben")
    await aya.say("こんにちは, Ben")
    await ben.reads("こんにちは, Ben")
    await ben.say("Hello, Aya")
    for one in (aya, ben):
        await one.reads("Hello, Aya")
        assert await one.count("Hello, Aya") == 1
        assert await one.count("こんにちは, Ben") == 1
        await one.knows(2)


async def test_who_sees_nothing_loads_nothing_that_draws(url, arrive):
    aya, asked = await arrive(), []
    aya.page.on("request", lambda request: asked.append(request.url))
    await aya.come(url, "Aya")
    await aya.knows(1)
    assert f"{url}/demo/room-view.js" in asked
    assert [one for one in asked if "/vendor/" in one] == []


async def test_a_file_that_is_dropped_in_the_lobby_is_worn_there_and_in_the_room(url, arrive):
    aya = await arrive("light")
    page = aya.page
    await page.goto(url)
    await page.get_by_role("radio").first.wait_for(state="attached")
    await page.evaluate(
        """async () => {
          const file = await (await fetch("/demo/avatars/luna.vrm")).arrayBuffer();
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([file], "own.vrm"));
          const drop = new DragEvent("drop", { dataTransfer, cancelable: true });
          if (dispatchEvent(drop)) throw Error("the browser would show the file itself");
        }"""
    )
    dialog = page.get_by_role("dialog")
    await dialog.get_by_text("Luna", exact=True).wait_for()
    assert await dialog.get_by_text("The V-Chat authors").count() == 1
    await dialog.get_by_role("button").first.click()
    await page.get_by_test_id("name-input").fill("Aya")
    await page.get_by_text("Hana", exact=True).click()
    await page.get_by_test_id("create-room").click()
    await aya.joined()
    await drawn(aya, "luna")
    await page.get_by_role("button", name="Use my .vrm").click()
    await dialog.get_by_role("button", name="Wear the chosen look again").click()
    await drawn(aya, "hana")


async def test_a_reload_comes_back_into_the_room_without_loss_or_repeats(url, arrive):
    aya, ben = await arrive(), await arrive()
    await aya.come(url, "Aya")
    await ben.come(aya.page.url, "Ben")
    await aya.knows(2)
    await aya.say("before")
    await ben.reads("before")

    reload = asyncio.create_task(ben.page.reload())
    await aya.say("meanwhile")
    await reload
    await ben.joined()
    await aya.say("after")
    await ben.reads("after")
    for text in ("before", "meanwhile", "after"):
        assert await ben.count(text) == 1
    await aya.knows(2)


async def test_a_duplicated_tab_is_somebody_else_and_signs_nobody_out(url, arrive):
    aya = await arrive()
    await aya.come(url, "Aya")
    async with aya.page.expect_popup() as opened:
        # Copies the session's storage, as duplicating a tab does.
        await aya.page.evaluate("void open(location.href)")
    copy = Visitor(await opened.value)
    await copy.joined()
    await aya.knows(2)

    people = [await one.page.evaluate("vchat.room.user.id") for one in (aya, copy)]
    assert len(set(people)) == 2
    for one in (aya, copy):  # each goes on with a token of its own
        await one.page.reload()
        await one.joined()
    assert [await one.page.evaluate("vchat.room.user.id") for one in (aya, copy)] == people
    await aya.knows(2)


async def test_a_cut_connection_comes_back_by_itself_with_what_it_missed(url, arrive):
    aya, ben = await arrive(), await arrive()
    await ben.hand_over_sockets()
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


async def test_a_host_mutes_and_removes_someone_who_is_told_and_stays_out(url, arrive):
    aya, ben = await arrive(), await arrive()
    await aya.come(url, "Aya")
    await ben.come(aya.page.url, "Ben")
    await asyncio.gather(aya.knows(2), ben.knows(2))
    menu = aya.page.get_by_test_id("moderate")
    assert await menu.count() == 1  # for the guest, not for oneself
    assert await ben.page.get_by_test_id("moderate").count() == 0

    await choose(menu, "Mute")
    people = ben.page.get_by_test_id("people-list")
    await people.get_by_text("muted").wait_for()
    await ben.page.get_by_placeholder("You are muted").wait_for()
    await choose(menu, "Unmute")
    await people.get_by_text("muted").wait_for(state="detached")

    steer, rules = aya.page.get_by_test_id("moderate-room"), ben.page.locator("#room-rules")
    assert await ben.page.get_by_test_id("moderate-room").count() == 0
    await choose(steer, "Slow the chat: one message in 30 s")
    await rules.filter(has_text="one message in 30 s").wait_for()
    await choose(steer, "Lock the room")
    await rules.filter(has_text="locked").wait_for()

    await choose(menu, "Remove", "Remove")
    await ben.until("() => globalThis.vchat?.state === 'refused'")
    told = ben.page.get_by_role("alertdialog")
    await told.get_by_text("A moderator removed you from the room.").wait_for()
    await aya.knows(1)
    assert await menu.count() == 0
    await ben.page.reload()
    await told.get_by_role("link", name="Back to the rooms").wait_for()
    await aya.say("still alone")
    await aya.reads("still alone")
    assert await ben.count("still alone") == 0
    await aya.knows(1)


async def accessible(page):
    found = (await Axe().run(page)).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []


async def tab_to(page, name):
    """Press Tab until what has that name has the keyboard."""
    named = page.get_by_label(name, exact=True).or_(page.get_by_text(name, exact=True))
    for _ in range(40):
        await page.keyboard.press("Tab")
        if await named.and_(page.locator(":focus")).count():
            return
    raise AssertionError(f"the keyboard does not get to {name}")


async def test_the_keyboard_alone_is_enough_and_every_part_has_a_name(url, arrive):
    one = await arrive("light")
    page, press = one.page, one.page.keyboard.press
    await page.goto(url)
    await page.get_by_role("radio").first.wait_for(state="attached")
    await accessible(page)
    await tab_to(page, "Your name")
    await page.keyboard.type("Kim")
    await press("Tab")
    await press("ArrowRight")
    await tab_to(page, "Open the room")
    await press("Enter")
    await one.joined()
    await one.sees(1)
    await accessible(page)

    # The view has the keyboard now.
    where = "Object.values(vchat.positions())[0]"
    x, _, z = await page.evaluate(where)
    await page.keyboard.down("ArrowUp")
    await one.until(
        "([x, z]) => { const at = Object.values(vchat.positions())[0];"
        " return Math.hypot(at[0] - x, at[2] - z) > 0.1; }",
        arg=[x, z],
    )
    await page.keyboard.up("ArrowUp")
    await press("Enter")
    await page.keyboard.type("Hello")
    await press("Enter")
    await one.reads("Hello")
    steer = page.get_by_test_id("moderate-room")
    await steer.focus()
    await press("Enter")
    await press("ArrowUp")  # to the last act, which is not done by being there, nor by Enter
    await press("Enter")
    await page.get_by_text("End this room for everyone in it?").wait_for()
    await press("Escape")
    assert await steer.and_(page.locator(":focus")).count() == 1
    await press("Escape")
    assert await page.locator("#stage:focus").count() == 1
    await tab_to(page, "Happy")
    await press("Space")
    assert await page.get_by_role("button", name="Happy", pressed=True).count() == 1
    await press("Shift+Digit2")
    assert await page.get_by_role("button", name="Relaxed", pressed=True).count() == 1
    await tab_to(page, "Leave")
    await press("Enter")
    await page.get_by_role("heading", name="V-Chat").wait_for()


async def test_a_phone_in_japanese_at_night_has_names_too(url, arrive):
    phone = {"viewport": {"width": 390, "height": 760}, "has_touch": True, "is_mobile": True}
    one = await arrive("light", locale="ja-JP", color_scheme="dark", **phone)
    await one.come(url, "あや")
    await one.sees(1)
    await accessible(one.page)
    await one.page.get_by_role("button", name="参加者とチャット").tap()
    assert await one.page.get_by_test_id("share").is_visible()
    await one.page.get_by_role("textbox").fill("やあ")
    await one.page.get_by_role("textbox").press("Enter")
    await one.reads("やあ")
    await accessible(one.page)
