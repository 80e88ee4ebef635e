"""Public keys that somebody publishes as JSON: fetched when due, and the last good set kept."""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import httpx

from adapters.certificates import trusted

_log = logging.getLogger("vchat.keys")
_DEADLINE_S = 5.0
_MOST_BYTES = 256 * 1024
_AGE_S = 300.0
_LEAST_AGE_S, _MOST_AGE_S = 60.0, 24 * 3600.0
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=(\d{1,9})", re.ASCII | re.IGNORECASE)

Key = TypeVar("Key")


class RemoteKeys(Generic[Key]):
    """The keys at a URL, by key id.

    They are fetched again when the answer's `max-age` is over (five minutes without one; never
    sooner than a minute, never later than a day), and when an unknown id is asked for, at most
    once in `cool_down_s`: a stranger who makes ids up must not make us hammer the publisher.
    What cannot be fetched or read changes nothing. `clock` gives seconds.
    """

    def __init__(
        self,
        url: str,
        parse: Callable[[Any], Mapping[str, Key]],
        *,
        clock: Callable[[], float] = time.monotonic,
        cool_down_s: float = 10.0,
    ) -> None:
        self._url = url
        self._parse = parse
        self._clock = clock
        self._cool_down_s = cool_down_s
        self._keys: Mapping[str, Key] = MappingProxyType({})
        self._due = self._tried = float("-inf")
        self._fetching = asyncio.Lock()
        self._http: httpx.AsyncClient | None = None

    def known(self) -> Mapping[str, Key]:
        """The last good set; empty before the first."""
        return self._keys

    def due_in(self) -> float:
        """Seconds until the set should be fetched again; 0 or less when it is time."""
        return self._due - self._clock()

    def cools_for(self) -> float:
        """Seconds until another fetch is allowed; 0 or less when it is."""
        return self._tried + self._cool_down_s - self._clock()

    async def find(self, kid: str) -> Key | None:
        """The key of this id, fetched if need be; None when nobody published it."""
        if kid not in self._keys or self.due_in() <= 0:
            await self.refresh()
        return self._keys.get(kid)

    async def refresh(self) -> bool:
        """Fetch the set unless that was just tried; whether there is a set to work with."""
        async with self._fetching:  # those who come together share one fetch
            if self.cools_for() > 0:
                return bool(self._keys)
            self._tried = self._clock()
            try:
                async with asyncio.timeout(_DEADLINE_S):
                    body, age_s = await self._fetch()
                found = self._parse(body)
                if not found:
                    raise ValueError("expected at least one key")
            except (httpx.HTTPError, TimeoutError, ValueError) as error:
                _log.warning(
                    "public keys not refreshed",
                    extra={"url": self._url, "reason": f"{type(error).__name__}: {error}"},
                )
            else:
                self._keys = MappingProxyType(dict(found))
                self._due = self._clock() + age_s
            return bool(self._keys)

    async def _fetch(self) -> tuple[Any, float]:
        if self._http is None:  # made late: to read whom the machine believes takes a while
            self._http = httpx.AsyncClient(timeout=_DEADLINE_S, verify=trusted())
        async with self._http.stream("GET", self._url) as response:
            response.raise_for_status()
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _MOST_BYTES:
                    raise ValueError(f"more than {_MOST_BYTES} bytes")
        answer = httpx.Response(200, content=bytes(body)).json()
        given = _MAX_AGE.search(response.headers.get("cache-control", ""))
        age_s = float(given[1]) if given else _AGE_S
        return answer, min(max(age_s, _LEAST_AGE_S), _MOST_AGE_S)

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()
