"""Answers from a running service, over HTTP."""

import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote
from uuid import UUID

import httpx
import orjson
from pydantic import BaseModel, TypeAdapter

from schemas import StateType
from streamer.client.providers import RunPage
from streamer.errors import AuthenticationFailed, ConfigError, SourceError
from streamer.questions import PAGE_MOST, Count, DeploymentQuery, FlowQuery, RunQuery
from streamer.reports import Bucket
from streamer.run_details import ArtifactView, DeploymentDetails, RunDetails
from streamer.run_view import HeartbeatView, LogLine, RunView, TaskRunView, TransitionView
from streamer.summary_view import DeploymentView, FlowView
from streamer.web.endpoints import Items, Part
from streamer.web.operations import HistoryAsked
from streamer.web.parameters import written
from streamer.web.runs import NO_STATE, CountView
from streamer.web.server_asked import TaskRunPlace

SECONDS = 30.0

T = TypeVar("T")

_BUCKETS: TypeAdapter[list[Bucket]] = TypeAdapter(list[Bucket])
_RUNS: TypeAdapter[Items[RunView]] = TypeAdapter(Items[RunView])
_COUNT: TypeAdapter[CountView] = TypeAdapter(CountView)
_FLOWS: TypeAdapter[Items[FlowView]] = TypeAdapter(Items[FlowView])
_DEPLOYMENTS: TypeAdapter[Items[DeploymentView]] = TypeAdapter(Items[DeploymentView])
_TRANSITIONS: TypeAdapter[Items[TransitionView]] = TypeAdapter(Items[TransitionView])
_HEARTBEATS: TypeAdapter[Items[HeartbeatView]] = TypeAdapter(Items[HeartbeatView])
_LOGS: TypeAdapter[Part[LogLine]] = TypeAdapter(Part[LogLine])
_TASK_RUNS: TypeAdapter[Part[TaskRunView]] = TypeAdapter(Part[TaskRunView])
_ARTIFACTS: TypeAdapter[Part[ArtifactView]] = TypeAdapter(Part[ArtifactView])
_DETAILS: TypeAdapter[RunDetails] = TypeAdapter(RunDetails)
_DEPLOYMENT: TypeAdapter[DeploymentDetails | None] = TypeAdapter(DeploymentDetails | None)
_RUN_OF: TypeAdapter[TaskRunPlace] = TypeAdapter(TaskRunPlace)


class RemoteProvider:
    """Asks a service by its URL, with a `token` or an `auth_string` (`user:password`) if it wants one."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        auth_string: str | None = None,
    ) -> None:
        self._url = _address(url)
        self.place = f"service@{self._url}"
        if token and not token.isascii():
            raise ConfigError("a token has ASCII characters only", hint="is it the one that [access] has?")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        user, _, password = (auth_string or "").partition(":")
        self._auth = (user, password) if auth_string else None
        self._http = self._connected()
        weakref.finalize(self, self._http.close)

    def close(self) -> None:
        """Let go of what is open; asked again, it opens anew."""
        self._http.close()

    def runs(self, query: RunQuery) -> RunPage:
        """Return a page of runs."""
        page = self._ask(_RUNS, "runs", written(query))
        return RunPage(page.items, page.next)

    def count(self, query: RunQuery) -> Count:
        """Return how many runs all pages have together."""
        told = self._ask(_COUNT, "runs/count", written(query))
        by_state = told.by_state.items()
        return Count(told.total, {None if name == NO_STATE else StateType(name): number for name, number in by_state})

    def flows(self, query: FlowQuery) -> Sequence[FlowView]:
        """Return flows, the one with the latest run first."""
        return self._all(_FLOWS, "flows", query)

    def deployments(self, query: DeploymentQuery) -> Sequence[DeploymentView]:
        """Return deployments, the one with the latest run first."""
        return self._all(_DEPLOYMENTS, "deployments", query)

    def transitions(self, run: UUID) -> Sequence[TransitionView]:
        """Return how a run went from state to state, as far as the log goes back, oldest first."""
        return self._ask(_TRANSITIONS, f"runs/{run}/transitions").items

    def heartbeats(self, run: UUID) -> Sequence[HeartbeatView]:
        """Return the last heartbeats of a run, oldest first."""
        return self._ask(_HEARTBEATS, f"runs/{run}/heartbeats").items

    def history(self, *, since: timedelta, until: datetime, interval: timedelta, flows: Sequence[str]) -> list[Bucket]:
        """Return the runs that were due in each of the intervals, since so long before the end, by state."""
        asked = HistoryAsked(since=since, until=until, interval=interval, flow=tuple(flows))
        return self._ask(_BUCKETS, "history", written(asked))

    def logs(self, run: UUID, *, beyond: int = 0) -> Sequence[LogLine]:
        """Return the log of a run and its tasks, oldest first, without its first lines."""
        return self._whole(_LOGS, f"runs/{run}/logs", beyond=beyond)

    def last_lines(self, run: UUID, number: int) -> Sequence[LogLine]:
        """Return the last lines of the log of a run and its tasks, oldest first."""
        return self._whole(_LOGS, f"runs/{run}/logs", most=number, newest_first="true")[::-1]

    def task_runs(self, run: UUID) -> Sequence[TaskRunView]:
        """Return the task runs of a run, in the order in which they were expected to start."""
        return self._whole(_TASK_RUNS, f"runs/{run}/task_runs")

    def artifacts(self, run: UUID) -> Sequence[ArtifactView]:
        """Return the artifacts of a run and its tasks."""
        return self._whole(_ARTIFACTS, f"runs/{run}/artifacts")

    def details(self, run: UUID) -> RunDetails:
        """Return what no event tells of a run."""
        return self._ask(_DETAILS, f"runs/{run}/details")

    def deployment(self, ident: UUID) -> DeploymentDetails | None:
        """Return what no event tells of a deployment; None if it was deleted."""
        return self._ask(_DEPLOYMENT, f"deployments/{ident}/details")

    def run_of(self, task_run: str) -> UUID | None:
        """Return the run that a task run belongs to; None if nobody knows any more."""
        return self._ask(_RUN_OF, f"task_runs/{quote(task_run, safe='')}").run

    def _connected(self) -> httpx.Client:
        return httpx.Client(
            base_url=self._url, headers=self._headers, auth=self._auth, timeout=SECONDS, trust_env=False
        )

    def _all(self, answer: TypeAdapter[Items[T]], what: str, query: BaseModel) -> list[T]:
        """Return all there is, asked for a page at a time by cursors."""
        found: list[T] = []
        after: list[tuple[str, str]] = []
        while True:
            page = self._ask(answer, what, [*written(query), ("limit", str(PAGE_MOST)), *after])
            found += page.items
            if page.next is None:
                return found
            after = [("after", page.next)]

    def _whole(
        self, answer: TypeAdapter[Part[T]], what: str, *, beyond: int = 0, most: int | None = None, **more: str
    ) -> list[T]:
        """Return all there is, or so many beyond the first, asked for a part at a time by offsets."""
        found: list[T] = []
        offset: int | None = beyond
        while offset is not None and (most is None or len(found) < most):
            part = self._ask(answer, what, [("offset", str(offset)), *more.items()])
            found, offset = [*found, *part.items], part.next
        return found[:most]

    def _ask(self, answer: TypeAdapter[T], what: str, asked: Sequence[tuple[str, str]] = ()) -> T:
        if self._http.is_closed:
            self._http = self._connected()
        try:
            response = self._http.get(f"/api/{what}", params=httpx.QueryParams(list(asked)))
            if not response.is_success:
                self._refused(response)
            return answer.validate_json(response.content)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise SourceError(f"{self._url} does not answer: {error}", hint="is it a streamer's address?") from error

    def _refused(self, response: httpx.Response) -> NoReturn:
        told: dict[str, Any] = {}
        with suppress(orjson.JSONDecodeError):
            told = answer if isinstance(answer := orjson.loads(response.content), dict) else {}
        if response.status_code in (401, 403):
            raise AuthenticationFailed(f"{self._url} wants to know who asks", hint="give a token, or an auth_string")
        if sentence := told.get("detail"):
            refusal: Callable[..., Exception] = ConfigError if response.status_code == 400 else SourceError
            raise refusal(str(sentence), told.get("hint"))
        raise SourceError(f"{self._url} answered {response.status_code}", hint="is it a streamer's address?")


def _address(url: str) -> str:
    with suppress(httpx.InvalidURL, ValueError):
        if httpx.URL(url).host:
            return url.rstrip("/")
    raise ConfigError(f"{url} is no address of a service", hint="write it as http://host:4280")
