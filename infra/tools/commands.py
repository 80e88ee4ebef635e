"""Runs other programs for a person: what they say is passed on, what they refuse is explained."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_ALONE = {"CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
"""gcloud would wait for ever for the answer to a question that nobody sees."""


class Stopped(Exception):
    """It cannot go on; the text says why and what to do."""


def run(*words: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
    """Run a program in the person's terminal. Raises Stopped when it fails."""
    if code_of(*words, env=env, cwd=cwd):
        raise failed(*words)


def failed(*words: str) -> Stopped:
    """What to raise when a program that ran in the person's terminal failed."""
    return Stopped(f"`{_shown(words)}` failed; its own words are above.")


def ask(*words: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str | None:
    """What a program answers, without spaces around it; None when it fails."""
    done = _run(words, env, cwd, capture=True)
    return None if done.returncode else str(done.stdout).strip()


def answer_of(*words: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """What a program answers that must not fail. Raises Stopped when it does, and its complaint is
    the person's to read."""
    done = _run(words, env, cwd, capture=True)
    if done.returncode:
        print(done.stderr, end="", file=sys.stderr)
        raise failed(*words)
    return str(done.stdout)


def output_of(*words: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """What a program prints, whether it fails or not."""
    return str(_run(words, env, cwd, capture=True).stdout)


def code_of(*words: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> int:
    """Run a program in the person's terminal; its exit code."""
    return _run(words, env, cwd, capture=False).returncode


def _run(
    words: tuple[str, ...], env: Mapping[str, str] | None, cwd: Path | None, *, capture: bool
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - the words are ours; no shell reads them
            words,
            env={**os.environ, **(_ALONE if capture else {}), **(env or {})},
            cwd=cwd,
            capture_output=capture,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise Stopped(f"{words[0]} is not installed.") from error


def _shown(words: tuple[str, ...]) -> str:
    return shlex.join(words[:6]) + (" ..." if len(words) > 6 else "")
