"""Turns the signing keys over without signing anybody out: reads a private JWK set, writes one.

    ... | python -m infra.tools.rotate add    # a new key, published but not yet used
    ... | python -m infra.tools.rotate turn   # the newest key signs; the old ones still verify
    ... | python -m infra.tools.rotate drop   # only the key that signs is left

docs/operations.md says how long to wait between the steps, and why.
"""

import argparse
import sys

from vchat.keys import KeyRing, dump_ring, load_ring


def rotated(ring: KeyRing, step: str) -> KeyRing:
    """The ring after a step. Raises ValueError when there is nothing to turn to or to drop."""
    if step == "add":
        return ring.with_new_key()
    if len(ring.keys) < 2:
        raise ValueError(f"there is one key only; nothing to {step}")
    ids = list(ring.keys)
    kept = [ids[-1], *ids[:-1]] if step == "turn" else ids[:1]
    return KeyRing({kid: ring.keys[kid] for kid in kept})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("add", "turn", "drop"))
    step = parser.parse_args().step
    try:
        print(dump_ring(rotated(load_ring(sys.stdin.read()), step)))
    except ValueError as error:
        sys.exit(f"The keys were not changed: {error}.")


if __name__ == "__main__":
    main()
