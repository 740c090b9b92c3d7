"""`/api/runs…`, `/api/flows`, `/api/deployments`, `/api/zombies`: questions about runs, and the answers as JSON."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Protocol
from uuid import UUID

from pydantic import BaseModel, Field, field_validator

from streamer.model import Record, RunState
from streamer.questions import (
    PAGE_MOST,
    PAGE_SIZE,
    DeploymentQuery,
    FlowQuery,
    Inspection,
    Order,
    Place,
    RunQuery,
    Summary,
)
from streamer.run_view import HeartbeatView, RunView, TransitionView, heartbeats, transitions, view
from streamer.summary_view import DeploymentView, FlowView, deployment_view, flow_view
from streamer.timestamps import to_micros
from streamer.web.endpoints import Endpoint, Items, Nothing
from streamer.web.problems import Refusal
from streamer.web.server_asked import OfOne

NO_STATE = "NONE"


class Paged(BaseModel):
    """Which page of flows or deployments."""

    limit: Annotated[int, Field(ge=1, le=PAGE_MOST)] = PAGE_SIZE
    after: str | None = None

    @field_validator("after")
    @classmethod
    def _is_a_cursor(cls, value: str | None) -> str | None:
        if value:
            Place.read(value)
        return value


class FlowsAsked(FlowQuery, Paged):
    """Which flows, and which page of them."""


class DeploymentsAsked(DeploymentQuery, Paged):
    """Which deployments, and which page of them."""


@dataclass(frozen=True, slots=True)
class CountView:
    """How many runs there are in all, and by the type of their state, those without any as `NONE`."""

    total: int
    by_state: dict[str, int]


@dataclass(frozen=True, slots=True)
class ZombiesView:
    """The runs that a verdict stands of."""

    runs: list[RunView]


class RunStore(Protocol):
    """What keeps runs."""

    async def run(self, run: UUID) -> RunState | None:
        """Return what is known of a run; None if nothing is."""
        ...

    async def history(self, run: UUID) -> Sequence[Record]:
        """Return the run's records in the order in which they came."""
        ...


@dataclass(frozen=True, slots=True)
class RunsAsked:
    """Who answers questions about runs: `names` are those that are known by id, `pages` where Prefect's are."""

    inspection: Inspection
    store: RunStore
    zombies: Callable[[], Awaitable[Sequence[RunState]]]
    names: Callable[[], Mapping[str, str]]
    pages: Mapping[str, str]
    now: Callable[[], datetime]

    async def runs(self, query: RunQuery) -> Items[RunView]:
        """Return a page of runs."""
        page = await self.inspection.runs(query)
        return Items([view(run, page.names, self.pages) for run in page.items], page.next)

    async def count(self, query: RunQuery) -> CountView:
        """Return how many runs all pages have together."""
        count = await self.inspection.count(query)
        by_state = {state.value if state else NO_STATE: number for state, number in count.by_state.items()}
        return CountView(count.total, by_state)

    async def run(self, asked: OfOne) -> RunView:
        """Return a run."""
        page = await self.inspection.runs(RunQuery(ids=(asked.id,), deleted=None))
        for run in page.items:
            return view(run, page.names, self.pages)
        raise _unknown(asked.id)

    async def transitions(self, asked: OfOne) -> Items[TransitionView]:
        """Return the states that a run came into."""
        await self._known(asked.id)
        return Items(transitions(await self.store.history(asked.id), now=self.now()), None)

    async def heartbeats(self, asked: OfOne) -> Items[HeartbeatView]:
        """Return the last heartbeats of a run."""
        return Items(heartbeats(await self._known(asked.id)), None)

    async def flows(self, asked: FlowsAsked) -> Items[FlowView]:
        """Return a page of flows."""
        found = await self.inspection.flows(FlowQuery(names=asked.names, sources=asked.sources))
        some, following = _page(found, asked)
        return Items([flow_view(each, self.names(), self.pages) for each in some], following)

    async def deployments(self, asked: DeploymentsAsked) -> Items[DeploymentView]:
        """Return a page of deployments."""
        query = DeploymentQuery(names=asked.names, flows=asked.flows, sources=asked.sources)
        some, following = _page(await self.inspection.deployments(query), asked)
        return Items([deployment_view(each, self.names(), self.pages) for each in some], following)

    async def judged(self, _: Nothing) -> ZombiesView:
        """Return the runs that a verdict stands of."""
        return ZombiesView([self._view(run) for run in await self.zombies()])

    async def _known(self, run: UUID) -> RunState:
        if known := await self.store.run(run):
            return known
        raise _unknown(run)

    def _view(self, run: RunState) -> RunView:
        return view(run, self.names(), self.pages)


def endpoints(asked: RunsAsked) -> list[Endpoint[Any]]:
    """Return the questions about runs."""
    return [
        Endpoint("/api/flows", "Flows, the one with the latest run first", FlowsAsked, Items[FlowView], asked.flows),
        Endpoint(
            "/api/deployments",
            "Deployments, the one with the latest run first",
            DeploymentsAsked,
            Items[DeploymentView],
            asked.deployments,
        ),
        Endpoint("/api/runs", "Runs, newest first unless asked otherwise", RunQuery, Items[RunView], asked.runs),
        Endpoint("/api/runs/count", "How many runs all pages have together", RunQuery, CountView, asked.count),
        Endpoint("/api/runs/{id}", "A run", OfOne, RunView, asked.run, (404,)),
        Endpoint(
            "/api/runs/{id}/transitions",
            "The states that a run came into, in order",
            OfOne,
            Items[TransitionView],
            asked.transitions,
            (404,),
        ),
        Endpoint(
            "/api/runs/{id}/heartbeats",
            "The last heartbeats of a run, oldest first",
            OfOne,
            Items[HeartbeatView],
            asked.heartbeats,
            (404,),
        ),
        Endpoint("/api/zombies", "The runs that a verdict stands of", Nothing, ZombiesView, asked.judged),
    ]


def _unknown(run: UUID) -> Refusal:
    return Refusal(404, f"no run {run} is known here", field="id")


def _page(found: Sequence[Summary], asked: Paged) -> tuple[Sequence[Summary], str | None]:
    """Return the summaries after a place by their latest runs, and the place of the last if there are more."""
    place = Place.read(asked.after) if asked.after else None
    rest = sorted(found, key=_place_of, reverse=True)
    if place:
        rest = [each for each in rest if _place_of(each) < (place.at, place.run.bytes)]
    some = rest[: asked.limit]
    at_last = Place(Order.CREATED, False, _place_of(some[-1])[0], some[-1].latest.id) if len(rest) > len(some) else None
    return some, str(at_last) if at_last else None


def _place_of(summary: Summary) -> tuple[int, bytes]:
    return to_micros(summary.latest.seen_at) if summary.latest.seen_at else 0, summary.latest.id.bytes
