"""What a relay needs to know of its deployment, from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass

from vchat.config import Reader
from vchat.idleness import Idleness, read_idleness

_TOKEN_LENGTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`issuer` is the API's public URL, `name` what people see of this relay; `proxies` how
    many proxies in front append to X-Forwarded-For; `emulator` is the
    Pub/Sub emulator's host and port, for development; `metrics_token` opens /metrics to who shows
    it; `usd_per_gib` is what traffic to browsers costs."""

    issuer: str
    origins: frozenset[str]
    jwks_url: str
    redis_url: str
    project: str
    emulator: str | None
    name: str
    host: str
    port: int
    proxies: int
    idleness: Idleness
    metrics_token: str | None
    usd_per_gib: float | None


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Settings out of an environment. Raises ConfigError with every mistake in it."""
    read = Reader(environ)
    web = ("https",) if read.production else ("https", "http")
    issuer = read.url("VCHAT_ISSUER", web)
    settings = Settings(
        issuer=issuer,
        origins=read.origins("VCHAT_ORIGINS"),
        jwks_url=read.url("VCHAT_JWKS_URL", web, f"{issuer}/.well-known/jwks.json"),
        redis_url=read.url("REDIS_URL", ("redis", "rediss")),
        project=read.text("GOOGLE_CLOUD_PROJECT"),
        emulator=read.text("PUBSUB_EMULATOR_HOST", "") or None,
        name=read.text("VCHAT_RELAY_NAME", "relay"),
        host=read.text("HOST", "0.0.0.0"),  # noqa: S104 (a container's own network)
        port=read.number("PORT", 8080, least=0, most=65535),
        proxies=read.number("VCHAT_PROXIES", 1 if read.production else 0, least=0, most=5),
        idleness=read_idleness(read),
        metrics_token=read.text("VCHAT_METRICS_TOKEN", "") or None,
        usd_per_gib=read.decimal("VCHAT_USD_PER_GIB"),
    )
    if settings.metrics_token is not None and len(settings.metrics_token) < _TOKEN_LENGTH:
        read.wrong("VCHAT_METRICS_TOKEN", f"must have at least {_TOKEN_LENGTH} characters")
    read.check()
    return settings
