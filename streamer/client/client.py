"""The client itself: where all else is found."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Self

from streamer.client import criteria, naming, shown
from streamer.client.criteria import Moment
from streamer.client.flow import Deployment, Flow
from streamer.client.flow_run import FlowRun
from streamer.client.places import get_namespace, provider_of
from streamer.client.providers import Provider
from streamer.client.session import Session
from streamer.client.states import Transition, transitions
from streamer.client.task_run import TaskRun
from streamer.client.view import FlowRunView
from streamer.errors import ConfigError
from streamer.questions import DeploymentQuery, FlowQuery
from streamer.reports import Bucket, span_until

POLL_SECONDS = 0.2

_LIKE_THE_OTHERS = "…"


class Client:
    """`Client()` asks the store that the settings name, `Client("sqlite:///…")` another, and
    `Client("http://host:4280")` a running service, if it wants so with a `token` or an `auth_string`
    (`user:password`). Whatever else answers as a `Provider` does can be given, too.

    Only runs with the tag `namespace` are seen, with None all; left out, it is what `streamer.client.namespace` says.
    `api_url` is that of the Prefect server where the settings name another.
    """

    def __init__(
        self,
        place: str | Provider | None = None,
        *,
        namespace: str | None = _LIKE_THE_OTHERS,
        api_url: str | None = None,
        token: str | None = None,
        auth_string: str | None = None,
    ) -> None:
        how = {"api_url": api_url, "token": token, "auth_string": auth_string}
        provider = provider_of(place, **how) if place is None or isinstance(place, str) else place
        own = (lambda: namespace) if namespace != _LIKE_THE_OTHERS else get_namespace
        self.session = Session(provider, own)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of what is open; asked again, it opens anew."""
        self.session.provider.close()

    @property
    def metadata(self) -> str:
        """Return who answers, such as `local@/path` or `service@http://host:4280`."""
        return self.session.provider.place

    @property
    def flows(self) -> list[Flow]:
        """Return the flows that have a run in the namespace, the one with the latest run first."""
        found = self.session.provider.flows(FlowQuery())
        return [Flow.told(each, self) for each in found if naming.has_runs(self.session, "flow", each)]

    @property
    def deployments(self) -> list[Deployment]:
        """Return the deployments that have a run in the namespace, the one with the latest run first."""
        found = self.session.provider.deployments(DeploymentQuery())
        return [Deployment.told(each, self) for each in found if naming.has_runs(self.session, "deployment", each)]

    def flow(self, name: str) -> Flow:
        """Return the flow with this name or id."""
        return Flow(name, self)

    def flow_run(self, pathspec: str) -> FlowRun:
        """Return the run with this pathspec, `flow/run`, or with this name or id."""
        return FlowRun(pathspec, self)

    def task_run(self, pathspec: str) -> TaskRun:
        """Return the task run with this pathspec, `flow/run/task-run`."""
        return TaskRun(pathspec, self)

    def deployment(self, pathspec: str) -> Deployment:
        """Return the deployment with this pathspec, `flow/deployment`, or with this name or id."""
        return Deployment(pathspec, self)

    def view(self, flow_run_id: str) -> FlowRunView:
        """Return a view of the run with this id, as it is now."""
        return FlowRunView.from_flow_run_id(flow_run_id, self)

    def find_runs(self, *, limit: int | None = None, **asked: Any) -> Iterator[FlowRun]:
        """Return an iterator over the runs that are asked for, newest first, however many there are.

        `name`, `id`, `flow`, `deployment`, `work_pool`, `work_queue`, `any_tags`, `verdict` and `source` are texts (a
        name, an id or a glob) or several, of which one has to fit; of `tags` all have to. `state` are types or names of
        states. `since` and `until` are times, or how long ago (`"24h"`), `order` what they bound: `created`, `started`,
        `ended` or `state`. `oldest_first`, `subflows` and `deleted` are yes or no. Any other property of a run is
        compared with what is given, such as `run_count=2`; for that, each run is looked at.
        """
        own = {name: asked.pop(name) for name in list(asked) if name not in criteria.CRITERIA}
        for name in own:
            if not isinstance(getattr(FlowRun, name, None), property):
                properties = [each for each, value in vars(FlowRun).items() if isinstance(value, property)]
                raise criteria.unknown_criterion(name, {*criteria.CRITERIA, *properties})
        found = (FlowRun.told(known, self) for known in self.session.runs(criteria.run_query(**asked)))
        if own:
            found = (run for run in found if all(getattr(run, name) == value for name, value in own.items()))
        return islice(found, limit)

    def history(
        self,
        *,
        since: Moment = "24h",
        until: Moment | None = None,
        interval: str | timedelta = "1h",
        flows: Sequence[str] = (),
    ) -> list[Bucket]:
        """Return how many runs were due in each interval up to an end, or now, by their present state, oldest first.

        `since` and `until` are times, or how long ago, such as `"24h"`.
        The buckets have the shape of Prefect's `POST /flow_runs/history`: `interval_start`, `interval_end`, and
        `states`, each with `state_type`, `state_name`, `count_runs`, `sum_estimated_run_time` and
        `sum_estimated_lateness` in seconds. At most 500 of them; raise `ConfigError` for what cannot be asked. It is of
        all runs, whatever the namespace.
        """
        now = datetime.now(UTC)
        end = criteria.moment(until, now) if until is not None else now
        length, each = end - criteria.moment(since, now), criteria.duration(interval)
        try:
            span_until(end, since=length, interval=each, flows=flows)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        return self.session.provider.history(since=length, until=end, interval=each, flows=flows)

    def follow(self, run: FlowRun | str, *, every: float = POLL_SECONDS) -> Iterator[Transition]:
        """Yield the transitions of a run, from the first to that into its end, as they come.

        The store is looked at `every` so many seconds; a service has to run for it to learn anything new.
        """
        ident = (run if isinstance(run, FlowRun) else FlowRun(run, self)).view.id
        told: set[str] = set()
        while True:
            known = self.session.by_id(ident)
            for each in transitions(self.session.provider.transitions(ident)):
                if each.id not in told:
                    told.add(each.id)
                    yield each
            if known is None or known.run.deleted or (known.run.state.type and known.run.state.type.is_terminal):
                return
            time.sleep(every)

    def __iter__(self) -> Iterator[Flow]:
        return iter(self.flows)

    def __getitem__(self, name: str) -> Flow:
        return Flow(name, self)

    def __contains__(self, name: str) -> bool:
        with suppress(KeyError):
            return bool(self[name].id)
        return False

    def __dir__(self) -> list[str]:
        return shown.public(super().__dir__())

    def __repr__(self) -> str:
        return f"Client({self.metadata!r})"

    def _repr_html_(self) -> str:
        return shown.table(self.metadata, {flow.name: flow.latest_run for flow in self.flows})

    def _ipython_key_completions_(self) -> list[str]:
        return [flow.name for flow in self.flows]
