"""The bus that is loaded late behaves as the one it loads, and costs nothing before it is used."""

import asyncio
import sys

import pytest

from adapters.bus_memory import InProcessBus
from relay import late_bus
from relay.late_bus import LateBus

LIBRARY = "this"  # a module of the standard library that nobody else loads


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch):
    monkeypatch.setattr(late_bus, "PATIENCE_S", 0)
    monkeypatch.delitem(sys.modules, LIBRARY, raising=False)


async def test_nothing_is_loaded_before_the_first_use():
    bus = LateBus(LIBRARY, InProcessBus().instance("a").__class__)

    await bus.close()

    assert LIBRARY not in sys.modules


async def test_the_library_is_there_when_the_bus_is_made_and_it_is_made_once():
    shared = InProcessBus()
    made = []

    def make():
        assert LIBRARY in sys.modules
        made.append(1)
        return shared.instance("late")

    late, other = LateBus(LIBRARY, make), shared.instance("other")
    async with late.listen("room") as heard, other.listen("room") as others:
        await asyncio.gather(late.publish("room", b"from late"), late.publish("room", b"again"))
        await other.publish("room", b"to late")
        assert await anext(heard) == b"to late"
        assert {await anext(others), await anext(others)} == {b"from late", b"again"}
    await late.close()
    assert made == [1]


async def test_a_caller_that_gives_up_does_not_end_the_loading_for_others():
    shared = InProcessBus()
    late = LateBus(LIBRARY, lambda: shared.instance("late"))
    impatient = asyncio.create_task(late.publish("room", b"never mind"))
    await asyncio.sleep(0)
    impatient.cancel()

    await late.publish("room", b"patience")

    assert impatient.cancelled()
