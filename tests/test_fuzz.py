"""A short run of the fuzzer, and that it finds what it is there to find."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager

import pytest

from tests.fuzz import run
from tests.fuzz.mutate import mutated
from tests.fuzz.run import TARGETS, Finding, fuzz
from tests.fuzz.target import Opened, Target
from vchat.pose import PoseDecoder, PoseError

SHORT = {"poses": 3000, "streams": 1000, "messages": 3000, "stays": 200, "tokens": 600}


@pytest.mark.parametrize("name", TARGETS)
async def test_nothing_that_strangers_send_does_what_it_must_not(name):
    opened, _ = TARGETS[name]
    report = await fuzz(opened, seed=f"suite-{name}", inputs=SHORT[name])

    assert report.inputs == SHORT[name]
    assert report.verdicts > 5, "the inputs are all alike"


def planted(attempt: Callable[[bytes], Awaitable[Hashable]]) -> Opened:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Target]:
        yield Target((b"seed",), mutated, attempt)

    return opened


async def test_a_crash_is_found_and_its_input_is_told():
    async def crashes(data: bytes) -> Hashable:
        if b"\x7f" in data:
            raise KeyError("planted")
        return None

    with pytest.raises(Finding, match=r"seed s, input \d+: .*7f") as found:
        await fuzz(planted(crashes), seed="s", inputs=5000)
    assert isinstance(found.value.__cause__, KeyError)


async def test_an_input_that_takes_for_ever_is_found(monkeypatch):
    monkeypatch.setattr(run, "_HANG_S", 0.05)

    async def hangs(data: bytes) -> Hashable:
        while data != b"seed":
            pass
        return None

    with pytest.raises(Finding) as found:
        await fuzz(planted(hangs), seed="s", inputs=100)
    assert isinstance(found.value.__cause__, TimeoutError)


@pytest.mark.parametrize(
    "kept", [lambda: bytearray(os.urandom(2**12)), lambda: [[] for _ in "abc"]]
)
async def test_memory_that_grows_with_every_input_is_found(kept):
    leak = []

    async def leaks(data: bytes) -> Hashable:
        leak.append([kept() for _ in range(10)])
        return None

    with pytest.raises(Finding, match="memory grew"):
        await fuzz(planted(leaks), seed="s", inputs=2000)


async def test_decoders_that_differ_are_found(monkeypatch):
    decode = PoseDecoder.decode

    def lenient(self, data, seq):
        try:
            return decode(self, data, seq)
        except PoseError as error:
            raise PoseError(str(error).replace("The unused bits", "Some bits")) from error

    monkeypatch.setattr(PoseDecoder, "decode", lenient)
    with pytest.raises(Finding) as found:
        await fuzz(TARGETS["poses"][0], seed="s", inputs=3000)
    assert "JavaScript differs" in str(found.value.__cause__)
