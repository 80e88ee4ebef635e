"""Signing keys in a file of one's own, made on the first start: for a server on one's desk."""

import os
from contextlib import suppress
from pathlib import Path

from adapters.data_folder import make_folder
from vchat.config import ConfigError
from vchat.keys import KeyPlaceError, KeyRing, dump_ring, load_ring, new_ring


def open_ring(path: Path) -> KeyRing:
    """The ring in this file, which only its owner may read. Raises ConfigError."""
    make_folder(path.parent)
    try:
        with suppress(FileExistsError):
            _make(path)
        return load_ring(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError([f"The key file {path} cannot be used: {_words(error)}."]) from error


class KeyFile:
    """vchat.keys.KeyPlace in such a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self) -> KeyRing | None:
        try:
            return load_ring(self._path.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise KeyPlaceError(f"{self._path} cannot be used: {_words(error)}.") from error

    async def write(self, ring: KeyRing) -> None:
        try:
            draft = _draft(self._path, ring)
            draft.replace(self._path)
        except OSError as error:
            raise KeyPlaceError(f"{self._path} cannot be written: {_words(error)}.") from error

    async def close(self) -> None:
        return


def _words(error: OSError | ValueError) -> str:
    """An OSError's own begin with a number, and name the file once more."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _draft(path: Path, ring: KeyRing) -> Path:
    """A ring in a file beside the one that it is for, which only its owner may read."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600, exist_ok=True)
    draft.write_text(dump_ring(ring))
    return draft


def _make(path: Path) -> None:
    """Write a new ring, complete or not at all; raises FileExistsError when there is one."""
    draft = _draft(path, new_ring())
    try:
        # A link, unlike a rename, never replaces what another process has put there meanwhile.
        path.hardlink_to(draft)
    finally:
        draft.unlink()
