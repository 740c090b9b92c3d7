"""The service over HTTP: metrics, health, and a plain page."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio.to_thread
import orjson
from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from streamer.metrics.counters import Metrics
from streamer.model import Record
from streamer.web.problems import HANDLERS

_SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """One source as `/readyz` and the page show it; `mode` is `live`, or `rest` while there is no websocket."""

    name: str
    url: str
    mode: str
    connected: bool
    caught_up: bool
    problem: str | None
    watermark: datetime | None


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """One sink as the page shows it."""

    name: str
    acked: int
    behind: int


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the service; `missing` is empty when it is ready."""

    version: str
    sources: list[SourceStatus]
    sinks: list[SinkStatus]
    head: int
    missing: list[str] = field(default_factory=list)

    @property
    def is_ready(self) -> bool:
        """Tell whether all sources are connected and caught up."""
        return not self.missing


def create_app(
    metrics: Metrics,
    status: Callable[[], Status],
    newest: Callable[[], list[Record]],
    more: Iterable[BaseRoute] = (),
    *,
    firing: Callable[[], Sequence[object]] = list,
    middleware: Sequence[Middleware] = (),
) -> Starlette:
    """Return the ASGI app; `status`, `newest` and what is `firing` are asked at each request, `more` is more routes.

    The `middleware` stands before it, and sees to it who may ask.
    """
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)
    page = templates.get_template("status.html")

    async def show_metrics(request: Request) -> Response:
        accept = request.headers.get("accept", "")
        body, content_type = await anyio.to_thread.run_sync(metrics.exposition, accept)
        return Response(body, headers={"Content-Type": content_type})

    async def live(_: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(_: Request) -> Response:
        now = status()
        body: dict[str, Any] = {"ready": now.is_ready, **asdict(now)}
        return Response(orjson.dumps(body), status_code=200 if now.is_ready else 503, media_type="application/json")

    async def show_page(_: Request) -> Response:
        return HTMLResponse(page.render(status=status(), records=newest(), alerts=firing()), headers=_SECURITY)

    return Starlette(
        routes=[
            Route("/", show_page),
            Route("/metrics", show_metrics),
            Route("/livez", live),
            Route("/readyz", ready),
            *more,
        ],
        middleware=middleware,
        exception_handlers=HANDLERS,
    )
