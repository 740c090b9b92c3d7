"""A Prefect server's REST that answers at once: events are bytes that were made before, and runs are found by id.

A page of 50 events is two bisections and a join of their bytes, so that what is measured is who reads them.
"""

import time
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Self

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamer.protocol import PAGE_SIZE
from streamer.testing.run_tables import RunTables
from streamer.testing.serving import Serving
from streamer.timestamps import to_micros


class QuickRest:
    """`async with QuickRest() as rest:` — it is at `rest.url`; it has `events`, and `tables` of runs."""

    def __init__(self) -> None:
        self.events = Events()
        self.tables = _Tables()
        self.clock_ahead = timedelta()
        self._serving = Serving(self._app())
        self.url = self._serving.url

    async def __aenter__(self) -> Self:
        await self._serving.__aenter__()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._serving.__aexit__(*raised)

    def now(self) -> datetime:
        """Return the server's time."""
        return datetime.now(UTC) + self.clock_ahead

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/api/events/filter", self._answer_events, methods=["POST"]),
                Route("/api/admin/settings", self._answer_settings),
                *(Route(path, answer, methods=[method]) for method, path, answer in self.tables.endpoints()),
            ]
        )

    async def _answer_events(self, request: Request) -> Response:
        wanted = orjson.loads(await request.body())
        page = self.events.page(wanted["filter"], wanted.get("limit", PAGE_SIZE))
        return _json(page, Date=format_datetime(self.now(), usegmt=True))

    async def _answer_settings(self, _: Request) -> Response:
        return _json(orjson.dumps({"server": {"events": {"retention_period": "P7D"}}}))


class Events:
    """What happened, by time."""

    def __init__(self) -> None:
        self._times: list[int] = []
        self._bodies: list[bytes] = []
        self._places: dict[str, int] = {}
        self.asked_at: float | None = None
        """When somebody first asked, by `time.monotonic`; None makes it the next time."""

    def add(self, ident: str, occurred: datetime, body: bytes) -> None:
        """Add what happened after all that is there."""
        self._places[ident] = len(self._times)
        self._times.append(to_micros(occurred))
        self._bodies.append(body)

    def page(self, wanted: dict[str, Any], limit: int) -> bytes:
        """Return the first of those that are wanted, oldest first; there is no second page, nobody asks for one."""
        self.asked_at = self.asked_at or time.monotonic()
        found = self._found(wanted)
        return b'{"events":[%b],"total":%d,"next_page":null}' % (
            b",".join([self._bodies[place] for place in found[:limit]]),
            len(found),
        )

    def _found(self, wanted: dict[str, Any]) -> Sequence[int]:
        since, until = (to_micros(datetime.fromisoformat(wanted["occurred"][bound])) for bound in ("since", "until"))
        between = range(bisect_left(self._times, since), bisect_right(self._times, until))
        if "id" not in wanted:
            return between
        places = (self._places.get(each, -1) for each in wanted["id"]["id"])
        return sorted(place for place in places if place in between)


class _Tables(RunTables):
    """Tables that look runs up that are asked for by id: the more there are, the longer a look at all takes."""

    async def _answer_runs(self, request: Request) -> Response:
        body = orjson.loads(await request.body())
        if body["flow_runs"].keys() != {"id"}:
            return await super()._answer_runs(request)
        found = [self.runs[each] for each in body["flow_runs"]["id"]["any_"] if each in self.runs]
        return _json(orjson.dumps(found[body["offset"] : body["offset"] + body["limit"]]))


def _json(body: bytes, **headers: str) -> Response:
    return Response(body, headers=headers, media_type="application/json")
