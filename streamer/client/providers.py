"""Who answers the client: a store, or a service. Both answer the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from streamer.questions import Count, DeploymentQuery, FlowQuery, RunQuery
from streamer.reports import Bucket
from streamer.run_details import ArtifactView, DeploymentDetails, RunDetails
from streamer.run_view import HeartbeatView, LogLine, RunView, TaskRunView, TransitionView
from streamer.summary_view import DeploymentView, FlowView


@dataclass(frozen=True, slots=True)
class RunPage:
    """Some of the runs, in order; `next` is the cursor of the page after this one."""

    items: Sequence[RunView]
    next: str | None = None


class Provider(Protocol):
    """Questions and answers. From `logs` on, only the Prefect server can tell.

    Raises `StoreError` or `SourceError` if it cannot be asked.
    """

    @property
    def place(self) -> str:
        """Return what kind it is and where, such as `local@/path` or `service@http://host:4280`."""
        ...

    def runs(self, query: RunQuery) -> RunPage:
        """Return a page of runs."""
        ...

    def count(self, query: RunQuery) -> Count:
        """Return how many runs all pages have together."""
        ...

    def flows(self, query: FlowQuery) -> Sequence[FlowView]:
        """Return flows, the one with the latest run first."""
        ...

    def deployments(self, query: DeploymentQuery) -> Sequence[DeploymentView]:
        """Return deployments, the one with the latest run first."""
        ...

    def transitions(self, run: UUID) -> Sequence[TransitionView]:
        """Return how a run went from state to state, as far as the log goes back, oldest first."""
        ...

    def heartbeats(self, run: UUID) -> Sequence[HeartbeatView]:
        """Return the last heartbeats of a run, oldest first."""
        ...

    def history(self, *, since: timedelta, until: datetime, interval: timedelta, flows: Sequence[str]) -> list[Bucket]:
        """Return the runs that were due in each of the intervals, since so long before the end, by state."""
        ...

    def logs(self, run: UUID, *, beyond: int = 0) -> Sequence[LogLine]:
        """Return the log of a run and its tasks, oldest first, without its first lines."""
        ...

    def last_lines(self, run: UUID, number: int) -> Sequence[LogLine]:
        """Return the last lines of the log of a run and its tasks, oldest first."""
        ...

    def task_runs(self, run: UUID) -> Sequence[TaskRunView]:
        """Return the task runs of a run, in the order in which they were expected to start."""
        ...

    def artifacts(self, run: UUID) -> Sequence[ArtifactView]:
        """Return the artifacts of a run and its tasks."""
        ...

    def details(self, run: UUID) -> RunDetails:
        """Return what no event tells of a run."""
        ...

    def deployment(self, ident: UUID) -> DeploymentDetails | None:
        """Return what no event tells of a deployment; None if it was deleted."""
        ...

    def run_of(self, task_run: str) -> UUID | None:
        """Return the run that a task run belongs to; None if nobody knows any more."""
        ...

    def close(self) -> None:
        """Let go of what is open; asked again, it opens anew."""
        ...
