"""`/api/…`: questions about runs, sinks and alerts."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Annotated, Any, Protocol

import orjson
from pydantic import Field, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schemas import to_json
from streamer.durations import Duration
from streamer.model import Record
from streamer.reports import Bucket

Answer = Callable[[], Awaitable[Any]]

LETTERS_SHOWN = 100
LETTERS_MOST = 10_000

_DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)
_LIMIT: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(ge=1, le=LETTERS_MOST)])


class History(Protocol):
    """The answer to a question about history; what cannot be asked is a `ValueError`."""

    async def __call__(self, *, since: timedelta, interval: timedelta, flows: Sequence[str]) -> Sequence[Bucket]:
        """Return the buckets up to now."""
        ...


class DeadLetters(Protocol):
    """What sinks have refused for good."""

    async def buried(self, sink: str | None = None, *, limit: int | None = None) -> Sequence[object]:
        """Return what one sink, or any, has refused, newest first."""
        ...

    async def buried_records(self, sink: str, seqs: Sequence[int]) -> Sequence[Record]:
        """Return these of the records that a sink has refused."""
        ...

    async def dead_letters(self, sink: str | None = None) -> int:
        """Return how many records one sink, or any, has refused."""
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


def sink_routes(sinks: Answer, letters: DeadLetters) -> list[Route]:
    """Return the routes of questions about sinks and what they refused; nothing is changed by them."""

    async def show_sinks(_: Request) -> Response:
        return _json({"sinks": await sinks()})

    async def show_letters(request: Request) -> Response:
        sink = request.query_params.get("sink")
        try:
            limit = _LIMIT.validate_python(request.query_params.get("limit", LETTERS_SHOWN))
        except ValidationError:
            return _json({"error": f"limit is a number from 1 to {LETTERS_MOST}"}, 400)
        buried = await letters.buried(sink, limit=limit)
        return _json({"total": await letters.dead_letters(sink), "dead_letters": buried})

    async def show_letter(request: Request) -> Response:
        sink, seq = request.path_params["sink"], request.path_params["seq"]
        for record in await letters.buried_records(sink, [seq]):
            return Response(to_json(record.seq, record.source, record.event), media_type="application/json")
        return _json({"error": f"{sink} has no dead letter {seq}"}, 404)

    return [
        Route("/api/sinks", show_sinks),
        Route("/api/dead-letters", show_letters),
        Route("/api/dead-letters/{sink:path}/{seq:int}", show_letter),
    ]


def alert_routes(alerts: Answer, silences: Answer) -> list[Route]:
    """Return the routes of questions about alerts; nothing is changed by them."""

    async def show_alerts(_: Request) -> Response:
        return _json({"alerts": await alerts()})

    async def show_silences(_: Request) -> Response:
        return _json({"silences": await silences()})

    return [Route("/api/alerts", show_alerts), Route("/api/alerts/silences", show_silences)]


def _json(content: object, status: int = 200) -> Response:
    return Response(orjson.dumps(content, option=orjson.OPT_UTC_Z), status, media_type="application/json")
