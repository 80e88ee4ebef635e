"""The relay alone, to be measured: `python -m bench.serve_relay PORT REDIS KEY [plain]`.

As deployed, but for the bus, which is in the process, and the key, which is given: neither is on
the way of a pose or a message between people on one instance.
"""

import base64
import sys
import time

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from adapters.bus_memory import InProcessBus
from adapters.state_redis import RedisState, connect
from relay.app import Relay, Services
from relay.serve import _Server, bind, config
from vchat.admitting import Admitting
from vchat.limits import Rate

KID = "bench"
ISSUER = "https://api.bench"


async def _run(port: int, redis_port: int, public: str, *, fast: bool) -> None:
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public))
    state = RedisState(connect(f"redis://127.0.0.1:{redis_port}"))
    relay = Relay(
        Services(
            state=state,
            bus=InProcessBus().instance("bench"),
            keys=lambda: {KID: key},
            clock=time.time,
            issuer=ISSUER,
            origins=frozenset(),
            instance="bench",
            name="bench",
            # Its load comes all at once and from one address.
            admitting=Admitting(10**6, 10**6, 10**6, 10**6, Rate(10**6, 10**6)),
        )
    )
    relay.hub.start()
    listener = bind("127.0.0.1", port)
    await _Server(config(relay.application(), fast=fast), lambda: relay.hub.drain(1)).serve(
        [listener]
    )


if __name__ == "__main__":
    uvloop.run(_run(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], fast="plain" not in sys.argv))
