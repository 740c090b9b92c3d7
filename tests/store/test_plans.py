"""The questions that are to be quick are answered along the index that is there for them, in its order, unsorted."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from unittest.mock import patch

import pytest

from schemas import StateType
from streamer.questions import Order, RunQuery
from streamer.store import inspection, run_ways
from streamer.store.connection import SqliteConnection
from streamer.store.migrations import migrate

WALKED: dict[str, tuple[RunQuery, str]] = {
    "all": (RunQuery(), "runs_seen"),
    "by start": (RunQuery(order=Order.STARTED), "runs_started"),
    "by end": (RunQuery(order=Order.ENDED), "runs_gone"),
    "by state": (RunQuery(order=Order.STATE), "runs_moved"),
    "of a flow": (RunQuery(flows="etl"), "runs_of_flow"),
    "of a deployment": (RunQuery(deployments="nightly"), "runs_of_deployment"),
    "of a work pool": (RunQuery(work_pools="k8s"), "runs_of_work_pool"),
    "with a tag": (RunQuery(tags="prod"), "run_tags"),
    "with all tags": (RunQuery(tags=("prod", "team:a")), "run_tags"),
    "in a state": (RunQuery(states=(StateType.FAILED,)), "runs_of_state"),
    "latest success": (
        RunQuery(flows="etl", states=(StateType.COMPLETED,), order=Order.ENDED, limit=1),
        "ends_of_flow",
    ),
}
FOUND: dict[str, tuple[RunQuery, str]] = {
    "by name": (RunQuery(names="crimson-fox"), "runs_named"),
    "by the beginning of a name": (RunQuery(names="crimson-*"), "runs_named"),
    "subflows": (RunQuery(task_runs="e24e"), "runs_of_task_run"),
    "that are zombies": (RunQuery(verdicts=("zombie",)), "runs_judged"),
}


@pytest.fixture
def connection() -> Iterator[SqliteConnection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None, factory=SqliteConnection)) as connection:
        migrate(connection)
        yield connection


def plan(connection: SqliteConnection, statement: str) -> list[str]:
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]


def plan_of_page(connection: SqliteConnection, query: RunQuery) -> list[str]:
    """Return the steps that lead to the runs of a page."""
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    inspection.page(connection, query)
    connection.set_trace_callback(None)
    (page,) = [statement for statement in asked if "AS page" in statement]
    return plan(connection, page)


def along(index: str, steps: list[str]) -> bool:
    """Tell whether the runs are looked for in this index, and looked up by their ids at most."""
    table = "run_tags" if index == "run_tags" else "runs"
    through = [step for step in steps if step.split()[:2] in (["SCAN", table], ["SEARCH", table])]
    first, *looked_up = through
    return f"{index} " in f"{first} " and all("PRIMARY KEY (id=?)" in step for step in looked_up)


@pytest.mark.parametrize(("query", "index"), WALKED.values(), ids=WALKED)
def test_a_page_is_read_from_its_index_in_order(connection: SqliteConnection, query: RunQuery, index: str) -> None:
    with patch.object(run_ways, "FEW", 0):  # as if there were very many of each kind
        steps = plan_of_page(connection, query)
    assert along(index, steps), steps
    assert not any("FOR ORDER BY" in step for step in steps), steps


@pytest.mark.parametrize(("query", "index"), FOUND.values(), ids=FOUND)
def test_what_is_rare_is_found_by_its_index(connection: SqliteConnection, query: RunQuery, index: str) -> None:
    steps = plan_of_page(connection, query)
    assert along(index, steps), steps
