"""The folder that a server on one's desk keeps its data in."""

from pathlib import Path

from vchat.config import ConfigError


def make_folder(path: Path) -> None:
    """Make it where it is missing, for its owner alone. Raises ConfigError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ConfigError([f"The data folder {path} is a file, not a folder."]) from error
    except OSError as error:
        raise ConfigError([f"The data folder {path} cannot be made: {error.strerror}."]) from error
