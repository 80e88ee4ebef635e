"""What the functions need to know of their deployment, from the environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vchat.config import Reader
from vchat.keys import KeyRing, load_ring
from vchat.provider_settings import ProviderSettings, read_provider_settings

_SECRET = re.compile(r"projects/[a-z0-9:.-]{1,63}/secrets/[A-Za-z0-9_-]{1,255}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """None means: no `redis_url`, the state inside the process; no `project`, the SQLite file and
    the bus inside the process; no `keys`, the key file. Production has them all. `keys` are the
    signing keys themselves, or the name of the secret that holds them: projects/P/secrets/S."""

    production: bool
    issuer: str
    origins: frozenset[str]
    relay_urls: tuple[str, ...]
    keys: KeyRing | str | None
    redis_url: str | None
    project: str | None
    database: str
    pubsub_emulator: str | None
    secrets_emulator: str | None
    data: Path
    proxies: int
    providers: ProviderSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class JanitorSettings:
    """What the janitor works on: always the cloud's parts, since nothing else leaves litter."""

    redis_url: str
    project: str
    database: str
    pubsub_emulator: str | None


def read_janitor_settings(environ: Mapping[str, str]) -> JanitorSettings:
    """Settings out of an environment. Raises ConfigError with every mistake in it."""
    read = Reader(environ)
    settings = JanitorSettings(
        redis_url=read.url("REDIS_URL", ("redis", "rediss")),
        project=read.text("GOOGLE_CLOUD_PROJECT"),
        database=read.text("FIRESTORE_DATABASE", "(default)"),
        pubsub_emulator=read.text("PUBSUB_EMULATOR_HOST", "") or None,
    )
    read.check()
    return settings


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Settings out of an environment. Raises ConfigError with every mistake in it."""
    read = Reader(environ)
    web = ("https",) if read.production else ("https", "http")
    socket = ("wss",) if read.production else ("wss", "ws")

    def wanted(name: str) -> bool:
        return read.production or bool(environ.get(name, "").strip())

    settings = Settings(
        production=read.production,
        issuer=read.url("VCHAT_ISSUER", web),
        origins=read.origins("VCHAT_ORIGINS"),
        relay_urls=read.urls("VCHAT_RELAY_URLS", socket),
        keys=read.parsed("VCHAT_SIGNING_KEYS", _keys) if wanted("VCHAT_SIGNING_KEYS") else None,
        redis_url=read.url("REDIS_URL", ("redis", "rediss")) if wanted("REDIS_URL") else None,
        project=read.text("GOOGLE_CLOUD_PROJECT") if wanted("GOOGLE_CLOUD_PROJECT") else None,
        database=read.text("FIRESTORE_DATABASE", "(default)"),
        pubsub_emulator=read.text("PUBSUB_EMULATOR_HOST", "") or None,
        secrets_emulator=read.text("SECRET_MANAGER_EMULATOR_HOST", "") or None,
        data=Path(read.text("VCHAT_DATA", ".vchat")),
        # Cloud Run appends the caller to X-Forwarded-For; a load balancer before it makes 2.
        proxies=read.number("VCHAT_PROXIES", 1 if read.production else 0, least=0, most=5),
        providers=read_provider_settings(environ, read),
    )
    read.check()
    return settings


def _keys(text: str) -> KeyRing | str:
    return text if _SECRET.fullmatch(text) else load_ring(text)
