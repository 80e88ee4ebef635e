"""What a relay needs to know of its deployment, from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass

from vchat import limits
from vchat.config import Reader
from vchat.idleness import Idleness


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`issuer` is the API's public URL, `name` what people see of this relay; `emulator` is the
    Pub/Sub emulator's host and port, for development."""

    issuer: str
    origins: frozenset[str]
    jwks_url: str
    redis_url: str
    project: str
    emulator: str | None
    name: str
    host: str
    port: int
    idleness: Idleness


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
        idleness=Idleness(
            hidden_s=read.number("VCHAT_DOZE_HIDDEN_S", limits.DOZE_HIDDEN_S, least=1, most=86400),
            idle_s=read.number("VCHAT_DOZE_IDLE_S", limits.DOZE_IDLE_S, least=1, most=86400),
            away_s=read.number("VCHAT_AWAY_S", limits.AWAY_S, least=15, most=86400 // 4),
            kick=read.choice("VCHAT_KICK_IDLE", ("yes", "no"), "no") == "yes",
        ),
    )
    read.check()
    return settings
