"""What the handlers work with: chosen by a composition root, passed to every handler."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from vchat.bus import Bus
from vchat.hub import HubAccess
from vchat.identity import IdentityProviders
from vchat.keys import SigningKeys
from vchat.matching import Queue
from vchat.state import State
from vchat.store import Store
from vchat.voice import Voice


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The world as the handlers see it.

    `providers` are those whose tokens are exchanged, `vroid` is VRoid Hub, `voice` the voice
    server, `queue` those who wait for a match: what is not configured is not there. `issuer` is the
    API's public base URL and the `iss` of all tokens; `relay_urls` are the bases (ws:// or wss://)
    that rooms are spread over; `origins` the exact origins of pages that may call; `proxies` how
    many proxies in front append to X-Forwarded-For; `clock` gives seconds since the epoch.
    """

    store: Store
    state: State
    bus: Bus
    keys: SigningKeys
    issuer: str
    relay_urls: tuple[str, ...]
    providers: IdentityProviders = field(default_factory=dict)
    vroid: HubAccess | None = None
    voice: Voice | None = None
    queue: Queue | None = None
    origins: frozenset[str] = frozenset()
    proxies: int = 0
    clock: Callable[[], float] = time.time
