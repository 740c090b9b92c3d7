"""Flows and deployments: what is known of them are their runs."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from schemas import StateType
from streamer.client import flow_run, naming, shown
from streamer.client.criteria import Moment, Texts, run_query
from streamer.client.places import session_of
from streamer.client.session import Known, Session, Sessioned
from streamer.questions import DeploymentQuery, Order, RunQuery
from streamer.summary_view import DeploymentView, FlowView

BAD = (StateType.FAILED, StateType.CRASHED)
COMPLETED_NAMES = 100
"""The runs whose names a prompt completes."""

_MICROSECOND = timedelta(microseconds=1)


class Runs:
    """The runs of something, and how they fare, in the namespace."""

    def __init__(self, session: Session, **of: str) -> None:
        self._session = session
        self._of = of

    def latest(self) -> "flow_run.FlowRun | None":
        """Return the run that was created last."""
        return self._run(self._first())

    def oldest(self) -> "flow_run.FlowRun | None":
        """Return the run that was created first."""
        return self._run(self._first(oldest_first=True))

    def latest_ended(self, *states: StateType) -> "flow_run.FlowRun | None":
        """Return the run that ended last of those in one of the states."""
        return self._run(self._first(order=Order.ENDED, state=states))

    def consecutive_failures(self) -> int:
        """Return how many failed or crashed since the last that succeeded."""
        success = self._first(order=Order.ENDED, state=StateType.COMPLETED)
        ended = success.run.ended if success else None
        return self.count(order=Order.ENDED, state=BAD, since=ended and ended + _MICROSECOND)

    def count(self, **asked: Any) -> int:
        """Return how many are asked for."""
        return self._session.count(self._query(**asked))

    def all(self, **asked: Any) -> Iterator["flow_run.FlowRun"]:
        """Return an iterator over those that are asked for, newest first."""
        query = self._query(**asked)
        return (flow_run.FlowRun.told(known, self._session) for known in self._session.runs(query))

    def _first(self, **asked: Any) -> Known | None:
        return self._session.first(self._query(**asked))

    def _query(self, **asked: Any) -> RunQuery:
        return run_query(**{**asked, **self._of})

    def _run(self, known: Known | None) -> "flow_run.FlowRun | None":
        return flow_run.FlowRun.told(known, self._session) if known else None


class Flow:
    """`Flow("etl")`, or by its id: iterate over its runs, newest first, or index them by name or id."""

    def __init__(self, name: str, client: Sessioned | None = None) -> None:
        session = session_of(client)
        self._become(naming.flow(session, str(name)), session)

    @classmethod
    def told(cls, known: FlowView, client: Sessioned) -> "Flow":
        """Return a flow that is known already."""
        found = cls.__new__(cls)
        found._become(known, client.session)
        return found

    def _become(self, known: FlowView, session: Session) -> None:
        self._session = session
        self._known = known
        self._runs = Runs(session, flow=known.id)

    @property
    def id(self) -> str:
        """Return its id."""
        return self._known.id

    @property
    def name(self) -> str:
        """Return its name, or its id if no event has told the name."""
        return self._known.name or self._known.id

    @property
    def source(self) -> str:
        """Return the name of the Prefect server that it is on."""
        return self._known.source

    @property
    def number_of_runs(self) -> int:
        """Return how many runs of it there are."""
        return self._runs.count()

    @property
    def tags(self) -> frozenset[str]:
        """Return the tags of its latest run: a flow has none of its own."""
        latest = self.latest_run
        return latest.tags if latest else frozenset()

    @property
    def created_at(self) -> datetime | None:
        """Return when the oldest run that is known of it was created."""
        oldest = self._runs.oldest()
        return oldest.created_at if oldest else None

    @property
    def parent(self) -> None:
        """Return None: there is nothing above a flow."""
        return

    @property
    def pathspec(self) -> str:
        """Return its name."""
        return self.name

    @property
    def path_components(self) -> list[str]:
        """Return the parts of the pathspec."""
        return [self.name]

    @property
    def latest_run(self) -> "flow_run.FlowRun | None":
        """Return the run that was created last."""
        return self._runs.latest()

    @property
    def latest_successful_run(self) -> "flow_run.FlowRun | None":
        """Return the run that ended last of those that are completed."""
        return self._runs.latest_ended(StateType.COMPLETED)

    @property
    def latest_failed_run(self) -> "flow_run.FlowRun | None":
        """Return the run that ended last of those that failed or crashed."""
        return self._runs.latest_ended(*BAD)

    @property
    def consecutive_failures(self) -> int:
        """Return how many runs failed or crashed since the last that succeeded."""
        return self._runs.consecutive_failures()

    @property
    def deployments(self) -> list["Deployment"]:
        """Return its deployments, the one with the latest run first."""
        found = self._session.provider.deployments(DeploymentQuery(flows=(self.id,)))
        here = [each for each in found if naming.has_runs(self._session, "deployment", each)]
        return [Deployment.told(each, self._session) for each in here]

    def runs(
        self,
        *tags: str,
        state: Texts | None = None,
        since: Moment | None = None,
        deployment: Texts | None = None,
        **more: Any,
    ) -> Iterator["flow_run.FlowRun"]:
        """Return an iterator over its runs with all these tags, newest first; `more` is what `find_runs` takes."""
        return self._runs.all(tags=tags or None, state=state, since=since, deployment=deployment, **more)

    def __iter__(self) -> Iterator["flow_run.FlowRun"]:
        return self.runs()

    def __getitem__(self, name: str) -> "flow_run.FlowRun":
        return flow_run.FlowRun.told(naming.run_in(self._session, str(name), self._known), self._session)

    def __contains__(self, name: str) -> bool:
        with suppress(KeyError):
            return bool(self[name].id)
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Flow) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __dir__(self) -> list[str]:
        return shown.public(super().__dir__())

    def __repr__(self) -> str:
        return f"Flow({self.name!r})"

    def _repr_html_(self) -> str:
        rows = {"latest": self.latest_run, "latest success": self.latest_successful_run}
        return shown.table(self.name, {**rows, "consecutive failures": self.consecutive_failures, "id": self.id})

    def _ipython_key_completions_(self) -> list[str]:
        return [run.name for run in islice(self, COMPLETED_NAMES) if run.name]


class Deployment:
    """`Deployment("etl/nightly")`, by its name alone, or by its id: iterate over its runs, newest first."""

    def __init__(self, pathspec: str, client: Sessioned | None = None) -> None:
        session = session_of(client)
        self._become(naming.deployment(session, str(pathspec)), session)

    @classmethod
    def told(cls, known: DeploymentView, client: Sessioned) -> "Deployment":
        """Return a deployment that is known already."""
        found = cls.__new__(cls)
        found._become(known, client.session)
        return found

    def _become(self, known: DeploymentView, session: Session) -> None:
        self._session = session
        self._known = known
        self._runs = Runs(session, deployment=known.id)

    @property
    def id(self) -> str:
        """Return its id."""
        return self._known.id

    @property
    def name(self) -> str:
        """Return its name, or its id if no event has told the name."""
        return self._known.name or self._known.id

    @property
    def tags(self) -> frozenset[str]:
        """Return the tags of its latest run."""
        latest = self.latest_run
        return latest.tags if latest else frozenset()

    @property
    def created_at(self) -> datetime | None:
        """Return when the oldest run that is known of it was created."""
        oldest = self._runs.oldest()
        return oldest.created_at if oldest else None

    @property
    def parent(self) -> Flow | None:
        """Return its flow."""
        return Flow(self._known.flow.id, self._session) if self._known.flow else None

    @property
    def pathspec(self) -> str:
        """Return flow and deployment with a slash between, as Prefect writes it."""
        return "/".join(self.path_components)

    @property
    def path_components(self) -> list[str]:
        """Return the parts of the pathspec."""
        return [*(self.parent.path_components if self.parent else []), self.name]

    @property
    def latest_run(self) -> "flow_run.FlowRun | None":
        """Return the run that was created last."""
        return self._runs.latest()

    @property
    def latest_successful_run(self) -> "flow_run.FlowRun | None":
        """Return the run that ended last of those that are completed."""
        return self._runs.latest_ended(StateType.COMPLETED)

    @property
    def latest_failed_run(self) -> "flow_run.FlowRun | None":
        """Return the run that ended last of those that failed or crashed."""
        return self._runs.latest_ended(*BAD)

    @property
    def consecutive_failures(self) -> int:
        """Return how many runs failed or crashed since the last that succeeded."""
        return self._runs.consecutive_failures()

    def runs(
        self, *tags: str, state: Texts | None = None, since: Moment | None = None, **more: Any
    ) -> Iterator["flow_run.FlowRun"]:
        """Return an iterator over its runs with all these tags, newest first; `more` is what `find_runs` takes."""
        return self._runs.all(tags=tags or None, state=state, since=since, **more)

    def __iter__(self) -> Iterator["flow_run.FlowRun"]:
        return self.runs()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Deployment) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __dir__(self) -> list[str]:
        return shown.public(super().__dir__())

    def __repr__(self) -> str:
        return f"Deployment({self.pathspec!r})"

    def _repr_html_(self) -> str:
        rows = {"latest": self.latest_run, "latest success": self.latest_successful_run}
        return shown.table(self.pathspec, {**rows, "consecutive failures": self.consecutive_failures, "id": self.id})
