"""Small secrets of others, sealed before they are stored: AES-256-GCM, bound to their place."""

import base64
import binascii
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_KEY_BYTES = 32
_NONCE_BYTES = 12  # NIST SP 800-38D; random ones are safe for 2^32 seals with one key
_FORM = b"\x01"


class Vault:
    """Seals with its first key, and opens with any: a key is changed by putting a new one first."""

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self._ciphers = [AESGCM(key) for key in keys]

    def seal(self, plain: bytes, *, place: str) -> bytes:
        """Encrypted and authenticated. It opens only where it was put: `place` names that."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _FORM + nonce + self._ciphers[0].encrypt(nonce, plain, place.encode())

    def open(self, sealed: bytes, *, place: str) -> bytes:
        """What was sealed. Raises ValueError when it was changed, moved, or is of another key."""
        form, nonce, text = sealed[:1], sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if form == _FORM and len(nonce) == _NONCE_BYTES:
            for cipher in self._ciphers:
                try:
                    return cipher.decrypt(nonce, text, place.encode())
                except InvalidTag:
                    continue
        raise ValueError("this was not sealed here")


def load_vault(text: str) -> Vault:
    """A vault from keys in base64, separated by commas. Raises ValueError, which shows no key."""
    keys = []
    for part in text.split(","):
        try:
            key = base64.b64decode(part.strip(), b"-_" if set("-_") & set(part) else None, True)
        except binascii.Error as error:
            raise ValueError("expected base64") from error
        if len(key) != _KEY_BYTES:
            raise ValueError(f"expected {_KEY_BYTES} bytes in base64")
        keys.append(key)
    return Vault(tuple(keys))


def new_vault_key() -> str:
    """A fresh key for `load_vault`."""
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
