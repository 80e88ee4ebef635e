"""The API's public keys as a relay holds them: always at hand, refreshed in the background."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from adapters.backoff import Backoff
from adapters.keys_remote import RemoteKeys
from vchat.keys import parse_public

_log = logging.getLogger("vchat.keys")


class JwksKeys:
    """Ed25519 keys of a JWK set (RFC 7517) at a URL. A relay away from the API keeps judging
    tickets by the last good set."""

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        cool_down_s: float = 10.0,
        retry: Backoff | None = None,
    ) -> None:
        self._remote = RemoteKeys(url, parse_public, clock=clock, cool_down_s=cool_down_s)
        self._retry = retry or Backoff(cool_down_s, 60)
        self._wanted = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Try to fetch the set once, within seconds, and go on in the background either way."""
        await self._remote.refresh()
        self._keeper = asyncio.create_task(self._keep_fresh(), name="refreshing public keys")

    def known(self) -> Mapping[str, Ed25519PublicKey]:
        """The keys known now, by id. Looking for an id that is not among them has the set
        refreshed soon: the next one who comes with it is let in."""
        return _Known(self._remote.known(), self._wanted.set)

    async def close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await self._remote.close()

    async def _keep_fresh(self) -> None:
        while True:
            await self._until_due()
            self._wanted.clear()
            try:
                await self._remote.refresh()
            except Exception:  # this task is all that keeps the keys fresh: it must outlive a bug
                _log.exception("public keys not refreshed")
            if self._remote.due_in() > 0:
                self._retry.reset()
            else:
                await asyncio.sleep(self._retry.next())

    async def _until_due(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0, self._remote.due_in())):
                await self._wanted.wait()
        await asyncio.sleep(max(0, self._remote.cools_for()))


class _Known(Mapping[str, Ed25519PublicKey]):
    """A set of keys that tells when one is missing."""

    def __init__(self, keys: Mapping[str, Ed25519PublicKey], missed: Callable[[], None]) -> None:
        self._keys = keys
        self._missed = missed

    def __getitem__(self, kid: str) -> Ed25519PublicKey:
        if kid not in self._keys:
            self._missed()
        return self._keys[kid]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)
