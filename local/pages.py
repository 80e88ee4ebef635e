"""The demo's files, served with the headers that keep a page to its own origin."""

import base64
import hashlib
import re
from pathlib import Path

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ROOT = Path(__file__).parent.parent
_MODULES = _ROOT / "demo" / "node_modules"
_FOLDERS = {
    "/demo": _ROOT / "demo",
    "/client": _ROOT / "client",
    "/vendor/three": _MODULES / "three",
    "/vendor/three-vrm": _MODULES / "@pixiv" / "three-vrm",
}
_IMPORT_MAP = re.compile(rb'<script type="importmap"[^>]*>(.*?)</script>', re.DOTALL)


def routes(relay_urls: tuple[str, ...]) -> list[BaseRoute]:
    """`/` and the folders the page loads from; it may connect to itself and to the relays."""
    page = _ROOT / "demo" / "index.html"

    async def index(request: Request) -> Response:
        return FileResponse(page, headers={"Content-Security-Policy": policy(page, relay_urls)})

    folders: list[BaseRoute] = [
        Mount(path, StaticFiles(directory=folder), middleware=[Middleware(_Safe)])
        for path, folder in _FOLDERS.items()
    ]
    return [Route("/", index), *folders]


def policy(page: Path, relay_urls: tuple[str, ...]) -> str:
    """A Content-Security-Policy: nothing inline but the import map, nothing from elsewhere."""
    found = _IMPORT_MAP.search(page.read_bytes())
    digest = hashlib.sha256(found[1] if found else b"").digest()
    import_map = base64.b64encode(digest).decode()
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' 'sha256-{import_map}'",
            f"connect-src 'self' blob: data: {' '.join(relay_urls)}",
            "img-src 'self' blob: data:",
            "style-src 'self'",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


class _Safe:
    """Files are what their names say, and a change is seen at the next reload."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [
                    (b"x-content-type-options", b"nosniff"),
                    (b"cache-control", b"no-cache"),
                ]
            await send(message)

        await self._app(scope, receive, send_marked)
