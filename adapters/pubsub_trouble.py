"""What went wrong with Pub/Sub: what to do about it, and one sentence for the operator."""

import logging
import time
from collections.abc import Callable
from enum import Enum

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError

_log = logging.getLogger(__name__)
_AGAIN_S = 300.0

ERRORS = (exceptions.GoogleAPICallError, GoogleAuthError, TimeoutError)
"""What a call to Pub/Sub can raise."""

_DENIED = (exceptions.Forbidden, exceptions.Unauthorized, GoogleAuthError)
_OUR_FAULT = (exceptions.BadRequest, exceptions.TooManyRequests)


class Trouble(Enum):
    """GONE: make it again. LASTING: somebody must act, so try seldom. PASSING: try again."""

    GONE = "gone"
    LASTING = "lasting"
    PASSING = "passing"


def trouble(error: BaseException) -> Trouble:
    if isinstance(error, exceptions.NotFound):
        return Trouble.LASTING if _no_project(error) else Trouble.GONE
    if isinstance(error, (*_DENIED, *_OUR_FAULT)):
        return Trouble.LASTING
    return Trouble.PASSING


def sentence(error: BaseException, permission: str, *, project: str, server: str) -> str:
    """What the operator should know; `permission` is the one that the call needed."""
    where = f"GOOGLE_CLOUD_PROJECT={project}"
    if _no_project(error):
        return f"{where} names no project that this service account can see."
    if isinstance(error, exceptions.Forbidden):
        if "has not been used" in str(error) or "disabled" in str(error):
            return f"The Pub/Sub API is off in {where}: enable pubsub.googleapis.com."
        return f"Pub/Sub refuses us in {where}: give this service account {permission}."
    if isinstance(error, (exceptions.Unauthorized, GoogleAuthError)):
        return (
            "There are no usable Google credentials: run as a service account, set "
            "GOOGLE_APPLICATION_CREDENTIALS, or set PUBSUB_EMULATOR_HOST for an emulator."
        )
    if isinstance(error, exceptions.TooManyRequests):
        return (
            f"A Pub/Sub quota of {where} is used up (10,000 topics and 10,000 subscriptions per "
            "project are fixed): see that the janitor runs."
        )
    if isinstance(error, exceptions.BadRequest):
        return f"Pub/Sub does not accept our request in {where}: {error.message}"
    return (
        f"Pub/Sub does not answer at {server} ({type(error).__name__}); if that is an emulator, "
        "see that PUBSUB_EMULATOR_HOST is right and that it runs."
    )


def _no_project(error: BaseException) -> bool:
    return isinstance(error, exceptions.NotFound) and "project not found" in str(error).lower()


class Complaints:
    """Says each sentence once in a while, however many rooms have the same trouble."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[str, float] = {}

    def say(self, text: str) -> None:
        now = self._clock()
        if now - self._said.get(text, -_AGAIN_S) >= _AGAIN_S:
            self._said = {known: at for known, at in self._said.items() if now - at < _AGAIN_S}
            self._said[text] = now
            _log.error(text)
