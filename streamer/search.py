"""Pure: a question about runs as a tree of conditions, as GraphQL's `where` has it.

A comparison with what a run has not is neither true nor false, as in SQL: `_neq`, `_nin` and `_not` do not find it
either. Only `_is_null` does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol
from uuid import UUID

from streamer.model import Record
from streamer.questions import TEXT_MOST, TEXTS_MOST, Count, Order, Page, RunQuery, Summary


class Operator(StrEnum):
    """How a value of a run is compared; `%` and `_` stand in a pattern for any text and any character."""

    EQ = "_eq"
    NEQ = "_neq"
    IN = "_in"
    NIN = "_nin"
    GT = "_gt"
    GTE = "_gte"
    LT = "_lt"
    LTE = "_lte"
    LIKE = "_like"
    NLIKE = "_nlike"
    ILIKE = "_ilike"
    NILIKE = "_nilike"
    IS_NULL = "_is_null"
    CONTAINS = "_contains"


PATTERNS = (Operator.LIKE, Operator.NLIKE, Operator.ILIKE, Operator.NILIKE)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A value of a run, or of what it belongs to (`flow.name`), and what it is compared with."""

    of: str
    operator: Operator
    value: Any


@dataclass(frozen=True, slots=True)
class Every:
    """Met where each of the conditions is; so also where there are none."""

    conditions: "Sequence[Condition]" = ()


@dataclass(frozen=True, slots=True)
class Either:
    """Met where one of the conditions is."""

    conditions: "Sequence[Condition]"


@dataclass(frozen=True, slots=True)
class Not:
    """Met where the condition is false."""

    condition: "Condition"


Condition = Comparison | Every | Either | Not

ANY = Every()

Kind = Literal["flow", "deployment"]


@dataclass(frozen=True, slots=True)
class Search:
    """Which runs, in which order, how many to pass over and how many to tell; those deleted are left out."""

    where: Condition = ANY
    order: Order = Order.CREATED
    oldest_first: bool = False
    limit: int = 100
    offset: int = 0

    @property
    def query(self) -> RunQuery:
        """Return a question that each of these runs meets, so that an index leads to them; others may meet it too."""
        wanted: dict[str, list[str]] = {}
        for each in _demanded(self.where):
            field = _ASKED_BY.get(each.of)
            if field and each.operator in _EXACT and field not in wanted:
                values = [each.value] if each.operator is Operator.EQ else each.value
                wanted[field] = [str(value) for value in values]
        fits = {field: values for field, values in wanted.items() if _can_be_asked(values)}
        return RunQuery.model_validate({**fits, "order": self.order, "oldest_first": self.oldest_first})


class Searching(Protocol):
    """Who answers. Raises `StoreError` if that takes too long."""

    async def search(self, search: Search) -> Page:
        """Return the runs that meet a condition."""
        ...

    async def count_where(self, where: Condition) -> Count:
        """Return how many runs meet a condition."""
        ...

    async def parties(self, kind: Kind, where: Condition) -> Sequence[Summary]:
        """Return the flows or deployments of which `id` and `name` meet a condition, the latest run's first."""
        ...

    async def summaries(self, kind: Kind, ids: Sequence[str]) -> Sequence[Summary]:
        """Return the flows or deployments that have these ids, the one with the latest run first."""
        ...

    async def histories(self, runs: Sequence[UUID]) -> Mapping[UUID, Sequence[Record]]:
        """Return the records of each of these runs, in the order in which they came."""
        ...


_EXACT = (Operator.EQ, Operator.IN, Operator.CONTAINS)

_ASKED_BY = {
    "id": "ids",
    "name": "names",
    "state": "states",
    "state_name": "state_names",
    "flow_id": "flows",
    "flow.id": "flows",
    "flow.name": "flows",
    "deployment_id": "deployments",
    "deployment.id": "deployments",
    "deployment.name": "deployments",
    "work_pool.name": "work_pools",
    "parent_task_run_id": "task_runs",
    "tags": "tags",
    "verdict": "verdicts",
}
"""By which field of a question a value is asked for."""


def _can_be_asked(values: Sequence[str]) -> bool:
    """Tell whether a question takes these values; an index is of no use for many anyway."""
    return 0 < len(values) <= TEXTS_MOST and all(len(value) <= TEXT_MOST for value in values)


def _demanded(where: Condition) -> Iterator[Comparison]:
    """Yield the comparisons without which nothing meets a condition."""
    if isinstance(where, Comparison):
        yield where
    elif isinstance(where, Every):
        for each in where.conditions:
            yield from _demanded(each)
