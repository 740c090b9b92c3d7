"""What the server's REST tells of runs, their states, and the names of what they belong to."""

from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from pydantic import TypeAdapter

from schemas import StateType
from streamer.errors import ConnectionLost, RequestRefused
from streamer.source.api import Api

PAGE_SIZE = 200
"""The most a Prefect server gives a request for runs."""

USUAL_RETENTION = timedelta(days=7)

UNFINISHED = [each.value for each in StateType if not each.is_terminal]

Json = dict[str, Any]

_DURATION = TypeAdapter(timedelta)


class RunsApi:
    """Runs as the server has them; names of flows and deployments are asked for once."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._names: dict[str, str] = {}

    async def retention(self) -> timedelta:
        """Return how long the server keeps events; Prefect's default where it does not tell."""
        try:
            answer = orjson.loads(await self._api.request("GET", "/admin/settings"))
            return _DURATION.validate_python(answer["server"]["events"]["retention_period"])
        except (RequestRefused, KeyError, TypeError, ValueError):
            return USUAL_RETENTION

    async def unfinished(self) -> AsyncIterator[list[Json]]:
        """Yield the runs that have not ended, page by page: they may be many."""
        async for page in self._pages({"state": {"type": {"any_": UNFINISHED}}}, sort="ID_DESC"):
            yield page

    async def ended_since(self, moment: datetime) -> AsyncIterator[list[Json]]:
        """Yield the runs that ended after a time, page by page."""
        async for page in self._pages({"end_time": {"after_": moment.isoformat()}}, sort="END_TIME_DESC"):
            yield page

    async def with_ids(self, ids: Collection[UUID]) -> AsyncIterator[Json]:
        """Yield those of these runs that there are; a deleted one is not."""
        wanted = sorted(map(str, ids))
        for start in range(0, len(wanted), PAGE_SIZE):
            some = wanted[start : start + PAGE_SIZE]
            async for page in self._pages({"id": {"any_": some}}, sort="ID_DESC"):
                for run in page:
                    yield run

    async def states(self, run: str) -> list[Json]:
        """Return the states of a run: the authority on what happened to it."""
        try:
            return objects(await self._api.request("GET", "/flow_run_states/", params={"flow_run_id": run}))
        except RequestRefused:
            return []

    async def names(self, run: Json) -> dict[str, str]:
        """Return the names of a run's flow and deployment by id."""
        await self._learn("flows", run.get("flow_id"))
        await self._learn("deployments", run.get("deployment_id"))
        return self._names

    async def _learn(self, kind: str, ident: str | None) -> None:
        if ident and ident not in self._names:
            body = {kind: {"id": {"any_": [ident]}}}
            for found in objects(await self._api.request("POST", f"/{kind}/filter", json=body)):
                self._names[found["id"]] = found["name"]

    async def _pages(self, wanted: Json, *, sort: str) -> AsyncIterator[list[Json]]:
        offset = 0
        while True:
            body = {"flow_runs": wanted, "sort": sort, "limit": PAGE_SIZE, "offset": offset}
            page = objects(await self._api.request("POST", "/flow_runs/filter", json=body))
            yield page
            if len(page) < PAGE_SIZE:
                return
            offset += PAGE_SIZE


def objects(body: bytes) -> list[Json]:
    """Return the objects of an answer; one that is no list of them is as if the server had not answered."""
    with suppress(orjson.JSONDecodeError):
        answer = orjson.loads(body)
        if isinstance(answer, list) and all(isinstance(each, dict) for each in answer):
            return answer
    raise ConnectionLost(f"the server answered with something that is no list of objects: {body[:80]!r}")
