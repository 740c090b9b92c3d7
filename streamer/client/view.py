"""Views of a run as it was at one moment, by the names that Prefect 1 gave them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from streamer.client import naming, shown
from streamer.client.errors import NotFound
from streamer.client.flow import Flow
from streamer.client.flow_run import FlowRun
from streamer.client.logs import FlowRunLog
from streamer.client.places import session_of
from streamer.client.session import Known, Sessioned
from streamer.client.states import State, transitions
from streamer.errors import ConfigError
from streamer.run_details import RunDetails
from streamer.run_view import TaskRunView as Told


@dataclass(frozen=True, slots=True)
class FlowView:
    """A flow as it was at one moment."""

    flow_id: str
    name: str
    runs: int
    latest_run_id: str | None


@dataclass(frozen=True, slots=True, repr=False)
class TaskRunView:
    """A task run as it was at one moment."""

    task_run_id: str
    name: str
    task_key: str
    task_slug: str
    flow_run_id: str
    tags: frozenset[str]
    run_count: int
    state: State
    start_time: datetime | None
    end_time: datetime | None

    def __repr__(self) -> str:
        return f"TaskRunView({self.name!r}, {self.state.name})"


class FlowRunView:
    """A run as it was when the view was made; nothing about it changes. Make one with `from_flow_run_id`.

    Task runs that have ended are asked for once, and handed on to the view that `get_latest` returns. What Prefect
    keeps beside the events (`parameters`, `context`, logs, task runs that have not ended) is asked for when it is
    wanted.
    """

    def __init__(self, known: Known, client: Sessioned, task_runs: Iterable[TaskRunView] = ()) -> None:
        self._session = client.session
        self._known = known
        self._finished = {each.task_run_id: each for each in task_runs}
        self._flow: FlowView | None = None
        self._ids: list[str] | None = None
        self.states = tuple(each.after for each in transitions(self._session.provider.transitions(known.run.id)))

    @classmethod
    def from_flow_run_id(cls, flow_run_id: str | UUID, client: Sessioned | None = None) -> "FlowRunView":
        """Return a view of a run as it is now."""
        session = session_of(client)
        if naming.as_id(str(flow_run_id)) is None:
            raise ConfigError(f"{flow_run_id} is no id of a run", hint="FlowRun('flow/run') finds one by its name")
        return cls(naming.run_in(session, str(flow_run_id)), session)

    @property
    def flow_run_id(self) -> str:
        """Return the run's id."""
        return str(self._known.run.id)

    @property
    def name(self) -> str | None:
        """Return the run's name."""
        return self._known.run.name

    @property
    def flow_id(self) -> str | None:
        """Return the id of its flow."""
        of = self._known.run.flow
        return of.id if of else None

    @property
    def labels(self) -> list[str]:
        """Return its tags, which Prefect 1 called labels."""
        return list(self._known.run.tags)

    @property
    def state(self) -> State:
        """Return the state that it was in."""
        return State.of(self._known.run.state)

    @property
    def updated_at(self) -> datetime | None:
        """Return when it came into this state."""
        return self._known.run.state.at

    @property
    def parameters(self) -> dict[str, Any]:
        """Return its parameters."""
        return dict(self._told.parameters)

    @property
    def context(self) -> dict[str, Any]:
        """Return its context."""
        return dict(self._told.context or {})

    def get_latest(self) -> "FlowRunView":
        """Return a new view, of the run as it is now."""
        known = self._session.by_id(self._known.run.id) or self._known
        return FlowRunView(known, self._session, self._finished.values())

    def get_logs(self, start_time: datetime | None = None) -> list[FlowRunLog]:
        """Return the log that there is now, oldest first: all of it, or what is after a time."""
        lines = FlowRun.told(self._known, self._session).logs()
        return [each for each in lines if start_time is None or each.timestamp > start_time]

    def get_flow_metadata(self, no_cache: bool = False) -> FlowView:
        """Return a view of its flow: that of the last time, or with `no_cache` a new one."""
        if self._flow is None or no_cache:
            self._flow = self._flow_now()
        return self._flow

    def get_task_run(self, *, task_run_id: str | UUID | None = None, task_slug: str | None = None) -> TaskRunView:
        """Return a view of one of its task runs, found by its id, or by its name or the slug of its task.

        Raise `NotFound` if there is none, also if the one with the id has another slug.
        """
        if task_run_id is None and task_slug is None:
            raise ConfigError("which task run is not said", hint="give task_run_id or task_slug")
        ident = None if task_run_id is None else str(task_run_id)
        for each in self._finished.values():
            if ident in (None, each.task_run_id) and task_slug in (None, each.task_slug, each.name):
                return each
        told = self._ask_task_runs()
        if ident is None:
            assert task_slug
            return self._viewed(naming.task_run(told, task_slug, self.flow_run_id))
        found = self._viewed(naming.task_run(told, ident, self.flow_run_id))
        if task_slug not in (None, found.task_slug, found.name, found.task_key):
            raise NotFound(f"the task run {ident} is {found.task_slug}, not {task_slug}", "give one of the two alone")
        return found

    def get_all_task_runs(self) -> list[TaskRunView]:
        """Return views of all its task runs."""
        return [self._viewed(each) for each in self._ask_task_runs()]

    @property
    def task_run_ids(self) -> list[str]:
        """Return the ids of its task runs; of a run that has ended they are asked for once."""
        if self._ids is not None:
            return list(self._ids)
        ids = [str(each.id) for each in self._ask_task_runs()]
        self._ids = ids if self.state.is_finished() else None
        return list(ids)

    @cached_property
    def _told(self) -> RunDetails:
        return self._session.provider.details(self._known.run.id)

    def _flow_now(self) -> FlowView:
        if self.flow_id is None:
            raise NotFound(f"no event has told the flow of the run {self.flow_run_id}")
        of = Flow(self.flow_id, self._session)
        latest = of.latest_run
        return FlowView(of.id, of.name, of.number_of_runs, latest.id if latest else None)

    def _ask_task_runs(self) -> list[Told]:
        told = list(self._session.provider.task_runs(self._known.run.id))
        for each in told:
            self._viewed(each)
        return told

    def _viewed(self, told: Told) -> TaskRunView:
        """Return a view of a task run: the one there is if it has ended."""
        ident = str(told.id)
        if ident in self._finished:
            return self._finished[ident]
        made = TaskRunView(
            task_run_id=ident,
            name=told.name,
            task_key=told.task_key,
            task_slug=f"{told.task_key}-{told.dynamic_key}",
            flow_run_id=self.flow_run_id,
            tags=frozenset(told.tags),
            run_count=told.run_count,
            state=State.of(told.state),
            start_time=told.start_time,
            end_time=told.end_time,
        )
        if made.state.is_finished():
            self._finished[ident] = made
        return made

    def __dir__(self) -> list[str]:
        return shown.public(super().__dir__())

    def __repr__(self) -> str:
        known = f"flow_run_id={self.flow_run_id!r}, name={self.name!r}, state={self.state!r}, labels={self.labels!r}"
        return f"FlowRunView({known}, cached_task_runs={len(self._finished)})"

    def _repr_html_(self) -> str:
        rows = {"state": self.state, "as of": self.updated_at, "tags": ", ".join(self.labels) or None}
        return shown.table(self.name or self.flow_run_id, {**rows, "id": self.flow_run_id})
