"""`/api/…`: questions about runs, answered from the store."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Protocol

import orjson
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamer.durations import Duration
from streamer.reports import Bucket

Answer = Callable[[], Awaitable[Any]]

_DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)


class History(Protocol):
    """The answer to a question about history; what cannot be asked is a `ValueError`."""

    async def __call__(self, *, since: timedelta, interval: timedelta, flows: Sequence[str]) -> Sequence[Bucket]:
        """Return the buckets up to now."""
        ...


def routes(zombies: Answer, history: History) -> list[Route]:
    """Return the routes; each asks its function at each request."""

    async def show_zombies(_: Request) -> Response:
        return _json({"runs": await zombies()})

    async def show_history(request: Request) -> Response:
        asked = request.query_params
        try:
            since, interval = (
                _DURATION.validate_python(asked.get(name, usual))
                for name, usual in (("since", "24h"), ("interval", "1h"))
            )
            return _json(await history(since=since, interval=interval, flows=asked.getlist("flow")))
        except ValidationError:
            return _json({"error": "since and interval are durations such as 15m, 24h or 7d"}, 400)
        except ValueError as error:
            return _json({"error": str(error)}, 400)

    return [Route("/api/zombies", show_zombies), Route("/api/history", show_history)]


def _json(content: object, status: int = 200) -> Response:
    return Response(orjson.dumps(content, option=orjson.OPT_UTC_Z), status, media_type="application/json")
