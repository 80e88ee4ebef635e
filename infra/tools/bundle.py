"""What is sent to Google: each deployable's files, from an allow-list, the same bytes every time.

    python -m infra.tools.bundle functions   # build/functions-<hash>.zip, for Cloud Functions
    python -m infra.tools.bundle relay       # build/relay/, the context of the image build

The last line printed is the path.
"""

import argparse
import hashlib
import re
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = {".py", ".lua", ".sql", ".json"}
_EPOCH = (1980, 1, 1, 0, 0, 0)
_NAME = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Bundle:
    """One deployable: the folders it takes, what it installs, and files put at its root.

    `requirements` are names in requirements.txt; their pins are taken from there.
    """

    folders: tuple[str, ...]
    requirements: frozenset[str]
    extra: Mapping[str, str]


BUNDLES = {
    "functions": Bundle(
        folders=("adapters", "functions", "vchat"),
        requirements=frozenset(
            {
                "PyJWT",
                "cryptography",
                "functions-framework",
                "google-cloud-firestore",
                "google-cloud-pubsub",
                "httpx",
                "joserfc",
                "livekit-api",
                "msgspec",
                "redis",
                "starlette",
            }
        ),
        extra={"main.py": "infra/images/main.py"},
    ),
    "relay": Bundle(
        folders=("adapters", "relay", "vchat"),
        requirements=frozenset(
            {
                "PyJWT",
                "cryptography",
                "google-cloud-pubsub",
                "httptools",
                "httpx",
                "msgspec",
                "prometheus-client",
                "redis",
                "sse-starlette",
                "starlette",
                "uvicorn",
                "uvloop",
                "websockets",
            }
        ),
        extra={
            "Dockerfile": "relay/Dockerfile",
            "cloudbuild.yaml": "infra/images/cloudbuild.yaml",
        },
    ),
}


def contents(bundle: Bundle, root: Path = ROOT) -> dict[str, bytes]:
    """Every file of the bundle by its path inside it, sorted."""
    found = {
        str(path.relative_to(root)): path.read_bytes()
        for folder in bundle.folders
        for path in (root / folder).rglob("*")
        if path.suffix in SUFFIXES and path.is_file() and not path.is_symlink()
    }
    for name, source in bundle.extra.items():
        found[name] = (root / source).read_bytes()
    found["requirements.txt"] = requirements(bundle, root).encode()
    return dict(sorted(found.items()))


def requirements(bundle: Bundle, root: Path = ROOT) -> str:
    """The bundle's lines of requirements.txt, without their comments."""
    kept = []
    for line in (root / "requirements.txt").read_text().splitlines():
        pin = line.partition("#")[0].strip()
        name = _NAME.match(pin)
        if name and name[0] in bundle.requirements:
            kept.append(pin + "\n")
    return "".join(kept)


def digest(files: Mapping[str, bytes]) -> str:
    """16 hexadecimal digits that change whenever a name or a byte does."""
    whole = hashlib.sha256()
    for name, content in files.items():
        whole.update(f"{name}\0{len(content)}\0".encode())
        whole.update(content)
    return whole.hexdigest()[:16]


def archive(files: Mapping[str, bytes], folder: Path) -> Path:
    """Write `functions-<hash>.zip`: sorted, with fixed times and modes."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"functions-{digest(files)}.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(entry, content)
    return path


def stage(files: Mapping[str, bytes], folder: Path) -> Path:
    """Write the files into a folder, in place of all it held."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", choices=sorted(BUNDLES))
    parser.add_argument("--into", type=Path, default=ROOT / "build")
    asked = parser.parse_args()
    files = contents(BUNDLES[asked.bundle])
    if asked.bundle == "functions":
        path = archive(files, asked.into)
    else:
        path = stage(files, asked.into / "relay")
    print(f"{len(files)} files, {sum(map(len, files.values())) / 1024:.0f} KiB")
    print(path)


if __name__ == "__main__":
    main()
