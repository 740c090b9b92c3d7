"""What the server's REST alone tells of runs: what there is many of, page by page, and details."""

from collections.abc import Awaitable
from typing import Any, Protocol, TypeVar
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from streamer.errors import ConnectionLost
from streamer.run_details import ArtifactView, DeploymentDetails, RunDetails, TaskRunDetails
from streamer.run_view import LogLine, TaskRunView
from streamer.source.api import Api

PAGE_MOST = 200
"""The most a Prefect server gives a request."""

T = TypeVar("T")

_LINES = TypeAdapter(list[LogLine])
_TASK_RUNS = TypeAdapter(list[TaskRunView])
_ARTIFACTS = TypeAdapter(list[ArtifactView])
_RUNS = TypeAdapter(list[RunDetails])
_DEPLOYMENTS = TypeAdapter(list[DeploymentDetails])
_PLACES = TypeAdapter(list[TaskRunDetails])


class Pages(Protocol[T]):
    """What there is of one run, some at a time."""

    def __call__(self, api: Api, run: UUID, /, *, offset: int, limit: int) -> Awaitable[list[T]]:
        """Return as many as there are, up to the limit."""
        ...


async def log_lines(api: Api, run: UUID, *, offset: int, limit: int, newest_first: bool = False) -> list[LogLine]:
    """Return some lines of the log of a run and its tasks, by time; none of a run that there is not."""
    sort = "TIMESTAMP_DESC" if newest_first else "TIMESTAMP_ASC"
    wanted = {"logs": {"flow_run_id": {"any_": [str(run)]}}, "sort": sort, "offset": offset, "limit": limit}
    return _read(_LINES, await api.request("POST", "/logs/filter", json=wanted))


async def task_runs(api: Api, run: UUID, *, offset: int, limit: int) -> list[TaskRunView]:
    """Return some task runs of a run, those first that were expected to start first; none of one that there is not."""
    of_run = {"flow_runs": {"id": {"any_": [str(run)]}}}
    wanted = {**of_run, "sort": "EXPECTED_START_TIME_ASC", "offset": offset, "limit": limit}
    return _read(_TASK_RUNS, await api.request("POST", "/task_runs/filter", json=wanted))


async def artifacts(api: Api, run: UUID, *, offset: int, limit: int) -> list[ArtifactView]:
    """Return some artifacts of a run and its tasks, by id; none of a run that there is not."""
    wanted = {"artifacts": {"flow_run_id": {"any_": [str(run)]}}, "sort": "ID_DESC", "offset": offset, "limit": limit}
    return _read(_ARTIFACTS, await api.request("POST", "/artifacts/filter", json=wanted))


async def whole(pages: Pages[T], api: Api, run: UUID, *, beyond: int = 0, most: int | None = None) -> list[T]:
    """Return all there is of a run, or so many beyond the first, page by page."""
    found: list[T] = []
    while most is None or len(found) < most:
        some = await pages(api, run, offset=beyond + len(found), limit=PAGE_MOST)
        found += some
        if len(some) < PAGE_MOST:
            break
    return found[:most]


async def run_details(api: Api, run: UUID) -> RunDetails | None:
    """Return what no event tells of a run; None if the server does not know it."""
    found = _read(_RUNS, await _these(api, "flow_runs", str(run), sort="ID_DESC"))
    return found[0] if found else None


async def deployment_details(api: Api, deployment: UUID) -> DeploymentDetails | None:
    """Return what no event tells of a deployment; None if the server does not know it."""
    found = _read(_DEPLOYMENTS, await _these(api, "deployments", str(deployment)))
    return found[0] if found else None


async def run_of(api: Api, task_run: str) -> UUID | None:
    """Return the run that a task run belongs to; None if the server knows none."""
    found = _read(_PLACES, await _these(api, "task_runs", task_run))
    return found[0].flow_run_id if found else None


async def _these(api: Api, kind: str, ident: str, **more: Any) -> bytes:
    return await api.request("POST", f"/{kind}/filter", json={kind: {"id": {"any_": [ident]}}, **more})


def _read(adapter: TypeAdapter[list[T]], body: bytes) -> list[T]:
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        raise ConnectionLost(f"the server answered with something that was not asked for: {body[:80]!r}") from error
