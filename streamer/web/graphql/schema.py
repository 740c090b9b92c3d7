"""The schema: what may be asked, in the shape that people know from Prefect 1."""

from uuid import UUID

import strawberry
import structlog
from graphql import GraphQLError
from strawberry import UNSET
from strawberry.extensions import MaxTokensLimiter
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext
from typing_extensions import override

from streamer.questions import PAGE_SIZE
from streamer.web.graphql.conditions import FlowRunOrder, FlowRunWhere, NamedWhere, condition
from streamer.web.graphql.limits import Limits
from streamer.web.graphql.runs import (
    Aggregate,
    Deployment,
    Flow,
    FlowRun,
    Info,
    count_runs,
    find_parties,
    find_party,
    find_runs,
    told,
)
from streamer.web.graphql.wording import Wording, is_fault

logger = structlog.get_logger()

TOKENS_MOST = 2_000


@strawberry.type
class Query:
    """Questions about runs; nothing is changed by any. Runs that were deleted from the server are left out."""

    @strawberry.field
    async def flow_run(
        self,
        info: Info,
        where: FlowRunWhere | None = UNSET,
        order_by: FlowRunOrder | None = UNSET,
        limit: int = PAGE_SIZE,
        offset: int = 0,
    ) -> list[FlowRun]:
        """Return runs, newest first unless asked otherwise."""
        return await find_runs(info, condition(where), order_by, limit, offset)

    @strawberry.field
    async def flow_run_by_pk(self, info: Info, id: UUID) -> FlowRun | None:  # noqa: A002 - the name is Hasura's
        """Return the run with this id, also if it was deleted."""
        return told(info, await info.context.answering.store.run(id))

    @strawberry.field
    async def flow_run_aggregate(self, info: Info, where: FlowRunWhere | None = UNSET) -> Aggregate | None:
        """Return how many runs there are."""
        return await count_runs(info, condition(where))

    @strawberry.field
    async def flow(
        self, info: Info, where: NamedWhere | None = UNSET, limit: int = PAGE_SIZE, offset: int = 0
    ) -> list[Flow]:
        """Return flows, the one with the latest run first."""
        return await find_parties(info, Flow, where, limit, offset)

    @strawberry.field
    async def flow_by_pk(self, info: Info, id: UUID) -> Flow | None:  # noqa: A002
        """Return the flow with this id."""
        return await find_party(info, Flow, id)

    @strawberry.field
    async def deployment(
        self, info: Info, where: NamedWhere | None = UNSET, limit: int = PAGE_SIZE, offset: int = 0
    ) -> list[Deployment]:
        """Return deployments, the one with the latest run first."""
        return await find_parties(info, Deployment, where, limit, offset)

    @strawberry.field
    async def deployment_by_pk(self, info: Info, id: UUID) -> Deployment | None:  # noqa: A002
        """Return the deployment with this id."""
        return await find_party(info, Deployment, id)


class Schema(strawberry.Schema):
    """Says in words what is wrong, and writes into the log only what is a fault of ours."""

    @override
    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        for error in errors:
            if is_fault(error):
                logger.error("a question of GraphQL failed", exc_info=error.original_error)


SCHEMA = Schema(
    Query,
    config=StrawberryConfig(auto_camel_case=False),
    extensions=[
        lambda: MaxTokensLimiter(TOKENS_MOST),
        Limits,
        Wording,
    ],
)
