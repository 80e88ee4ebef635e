"""Signing keys that somebody may turn over while we run: read again when due, else as they were."""

import asyncio
import logging
import time
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from vchat.errors import Refused, Why
from vchat.keys import KeyPlace, KeyPlaceError, KeyRing

_log = logging.getLogger("vchat.keys")
AGE_S = 300.0
_RETRY_S = 10.0


class HeldKeys:
    """vchat.keys.SigningKeys. Call `refresh` before each request: an instance that slept for an
    hour must not sign with a key that is published no more. `clock` gives seconds."""

    def __init__(self, place: KeyPlace, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._place = place
        self._clock = clock
        self._ring: KeyRing | None = None
        self._due = float("-inf")
        self._reading = asyncio.Lock()

    async def refresh(self) -> None:
        """Read the keys if that is due; without an answer go on with the last good ones.

        Raises Refused(UNAVAILABLE) while there are none.
        """
        if self._clock() >= self._due:
            async with self._reading:  # those who come together share one look
                if self._clock() >= self._due:
                    await self._read()
        if self._ring is None:
            raise Refused(Why.UNAVAILABLE, "The signing keys cannot be read now; try again soon.")

    async def _read(self) -> None:
        try:
            found = await self._place.read()
            if found is None:
                raise KeyPlaceError("There are no signing keys yet.")
        except KeyPlaceError as error:
            self._due = self._clock() + _RETRY_S
            _log.error("signing keys not read", extra={"reason": str(error)})
        else:
            self._ring, self._due = found, self._clock() + AGE_S

    @property
    def kid(self) -> str:
        return self._held.kid

    @property
    def signing(self) -> Ed25519PrivateKey:
        return self._held.signing

    @property
    def public(self) -> dict[str, Ed25519PublicKey]:
        return self._held.public

    async def close(self) -> None:
        await self._place.close()

    @property
    def _held(self) -> KeyRing:
        assert self._ring is not None, "refresh() comes first"
        return self._ring
