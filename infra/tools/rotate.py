"""Makes the signing keys, and turns them over without signing anybody out.

    python -m infra.tools.rotate make --project P   # the first key; a deployment does it by itself
    python -m infra.tools.rotate add --project P    # a new key, published but not yet used
    python -m infra.tools.rotate turn --project P   # the newest key signs; the old ones still count
    python -m infra.tools.rotate drop --project P   # only the key that signs is left

`--file` takes a key file in the place of a project's secret. docs/operations.md says how long to
wait between the steps, and why.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from adapters.keys_file import KeyFile
from adapters.keys_secret_manager import API, SecretManagerKeys
from infra.tools.commands import ask
from vchat.keys import KeyPlace, KeyPlaceError, KeyRing, new_ring

STEPS = ("make", "add", "turn", "drop")


def rotated(ring: KeyRing | None, step: str) -> KeyRing:
    """The ring after a step. Raises ValueError when there is nothing to turn to or to drop."""
    if step == "make":
        if ring is not None:
            raise ValueError("there are keys already")
        return new_ring()
    if ring is None:
        raise ValueError("there are none yet; make them first")
    if step == "add":
        return ring.with_new_key()
    if len(ring.keys) < 2:
        raise ValueError(f"there is one key only; nothing to {step}")
    ids = list(ring.keys)
    kept = [ids[-1], *ids[:-1]] if step == "turn" else ids[:1]
    return KeyRing({kid: ring.keys[kid] for kid in kept})


async def rotate(place: KeyPlace, steps: list[str]) -> KeyRing:
    """Take these steps and write the outcome once. Raises ValueError, KeyPlaceError."""
    try:
        ring = await place.read()
        for step in steps:
            ring = rotated(ring, step)
        assert ring is not None
        await place.write(ring)
    finally:
        await place.close()
    return ring


async def _token_of_gcloud() -> str:
    token = await asyncio.to_thread(ask, "gcloud", "auth", "print-access-token")
    if not token:
        raise KeyPlaceError("gcloud gave no token. Sign in:  gcloud auth login")
    return token


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("steps", nargs="+", choices=STEPS)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--project")
    where.add_argument("--file", type=Path)
    parser.add_argument("--api", default=API, help="another server in Secret Manager's place")
    given = parser.parse_args()
    secret = f"projects/{given.project}/secrets/vchat-signing-keys"
    try:
        ring = asyncio.run(_run(given, secret))
    except (KeyPlaceError, ValueError) as error:
        sys.exit(f"The keys were not changed: {error}")
    others = f", {len(ring.keys) - 1} more published" if len(ring.keys) > 1 else ""
    print(f"{ring.kid} signs{others}.")


async def _run(given: argparse.Namespace, secret: str) -> KeyRing:
    place: KeyPlace = (
        KeyFile(given.file)
        if given.file
        else SecretManagerKeys(secret, _token_of_gcloud, api=given.api)
    )
    return await rotate(place, given.steps)


if __name__ == "__main__":
    main()
