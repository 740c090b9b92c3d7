"""Answers from the store of this machine, beside the service that runs on it, and from its Prefect server."""

import weakref
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from streamer import config, run_view
from streamer.client.opened import Opened
from streamer.client.providers import RunPage
from streamer.config import Settings
from streamer.questions import Count, DeploymentQuery, FlowQuery, RunQuery, Summary
from streamer.reports import Bucket, span_until
from streamer.run_details import ArtifactView, DeploymentDetails, RunDetails
from streamer.run_view import HeartbeatView, LogLine, TaskRunView, TransitionView
from streamer.summary_view import DeploymentView, FlowView, deployment_view, flow_view


class LocalProvider:
    """Asks a store, given as a URL or that of the settings, and for what it lacks the settings' Prefect server."""

    def __init__(
        self, store: str | None = None, *, api_url: str | None = None, settings: Settings | None = None
    ) -> None:
        settings = settings or config.load(store=store, api_url=api_url)
        self._where = settings.place
        self.place = f"local@{self._where}"
        self._pages = settings.surroundings.ui
        self._opened = Opened(lambda: settings)
        weakref.finalize(self, self._opened.close).atexit = False  # by then, the store's threads have ended

    def is_written(self) -> bool:
        """Tell whether a service runs on the store."""
        return self._where.service() is not None

    def close(self) -> None:
        """Let go of what is open; asked again, it opens anew."""
        self._opened.close()

    def runs(self, query: RunQuery) -> RunPage:
        """Return a page of runs."""
        page = self._opened.ask_store(lambda store: store.inspection.runs(query))
        return RunPage([run_view.view(run, page.names, self._pages) for run in page.items], page.next)

    def count(self, query: RunQuery) -> Count:
        """Return how many runs all pages have together."""
        return self._opened.ask_store(lambda store: store.inspection.count(query))

    def flows(self, query: FlowQuery) -> Sequence[FlowView]:
        """Return flows, the one with the latest run first."""
        found = self._opened.ask_store(lambda store: store.inspection.flows(query))
        names = self._names(found)
        return [flow_view(each, names, self._pages) for each in found]

    def deployments(self, query: DeploymentQuery) -> Sequence[DeploymentView]:
        """Return deployments, the one with the latest run first."""
        found = self._opened.ask_store(lambda store: store.inspection.deployments(query))
        names = self._names(found)
        return [deployment_view(each, names, self._pages) for each in found]

    def transitions(self, run: UUID) -> Sequence[TransitionView]:
        """Return how a run went from state to state, as far as the log goes back, oldest first."""
        records = self._opened.ask_store(lambda store: store.history(run))
        return run_view.transitions(records, now=datetime.now(UTC))

    def heartbeats(self, run: UUID) -> Sequence[HeartbeatView]:
        """Return the last heartbeats of a run, oldest first."""
        known = self._opened.ask_store(lambda store: store.run(run))
        return run_view.heartbeats(known) if known else ()

    def history(self, *, since: timedelta, until: datetime, interval: timedelta, flows: Sequence[str]) -> list[Bucket]:
        """Return the runs that were due in each of the intervals, since so long before the end, by state."""
        now, span = datetime.now(UTC), span_until(until, since=since, interval=interval, flows=flows)
        return self._opened.ask_store(lambda store: store.run_history(span, now=now))

    def logs(self, run: UUID, *, beyond: int = 0) -> Sequence[LogLine]:
        """Return the log of a run and its tasks, oldest first, without its first lines."""
        return self._opened.ask_server_of(run, lambda server: server.logs(run, beyond=beyond))

    def last_lines(self, run: UUID, number: int) -> Sequence[LogLine]:
        """Return the last lines of the log of a run and its tasks, oldest first."""
        return self._opened.ask_server_of(run, lambda server: server.last_lines(run, number))

    def task_runs(self, run: UUID) -> Sequence[TaskRunView]:
        """Return the task runs of a run, in the order in which they were expected to start."""
        return self._opened.ask_server_of(run, lambda server: server.task_runs(run))

    def artifacts(self, run: UUID) -> Sequence[ArtifactView]:
        """Return the artifacts of a run and its tasks."""
        return self._opened.ask_server_of(run, lambda server: server.artifacts(run))

    def details(self, run: UUID) -> RunDetails:
        """Return what no event tells of a run."""
        return self._opened.ask_server_of(run, lambda server: server.details(run))

    def deployment(self, ident: UUID) -> DeploymentDetails | None:
        """Return what no event tells of a deployment; None if it was deleted."""
        return self._opened.ask_servers(lambda server: server.deployment(ident))

    def run_of(self, task_run: str) -> UUID | None:
        """Return the run that a task run belongs to; None if nobody knows any more."""
        return self._opened.ask_servers(lambda server: server.run_of(task_run))

    def _names(self, found: Iterable[Summary]) -> Mapping[str, str]:
        runs = [run for each in found for run in (each.latest, each.latest_successful, each.latest_failed) if run]
        return self._opened.ask_store(lambda store: store.inspection.names(runs))
