"""A task run, as the Prefect server tells it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from streamer.client import flow_run, naming, shown
from streamer.client.artifacts import Artifact
from streamer.client.logs import FlowRunLog
from streamer.client.places import session_of
from streamer.client.session import Sessioned
from streamer.client.states import Failure, State
from streamer.run_view import TaskRunView


class TaskRun:
    """`TaskRun("etl/crimson-fox/step-0")`: as it was when it was asked for; the last part may be its id or slug."""

    def __init__(self, pathspec: str, client: Sessioned | None = None) -> None:
        of, _, name = pathspec.rpartition("/")
        parent = flow_run.FlowRun(of, client or session_of(None))
        self._become(parent, naming.task_run(parent.told_task_runs(), name, parent.pathspec))

    @classmethod
    def told(cls, parent: "flow_run.FlowRun", told: TaskRunView) -> "TaskRun":
        """Return a task run that is known already."""
        found = cls.__new__(cls)
        found._become(parent, told)
        return found

    def _become(self, parent: "flow_run.FlowRun", told: TaskRunView) -> None:
        self._parent = parent
        self._told = told

    @property
    def id(self) -> str:
        """Return its id."""
        return str(self._told.id)

    @property
    def name(self) -> str:
        """Return its name, such as `step-0`."""
        return self._told.name

    @property
    def task_key(self) -> str:
        """Return what names its task across runs."""
        return self._told.task_key

    @property
    def task_slug(self) -> str:
        """Return the key of its task with the key that tells it from others of the same task in the run."""
        return f"{self._told.task_key}-{self._told.dynamic_key}"

    @property
    def tags(self) -> frozenset[str]:
        """Return its tags."""
        return frozenset(self._told.tags)

    @property
    def created_at(self) -> datetime | None:
        """Return when the server first had it."""
        return self._told.created

    @property
    def parent(self) -> "flow_run.FlowRun":
        """Return the run that it belongs to."""
        return self._parent

    @property
    def pathspec(self) -> str:
        """Return flow, run and task run, with slashes between."""
        return "/".join(self.path_components)

    @property
    def path_components(self) -> list[str]:
        """Return the parts of the pathspec."""
        return [*self._parent.path_components, self.name]

    @property
    def state(self) -> State:
        """Return its state."""
        return State.of(self._told.state)

    @property
    def finished(self) -> bool:
        """Tell whether it has ended."""
        return self.state.is_finished()

    @property
    def successful(self) -> bool:
        """Tell whether it has ended well."""
        return self.state.is_successful()

    @property
    def started_at(self) -> datetime | None:
        """Return when it first ran."""
        return self._told.start_time

    @property
    def finished_at(self) -> datetime | None:
        """Return when it ended."""
        return self._told.end_time

    @property
    def duration(self) -> timedelta | None:
        """Return how long it took from its first start to its end; None as long as it has none."""
        start, end = self.started_at, self.finished_at
        return end - start if start and end else None

    @property
    def run_count(self) -> int:
        """Return how often it has been tried."""
        return self._told.run_count

    @property
    def exception(self) -> Failure | None:
        """Return why it failed; None if it did not."""
        state = self.state
        return Failure.of(state.message) if state.is_failed() or state.is_crashed() else None

    @property
    def artifacts(self) -> Sequence[Artifact]:
        """Return its artifacts, oldest first."""
        return [each for each in self._parent.artifacts if each.task_run_id == self.id]

    def logs(self) -> list[FlowRunLog]:
        """Return its log, oldest first."""
        return self._parent.logs(task_run=UUID(self.id))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskRun) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __dir__(self) -> list[str]:
        return shown.public(super().__dir__())

    def __repr__(self) -> str:
        return f"TaskRun({self.pathspec!r}, {self.state.name})"

    def _repr_html_(self) -> str:
        rows = {"state": self.state, "started": self.started_at, "duration": self.duration, "id": self.id}
        return shown.table(self.pathspec, rows)
