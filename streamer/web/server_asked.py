"""What only the Prefect server can tell of runs, asked on behalf of whoever asks us."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from streamer.run_details import ArtifactView, DeploymentDetails, RunDetails
from streamer.run_view import LogLine, TaskRunView
from streamer.web.endpoints import Endpoint, Part
from streamer.web.problems import Refusal

PAGE_MOST = 200
"""The most a Prefect server gives a request."""

OFFSET_MOST = 1_000_000

T = TypeVar("T")


class OfOne(BaseModel):
    """Of which one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: UUID


class PartOfRun(OfOne):
    """Of which run, how many to pass over, and how many to tell."""

    offset: Annotated[int, Field(ge=0, le=OFFSET_MOST)] = 0
    limit: Annotated[int, Field(ge=1, le=PAGE_MOST)] = PAGE_MOST


class LinesOfRun(PartOfRun):
    """Of which run, how many lines to pass over, how many to tell, and which first."""

    newest_first: bool = False


@dataclass(frozen=True, slots=True)
class TaskRunPlace:
    """The run that a task run belongs to; null if the server knows none."""

    id: UUID
    run: UUID | None


class RunServer(Protocol):
    """What asks the Prefect server; raises `SourceError` if that cannot be asked."""

    async def logs(self, run: UUID, *, offset: int, limit: int, newest_first: bool = False) -> Sequence[LogLine]:
        """Return some lines of the log of a run and its tasks, by time."""
        ...

    async def task_runs(self, run: UUID, *, offset: int, limit: int) -> Sequence[TaskRunView]:
        """Return some task runs of a run, in the order in which they were expected to start."""
        ...

    async def artifacts(self, run: UUID, *, offset: int, limit: int) -> Sequence[ArtifactView]:
        """Return some artifacts of a run and its tasks, by id."""
        ...

    async def details(self, run: UUID) -> RunDetails | None:
        """Return what no event tells of a run; None if the server does not know it."""
        ...

    async def deployment(self, deployment: UUID) -> DeploymentDetails | None:
        """Return what no event tells of a deployment; None if the server does not know it."""
        ...

    async def run_of(self, task_run: UUID) -> UUID | None:
        """Return the run that a task run belongs to; None if the server knows none."""
        ...


@dataclass(frozen=True, slots=True)
class ServerAsked:
    """Answers by asking the server."""

    server: RunServer

    async def logs(self, asked: LinesOfRun) -> Part[LogLine]:
        """Return some lines of the log of a run."""
        found = await self.server.logs(
            asked.id, offset=asked.offset, limit=asked.limit, newest_first=asked.newest_first
        )
        return _part(found, asked)

    async def task_runs(self, asked: PartOfRun) -> Part[TaskRunView]:
        """Return some task runs of a run."""
        return _part(await self.server.task_runs(asked.id, offset=asked.offset, limit=asked.limit), asked)

    async def artifacts(self, asked: PartOfRun) -> Part[ArtifactView]:
        """Return some artifacts of a run."""
        return _part(await self.server.artifacts(asked.id, offset=asked.offset, limit=asked.limit), asked)

    async def details(self, asked: OfOne) -> RunDetails:
        """Return what no event tells of a run."""
        if found := await self.server.details(asked.id):
            return found
        hint = "is the run another server's, or was it deleted?"
        raise Refusal(404, f"the Prefect server knows no run {asked.id}", field="id", hint=hint)

    async def deployment(self, asked: OfOne) -> DeploymentDetails | None:
        """Return what no event tells of a deployment."""
        return await self.server.deployment(asked.id)

    async def run_of(self, asked: OfOne) -> TaskRunPlace:
        """Return where a task run belongs."""
        return TaskRunPlace(asked.id, await self.server.run_of(asked.id))


def _part(found: Sequence[T], asked: PartOfRun) -> Part[T]:
    """Return what was found; a full part may have another after it."""
    following = asked.offset + len(found)
    return Part(list(found), following if len(found) == asked.limit and following <= OFFSET_MOST else None)


def endpoints(server: RunServer) -> list[Endpoint[Any]]:
    """Return the questions that the Prefect server answers."""
    asked = ServerAsked(server)
    return [
        Endpoint(
            "/api/runs/{id}/logs",
            "The log of a run and its tasks, oldest first unless asked otherwise, from the Prefect server",
            LinesOfRun,
            Part[LogLine],
            asked.logs,
            (502,),
        ),
        Endpoint(
            "/api/runs/{id}/task_runs",
            "The task runs of a run, from the Prefect server",
            PartOfRun,
            Part[TaskRunView],
            asked.task_runs,
            (502,),
        ),
        Endpoint(
            "/api/runs/{id}/artifacts",
            "The artifacts of a run and its tasks, by id, from the Prefect server",
            PartOfRun,
            Part[ArtifactView],
            asked.artifacts,
            (502,),
        ),
        Endpoint(
            "/api/runs/{id}/details",
            "What no event tells of a run, such as its parameters, from the Prefect server",
            OfOne,
            RunDetails,
            asked.details,
            (404, 502),
        ),
        Endpoint(
            "/api/deployments/{id}/details",
            "The entrypoint and version of a deployment, from the Prefect server; null if it knows none",
            OfOne,
            DeploymentDetails | None,
            asked.deployment,
            (502,),
        ),
        Endpoint(
            "/api/task_runs/{id}",
            "The run that a task run belongs to, from the Prefect server",
            OfOne,
            TaskRunPlace,
            asked.run_of,
            (502,),
        ),
    ]
