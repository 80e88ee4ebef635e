"""A relay as it is deployed: `python -m relay`. The one place in it that chooses adapters."""

import gc

if __name__ == "__main__":
    # Until all is loaded there is no garbage, and looking for it is a fifteenth of the start.
    gc.disable()

import asyncio
import logging
import os
import sys
import time
from contextlib import suppress

import uvloop

from adapters.keys_jwks import JwksKeys
from adapters.matching_redis import RedisQueue
from adapters.state_redis import RedisState, connect
from relay.app import Relay, Services
from relay.late_bus import LateBus
from relay.serve import DRAIN_S, bind, serve
from relay.settings import Settings, read_settings
from vchat.bus import Bus
from vchat.config import ConfigError
from vchat.errors import Refused
from vchat.ids import new_id
from vchat.json_lines import JsonLines
from vchat.state import State

log = logging.getLogger("vchat.relay")

_CHECK_BUS_S = 3.0
"""Loading the bus takes seconds of CPU, which whoever woke this relay needs first."""


async def _run(settings: Settings) -> None:
    try:
        listener = bind(settings.host, settings.port)
    except OSError as error:
        problem = f"PORT {settings.port} cannot be used: {error.strerror}."
        raise ConfigError([problem]) from error
    instance = new_id()
    keys = JwksKeys(settings.jwks_url)
    redis = connect(settings.redis_url)
    state = RedisState(redis)
    bus = LateBus("adapters.bus_pubsub", lambda: _pubsub(settings, instance))
    relay = Relay(
        Services(
            state=state,
            bus=bus,
            keys=keys.known,
            clock=time.time,
            issuer=settings.issuer,
            origins=settings.origins,
            instance=instance,
            name=settings.name,
            queue=RedisQueue(redis),
            proxies=settings.proxies,
            idleness=settings.idleness,
            metrics_token=settings.metrics_token,
            usd_per_gib=settings.usd_per_gib,
        )
    )
    # Who connects meanwhile waits in the listener's queue: without keys every ticket looks forged,
    # and that is final for a browser.
    await keys.start()
    relay.start()
    gc.freeze()  # what is loaded stays: no later collection need look at it
    gc.enable()
    log.info(
        "ready",
        extra={"instance": instance, "relay": settings.name, "port": listener.getsockname()[1]},
    )
    relay.hub.tasks.start(_check(state, bus), "checking what the relay needs")
    try:
        await serve(relay.application(), listener, lambda: relay.hub.drain(DRAIN_S))
    finally:
        await relay.stop()
        await bus.close()
        await keys.close()
        await state.close()


async def _check(state: State, bus: LateBus) -> None:
    """Have wrong settings told at the start, not when the first person comes."""
    with suppress(Refused):  # which the state itself explains
        await state.occupancy(["nobody"])
    await asyncio.sleep(_CHECK_BUS_S)
    await bus.load()
    if problem := await bus.check():
        log.error(problem)


def _pubsub(settings: Settings, instance: str) -> Bus:
    from adapters.bus_pubsub import PubSubBus

    return PubSubBus(settings.project, instance=instance, emulator=settings.emulator)


def main() -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines(os.environ.get("GOOGLE_CLOUD_PROJECT")))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("vchat").setLevel(logging.INFO)
    try:
        uvloop.run(_run(read_settings(os.environ)))
    except ConfigError as error:
        sys.exit(f"The relay cannot start:\n{error}")


if __name__ == "__main__":
    main()
