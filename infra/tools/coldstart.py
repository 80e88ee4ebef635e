"""Prints what a cold start of the relay is made of: its packages' size, and start to first answer.

    python -m infra.tools.coldstart

Without bytecode is what an image without `compileall` would do at every start. Numbers of this
machine, to compare with each other; nothing here measures Google.
"""

import importlib.metadata
import re
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path

from infra.tools import bundle
from infra.tools.started import started

ROUNDS = 5


def distributions(names: frozenset[str]) -> set[str]:
    """These and whatever they bring along, as far as it is installed here."""
    todo, found = set(names), dict[str, str]()
    while todo:
        name = todo.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in found:
            continue
        try:
            required = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform, or not needed by any line of requirements.txt
        found[key] = name
        for line in required:
            match = re.match(r"[A-Za-z0-9._-]+", line)
            if match and "extra ==" not in line:
                todo.add(match[0])
    return set(found.values())


def size(name: str) -> int:
    """Bytes of a distribution's files, bytecode left out."""
    return sum(
        Path(str(file.locate())).stat().st_size
        for file in importlib.metadata.files(name) or []
        if file.suffix != ".pyc" and Path(str(file.locate())).is_file()
    )


def first_answer(folder: Path, settings: dict[str, str]) -> float:
    """Seconds from the start of the process to its first answer."""
    began = time.monotonic()
    with started("relay", folder, settings) as base:
        urllib.request.urlopen(f"{base}/live", timeout=20).close()  # noqa: S310 - a loopback
        return time.monotonic() - began


def main() -> None:
    relay = bundle.BUNDLES["relay"]
    sizes = sorted(((size(name), name) for name in distributions(relay.requirements)), reverse=True)
    print(f"packages  {sum(bytes_ for bytes_, _ in sizes) / 1e6:.1f} MB, the largest:")
    for bytes_, name in sizes[:5]:
        print(f"          {bytes_ / 1e6:6.1f} MB  {name}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = bundle.stage(bundle.contents(relay), Path(temporary) / "relay")
        empty = Path(temporary) / "empty"
        # An empty cache folder hides the bytecode that lies beside the sources.
        without = {"PYTHONPYCACHEPREFIX": str(empty), "PYTHONDONTWRITEBYTECODE": "1"}
        first_answer(folder, {})  # writes the bytecode
        for title, settings in (("with bytecode", {}), ("without bytecode", without)):
            seconds = statistics.median(first_answer(folder, settings) for _ in range(ROUNDS))
            print(f"start to first answer, {title:16}  {seconds * 1000:5.0f} ms")


if __name__ == "__main__":
    main()
