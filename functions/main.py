"""The deployed functions, and the one place in them that chooses adapters.

`functions-framework --target api --source functions/main.py` serves everything; the targets auth,
rooms and tokens serve their part of it. The settings are read when the source is loaded, so that
a wrong one stops the start; whatever needs a network waits for the first request.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeVar

import functions_framework.aio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from functions.app import build
from functions.janitor import sweep
from functions.problems import problem_response
from functions.services import Services
from functions.settings import Settings, read_janitor_settings, read_settings
from vchat.bus import Bus
from vchat.config import ConfigError
from vchat.errors import Refused, Why
from vchat.ids import new_id
from vchat.json_lines import JsonLines
from vchat.keys import SigningKeys
from vchat.store import Store

_log = logging.getLogger("vchat.start")


if TYPE_CHECKING:
    from redis.asyncio import Redis

    from adapters.keys_held import HeldKeys


JANITOR = "janitor"

T = TypeVar("T")


def _start(read: Callable[[Mapping[str, str]], T]) -> T:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines(os.environ.get("GOOGLE_CLOUD_PROJECT")))
    log = logging.getLogger("vchat")
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        return read(os.environ)
    except ConfigError as error:
        sys.exit(f"V-Chat cannot start:\n{error}")


# Cloud Functions names the target in FUNCTION_TARGET. The janitor is given none of the API's
# secrets, so nothing of theirs may be asked for when it is the target.
_for_janitor = os.environ.get("FUNCTION_TARGET") == JANITOR
_settings = None if _for_janitor else _start(read_settings)
_chores = _start(read_janitor_settings) if _for_janitor else None
_making = asyncio.Lock()
_apps: dict[str, Starlette] = {}
_checks: set[asyncio.Task[None]] = set()
_held: "HeldKeys | None" = None
"""The signing keys, where they may be turned over while we run."""


# Each adapter is imported where it is chosen: a cold start pays only for what it uses.


def _store(settings: Settings) -> Store:
    if settings.project is not None:
        from adapters.store_firestore import FirestoreStore

        return FirestoreStore(settings.project, settings.database)
    from adapters.store_sqlite import SqliteStore

    return SqliteStore(settings.data / "vchat.db")


def _redis(settings: Settings) -> "Redis":
    if settings.redis_url is not None:
        from adapters.state_redis import connect

        return connect(settings.redis_url)
    from adapters.embedded_redis import embedded_redis

    return embedded_redis()


def _bus(settings: Settings) -> Bus:
    instance = new_id()
    if settings.project is not None:
        from adapters.bus_pubsub import PubSubBus

        return PubSubBus(settings.project, instance=instance, emulator=settings.pubsub_emulator)
    from adapters.bus_memory import InProcessBus

    return InProcessBus().instance(instance)


def _keys(settings: Settings) -> SigningKeys:
    global _held
    if isinstance(settings.keys, str):
        from adapters.keys_held import HeldKeys
        from adapters.keys_secret_manager import API, SecretManagerKeys, own_token

        emulator = settings.secrets_emulator
        api = API if emulator is None else f"http://{emulator}"
        _held = _held or HeldKeys(SecretManagerKeys(settings.keys, own_token(), api=api))
        return _held
    from adapters.keys_file import open_ring

    return settings.keys or open_ring(settings.data / "keys.json")


def _services(settings: Settings) -> Services:
    """The adapters that the settings ask for. Raises ConfigError."""
    from adapters.matching_redis import RedisQueue
    from adapters.providers import hub_access, identity_providers, voice
    from adapters.state_redis import RedisState

    redis = _redis(settings)
    return Services(
        store=_store(settings),
        state=RedisState(redis),
        bus=_bus(settings),
        keys=_keys(settings),
        issuer=settings.issuer,
        relay_urls=settings.relay_urls,
        providers=identity_providers(settings.providers),
        vroid=hub_access(settings.providers),
        voice=voice(settings.providers),
        queue=RedisQueue(redis),
        origins=settings.origins,
        proxies=settings.proxies,
    )


async def _check(services: Services) -> None:
    """Have wrong settings told, whoever asks what."""
    with suppress(Refused):  # which the state itself explains
        await services.state.occupancy(["nobody"])
    if problem := await services.bus.check():
        _log.error(problem)


class _HandedOver(Response):
    """A response that lets a whole app answer; the framework only knows how to send responses."""

    def __init__(self, app: Starlette) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


async def _answer(target: str | None) -> Response:
    assert _settings is not None, "FUNCTION_TARGET names the janitor"
    name = target or "api"
    async with _making:  # the first requests come together, and must share one set of clients
        if name not in _apps:
            try:
                services = _services(_settings)
                _apps[name] = build(services, target)
                _checks.add(asyncio.create_task(_check(services)))
            except ConfigError as error:
                _log.critical("cannot work: %s", error)
                return problem_response(Refused(Why.INTERNAL), new_id())
    if _held is not None:
        try:
            await _held.refresh()
        except Refused as refused:
            return problem_response(refused, new_id())
    return _HandedOver(_apps[name])


@functions_framework.aio.http
async def api(request: Request) -> Response:
    """Everything behind one URL."""
    return await _answer(None)


@functions_framework.aio.http
async def auth(request: Request) -> Response:
    """Signing in, and the caller's own account."""
    return await _answer("auth")


@functions_framework.aio.http
async def avatars(request: Request) -> Response:
    """VRoid Hub's models."""
    return await _answer("avatars")


@functions_framework.aio.http
async def rooms(request: Request) -> Response:
    """Rooms, their members, invites and moderation."""
    return await _answer("rooms")


@functions_framework.aio.http
async def tokens(request: Request) -> Response:
    """Tickets, and the public keys."""
    return await _answer("tokens")


@functions_framework.aio.http
async def janitor(request: Request) -> Response:
    """What crashed relays left behind, and what has expired. Run with FUNCTION_TARGET=janitor."""
    from adapters.pubsub_janitor import PubSubJanitor
    from adapters.state_redis import RedisState, connect
    from adapters.store_firestore import FirestoreStore

    assert _chores is not None, "set FUNCTION_TARGET=janitor"
    # Made anew each time: it wakes every ten minutes, and holds no connection in between.
    store = FirestoreStore(_chores.project, _chores.database)
    state = RedisState(connect(_chores.redis_url))
    topics = PubSubJanitor(_chores.project, emulator=_chores.pubsub_emulator)

    async def sweep_bus(dry_run: bool) -> dict[str, int]:
        return asdict(await topics.sweep(state.hosts, dry_run=dry_run))

    try:
        return await sweep(request, store, state, sweep_bus)
    finally:
        await topics.close()
        await state.close()
        await store.close()
