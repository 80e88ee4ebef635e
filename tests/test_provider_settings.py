"""Providers are on when their settings are there; a half-set one is named before the start."""

import pytest

from adapters import providers
from vchat.config import ConfigError, Reader
from vchat.provider_settings import ProviderSettings, read_provider_settings
from vchat.vault import Vault, load_vault, new_vault_key

VROID = {
    "VROID_CLIENT_ID": "id",
    "VROID_CLIENT_SECRET": "secret",
    "VCHAT_VAULT_KEY": new_vault_key(),
    "VCHAT_RETURN_URLS": "https://page.test/, https://page.test/in",
}
LIVEKIT = {
    "LIVEKIT_URL": "wss://voice.test",
    "LIVEKIT_API_KEY": "key",
    "LIVEKIT_API_SECRET": "x" * 32,
}


def settings(environ: dict[str, str]) -> ProviderSettings:
    read = Reader(environ)
    found = read_provider_settings(environ, read)
    read.check()
    return found


def test_nothing_is_on_by_itself():
    none = settings({})
    assert providers.identity_providers(none) == {}
    assert providers.hub_access(none) is providers.voice(none) is None


def test_what_is_set_is_on():
    some = settings({**VROID, **LIVEKIT, "FIREBASE_PROJECT": "p", "NEXTAUTH_SECRET": "s"})
    assert set(providers.identity_providers(some)) == {"firebase", "nextauth"}
    access, voice = providers.hub_access(some), providers.voice(some)
    assert access is not None
    assert access.return_urls == {"https://page.test/", "https://page.test/in"}
    assert voice is not None
    assert voice.url == "wss://voice.test"


@pytest.mark.parametrize("whole", [VROID, LIVEKIT])
def test_a_half_set_provider_names_what_is_missing(whole):
    for name in whole:
        with pytest.raises(ConfigError) as caught:
            settings({**whole, name: ""})
        assert caught.value.problems == [f"{name} is not set."]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VCHAT_VAULT_KEY", "not base64!"),
        ("VCHAT_VAULT_KEY", "c2hvcnQ="),
        ("VCHAT_RETURN_URLS", "http://page.test/"),
        ("VCHAT_RETURN_URLS", "https://page.test/#x"),
        ("VCHAT_RETURN_URLS", "page.test"),
        ("VROID_HUB_URL", "http://localhost:1"),
        ("LIVEKIT_URL", "ws://voice.test"),
        ("LIVEKIT_API_SECRET", "x1y2z3"),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_shown(name, value):
    with pytest.raises(ConfigError) as caught:
        settings({**VROID, **LIVEKIT, name: value})
    (problem,) = caught.value.problems
    assert problem.startswith(f"{name} ")
    if name in ("VCHAT_VAULT_KEY", "LIVEKIT_API_SECRET"):
        assert value not in problem


# The vault


def test_a_seal_opens_in_its_place_only_and_unchanged_only():
    vault = load_vault(new_vault_key())
    sealed = vault.seal(b"secret", place="a")
    assert b"secret" not in sealed
    assert vault.seal(b"secret", place="a") != sealed
    assert vault.open(sealed, place="a") == b"secret"
    turned = bytes((*sealed[:-1], sealed[-1] ^ 1))
    for bad, place in ((sealed, "b"), (turned, "a"), (sealed[1:], "a"), (b"", "a"), (b"\x01", "a")):
        with pytest.raises(ValueError, match="not sealed here"):
            vault.open(bad, place=place)
    with pytest.raises(ValueError, match="not sealed here"):
        load_vault(new_vault_key()).open(sealed, place="a")


def test_a_vault_key_is_changed_by_putting_a_new_one_first():
    old, new = new_vault_key(), new_vault_key()
    sealed = load_vault(old).seal(b"secret", place="a")
    both: Vault = load_vault(f"{new}, {old}")
    assert both.open(sealed, place="a") == b"secret"
    assert load_vault(new).open(both.seal(b"later", place="a"), place="a") == b"later"
