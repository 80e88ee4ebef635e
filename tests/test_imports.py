"""What a start may load before it can serve: imports are most of a cold start, and one heavy module
sneaks in easily. Modules are counted here, not seconds."""

import subprocess
import sys

import pytest

_CLOUD = ["google.api_core", "google.auth", "google.protobuf", "google.pubsub_v1", "grpc"]
_OTHERS = [
    "fakeredis",
    "functions_framework",
    "livekit",
    "numpy",
    "opentelemetry",
    "prometheus_client",
    "sse_starlette",
]
HEAVY = {
    "local.__main__": [*_CLOUD, "livekit", "opentelemetry", "prometheus_client"],
    "relay.__main__": [*_CLOUD, *_OTHERS],
    "relay.app": [*_CLOUD, *_OTHERS, "redis", "httpx", "uvicorn"],
    "vchat.ticks": ["starlette", "uvicorn", "asyncio", "cryptography", "vchat.pose"],
}
"""By what is started: modules that are not needed to say welcome."""


@pytest.mark.parametrize("start", HEAVY)
def test_a_start_loads_nothing_heavy(start):
    script = f"import sys, {start}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()

    found = [
        name
        for name in loaded
        if any(name == heavy or name.startswith(f"{heavy}.") for heavy in HEAVY[start])
    ]
    assert not found, f"{start} loads {found[0]}: load it where it is first needed"
