"""The demo as a folder of files: the page, the SDK, and only what they load of three.js.

Where the API is not under the page's own origin, the page says so in `<meta name="vchat-api">`.
"""

import html
import json
import re
import shutil
from pathlib import Path

from infra.tools.bundle import ROOT
from infra.tools.commands import Stopped
from vchat.page_policy import Beyond, page_policy

_MAP = re.compile(r'<script type="importmap">(.*?)</script>', re.DOTALL)
_IMPORT = re.compile(r"""\b(?:from|import)\s*\(?\s*["']([^"']+)["']""")
_AT_HOME = {
    "/demo/": ROOT / "demo",
    "/client/": ROOT / "client",
    "/vendor/three/": ROOT / "demo" / "node_modules" / "three",
    "/vendor/three-vrm/": ROOT / "demo" / "node_modules" / "@pixiv" / "three-vrm",
    "/vendor/livekit-client/": ROOT / "demo" / "node_modules" / "livekit-client" / "dist",
}
"""Where the page's addresses lie in the repository, as the local server has them."""
_SHIPPED = {".js", ".css", ".svg", ".png", ".vrm", ".json"}
_PRIVATE = {"node_modules", "tests", "tailor"}
_CONFIGURATION = {"package.json", "package-lock.json", "tsconfig.json"}


def stage(folder: Path, api_url: str, allowed: Beyond) -> Path:
    """Fill a folder with the page, told its api and where it may go. Raises Stopped."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    text = (ROOT / "demo" / "index.html").read_text()
    (folder / "index.html").write_text(configured(text, api_url, allowed))
    addresses = _own_files()
    if not any(
        "vchat-api" in source_of(name).read_text() for name in addresses if name.endswith(".js")
    ):
        raise Stopped('The page does not read <meta name="vchat-api">: it would not find its api.')
    found = _MAP.search(text)
    if found is None:
        raise Stopped("demo/index.html has no import map.")
    for address in reachable(json.loads(found[1])["imports"], addresses):
        target = folder / address.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source_of(address), target)
    return folder


def configured(text: str, api_url: str, allowed: Beyond) -> str:
    """index.html with the api's address, and a policy that lets it go nowhere else."""
    policy = page_policy(text, allowed)
    metas = (
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n    '
        f'<meta name="vchat-api" content="{html.escape(api_url)}">\n    '
    )
    # The policy comes first: it rules only what follows it.
    return re.sub(r"(<meta charset=[^>]+>\s*)", lambda m: m[1] + metas, text, count=1)


def source_of(address: str) -> Path:
    """The file in the repository behind an address of the page. Raises Stopped."""
    for prefix, folder in _AT_HOME.items():
        if address.startswith(prefix):
            path = folder / address.removeprefix(prefix)
            if path.is_file():
                return path
    hint = "\n  Run: npm ci --prefix demo" if address.startswith("/vendor/") else ""
    raise Stopped(f"The page wants {address}, which is not there.{hint}")


def reachable(imports: dict[str, str], start: set[str]) -> set[str]:
    """`start` and every module that they come to import, as addresses."""
    todo, found = list(start), set[str]()
    while todo:
        address = todo.pop()
        if address in found:
            continue
        found.add(address)
        if address.endswith(".js"):
            for name in _IMPORT.findall(source_of(address).read_text()):
                target = _resolved(imports, address, name)
                if target:
                    todo.append(target)
    return found


def _own_files() -> set[str]:
    return {
        f"/{path.relative_to(ROOT).as_posix()}"
        for folder in ("demo", "client")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
        and path.suffix in _SHIPPED
        and path.name not in _CONFIGURATION
        and _PRIVATE.isdisjoint(path.relative_to(ROOT).parts)
    }


def _resolved(imports: dict[str, str], address: str, name: str) -> str | None:
    if name.startswith("."):
        return (Path(address).parent / name).resolve().as_posix()
    if name in imports:
        return imports[name]
    for prefix, target in imports.items():
        if prefix.endswith("/") and name.startswith(prefix):
            return target + name.removeprefix(prefix)
    return None
