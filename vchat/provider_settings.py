"""Which providers are on: each when its settings are there, and a half-set one stops the start."""

from collections.abc import Mapping
from dataclasses import dataclass

from vchat.config import Reader
from vchat.vault import Vault, load_vault

_LIVEKIT_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class VroidSettings:
    client_id: str
    client_secret: str
    vault: Vault
    return_urls: frozenset[str]
    hub: str | None
    """Another server in VRoid Hub's place, in development only."""


@dataclass(frozen=True, slots=True)
class LiveKitSettings:
    url: str
    key: str
    secret: str


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """None means: not configured, not offered. `nextauth_cookie` is a session cookie's name where
    the site gave it one of its own."""

    firebase_project: str | None
    nextauth_secret: str | None
    nextauth_cookie: str | None
    vroid: VroidSettings | None
    livekit: LiveKitSettings | None


def read_provider_settings(environ: Mapping[str, str], read: Reader) -> ProviderSettings:
    """The providers' part of an environment; mistakes are left with `read`."""

    def any_of(*names: str) -> bool:
        return any(environ.get(name, "").strip() for name in names)

    return ProviderSettings(
        firebase_project=read.text("FIREBASE_PROJECT", "") or None,
        nextauth_secret=read.text("NEXTAUTH_SECRET", "") or None,
        nextauth_cookie=read.text("NEXTAUTH_COOKIE", "") or None,
        vroid=_vroid(read) if any_of("VROID_CLIENT_ID", "VROID_CLIENT_SECRET") else None,
        livekit=(
            _livekit(read)
            if any_of("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
            else None
        ),
    )


def _vroid(read: Reader) -> VroidSettings | None:
    client_id, secret = read.text("VROID_CLIENT_ID"), read.text("VROID_CLIENT_SECRET")
    vault = read.parsed("VCHAT_VAULT_KEY", load_vault)
    web = ("https",) if read.production else ("https", "http")
    # As they are, with the slash at the end: `https://a/` and `https://a` are two pages.
    urls = [part.strip() for part in read.text("VCHAT_RETURN_URLS").split(",") if part.strip()]
    for url in urls:
        if not url.startswith(tuple(f"{scheme}://" for scheme in web)) or set("?#") & set(url):
            read.wrong("VCHAT_RETURN_URLS", f"has {url!r}, which is no plain page address")
    hub = read.text("VROID_HUB_URL", "") or None
    if hub is not None and read.production:
        read.wrong("VROID_HUB_URL", "is a development switch; unset it in production")
    if vault is None:
        return None
    return VroidSettings(client_id, secret, vault, frozenset(urls), hub)


def _livekit(read: Reader) -> LiveKitSettings:
    secret = read.text("LIVEKIT_API_SECRET")
    if secret and len(secret.encode()) < _LIVEKIT_SECRET_BYTES:
        read.wrong("LIVEKIT_API_SECRET", f"is shorter than {_LIVEKIT_SECRET_BYTES} bytes")
    web = ("wss",) if read.production else ("wss", "ws")
    return LiveKitSettings(read.url("LIVEKIT_URL", web), read.text("LIVEKIT_API_KEY"), secret)
