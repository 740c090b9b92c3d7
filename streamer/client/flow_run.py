"""A run of a flow. What the store knows is asked for again when it is older than a second."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from streamer.client import flow, naming, results, shown, task_run
from streamer.client.artifacts import Artifact, Data, artifact
from streamer.client.logs import FlowRunLog, lines
from streamer.client.places import session_of
from streamer.client.session import Known, Sessioned
from streamer.client.states import Failure, State, Transition, transitions
from streamer.errors import SourceError
from streamer.questions import TEXTS_MOST, RunQuery
from streamer.run_view import HeartbeatView, RunView, TaskRunView


@dataclass(frozen=True, slots=True)
class Code:
    """Which code a run is of, as far as that is known."""

    entrypoint: str | None
    version: str | None


class FlowRun:
    """`FlowRun("etl/crimson-fox")`, or by its id instead of the name, or alone; it goes on as the run does."""

    def __init__(self, pathspec: str, client: Sessioned | None = None) -> None:
        self._session = session_of(client)
        self._known = naming.run(self._session, str(pathspec))

    @classmethod
    def told(cls, known: Known, client: Sessioned) -> "FlowRun":
        """Return a run that is known already."""
        found = cls.__new__(cls)
        found._session, found._known = client.session, known
        return found

    @property
    def view(self) -> RunView:
        """Return all that the store knows of it, as it is now."""
        self._known = self._session.fresh(self._known)
        return self._known.run

    @property
    def id(self) -> str:
        """Return its id."""
        return str(self._known.run.id)

    @property
    def name(self) -> str | None:
        """Return its name, which others may have, too."""
        return self._known.run.name

    @property
    def tags(self) -> frozenset[str]:
        """Return its tags."""
        return frozenset(self._known.run.tags)

    @property
    def created_at(self) -> datetime | None:
        """Return when the oldest event of it occurred."""
        return self._known.run.created

    @property
    def source(self) -> str:
        """Return the name of the Prefect server that it is on."""
        return self._known.run.source

    @property
    def url(self) -> str | None:
        """Return where Prefect's page about it is, as far as known."""
        return self._known.run.url

    @property
    def parent(self) -> "flow.Flow | None":
        """Return its flow; None if no event has told it."""
        of = self._known.run.flow
        return flow.Flow(of.id, self._session) if of else None

    @property
    def pathspec(self) -> str:
        """Return flow and run with a slash between, by their names, or by ids where there are none."""
        return "/".join(self.path_components)

    @property
    def path_components(self) -> list[str]:
        """Return the parts of the pathspec."""
        of = self._known.run.flow
        return [*([of.name or of.id] if of else []), self.name or self.id]

    @property
    def deployment(self) -> "flow.Deployment | None":
        """Return the deployment that it is of, if it is of one."""
        of = self._known.run.deployment
        return flow.Deployment(of.id, self._session) if of else None

    @property
    def work_pool(self) -> str | None:
        """Return the name of its work pool."""
        pool = self._known.run.work_pool
        return pool.name if pool else None

    @property
    def work_queue(self) -> str | None:
        """Return the name of its work queue."""
        queue = self._known.run.work_queue
        return queue.name if queue else None

    @property
    def state(self) -> State:
        """Return its state."""
        return State.of(self.view.state)

    @property
    def verdict(self) -> str | None:
        """Return what it is held to be, such as `zombie`; None if nothing is held of it."""
        held = self.view.verdict
        return held.status if held else None

    @property
    def finished(self) -> bool:
        """Tell whether it has ended, in whatever way."""
        return self.state.is_finished()

    @property
    def successful(self) -> bool:
        """Tell whether it has ended well."""
        return self.state.is_successful()

    @property
    def due_at(self) -> datetime | None:
        """Return when it should have started, as far as known."""
        return self.view.due

    @property
    def started_at(self) -> datetime | None:
        """Return when it first ran."""
        return self.view.started

    @property
    def finished_at(self) -> datetime | None:
        """Return when it ended; None if it has not."""
        return self.view.ended

    @property
    def deleted_at(self) -> datetime | None:
        """Return when it was found deleted from the server; None if it was not."""
        return self.view.deleted

    @property
    def duration(self) -> timedelta | None:
        """Return how long it took from its first start to its end; None as long as it has none."""
        seconds = self.view.duration
        return None if seconds is None else timedelta(seconds=seconds)

    @property
    def run_count(self) -> int | None:
        """Return how often it has been tried; None where the server does not tell, as before Prefect 3.4.8."""
        return self.view.run_count

    @property
    def transitions(self) -> list[Transition]:
        """Return how it went from state to state, as far as the log goes back, oldest first."""
        return transitions(self._session.provider.transitions(self._known.run.id))

    @property
    def heartbeats(self) -> Sequence[HeartbeatView]:
        """Return its last heartbeats, oldest first, each by its sender's clock and by the server's."""
        return self._session.provider.heartbeats(self._known.run.id)

    @property
    def parent_run(self) -> "FlowRun | None":
        """Return the run that it is a subflow of; None if it is none."""
        by = self._known.run.parent_task_run
        ident = self._session.provider.run_of(by) if by else None
        known = self._session.by_id(ident) if ident else None
        return FlowRun.told(known, self._session) if known else None

    @property
    def subflow_runs(self) -> list["FlowRun"]:
        """Return the runs that are its subflows, oldest first."""
        by = [str(each.id) for each in self.told_task_runs()]
        some = [by[start : start + TEXTS_MOST] for start in range(0, len(by), TEXTS_MOST)]
        queries = (RunQuery(task_runs=tuple(ids), oldest_first=True) for ids in some)
        return [FlowRun.told(known, self._session) for query in queries for known in self._session.everywhere(query)]

    @property
    def exception(self) -> Failure | None:
        """Return why it failed or crashed; None if it did not."""
        state = self.view.state
        if not (self.state.is_failed() or self.state.is_crashed()):
            return None
        with suppress(SourceError):
            told = self._session.provider.details(self._known.run.id).state
            return Failure.of(state.message, told.data if told and told.id == state.id else None)
        return Failure.of(state.message)

    @property
    def result(self) -> Any:
        """Return what it returned; raise `NotFound` if that was not kept, or is not to be read from here."""
        told = self._session.provider.details(self._known.run.id).state
        return results.result(told.data if told else None)

    @property
    def code(self) -> Code | None:
        """Return the entrypoint of its deployment, and its version; None if neither is known."""
        told = self._session.provider.details(self._known.run.id)
        of = self._session.provider.deployment(told.deployment_id) if told.deployment_id else None
        version = told.deployment_version or (of.version if of else None) or told.flow_version
        entrypoint = of.entrypoint if of else None
        return Code(entrypoint, version) if entrypoint or version else None

    @property
    def artifacts(self) -> list[Artifact]:
        """Return the artifacts of it and its tasks, oldest first."""
        told = self._session.provider.artifacts(self._known.run.id)
        return [artifact(each) for each in sorted(told, key=lambda each: (each.created, each.id))]

    @property
    def data(self) -> Data:
        """Return the newest artifact of each key, by key."""
        return Data(self.artifacts)

    def logs(self, *, task_run: UUID | None = None) -> list[FlowRunLog]:
        """Return the log of it and its tasks, or of one task run alone, oldest first."""
        told = self._session.provider.logs(self._known.run.id)
        return lines(each for each in told if task_run in (None, each.task_run_id))

    def told_task_runs(self) -> Sequence[TaskRunView]:
        """Return its task runs as the server tells them."""
        return self._session.provider.task_runs(self._known.run.id)

    def __iter__(self) -> Iterator["task_run.TaskRun"]:
        return (task_run.TaskRun.told(self, each) for each in self.told_task_runs())

    def __getitem__(self, name: str) -> "task_run.TaskRun":
        return task_run.TaskRun.told(self, naming.task_run(self.told_task_runs(), name, self.pathspec))

    def __contains__(self, name: str) -> bool:
        with suppress(KeyError):
            return bool(self[name].id)
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FlowRun) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __dir__(self) -> list[str]:
        return shown.public(super().__dir__())

    def __repr__(self) -> str:
        return f"FlowRun({self.pathspec!r}, {self.state.name})"

    def _repr_html_(self) -> str:
        rows = {"state": self.state, "created": self.created_at, "started": self.started_at, "duration": self.duration}
        more = {"tags": self.tags or None, "verdict": self.verdict, "id": self.id}
        return shown.table(self.pathspec, {**rows, **more})

    def _ipython_key_completions_(self) -> list[str]:
        with suppress(SourceError):
            return [each.name for each in self.told_task_runs()]
        return []
