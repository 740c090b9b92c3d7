"""Pure: questions about runs, flows and deployments, and the answers to them, as types.

Each text that asks for something with a name is its id, its name, or a glob (`*`, `?`, `[…]`) that its name matches;
case counts. Of several texts one has to be met, but of `tags` all; of several criteria all have to be; one that is
empty asks nothing.
"""

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Protocol, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from schemas import StateType
from schemas.ours import VerdictStatus
from streamer.model import RunState

PAGE_SIZE = 100
PAGE_MOST = 1_000
TEXTS_MOST = 100
TEXT_MOST = 1_000

_PLACE = struct.Struct(">Bq16s")


def _several(value: object) -> object:
    return (value,) if isinstance(value, str | UUID) else value


Text = Annotated[str, Field(max_length=TEXT_MOST)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_several), Field(max_length=TEXTS_MOST)]
"""Names, ids or globs; a single one may be given by itself."""

Ids = Annotated[tuple[UUID, ...], BeforeValidator(_several), Field(max_length=PAGE_MOST)]
States = Annotated[tuple[StateType, ...], BeforeValidator(_several)]
Verdicts = Annotated[tuple[VerdictStatus, ...], BeforeValidator(_several)]


def meets(texts: Sequence[str], values: Sequence[str | None]) -> bool:
    """Tell whether one of the values is one of the texts, or matches it as a glob."""
    return any(value is not None and (value == text or fnmatchcase(value, text)) for text in texts for value in values)


class Order(StrEnum):
    """The time that runs are put in order by, at the same time by their ids; what has no such time is left out.

    `created`: when the oldest event that we have of the run occurred. A run keeps this place as it goes on (but if an
    older event comes in late), so that no run is on two pages or passed over, whatever comes in between them.
    `started`: when it first ran; it keeps that place, too, but gets it late. `ended`: when it came into the terminal
    state that it is in, or was deleted. `state`: when it came into its state. By these two, a run that goes on moves to
    the newest: pages newest first may pass it over, and pages oldest first meet it again.
    """

    CREATED = "created"
    STARTED = "started"
    ENDED = "ended"
    STATE = "state"


@dataclass(frozen=True, slots=True)
class Place:
    """A run's place in an order: its time, in microseconds since 1970, and its id."""

    order: Order
    oldest_first: bool
    at: int
    run: UUID

    def __str__(self) -> str:
        way = 2 * list(Order).index(self.order) + self.oldest_first
        return urlsafe_b64encode(_PLACE.pack(way, self.at, self.run.bytes)).decode().rstrip("=")

    @classmethod
    def read(cls, cursor: str) -> Self:
        """Return the place that a cursor tells; raise `ValueError` if it is none of ours."""
        try:
            way, at, run = _PLACE.unpack(urlsafe_b64decode(cursor + "=="))
            return cls(list(Order)[way // 2], bool(way % 2), at, UUID(bytes=run))
        except (ValueError, IndexError, struct.error):
            raise ValueError("it is no cursor: give the `next` of a page as it was") from None


class RunQuery(BaseModel):
    """Which runs, in which order, and how many at once.

    `states` are types of the present state, `verdicts` statuses of a verdict that stands. `task_runs` are ids of task
    runs that started the run as their subflow: which run they belong to only the server knows, so who wants a run's
    subflows asks it for the run's task runs first. `subflows` False leaves subflows out, True leaves nothing else. Runs
    that were `deleted` from the server are left out; with None they are not, with True nothing else is left. `since`
    (included) and `until` (not included) bound the time that the order goes by. `limit` is the size of a page. `after`
    is the `next` of the page before, of the same order.

    Along `ids`, `names`, `flows`, `deployments`, `work_pools`, tags, `task_runs`, `verdicts` and states that are not
    COMPLETED there are indexes. Of the rest, all runs are gone through in order until the page is full.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ids: Ids = ()
    names: Texts = ()
    flows: Texts = ()
    deployments: Texts = ()
    work_pools: Texts = ()
    work_queues: Texts = ()
    tags: Texts = ()
    any_tags: Texts = ()
    states: States = ()
    state_names: Texts = ()
    verdicts: Verdicts = ()
    sources: Texts = ()
    task_runs: Texts = ()
    subflows: bool | None = None
    deleted: bool | None = False
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    order: Order = Order.CREATED
    oldest_first: bool = False
    limit: Annotated[int, Field(ge=1, le=PAGE_MOST)] = PAGE_SIZE
    after: str | None = None

    @property
    def place(self) -> Place | None:
        """Return after which place the page begins; None for the first page."""
        return Place.read(self.after) if self.after else None

    @model_validator(mode="after")
    def _goes_on_in_the_same_order(self) -> Self:
        place = self.place
        if place and (place.order, place.oldest_first) != (self.order, self.oldest_first):
            raise ValueError(f"after is a cursor of another order: by {place.order}")
        return self


class FlowQuery(BaseModel):
    """Which flows; a flow is known by its runs, and its source is that of the latest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    names: Texts = ()
    sources: Texts = ()


class DeploymentQuery(BaseModel):
    """Which deployments, and of which flows; a deployment is known by its runs, and its flow is that of the latest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    names: Texts = ()
    flows: Texts = ()
    sources: Texts = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the runs, in order; `next` is the cursor of the page after this one, None if at present there is none.

    `names` has the newest name by the id of each flow, deployment, work pool and work queue that occurs in the runs and
    has one.
    """

    items: Sequence[RunState]
    next: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Count:
    """How many runs all pages have together, in all and by the type of their state, None where that is not known."""

    total: int
    by_state: Mapping[StateType | None, int]


@dataclass(frozen=True, slots=True)
class Summary:
    """A flow or deployment and how its runs fare; those deleted from the server are not among them.

    `latest` was created last; `latest_successful` ended last of those that are COMPLETED, `latest_failed` of those that
    are FAILED or CRASHED, and `consecutive_failures` of these ended after the last success. `flow` is the id of the
    flow that the latest run of a deployment is of.
    """

    id: str
    name: str | None
    runs: int
    latest: RunState
    latest_successful: RunState | None
    latest_failed: RunState | None
    consecutive_failures: int
    flow: str | None = None

    @property
    def source(self) -> str:
        """Return the name of the source that its latest run is from."""
        return self.latest.source


class Inspection(Protocol):
    """Who answers. Names may be shared by several flows or runs: the answer has all, and who asks decides."""

    async def runs(self, query: RunQuery) -> Page:
        """Return a page of runs."""
        ...

    async def count(self, query: RunQuery) -> Count:
        """Return how many runs all pages have together, wherever this one begins and however large it is."""
        ...

    async def flows(self, query: FlowQuery) -> Sequence[Summary]:
        """Return flows, the one with the latest run first."""
        ...

    async def deployments(self, query: DeploymentQuery) -> Sequence[Summary]:
        """Return deployments, the one with the latest run first."""
        ...


async def pages(inspection: Inspection, query: RunQuery) -> AsyncIterator[Page]:
    """Yield the page that is asked for, and those after it, until there are no more."""
    page = await inspection.runs(query)
    yield page
    while page.next:
        page = await inspection.runs(query.model_copy(update={"after": page.next}))
        yield page
