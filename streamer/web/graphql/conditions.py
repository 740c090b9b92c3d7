"""What stands after `where` and `order_by`: the inputs of GraphQL, and what they mean."""

import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime
from enum import Enum
from typing import Any, Generic, TypeVar
from uuid import UUID

import strawberry
from graphql import GraphQLError
from strawberry import UNSET

from schemas import StateType
from schemas.ours import VerdictStatus
from streamer.questions import TEXT_MOST, Order
from streamer.search import PATTERNS, Comparison, Condition, Either, Every, Not, Operator

Value = TypeVar("Value")

NESTED_MOST = 20
COMPARISONS_MOST = 200
VALUES_MOST = 1_000


def _operator(operator: Operator) -> Any:
    return strawberry.field(name=operator.value, default=UNSET)


@strawberry.input
class Equality(Generic[Value]):
    """What can be the same or another."""

    eq: Value | None = _operator(Operator.EQ)
    neq: Value | None = _operator(Operator.NEQ)
    in_: list[Value] | None = _operator(Operator.IN)
    nin: list[Value] | None = _operator(Operator.NIN)
    is_null: bool | None = _operator(Operator.IS_NULL)


@strawberry.input
class Rank(Equality[Value], Generic[Value]):
    """What has an order."""

    gt: Value | None = _operator(Operator.GT)
    gte: Value | None = _operator(Operator.GTE)
    lt: Value | None = _operator(Operator.LT)
    lte: Value | None = _operator(Operator.LTE)


@strawberry.input(name="uuid_comparison_exp")
class UuidComparison(Equality[UUID]):
    """Of an id."""


@strawberry.input(name="Int_comparison_exp")
class IntComparison(Rank[int]):
    """Of a number."""


@strawberry.input(name="timestamptz_comparison_exp")
class TimeComparison(Rank[datetime]):
    """Of a time, which has to have a zone."""


@strawberry.input(name="state_type_comparison_exp")
class StateComparison(Equality[StateType]):
    """Of a type of state."""


@strawberry.input(name="verdict_comparison_exp")
class VerdictComparison(Equality[VerdictStatus]):
    """Of the status of a verdict that stands."""


@strawberry.input(name="String_comparison_exp")
class TextComparison(Rank[str]):
    r"""Of a text; in a pattern `%` is any text, `_` any character, and `\` takes the one after it as it is.

    `_ilike` and `_nilike` take `a` and `A` for the same, as far as the letters are those of ASCII.
    """

    like: str | None = _operator(Operator.LIKE)
    nlike: str | None = _operator(Operator.NLIKE)
    ilike: str | None = _operator(Operator.ILIKE)
    nilike: str | None = _operator(Operator.NILIKE)


@strawberry.input(name="tags_comparison_exp")
class TagsComparison:
    """Of tags: a run has to have all of these."""

    contains: list[str] | None = _operator(Operator.CONTAINS)


@strawberry.input(name="named_bool_exp")
class NamedWhere:
    """Of a flow, a deployment, a work pool or a work queue, by its newest name."""

    and_: "list[NamedWhere] | None" = strawberry.field(name="_and", default=UNSET)
    or_: "list[NamedWhere] | None" = strawberry.field(name="_or", default=UNSET)
    not_: "NamedWhere | None" = strawberry.field(name="_not", default=UNSET)
    id: UuidComparison | None = UNSET
    name: TextComparison | None = UNSET


@strawberry.input(name="flow_run_bool_exp")
class FlowRunWhere:
    """Of a run; all that stands here has to be met."""

    and_: "list[FlowRunWhere] | None" = strawberry.field(name="_and", default=UNSET)
    or_: "list[FlowRunWhere] | None" = strawberry.field(name="_or", default=UNSET)
    not_: "FlowRunWhere | None" = strawberry.field(name="_not", default=UNSET)
    id: UuidComparison | None = UNSET
    name: TextComparison | None = UNSET
    source: TextComparison | None = UNSET
    state: StateComparison | None = UNSET
    state_name: TextComparison | None = UNSET
    state_message: TextComparison | None = UNSET
    state_timestamp: TimeComparison | None = UNSET
    run_count: IntComparison | None = UNSET
    created: TimeComparison | None = UNSET
    scheduled_start_time: TimeComparison | None = UNSET
    start_time: TimeComparison | None = UNSET
    end_time: TimeComparison | None = UNSET
    verdict: VerdictComparison | None = UNSET
    tags: TagsComparison | None = UNSET
    parent_task_run_id: UuidComparison | None = UNSET
    flow_id: UuidComparison | None = UNSET
    deployment_id: UuidComparison | None = UNSET
    flow: NamedWhere | None = UNSET
    deployment: NamedWhere | None = UNSET
    work_pool: NamedWhere | None = UNSET
    work_queue: NamedWhere | None = UNSET


@strawberry.enum(name="order_by")
class Way(Enum):
    """Which comes first; a run that has no such time is left out."""

    ASC = strawberry.enum_value("asc", name="asc")
    DESC = strawberry.enum_value("desc", name="desc")


@strawberry.input(name="flow_run_order_by", one_of=True)
class FlowRunOrder:
    """By which time runs are put in order, at the same time by their ids; the newest first unless asked otherwise."""

    created: Way | None = UNSET
    start_time: Way | None = UNSET
    end_time: Way | None = UNSET
    state_timestamp: Way | None = UNSET


_ORDERS = {
    "created": Order.CREATED,
    "start_time": Order.STARTED,
    "end_time": Order.ENDED,
    "state_timestamp": Order.STATE,
}


def order(order_by: FlowRunOrder | None) -> tuple[Order, bool]:
    """Return the order, and whether the oldest comes first."""
    for name, way in _given(order_by, "order_by"):
        return _ORDERS[name], way is Way.ASC
    return Order.CREATED, False


def condition(where: NamedWhere | FlowRunWhere | None) -> Condition:
    """Return what has to be met; refuse more than can be looked up."""
    met = _condition(where, "", 0)
    if (number := _size(met)) > COMPARISONS_MOST:
        raise GraphQLError(f"where: these are {number} comparisons, and {COMPARISONS_MOST} is the most: try _in")
    return met


def _condition(where: NamedWhere | FlowRunWhere | None, of: str, depth: int) -> Every:
    if depth > NESTED_MOST:
        raise GraphQLError(f"where: conditions are nested more than {NESTED_MOST} deep: put them side by side")
    return Every(tuple(_met(name, asked, of, depth + 1) for name, asked in _given(where, "where")))


def _met(name: str, asked: Any, of: str, depth: int) -> Condition:
    if name == "and_":
        return Every(tuple(_condition(each, of, depth) for each in asked))
    if name == "or_":
        return Either(tuple(_condition(each, of, depth) for each in asked))
    if name == "not_":
        return Not(_condition(asked, of, depth))
    if isinstance(asked, NamedWhere):
        return _condition(asked, f"{name}.", depth)
    compared = [(Operator(f"_{sign.rstrip('_')}"), value) for sign, value in _given(asked, name)]
    return Every(tuple(Comparison(of + name, operator, _value(name, operator, value)) for operator, value in compared))


def _size(condition: Condition) -> int:
    if isinstance(condition, Every | Either):
        return sum(map(_size, condition.conditions)) or 1
    return _size(condition.condition) if isinstance(condition, Not) else 1


def _given(asked: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield what is there; null compares with nothing, and whoever means nothing at all leaves it out."""
    for field in fields(asked) if asked else ():
        if (value := getattr(asked, field.name)) is None:
            raise GraphQLError(f"{name}: null compares with nothing: leave it out, or ask with _is_null")
        if value is not UNSET:
            yield field.name, value


def _value(name: str, operator: Operator, value: Any) -> Any:
    if not isinstance(value, list):
        _require_fit(name, operator, value)
        return value
    if len(value) > VALUES_MOST:
        raise GraphQLError(f"{name}: these are {len(value)} values, and {VALUES_MOST} is the most")
    for each in value:
        _require_fit(name, operator, each)
    return tuple(value)


def _require_fit(name: str, operator: Operator, value: Any) -> None:
    if isinstance(value, datetime) and value.tzinfo is None:
        raise GraphQLError(f"{name}: {value.isoformat()} has no zone: write {value.isoformat()}Z if you mean UTC")
    if isinstance(value, str) and len(value) > TEXT_MOST:
        raise GraphQLError(f"{name}: a text has {len(value)} characters, and {TEXT_MOST} is the most")
    if isinstance(value, str) and "\0" in value:
        raise GraphQLError(f"{name}: no text has a NUL: leave it out")
    if operator in PATTERNS and _ENDS_IN_ESCAPE.search(value):
        raise GraphQLError(f"{name}: a pattern ends in \\, which takes the next character as it is: write \\\\")


_ENDS_IN_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\\Z")
