"""`make run`: functions, relay and demo in one process, with no service outside it."""

import logging
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import uvloop
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount

from adapters.bus_memory import InProcessBus
from adapters.embedded_redis import embedded_redis, forget_expired
from adapters.keys_file import open_ring
from adapters.matching_redis import RedisQueue
from adapters.providers import hub_access, identity_providers, voice
from adapters.state_redis import RedisState
from adapters.store_sqlite import SqliteStore
from functions.app import build
from functions.services import Services
from local import pages
from relay.app import Relay
from relay.app import Services as RelayServices
from relay.problem import no_such_route
from relay.serve import bind, serve
from vchat.config import ConfigError, Reader
from vchat.idleness import Idleness, read_idleness
from vchat.ids import new_id
from vchat.json_lines import JsonLines
from vchat.provider_settings import ProviderSettings, read_provider_settings

_DISMISS_S = 2.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the one process listens, and where its data lies; `origins` are of others' pages, such
    as a front end's own development server."""

    host: str
    port: int
    data: Path
    origins: frozenset[str]
    providers: ProviderSettings
    idleness: Idleness


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Settings out of an environment. Raises ConfigError with every mistake in it."""
    environ = {**environ, "VCHAT_ENV": "development"}
    read = Reader(environ)
    settings = Settings(
        host=read.text("HOST", "127.0.0.1"),
        port=read.number("PORT", 8080, least=0, most=65535),
        data=Path(read.text("VCHAT_DATA", ".vchat")),
        origins=read.origins("VCHAT_ORIGINS", ""),
        providers=read_provider_settings(environ, read),
        idleness=read_idleness(read),
    )
    read.check()
    return settings


class _Open(Protocol):
    async def close(self) -> None: ...


def compose(settings: Settings, port: int) -> tuple[Starlette, Relay, list[_Open]]:
    """Everything, joined in memory, and what has to be closed when the relay has stopped. Raises
    ConfigError when the data cannot be used."""
    origins = settings.origins | {f"http://localhost:{port}", f"http://127.0.0.1:{port}"}
    issuer = f"http://localhost:{port}/api"
    relay_url = f"ws://localhost:{port}"
    ring = open_ring(settings.data / "keys.json")
    store = SqliteStore(settings.data / "vchat.db")
    redis = embedded_redis()
    state = RedisState(redis)
    queue = RedisQueue(redis)
    bus = InProcessBus()
    providers = identity_providers(settings.providers)
    vroid = hub_access(settings.providers)
    calls = voice(settings.providers)
    api = build(
        Services(
            store=store,
            state=state,
            bus=bus.instance("functions"),
            keys=ring,
            issuer=issuer,
            relay_urls=(relay_url,),
            providers=providers,
            vroid=vroid,
            voice=calls,
            queue=queue,
            origins=origins,
        )
    )
    public = ring.public
    instance = new_id()
    relay = Relay(
        RelayServices(
            state=state,
            bus=bus.instance(instance),
            keys=lambda: public,
            clock=time.time,
            issuer=issuer,
            origins=origins,
            instance=instance,
            name="local",
            queue=queue,
            idleness=settings.idleness,
            # Behind 127.0.0.1 there is only this machine.
            metrics_token="" if settings.host in _LOOPBACK else None,
        )
    )
    relay.hub.tasks.start(forget_expired(redis), "forgetting what has expired")
    # The page may be opened as localhost or as 127.0.0.1, and connects to the relay's one name.
    page_relays = (relay_url, f"ws://127.0.0.1:{port}")
    allowed = pages.elsewhere(page_relays, settings.providers)
    app = Starlette(
        routes=[Mount("/api", api), *relay.routes, *pages.routes(allowed)],
        exception_handlers={HTTPException: no_such_route},
    )
    called = (*providers.values(), None if vroid is None else vroid.hub, calls)
    return app, relay, [store, *(one for one in called if one is not None)]


async def _run(settings: Settings) -> None:
    try:
        listener = bind(settings.host, settings.port)
    except OSError as error:
        problem = f"Port {settings.port} cannot be used: {error.strerror}."
        raise ConfigError([problem, "Choose another, as in: make run PORT=8090"]) from error
    port = listener.getsockname()[1]
    app, relay, opened = compose(settings, port)
    relay.start()
    print(f"V-Chat is at http://localhost:{port} (Ctrl-C ends it)", flush=True)
    try:
        await serve(app, listener, lambda: relay.hub.dismiss(_DISMISS_S))
    finally:
        await relay.stop()
        for one in opened:
            await one.close()


def main() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    try:
        uvloop.run(_run(read_settings(os.environ)))
    except ConfigError as error:
        sys.exit(f"V-Chat cannot start:\n{error}")


if __name__ == "__main__":
    main()
