"""The live page: one document for all its addresses, and the files that it is made of."""

from collections.abc import Awaitable, Callable
from os import PathLike
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from streamer.web.standing import StandingView

HERE = Path(__file__).parent
ADDRESSES = ("/", "/dead-letters", "/runs/{id}", "/deployments/{id}")
"""The script finds out from the address what to show."""

_POLICY = (
    *("default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' data:"),
    *("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"),
    *("require-trusted-types-for 'script'", "trusted-types 'none'"),  # no text can become markup, whatever we do
)
_HEADERS = {
    "Content-Security-Policy": "; ".join(_POLICY),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def routes(standing: Callable[[], Awaitable[StandingView]]) -> list[BaseRoute]:
    """Return the routes of the page; it says how things stand before its script does."""
    templates = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True)
    page = templates.get_template("page.html")

    async def show(request: Request) -> Response:
        # All addresses in it are relative, so that a proxy may serve it below any path.
        root = "../" * (request.url.path.count("/") - 1) or "./"
        return HTMLResponse(page.render(root=root, standing=await standing()), headers=_HEADERS)

    files = Mount("/static", _Files(directory=HERE / "static"), name="static")
    return [files, *(Route(address, show) for address in ADDRESSES)]


class _Files(StaticFiles):
    """Files that a browser asks after each time, since a newer version may have others of the same name."""

    def file_response(self, full_path: str | PathLike[str], *about: Any, **more: Any) -> Response:
        """Return a file, and what a browser may do with it."""
        response = super().file_response(full_path, *about, **more)
        response.headers.update(_HEADERS)
        return response
