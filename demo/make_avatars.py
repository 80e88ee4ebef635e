"""Writes demo/avatars/*.vrm and their list: `python -m demo.make_avatars` from the root; the
standard library is enough."""

from __future__ import annotations

import json
from pathlib import Path

from demo.tailor.looks import LOOKS
from demo.tailor.vrm import write

AVATARS = Path(__file__).parent / "avatars"


def files() -> dict[str, bytes]:
    """Every file of the avatars' folder, the same bytes each time."""
    made: dict[str, bytes] = {}
    entries = []
    for name, look in LOOKS.items():
        figure = look()
        made[f"{name}.vrm"] = write(figure)
        entries.append({"id": name, "name": figure.name, "file": f"{name}.vrm"})
    listing = json.dumps({"avatars": entries}, indent=2) + "\n"
    return made | {"avatars.json": listing.encode()}


if __name__ == "__main__":
    AVATARS.mkdir(exist_ok=True)
    for file, data in files().items():
        (AVATARS / file).write_bytes(data)
        print(f"{file:14} {len(data):7,} bytes")
