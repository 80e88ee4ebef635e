"""Settings from environment variables: typed, read once, and every mistake named at once."""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

EMULATORS = (
    "PUBSUB_EMULATOR_HOST",
    "FIRESTORE_EMULATOR_HOST",
    "FIREBASE_AUTH_EMULATOR_HOST",
    "SECRET_MANAGER_EMULATOR_HOST",
)
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_ORIGIN = re.compile(r"https?://[^/?#@\s*]+")


class ConfigError(Exception):
    """The settings cannot work; `problems` has one sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Reader:
    """Reads settings out of an environment; `check` raises ConfigError with all that was wrong.

    A setting that is missing or wrong yields a stand-in until `check`, so that one start names
    every mistake.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._problems: list[str] = []
        self.production = self.choice("VCHAT_ENV", ("production", "development"), "production") == (
            "production"
        )
        if self.production:
            for name in EMULATORS:
                if environ.get(name):
                    self.wrong(name, "is a development switch; unset it in production")

    def wrong(self, name: str, problem: str) -> None:
        self._problems.append(f"{name} {problem}.")

    def text(self, name: str, default: str | None = None) -> str:
        """A text, required unless there is a default."""
        value = self._environ.get(name, "").strip()
        if not value and default is None:
            self.wrong(name, "is not set")
        return value or default or ""

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        value = self.text(name, default)
        if value not in choices:
            self.wrong(name, f"must be one of {', '.join(choices)}")
        return value

    def number(self, name: str, default: int, *, least: int, most: int) -> int:
        value = self.text(name, str(default))
        if not value.isdecimal() or not least <= int(value) <= most:
            self.wrong(name, f"must be a whole number from {least} to {most}")
            return default
        return int(value)

    def decimal(self, name: str) -> float | None:
        """A number of at least 0, such as 0.12; None when it is not set."""
        value = self.text(name, "")
        if not value:
            return None
        if not _DECIMAL.fullmatch(value):
            self.wrong(name, "must be a number such as 0.12")
            return None
        return float(value)

    def url(self, name: str, schemes: tuple[str, ...], default: str | None = None) -> str:
        """A URL with one of these schemes, without a slash at its end."""
        value = self.text(name, default)
        if value:
            parts = urlsplit(value)
            if parts.scheme not in schemes or not parts.netloc:
                self.wrong(name, f"must be a URL that starts with {' or '.join(schemes)}")
        return value.rstrip("/")

    def urls(self, name: str, schemes: tuple[str, ...]) -> tuple[str, ...]:
        """URLs separated by commas, at least one."""
        found = tuple(
            part.strip().rstrip("/") for part in self.text(name).split(",") if part.strip()
        )
        if any(urlsplit(url).scheme not in schemes or not urlsplit(url).netloc for url in found):
            self.wrong(name, f"must be URLs that start with {' or '.join(schemes)}")
        return found

    def origins(self, name: str, default: str | None = None) -> frozenset[str]:
        """Exact origins separated by commas, such as https://chat.example; never a wildcard."""
        text = self.text(name, default)
        found = frozenset(part.strip() for part in text.split(",") if part.strip())
        for origin in sorted(found):
            if not _ORIGIN.fullmatch(origin):
                self.wrong(name, f"has {origin!r}, which is not an exact origin")
        return found

    def parsed(self, name: str, parse: Callable[[str], T]) -> T | None:
        """A required text turned into something by `parse`, whose ValueError names no secret."""
        text = self.text(name)
        if not text:
            return None
        try:
            return parse(text)
        except ValueError as error:
            self.wrong(name, f"cannot be used: {error}")
            return None

    def check(self) -> None:
        if self._problems:
            raise ConfigError(self._problems)
