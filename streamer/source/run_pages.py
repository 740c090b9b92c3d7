"""What the server's REST alone tells of one run, page by page: the lines of its log, and its task runs."""

from typing import TypeVar
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from streamer.errors import ConnectionLost
from streamer.run_view import LogLine, TaskRunView
from streamer.source.api import Api

PAGE_MOST = 200
"""The most a Prefect server gives a request."""

T = TypeVar("T")

_LINES = TypeAdapter(list[LogLine])
_TASK_RUNS = TypeAdapter(list[TaskRunView])


async def log_lines(api: Api, run: UUID, *, offset: int, limit: int) -> list[LogLine]:
    """Return some lines of the log of a run and its tasks, oldest first; none of a run that there is not."""
    wanted = {"logs": {"flow_run_id": {"any_": [str(run)]}}, "sort": "TIMESTAMP_ASC", "offset": offset, "limit": limit}
    return _read(_LINES, await api.request("POST", "/logs/filter", json=wanted))


async def task_runs(api: Api, run: UUID, *, offset: int, limit: int) -> list[TaskRunView]:
    """Return some task runs of a run, those first that were expected to start first; none of one that there is not."""
    of_run = {"flow_runs": {"id": {"any_": [str(run)]}}}
    wanted = {**of_run, "sort": "EXPECTED_START_TIME_ASC", "offset": offset, "limit": limit}
    return _read(_TASK_RUNS, await api.request("POST", "/task_runs/filter", json=wanted))


def _read(adapter: TypeAdapter[list[T]], body: bytes) -> list[T]:
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        raise ConnectionLost(f"the server answered with something that was not asked for: {body[:80]!r}") from error
