"""Answers from the store of this machine, beside the service that runs on it, and from its Prefect server."""

import weakref
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from streamer import config, run_view
from streamer.client.opened import Opened
from streamer.client.providers import Party, RunPage
from streamer.client.told import ToldArtifact, ToldDeployment, ToldRun
from streamer.questions import Count, DeploymentQuery, FlowQuery, RunQuery, Summary
from streamer.reports import Bucket, span_until
from streamer.run_view import HeartbeatView, LogLine, TaskRunView, TransitionView


class LocalProvider:
    """Asks a store, given as a URL or that of the settings, and for what it lacks the settings' Prefect server."""

    def __init__(self, store: str | None = None, *, api_url: str | None = None) -> None:
        settings = config.load(store=store, api_url=api_url)
        self.place = f"local@{settings.store_path}"
        self._pages = settings.surroundings.ui
        self._opened = Opened(lambda: settings)
        weakref.finalize(self, self._opened.close).atexit = False  # by then, the store's threads have ended

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

    def flows(self, query: FlowQuery) -> Sequence[Party]:
        """Return flows, the one with the latest run first."""
        return _parties(self._opened.ask_store(lambda store: store.inspection.flows(query)))

    def deployments(self, query: DeploymentQuery) -> Sequence[Party]:
        """Return deployments, the one with the latest run first."""
        return _parties(self._opened.ask_store(lambda store: store.inspection.deployments(query)))

    def transitions(self, run: UUID) -> Sequence[TransitionView]:
        """Return how a run went from state to state, as far as the log goes back, oldest first."""
        records = self._opened.ask_store(lambda store: store.history(run))
        return run_view.transitions(records, now=datetime.now(UTC))

    def heartbeats(self, run: UUID) -> Sequence[HeartbeatView]:
        """Return the last heartbeats of a run, oldest first."""
        known = self._opened.ask_store(lambda store: store.run(run))
        return run_view.heartbeats(known) if known else ()

    def history(self, *, since: timedelta, interval: timedelta, flows: Sequence[str]) -> list[Bucket]:
        """Return the runs that were due in each of the intervals up to now, by state."""
        now = datetime.now(UTC)
        span = span_until(now, since=since, interval=interval, flows=flows)
        return self._opened.ask_store(lambda store: store.run_history(span, now=now))

    def logs(self, run: UUID) -> Sequence[LogLine]:
        """Return the log of a run and its tasks, oldest first."""
        return self._opened.ask_server(lambda server: server.logs(run))

    def task_runs(self, run: UUID) -> Sequence[TaskRunView]:
        """Return the task runs of a run, in the order in which they were expected to start."""
        return self._opened.ask_server(lambda server: server.task_runs(run))

    def artifacts(self, run: UUID) -> Sequence[ToldArtifact]:
        """Return the artifacts of a run and its tasks, oldest first."""
        return self._opened.ask_server(lambda server: server.artifacts(run))

    def flow_run(self, run: UUID) -> ToldRun:
        """Return what no event tells of a run."""
        return self._opened.ask_server(lambda server: server.flow_run(run))

    def deployment(self, ident: str) -> ToldDeployment | None:
        """Return what no event tells of a deployment; None if it was deleted."""
        return self._opened.ask_server(lambda server: server.deployment(ident))

    def run_of(self, task_run: str) -> UUID | None:
        """Return the run that a task run belongs to; None if nobody knows any more."""
        return self._opened.ask_server(lambda server: server.run_of(task_run))


def _parties(summaries: Iterable[Summary]) -> list[Party]:
    return [Party(each.id, each.name, each.source, each.runs, each.flow) for each in summaries]
