"""Whatever the condition, what is found is what a naive look at each run finds, and in the order asked for."""

import re
import sqlite3
from collections import Counter as Tally
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import StateType
from streamer.errors import StoreError
from streamer.model import RunState
from streamer.questions import TEXTS_MOST, Count, FlowQuery, Order, RunQuery
from streamer.search import ANY, Comparison, Condition, Either, Every, Not, Operator, Search
from streamer.store import inspection, run_ways, summaries
from streamer.store.connection import SqliteConnection
from streamer.store.run_conditions import glob_of
from tests.store.test_inspection import ENDED, NAMES, RUN_NAMES, TAGS, Shelf, at, moments, naive, run_states

pytestmark = pytest.mark.either_store

EQUAL = (Operator.EQ, Operator.NEQ)
RANKED = (*EQUAL, Operator.GT, Operator.GTE, Operator.LT, Operator.LTE)
LISTED = (Operator.IN, Operator.NIN)
PATTERNS = (Operator.LIKE, Operator.NLIKE, Operator.ILIKE, Operator.NILIKE)
TEXTS = ("%", "", "_rimson%", r"x\%", "X*Y", "[A]", "%FOX", "crimson-_ox", "ä%")


def compared(of: str, values: st.SearchStrategy[Any], operators: Sequence[Operator]) -> st.SearchStrategy[Comparison]:
    several = st.lists(values, max_size=3)
    return st.one_of(
        st.builds(Comparison, st.just(of), st.sampled_from(operators), values),
        st.builds(Comparison, st.just(of), st.sampled_from(LISTED), several),
        st.builds(Comparison, st.just(of), st.just(Operator.IS_NULL), st.booleans()),
    )


def matched(of: str, values: Sequence[str]) -> st.SearchStrategy[Comparison]:
    like = st.builds(Comparison, st.just(of), st.sampled_from(PATTERNS), st.sampled_from([*values, *TEXTS]))
    return compared(of, st.sampled_from(values), RANKED) | like


COMPARISONS = st.one_of(
    matched("name", RUN_NAMES),
    matched("state_name", ("Late", "late", "Completed")),
    matched("source", ("default", "staging")),
    *(matched(f"{party}.name", [*NAMES.values()]) for party in ("flow", "deployment", "work_pool", "work_queue")),
    compared("flow.id", st.sampled_from(["f1", "unnamed", "nobody"]), EQUAL),
    compared("deployment_id", st.sampled_from(["d1", "d2", "nobody"]), EQUAL),
    compared("parent_task_run_id", st.sampled_from(["t1", "t2"]), EQUAL),
    compared("state", st.sampled_from(StateType) | st.sampled_from(ENDED), EQUAL),
    compared("verdict", st.sampled_from(["zombie", "suspect"]), EQUAL),
    *(compared(of, moments, RANKED) for of in ("created", "start_time", "end_time", "state_timestamp")),
    compared("id", st.uuids(), EQUAL),
    st.builds(Comparison, st.just("tags"), st.just(Operator.CONTAINS), st.lists(st.sampled_from(TAGS), max_size=2)),
)


def joined(conditions: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(conditions, max_size=3).map(tuple)
    return st.builds(Every, several) | st.builds(Either, several) | st.builds(Not, conditions)


CONDITIONS: st.SearchStrategy[Condition] = st.recursive(COMPARISONS, joined, max_leaves=6)

TOLD_BY = {
    "state": "state_type",
    "state_timestamp": "state_at",
    "created": "seen_at",
    "start_time": "started_at",
    "end_time": "ended_at",
    "parent_task_run_id": "task_run",
    "deployment_id": "deployment",
}


def told(of: str, run: RunState) -> Any:
    party, _, what = of.partition(".")
    value = getattr(run, TOLD_BY.get(party, party))
    if party == "verdict":
        return value and value.status
    return NAMES.get(value) if what == "name" else value


def is_met(where: Condition, run: RunState) -> bool | None:
    """Tell whether a run meets a condition; None is neither, as in SQL."""
    if isinstance(where, Comparison):
        return is_so(where.operator, told(where.of, run), where.value)
    if isinstance(where, Not):
        met = is_met(where.condition, run)
        return None if met is None else not met
    found = [is_met(each, run) for each in where.conditions]
    decides = isinstance(where, Either)
    if decides in found:
        return decides
    return None if None in found else not decides


def is_so(operator: Operator, told: Any, value: Any) -> bool | None:
    if operator is Operator.IS_NULL:
        return bool((told is None) is value)
    if operator is Operator.CONTAINS:
        return set(told) >= set(value)
    if operator in LISTED and not value:
        return operator is Operator.NIN  # SQLite compares with nothing then, not even with null
    if told is None:
        return None
    so: dict[Operator, Callable[[], bool]] = {
        Operator.EQ: lambda: told == value,
        Operator.NEQ: lambda: told != value,
        Operator.GT: lambda: told > value,
        Operator.GTE: lambda: told >= value,
        Operator.LT: lambda: told < value,
        Operator.LTE: lambda: told <= value,
        Operator.IN: lambda: told in value,
        Operator.NIN: lambda: told not in value,
        Operator.LIKE: lambda: is_like(told, value),
        Operator.NLIKE: lambda: not is_like(told, value),
        Operator.ILIKE: lambda: is_like(told.lower(), value.lower()),
        Operator.NILIKE: lambda: not is_like(told.lower(), value.lower()),
    }
    return so[operator]()


def is_like(text: str, pattern: str) -> bool:
    signs = re.findall(r"\\.|.", pattern, re.DOTALL)
    wanted = "".join({"%": ".*", "_": "."}.get(sign) or re.escape(sign.removeprefix("\\")) for sign in signs)
    return re.fullmatch(wanted, text, re.DOTALL) is not None


@settings(max_examples=500, deadline=None)
@given(
    runs=st.lists(run_states(), min_size=5, max_size=25),
    where=CONDITIONS,
    order=st.sampled_from(Order),
    oldest_first=st.booleans(),
    limit=st.integers(1, 6),
    offset=st.integers(0, 3),
    few=st.sampled_from([0, 2, 5_000]),
)
def test_what_is_found_is_what_a_naive_look_finds(
    runs: list[RunState], where: Condition, order: Order, oldest_first: bool, limit: int, offset: int, few: int
) -> None:
    shelf = Shelf()
    with closing(shelf.connection), patch.multiple(run_ways, FEW=few, SAMPLE=1):
        shelf.put(runs)
        met = [run for run in shelf.runs.values() if is_met(where, run)]
        wanted = naive(RunQuery(order=order, oldest_first=oldest_first), met)
        found = inspection.searched(shelf.connection, Search(where, order, oldest_first, limit, offset))
        assert list(found.items) == wanted[offset : offset + limit]
        all_of_it = naive(RunQuery(), met)
        counted = inspection.count(shelf.connection, Search(where).query, where)
        assert counted == Count(len(all_of_it), Tally(run.state_type for run in all_of_it))


def test_flows_that_meet_a_condition_are_told_as_those_asked_for_by_name() -> None:
    shelf = Shelf()
    with closing(shelf.connection):
        shelf.put(RunState(UUID(int=n), "default", flow=f"f{n}", seen_at=at(n)) for n in (1, 2, 3, 4, 5))
        etl = Comparison("name", Operator.EQ, "etl")
        assert summaries.where(shelf.connection, "flow", etl) == summaries.flows(
            shelf.connection, FlowQuery(names=("etl",))
        )
        others = Every((Not(etl), Comparison("id", Operator.NEQ, "d2")))
        assert [each.id for each in summaries.where(shelf.connection, "flow", others)] == ["f4", "f3"]
        nameless = Comparison("name", Operator.IS_NULL, True)
        assert [each.id for each in summaries.where(shelf.connection, "flow", nameless)] == ["f5"]
        assert summaries.where(shelf.connection, "deployment", nameless) == []
        assert summaries.where(shelf.connection, "flow", ANY) == summaries.flows(shelf.connection, FlowQuery())


@pytest.mark.parametrize(
    ("where", "query"),
    [
        (Comparison("name", Operator.EQ, "a"), RunQuery(names=("a",))),
        (Every((Comparison("flow.name", Operator.EQ, "a"),)), RunQuery(flows=("a",))),
        (Comparison("id", Operator.IN, [UUID(int=1)]), RunQuery(ids=(UUID(int=1),))),
        (Comparison("tags", Operator.CONTAINS, ["a", "b"]), RunQuery(tags=("a", "b"))),
        (Comparison("state", Operator.EQ, StateType.FAILED), RunQuery(states=(StateType.FAILED,))),
        (Either((Comparison("name", Operator.EQ, "a"),)), RunQuery()),
        (Not(Comparison("name", Operator.EQ, "a")), RunQuery()),
        (Comparison("name", Operator.NEQ, "a"), RunQuery()),
        (Comparison("name", Operator.IN, ["a"] * (TEXTS_MOST + 1)), RunQuery()),
        (Comparison("name", Operator.EQ, "a" * 1_001), RunQuery()),
        (Comparison("run_count", Operator.EQ, 1), RunQuery()),
    ],
)
def test_what_every_run_has_to_have_is_looked_up_by_an_index(where: Condition, query: RunQuery) -> None:
    assert Search(where).query == query


@pytest.mark.parametrize(
    ("pattern", "glob"),
    [("a%_", "a*?"), ("[a]*?", "[[]a][*][?]"), (r"50\%\_\\", "50%_\\"), (r"\*\a", "[*]a"), ("a\\", "a\\")],
)
def test_a_pattern_is_written_as_a_glob(pattern: str, glob: str) -> None:
    assert glob_of(pattern) == glob


FOR_EVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def test_what_takes_too_long_is_given_up_and_the_next_question_is_answered() -> None:
    with closing(sqlite3.connect(":memory:", factory=SqliteConnection)) as connection:
        with pytest.raises(StoreError, match="not found within") as refused, connection.at_most(0.05):
            connection.execute(FOR_EVER).fetchone()
        assert "ask for less" in str(refused.value.hint)
        with pytest.raises(sqlite3.OperationalError), connection.at_most(1):
            connection.execute("nonsense")
        assert connection.execute("SELECT 1").fetchone() == (1,)
