"""What went wrong with a Google service: what to do about it, and one sentence for the operator."""

from dataclasses import dataclass
from enum import Enum

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError

ERRORS = (exceptions.GoogleAPIError, GoogleAuthError, TimeoutError)
"""What a call to a Google service can raise."""

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


@dataclass(frozen=True, slots=True)
class Service:
    """A project's service as its operator knows it; `quota` says what to do when one is used up."""

    name: str
    api: str
    emulator_setting: str
    project: str
    server: str
    quota: str

    def sentence(self, error: BaseException, permission: str) -> str:
        """What the operator should know; `permission` is what the call needed."""
        where = f"GOOGLE_CLOUD_PROJECT={self.project}"
        if _no_project(error):
            return f"{where} names no project that this service account can see."
        if isinstance(error, exceptions.Forbidden):
            if "has not been used" in str(error) or "disabled" in str(error):
                return f"{self.name} is switched off in {where}: enable {self.api}."
            return f"{self.name} refuses us in {where}: give this service account {permission}."
        if isinstance(error, (exceptions.Unauthorized, GoogleAuthError)):
            return (
                "There are no usable Google credentials: run as a service account, set "
                f"GOOGLE_APPLICATION_CREDENTIALS, or set {self.emulator_setting} for an emulator."
            )
        if isinstance(error, exceptions.TooManyRequests):
            return f"A {self.name} quota of {where} is used up: {self.quota}."
        if isinstance(error, (exceptions.BadRequest, exceptions.NotFound)):
            return f"{self.name} does not accept a request of ours in {where}: {error.message}"
        return (
            f"{self.name} does not answer at {self.server} ({type(error).__name__}); if that is an "
            f"emulator, see that {self.emulator_setting} is right and that it runs."
        )


def _no_project(error: BaseException) -> bool:
    return isinstance(error, exceptions.NotFound) and "project not found" in str(error).lower()
