"""The service over HTTP: metrics, health, and whatever more there is."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import anyio.to_thread
import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from streamer.metrics.counters import Metrics
from streamer.web.problems import HANDLERS


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """One source as `/readyz` and the page show it; `mode` is `live`, or `rest` while there is no websocket.

    A replica that stands by has it from the store, and the mode is `store`. If something is `missing`, it is not ready.
    """

    name: str
    url: str
    mode: str
    connected: bool
    caught_up: bool
    problem: str | None
    watermark: datetime | None
    missing: str | None = None


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """One sink as the page shows it."""

    name: str
    acked: int
    behind: int


class Role(StrEnum):
    """What a service does for its store: one leads, and writes it; others stand by, and answer from it."""

    LEADER = "leader"
    STANDBY = "standby"


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the service; `trouble` is what keeps all of it from being ready."""

    version: str
    sources: list[SourceStatus]
    sinks: list[SinkStatus]
    head: int
    trouble: str | None = None
    role: Role = Role.LEADER

    @property
    def is_ready(self) -> bool:
        """Tell whether there is no trouble, and some source is ready: one that is down is not in the others' way."""
        return not self.trouble and any(not each.missing for each in self.sources)

    @property
    def missing(self) -> list[str]:
        """Return what is missing, in words."""
        of_sources = [f"source {each.name}: {each.missing}" for each in self.sources if each.missing]
        trouble = self.trouble or (None if self.sources else "no source yet")
        return [*of_sources, *([trouble] if trouble else [])]


def create_app(
    metrics: Metrics,
    status: Callable[[], Status],
    more: Iterable[BaseRoute] = (),
    *,
    middleware: Sequence[Middleware] = (),
) -> Starlette:
    """Return the ASGI app; `status` is asked at each request, `more` is more routes.

    The `middleware` stands before it, and sees to it who may ask.
    """

    async def show_metrics(request: Request) -> Response:
        accept = request.headers.get("accept", "")
        if (now := status()).role is Role.STANDBY and now.trouble:
            return PlainTextResponse(f"{now.trouble}, so that these would be old\n", status_code=503)
        body, content_type = await anyio.to_thread.run_sync(metrics.exposition, accept)
        return Response(body, headers={"Content-Type": content_type})

    async def live(_: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(_: Request) -> Response:
        now = status()
        body: dict[str, Any] = {"ready": now.is_ready, "missing": now.missing, **asdict(now)}
        return Response(orjson.dumps(body), status_code=200 if now.is_ready else 503, media_type="application/json")

    return Starlette(
        routes=[
            Route("/metrics", show_metrics),
            Route("/livez", live),
            Route("/readyz", ready),
            *more,
        ],
        middleware=middleware,
        exception_handlers=HANDLERS,
    )
