"""Runs, and the flows and deployments that they are of, as GraphQL answers with them."""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, TypeVar
from uuid import UUID

import strawberry
from graphql import GraphQLError
from strawberry import UNSET

from schemas import StateType
from streamer.model import RunState
from streamer.questions import PAGE_MOST, PAGE_SIZE, Summary
from streamer.run_view import heartbeats, transitions, view
from streamer.search import Comparison, Condition, Every, Kind, Operator, Search
from streamer.web.graphql.conditions import FlowRunOrder, FlowRunWhere, NamedWhere, condition, order
from streamer.web.graphql.context import Context
from streamer.web.graphql.parts import Heartbeat, LogLine, Named, TaskRun, TaskRunState, Transition, Verdict, copied
from streamer.web.server_asked import OFFSET_MOST
from streamer.web.server_asked import PAGE_MOST as SERVER_PAGE_MOST

Info = strawberry.Info[Context, None]

OFFSET_MOST_OF_RUNS = 10_000
"""What is passed over is looked at, too."""


@strawberry.type
class Counted:
    """How many there are."""

    count: int


@strawberry.type
class Aggregate:
    """What is told of all together."""

    aggregate: Counted


@strawberry.type(name="flow_run")
class FlowRun:
    """What is known of a run.

    `state` is the type of its state, `created` when the oldest event that we have of it occurred, `duration` in seconds
    from its first start to its end. `parent_task_run_id` is the task run that it is a subflow of, `url` Prefect's page.
    """

    id: UUID
    name: str | None
    source: str
    state: StateType | None
    state_name: str | None
    state_message: str | None
    state_timestamp: datetime | None
    run_count: int | None
    tags: list[str]
    created: datetime | None
    scheduled_start_time: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    duration: float | None
    deleted: datetime | None
    last_heartbeat: datetime | None
    verdict: Verdict | None
    parent_task_run_id: str | None
    flow_id: str | None
    deployment_id: str | None
    url: str | None
    flow: "Flow | None"
    deployment: "Deployment | None"
    work_pool: Named | None
    work_queue: Named | None

    known: strawberry.Private[RunState]

    @strawberry.field
    async def transitions(self, info: Info) -> list[Transition] | None:
        """Return the states that it came into, in order."""
        records = await info.context.histories.load(self.id)
        return [copied(Transition, each) for each in transitions(records, now=info.context.answering.now())]

    @strawberry.field
    def heartbeats(self) -> list[Heartbeat]:
        """Return its last heartbeats, oldest first."""
        return [copied(Heartbeat, each) for each in heartbeats(self.known)]

    @strawberry.field
    async def logs(self, info: Info, limit: int = SERVER_PAGE_MOST, offset: int = 0) -> list[LogLine] | None:
        """Return some lines of the log of it and its tasks, oldest first."""
        within(limit, offset, limit_most=SERVER_PAGE_MOST, offset_most=OFFSET_MOST)
        lines = await info.context.answering.server.logs(self.id, offset=offset, limit=limit)
        return [copied(LogLine, each) for each in lines]

    @strawberry.field
    async def task_runs(self, info: Info, limit: int = SERVER_PAGE_MOST, offset: int = 0) -> list[TaskRun] | None:
        """Return some of its task runs, in the order in which they were expected to start."""
        within(limit, offset, limit_most=SERVER_PAGE_MOST, offset_most=OFFSET_MOST)
        found = await info.context.answering.server.task_runs(self.id, offset=offset, limit=limit)
        states = [copied(TaskRunState, each.state) if each.state else None for each in found]
        return [copied(TaskRun, each, state=state) for each, state in zip(found, states, strict=True)]

    @classmethod
    def of(cls, known: RunState, names: Mapping[str, str], pages: Mapping[str, str]) -> "FlowRun":
        """Return what is known of a run; `pages` has by source where Prefect's pages are."""
        run = view(known, names, pages)
        return copied(
            cls,
            run,
            known=known,
            state=run.state.type,
            state_name=run.state.name,
            state_message=run.state.message,
            state_timestamp=run.state.at,
            tags=list(run.tags),
            scheduled_start_time=run.due,
            start_time=run.started,
            end_time=run.ended,
            verdict=copied(Verdict, run.verdict) if run.verdict else None,
            parent_task_run_id=run.parent_task_run,
            flow_id=run.flow.id if run.flow else None,
            deployment_id=run.deployment.id if run.deployment else None,
            flow=copied(Flow, run.flow) if run.flow else None,
            deployment=copied(Deployment, run.deployment) if run.deployment else None,
            work_pool=copied(Named, run.work_pool) if run.work_pool else None,
            work_queue=copied(Named, run.work_queue) if run.work_queue else None,
        )


@strawberry.type
class _HasRuns:
    """What runs are of, and how they fare; those that were deleted from the server are left out."""

    kind: ClassVar[Kind]

    id: str
    name: str | None

    @strawberry.field
    async def source(self, info: Info) -> str | None:
        """Return the name of the source that its latest run is from."""
        return found.source if (found := await self._found(info)) else None

    @strawberry.field
    async def runs(self, info: Info) -> int:
        """Return how many runs it has."""
        return found.runs if (found := await self._found(info)) else 0

    @strawberry.field
    async def consecutive_failures(self, info: Info) -> int:
        """Return how many have failed or crashed since the last success."""
        return found.consecutive_failures if (found := await self._found(info)) else 0

    @strawberry.field
    async def latest_run(self, info: Info) -> FlowRun | None:
        """Return the run that was created last."""
        return told(info, found.latest) if (found := await self._found(info)) else None

    @strawberry.field
    async def latest_successful_run(self, info: Info) -> FlowRun | None:
        """Return the run that ended last of those that are COMPLETED."""
        return told(info, found.latest_successful) if (found := await self._found(info)) else None

    @strawberry.field
    async def latest_failed_run(self, info: Info) -> FlowRun | None:
        """Return the run that ended last of those that are FAILED or CRASHED."""
        return told(info, found.latest_failed) if (found := await self._found(info)) else None

    @strawberry.field
    async def flow_runs(
        self,
        info: Info,
        where: FlowRunWhere | None = UNSET,
        order_by: FlowRunOrder | None = UNSET,
        limit: int = PAGE_SIZE,
        offset: int = 0,
    ) -> list[FlowRun]:
        """Return some of its runs, newest first unless asked otherwise."""
        return await find_runs(info, self._of_this(where), order_by, limit, offset)

    @strawberry.field
    async def flow_runs_aggregate(self, info: Info, where: FlowRunWhere | None = UNSET) -> Aggregate | None:
        """Return how many runs it has that meet a condition."""
        return await count_runs(info, self._of_this(where))

    def _of_this(self, where: FlowRunWhere | None) -> Condition:
        return Every((Comparison(f"{self.kind}.id", Operator.EQ, self.id), condition(where)))

    async def _found(self, info: Info) -> Summary | None:
        return await info.context.summaries(self.kind).load(self.id)


@strawberry.type(name="flow")
class Flow(_HasRuns):
    """A flow, and how its runs fare."""

    kind = "flow"


@strawberry.type(name="deployment")
class Deployment(_HasRuns):
    """A deployment, and how its runs fare."""

    kind = "deployment"

    @strawberry.field
    async def flow(self, info: Info) -> Flow | None:
        """Return the flow that its latest run is of."""
        if (found := await self._found(info)) and found.flow:
            return Flow(id=found.flow, name=info.context.answering.names().get(found.flow))
        return None


Party = TypeVar("Party", Flow, Deployment)


async def find_runs(
    info: Info, where: Condition, order_by: FlowRunOrder | None, limit: int, offset: int
) -> list[FlowRun]:
    """Return the runs that meet a condition."""
    within(limit, offset)
    by, oldest_first = order(order_by)
    page = await info.context.answering.searching.search(Search(where, by, oldest_first, limit, offset))
    pages = info.context.answering.pages
    return [FlowRun.of(run, page.names, pages) for run in page.items]


async def find_parties(info: Info, of: type[Party], where: NamedWhere | None, limit: int, offset: int) -> list[Party]:
    """Return flows or deployments that meet a condition; what else is asked of them is at hand then."""
    within(limit, offset)
    found = (await info.context.answering.searching.parties(of.kind, condition(where)))[offset : offset + limit]
    info.context.summaries(of.kind).prime_many({each.id: each for each in found})
    return [of(id=each.id, name=each.name) for each in found]


async def find_party(info: Info, of: type[Party], ident: UUID) -> Party | None:
    """Return the flow or the deployment that has an id."""
    found = await info.context.summaries(of.kind).load(str(ident))
    return of(id=found.id, name=found.name) if found else None


async def count_runs(info: Info, where: Condition) -> Aggregate:
    """Return how many runs meet a condition."""
    return Aggregate(aggregate=Counted(count=await info.context.counts.load(where)))


def within(limit: int, offset: int, limit_most: int = PAGE_MOST, offset_most: int = OFFSET_MOST_OF_RUNS) -> None:
    """Refuse to tell or to pass over more than can be done at once."""
    if not 1 <= limit <= limit_most:
        raise GraphQLError(f"limit: {limit} is not between 1 and {limit_most}")
    if not 0 <= offset <= offset_most:
        raise GraphQLError(f"offset: {offset} is not between 0 and {offset_most}")


def told(info: Info, run: RunState | None) -> FlowRun | None:
    """Return what is known of a run."""
    answering = info.context.answering
    return FlowRun.of(run, answering.names(), answering.pages) if run else None
