"""What only the Prefect server can tell of runs, asked for by its REST."""

from functools import partial
from uuid import UUID

from streamer.errors import SourceError
from streamer.run_details import ArtifactView, DeploymentDetails, RunDetails
from streamer.run_view import LogLine, TaskRunView
from streamer.source import run_pages
from streamer.source.api import Api


class Server:
    """One Prefect server, as far as runs are concerned."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def logs(self, run: UUID, *, beyond: int = 0) -> list[LogLine]:
        """Return the log of a run and its tasks, oldest first, without its first lines."""
        return await run_pages.whole(run_pages.log_lines, self._api, run, beyond=beyond)

    async def last_lines(self, run: UUID, number: int) -> list[LogLine]:
        """Return the last lines of the log of a run and its tasks, oldest first."""
        pages = partial(run_pages.log_lines, newest_first=True)
        return (await run_pages.whole(pages, self._api, run, most=number))[::-1]

    async def task_runs(self, run: UUID) -> list[TaskRunView]:
        """Return the task runs of a run, in the order in which they were expected to start."""
        return await run_pages.whole(run_pages.task_runs, self._api, run)

    async def artifacts(self, run: UUID) -> list[ArtifactView]:
        """Return the artifacts of a run and its tasks."""
        return await run_pages.whole(run_pages.artifacts, self._api, run)

    async def details(self, run: UUID) -> RunDetails:
        """Return what no event tells of a run; raise `SourceError` if the server does not know it."""
        if found := await run_pages.run_details(self._api, run):
            return found
        where = self._api.connection.api_url
        raise SourceError(f"{where} knows no run {run}", hint="is the run another server's, or was it deleted?")

    async def deployment(self, ident: UUID) -> DeploymentDetails | None:
        """Return what no event tells of a deployment; None if it was deleted."""
        return await run_pages.deployment_details(self._api, ident)

    async def run_of(self, task_run: str) -> UUID | None:
        """Return the run that a task run belongs to; None if the server knows no more of it."""
        return await run_pages.run_of(self._api, task_run)
