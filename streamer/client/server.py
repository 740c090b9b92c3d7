"""What only the Prefect server can tell of runs, asked for by its REST."""

from collections.abc import Awaitable
from typing import Protocol, TypeVar
from uuid import UUID

from pydantic import ValidationError

from streamer.client.told import Told, ToldArtifact, ToldDeployment, ToldRun
from streamer.errors import ConnectionLost, SourceError
from streamer.run_view import LogLine, TaskRunView
from streamer.source import run_pages
from streamer.source.api import Api
from streamer.source.runs_api import Json, objects

T = TypeVar("T", bound=Told)
Item = TypeVar("Item")


class Pages(Protocol[Item]):
    """What there is of one run, some at a time."""

    def __call__(self, api: Api, run: UUID, /, *, offset: int, limit: int) -> Awaitable[list[Item]]:
        """Return as many as there are, up to the limit."""
        ...


class Server:
    """One Prefect server, as far as runs are concerned."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def logs(self, run: UUID) -> list[LogLine]:
        """Return the log of a run and its tasks, oldest first."""
        return await self._whole(run_pages.log_lines, run)

    async def task_runs(self, run: UUID) -> list[TaskRunView]:
        """Return the task runs of a run, in the order in which they were expected to start."""
        return await self._whole(run_pages.task_runs, run)

    async def artifacts(self, run: UUID) -> list[ToldArtifact]:
        """Return the artifacts of a run and its tasks, oldest first."""
        found = await self._whole(_artifacts, run)
        if not found:
            await self.flow_run(run)
        return sorted(found, key=lambda each: (each.created, each.id))

    async def flow_run(self, run: UUID) -> ToldRun:
        """Return what no event tells of a run; raise `SourceError` if the server does not know it."""
        for each in await self._these("flow_runs", str(run), sort="ID_DESC"):
            return _read(ToldRun, each)
        where = self._api.connection.api_url
        raise SourceError(f"{where} knows no run {run}", hint="is the run another server's, or was it deleted?")

    async def deployment(self, ident: str) -> ToldDeployment | None:
        """Return what no event tells of a deployment; None if it was deleted."""
        for each in await self._these("deployments", ident):
            return _read(ToldDeployment, each)
        return None

    async def run_of(self, task_run: str) -> UUID | None:
        """Return the run that a task run belongs to; None if the server knows no more of it."""
        for each in await self._these("task_runs", task_run):
            return UUID(each["flow_run_id"]) if each.get("flow_run_id") else None
        return None

    async def _whole(self, pages: Pages[Item], run: UUID) -> list[Item]:
        found: list[Item] = []
        while True:
            some = await pages(self._api, run, offset=len(found), limit=run_pages.PAGE_MOST)
            found += some
            if len(some) < run_pages.PAGE_MOST:
                return found

    async def _these(self, kind: str, ident: str, **more: str) -> list[Json]:
        body = {kind: {"id": {"any_": [ident]}}, **more}
        return objects(await self._api.request("POST", f"/{kind}/filter", json=body))


async def _artifacts(api: Api, run: UUID, *, offset: int, limit: int) -> list[ToldArtifact]:
    wanted = {"artifacts": {"flow_run_id": {"any_": [str(run)]}}, "sort": "ID_DESC", "offset": offset, "limit": limit}
    return [_read(ToldArtifact, each) for each in objects(await api.request("POST", "/artifacts/filter", json=wanted))]


def _read(kind: type[T], answer: object) -> T:
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        raise ConnectionLost(f"the server answered with something that is no {kind.__name__}: {error}") from error
