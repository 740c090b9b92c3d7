"""Questions over HTTP asked of an app in this process."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.applications import Starlette

from streamer.web.endpoints import Endpoint, routes
from streamer.web.problems import HANDLERS

MEDIA_TYPE = "application/problem+json"


@asynccontextmanager
async def asking(endpoints: Iterable[Endpoint[Any]]) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of an app that answers these questions."""
    app = Starlette(routes=routes(endpoints), exception_handlers=HANDLERS)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://streamer") as client:
        yield client


def problem(answer: httpx.Response) -> dict[str, Any]:
    """Return what an answer says is wrong, which is as RFC 9457 has it."""
    assert answer.headers["content-type"] == MEDIA_TYPE
    said: dict[str, Any] = answer.json()
    assert (said["type"], said["status"]) == ("about:blank", answer.status_code)
    assert said["title"]
    return said
