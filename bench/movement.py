"""How soon a step is seen: `make bench-movement`, one line of JSON.

Two people stand in a room of the real program, each in a browser profile of their own, in one
browser on this machine, so that there is one clock. One presses a key to walk; it ends when the
other's page draws that avatar a centimetre from where it stood.

Twice: as the page draws here by itself, and with everything but the pixels, as where a graphics
processor makes them. On a machine without one the first measures the software that draws.
"""

import argparse
import asyncio
import json
import random
import statistics
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from shutil import which
from typing import Any

from playwright.async_api import Browser, async_playwright

from bench.report import machine
from tests.browser.visitors import Visitor
from tests.processes import local

STEP_M = 0.01
HELD_S, STILL_S = 0.8, (0.6, 0.9)
SIZE = {"width": 320, "height": 240}
APART_MS = 3.0
"""Two pages' clocks may differ by this much, or nothing is said."""

_WATCH = """(id) => {
  const now = () => performance.timeOrigin + performance.now();
  globalThis.seen = { keys: [], drawn: [], told: [] };
  addEventListener("keydown", (event) => {
    if (!event.repeat) seen.keys.push(performance.timeOrigin + event.timeStamp);
  }, { capture: true });
  vchat.room.on("pose", ({ pose }) => {
    if (pose.root) seen.told.push([now(), pose.root.position[0], pose.root.position[2]]);
  });
  const look = () => {
    const at = vchat.positions()[id];
    if (at) seen.drawn.push([now(), at[0], at[2]]);
    requestAnimationFrame(look);
  };
  look();
}"""
_CLOCK = "Date.now() - performance.timeOrigin - performance.now()"

Places = Sequence[tuple[float, float, float]]
"""(ms, x, z), by time."""
Seen = dict[str, Any]
"""What a page noted: when keys were pressed, and the walker's places as drawn and as told."""


_NO_PIXELS = """
  for (const draw of ["clear", "drawArrays", "drawElements", "drawArraysInstanced",
    "drawElementsInstanced"]) WebGL2RenderingContext.prototype[draw] = () => {};
"""


async def arrive(browser: Browser, url: str, name: str, script: str) -> Visitor:
    context = await browser.new_context(locale="en-US", viewport=SIZE)
    await context.add_init_script(script)
    visitor = Visitor(await context.new_page())
    await visitor.come(url, name)
    return visitor


async def watched(repeats: int, drawing: str, script: str) -> tuple[Seen, Seen, str]:
    """What the walker's and the other's page saw, and the browser's version."""
    with tempfile.TemporaryDirectory() as folder, local(Path(folder) / "data") as server:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=which("chromium"), args=["--no-sandbox"]
            )
            aya = await arrive(browser, f"{server.url}/?drawing={drawing}", "Aya", script)
            ben = await arrive(browser, aya.page.url, "Ben", script)
            await asyncio.gather(aya.sees(2), ben.sees(2))
            clocks = [await one.page.evaluate(_CLOCK) for one in (aya, ben)]
            if max(clocks) - min(clocks) > APART_MS:
                raise SystemExit(f"the pages' clocks differ by {max(clocks) - min(clocks):.1f} ms")
            walker = await aya.page.evaluate("vchat.room.user.id")
            for one in (aya, ben):
                await one.page.evaluate(_WATCH, walker)
            await aya.page.locator("#stage").focus()
            for n in range(repeats):
                await asyncio.sleep(random.uniform(*STILL_S))
                await aya.page.keyboard.down("ws"[n % 2])
                await asyncio.sleep(HELD_S)
                await aya.page.keyboard.up("ws"[n % 2])
            await asyncio.sleep(STILL_S[1])
            saw = [await one.page.evaluate("seen") for one in (aya, ben)]
            version = browser.version
            await browser.close()
    return saw[0], saw[1], version


def until_moved(keys: Sequence[float], places: Places) -> list[float]:
    """Milliseconds from each key until a place was a step away from where it was at the key."""
    waits = []
    for key in keys:
        before = [place for place in places if place[0] <= key]
        _, x, z = before[-1]
        for at, there_x, there_z in places[len(before) :]:
            if (there_x - x) ** 2 + (there_z - z) ** 2 > STEP_M**2:
                waits.append(at - key)
                break
        else:
            raise SystemExit("a step was never seen")
    return waits


def uneven(keys: Sequence[float], places: Places) -> float:
    """Share of the frames of a steady walk whose speed is more than a third off the median's."""
    speeds = []
    for key in keys:
        walk = [place for place in places if key + 450 < place[0] < key + HELD_S * 1000]
        for (t, x, z), (u, v, w) in pairwise(walk):
            speeds.append(((v - x) ** 2 + (w - z) ** 2) ** 0.5 / (u - t))
    usual = statistics.median(speeds)
    return sum(abs(speed - usual) > usual / 3 for speed in speeds) / len(speeds)


def spread(waits: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(waits, n=20, method="inclusive")
    return {"p50": round(cuts[9]), "p95": round(cuts[18]), "max": round(max(waits))}


def measure(repeats: int, drawing: str, script: str = "") -> tuple[dict[str, Any], str]:
    walker, other, chromium = asyncio.run(watched(repeats, drawing, script))
    keys = walker["keys"]
    assert len(keys) == repeats
    frames = [later[0] - sooner[0] for sooner, later in pairwise(other["drawn"])]
    return {
        **spread(until_moved(keys, other["drawn"])),
        "on_own_screen": spread(until_moved(keys, walker["drawn"])),
        "told": spread(until_moved(keys, other["told"])),
        "frame": spread(frames),
        "uneven": round(uneven(keys, other["drawn"]), 3),
    }, chromium


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=30)
    repeats = parser.parse_args().repeats
    if repeats < 20:
        parser.error("--repeats must be 20 or more")
    drawn, chromium = measure(repeats, "auto")
    unpainted, _ = measure(repeats, "full", _NO_PIXELS)
    result = {"measure": "movement_seen_ms", "repeats": repeats, **drawn}
    result |= {"without_pixels": unpainted, "machine": machine(), "chromium": chromium}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
