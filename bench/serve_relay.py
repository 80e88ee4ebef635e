"""Relays alone, to be measured: `python -m bench.serve_relay PORT[,PORT] REDIS KEY [OPTIONS]`.

As deployed, but for the bus, which is in the process, and the key, which is given: neither is on
the way of a pose or a message between people on one instance. Several relays share the bus; on
SIGTERM the first one moves its people away and says "drained", the others go on. They are one
relay to people, as the old and the new instance of a deployment are. Options: `names`, and each is
another, so that everybody hears of whoever moves; `gate`, the usual one at the door; `plain`,
uvicorn's own parts.
"""

import asyncio
import base64
import gc
import sys
import time

import uvicorn
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from adapters.bus_memory import InProcessBus
from adapters.state_redis import RedisState, connect
from relay.app import Relay, Services
from relay.serve import DRAIN_S, _Server, bind, config
from vchat import admitting
from vchat.admitting import Admitting
from vchat.limits import Rate

KID = "bench"
ISSUER = "https://api.bench"
_OPEN = Admitting(10**6, 10**6, 10**6, 10**6, Rate(10**6, 10**6), entering=10**6)
"""For a load that comes all at once and from one address."""


async def _run(
    ports: list[int], redis_port: int, public: str, *, fast: bool, gate: bool, names: bool
) -> None:
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public))
    bus = InProcessBus()

    def relay_of(instance: str) -> Relay:
        relay = Relay(
            Services(
                state=RedisState(connect(f"redis://127.0.0.1:{redis_port}")),
                bus=bus.instance(instance),
                keys=lambda: {KID: key},
                clock=time.time,
                issuer=ISSUER,
                origins=frozenset(),
                instance=instance,
                name=instance if names else "bench",
                proxies=1 if gate else 0,
                admitting=admitting.USUAL if gate else _OPEN,
            )
        )
        relay.hub.start()
        return relay

    first, *others = ((port, relay_of(f"bench-{port}")) for port in ports)
    serving = [
        asyncio.create_task(
            uvicorn.Server(config(relay.application(), fast=fast))._serve(  # noqa: SLF001
                [bind("127.0.0.1", port)]
            )
        )
        for port, relay in others
    ]
    port, relay = first
    gc.freeze()
    await _Server(
        config(relay.application(), fast=fast), lambda: relay.hub.drain(DRAIN_S if others else 1)
    ).serve([bind("127.0.0.1", port)])
    print("drained", flush=True)
    await asyncio.gather(*serving)


if __name__ == "__main__":
    uvloop.run(
        _run(
            [int(port) for port in sys.argv[1].split(",")],
            int(sys.argv[2]),
            sys.argv[3],
            fast="plain" not in sys.argv,
            gate="gate" in sys.argv,
            names="names" in sys.argv,
        )
    )
