"""The demo's files, served with the headers that keep a page to its own origin."""

from pathlib import Path

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vchat.page_policy import Beyond, beyond, page_policy
from vchat.provider_settings import ProviderSettings

_ROOT = Path(__file__).parent.parent
_MODULES = _ROOT / "demo" / "node_modules"
_FOLDERS = {
    "/demo": _ROOT / "demo",
    "/client": _ROOT / "client",
    "/vendor/three": _MODULES / "three",
    "/vendor/three-vrm": _MODULES / "@pixiv" / "three-vrm",
    "/vendor/livekit-client": _MODULES / "livekit-client" / "dist",
}
_SAFE = {"x-content-type-options": "nosniff", "cache-control": "no-cache"}
"""Files are what their names say, and a change is seen at the next reload."""


def elsewhere(relay_urls: tuple[str, ...], providers: ProviderSettings) -> Beyond:
    """Where the page has to go for what these settings turn on."""
    return beyond(
        relay_urls,
        voice=providers.livekit.url if providers.livekit else None,
        hub=providers.vroid is not None,
        hub_url=providers.vroid.hub if providers.vroid else None,
    )


def routes(allowed: Beyond) -> list[BaseRoute]:
    """`/` and the folders the page loads from; it may also go to what is `allowed`."""
    page = _ROOT / "demo" / "index.html"

    async def index(request: Request) -> Response:
        # A page served by us can forbid to be framed; in a <meta> that has no effect.
        policy = f"{page_policy(page.read_text(), allowed)}; frame-ancestors 'none'"
        return FileResponse(page, headers={"Content-Security-Policy": policy, **_SAFE})

    folders: list[BaseRoute] = [
        Mount(path, StaticFiles(directory=folder), middleware=[Middleware(_Safe)])
        for path, folder in _FOLDERS.items()
    ]
    return [Route("/", index), *folders]


class _Safe:
    """Middleware that says `_SAFE` of every file."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [(k.encode(), v.encode()) for k, v in _SAFE.items()]
            await send(message)

        await self._app(scope, receive, send_marked)
