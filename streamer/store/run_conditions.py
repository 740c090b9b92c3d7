"""A condition in SQL: on runs, or on what runs belong to."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from streamer.search import Comparison, Condition, Either, Every, Not, Operator
from streamer.store.run_terms import PARTIES, Bound
from streamer.timestamps import to_micros

Columns = Mapping[str, str]

RUN: Columns = {
    "id": "runs.id",
    "name": "runs.name",
    "source": "(SELECT its.name FROM sources AS its WHERE its.id = runs.source)",
    "state": "runs.state_type",
    "state_name": "runs.state_name",
    "state_message": "runs.state_message",
    "state_timestamp": "runs.state_at",
    "run_count": "runs.run_count",
    "created": "runs.seen_at",
    "scheduled_start_time": "runs.due",
    "start_time": "runs.started_at",
    "end_time": "runs.ended_at",
    "verdict": "runs.verdict",
    "tags": "runs.tags",
    "parent_task_run_id": "runs.task_run",
    "flow_id": "runs.flow",
    "deployment_id": "runs.deployment",
    **{f"{party}.id": f"runs.{party}" for party in PARTIES},
    **{f"{party}.name": f"(SELECT its.name FROM names AS its WHERE its.id = runs.{party})" for party in PARTIES},
}
"""What stands in SQL for what of a run is compared."""

PARTY: Columns = {"id": "known.id", "name": "names.name"}
"""What stands in SQL for what of a flow or a deployment is compared."""

_SIGNS = {
    Operator.EQ: "=",
    Operator.NEQ: "<>",
    Operator.GT: ">",
    Operator.GTE: ">=",
    Operator.LT: "<",
    Operator.LTE: "<=",
    Operator.ILIKE: "LIKE",
    Operator.NILIKE: "NOT LIKE",
}
_LISTS = {Operator.IN: "IN", Operator.NIN: "NOT IN"}
_CASE_COUNTS = {Operator.LIKE: "glob", Operator.NLIKE: "NOT glob"}
_CASE_DOES_NOT = (Operator.ILIKE, Operator.NILIKE)


def term(condition: Condition, columns: Columns, bound: Bound) -> str:
    """Return what stands in SQL for a condition."""
    match condition:
        case Every(conditions):
            return _joined(" AND ", conditions, columns, bound) or "true"
        case Either(conditions):
            return _joined(" OR ", conditions, columns, bound) or _never(bound)
        case Not(negated):
            return f"NOT {term(negated, columns, bound)}"
        case Comparison():
            return _compared(columns[condition.of], condition.operator, condition.value, bound)


def _joined(sign: str, conditions: Sequence[Condition], columns: Columns, bound: Bound) -> str:
    terms = [term(each, columns, bound) for each in conditions]
    return f"({sign.join(terms)})" if terms else ""


def _never(bound: Bound) -> str:
    """Return what is false, but not plainly: SQLite looks for no index then, and does not find the one it is told."""
    return f"{bound.one(0)} = 1"


def _compared(column: str, operator: Operator, value: Any, bound: Bound) -> str:
    if operator is Operator.IS_NULL:
        return f"{column} IS {'' if value else 'NOT '}NULL"
    if operator is Operator.CONTAINS:
        has = [f"{bound.one(each)} IN (SELECT value FROM json_each({column}))" for each in value]
        return f"({' AND '.join(has)})" if has else "true"
    if operator in _LISTS and not value:
        return _never(bound) if operator is Operator.IN else "true"
    if operator in _LISTS:
        return f"{column} {_LISTS[operator]} ({', '.join(bound.one(_bound(column, each)) for each in value)})"
    if operator in _CASE_COUNTS:
        return f"{_CASE_COUNTS[operator]}({bound.one(glob_of(value))}, {column})"
    escaped = " ESCAPE '\\'" if operator in _CASE_DOES_NOT else ""
    return f"({column} {_SIGNS[operator]} {bound.one(_bound(column, value))}{escaped})"


def _bound(column: str, value: Any) -> object:
    if isinstance(value, datetime):
        return to_micros(value)
    if isinstance(value, UUID):
        return value.bytes if column == RUN["id"] else str(value)
    return value


def glob_of(pattern: str) -> str:
    r"""Return the glob for a pattern of `LIKE`, in which `\` takes a character as it is: SQLite's own forgets case."""

    def in_glob(found: re.Match[str]) -> str:
        taken = found[1]
        return taken if taken in ("%", "_") else _IN_GLOB.get(taken or found[0], taken)

    return _SIGNS_OF_PATTERN.sub(in_glob, pattern)


_SIGNS_OF_PATTERN = re.compile(r"\\(.)|[%_*?\[]", re.DOTALL)
_IN_GLOB = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
