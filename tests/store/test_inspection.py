"""Whatever way leads to the runs, the pages have what a naive search has, each run once, also while runs come in."""

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas import Event, StateType, decode
from streamer.model import Held, Net, Retention, RunState
from streamer.questions import Count, DeploymentQuery, FlowQuery, Order, Page, Place, RunQuery, Summary, pages
from streamer.store import inspection, run_rows, run_ways, summaries
from streamer.store.sql import SqlStore
from streamer.store.sqlite import SqliteStore
from streamer.testing import an_event
from streamer.timestamps import to_micros
from tests.store.agreement import opened
from tests.stores import bare, rows

pytestmark = pytest.mark.either_store

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = {
    "f1": "etl",
    "f2": "etl",
    "f3": "etl [daily]",
    "f4": "load*",
    "d1": "etl",
    "d2": "nightly",
    "p1": "k8s",
    "q1": "hot",
}
FLOW_OF: dict[str | None, str] = {"d1": "f1", "d2": "f1", "d3": "f3"}
RUN_NAMES = ("crimson-fox", "crimson-Fox", "crimson", "x*y", "xay", "[a]", "ärger", "fox-\U0010ffff", "fox-\U0010ffffa")
TAGS = ("prod", "prod:eu", "team:a", "team:b", "*", "[x]", "ä")
GLOBS = ("*", "crimson*", "*fox", "?rimson-[Ff]ox", "[[]a]", "fox-\U0010ffff*", "team:*", "prod*", "[!p]*", "etl*")
ENDED = tuple(state for state in StateType if state.is_terminal)


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


moments = st.integers(0, 9).map(at)


@st.composite
def run_states(draw: st.DrawFn) -> RunState:
    state = draw(st.sampled_from([None, *StateType, *ENDED, *ENDED]))
    entered, deployment = draw(moments), draw(st.sampled_from([None, *FLOW_OF]))
    return RunState(
        id=draw(st.uuids()),
        source=draw(st.sampled_from(["default", "staging"])),
        name=draw(st.none() | st.sampled_from(RUN_NAMES)),
        flow=FLOW_OF.get(deployment) or draw(st.sampled_from([None, "f1", "f2", "f3", "f4", "unnamed"])),
        deployment=deployment,
        work_pool=draw(st.sampled_from([None, "p1", "p2"])),
        work_queue=draw(st.sampled_from([None, "q1", "q2"])),
        task_run=draw(st.sampled_from([None, "t1", "t2"])),
        tags=tuple(draw(st.lists(st.sampled_from(TAGS), max_size=3))),
        state_type=state,
        state_name=draw(st.sampled_from(["Late", "late", "Completed"])) if state else None,
        state_at=entered if state else None,
        seen_at=draw(moments),
        started_at=draw(st.none() | moments),
        ended_at=entered if state in ENDED else None,
        deleted_at=draw(st.sampled_from([None, None, None, at(5)])),
        verdict=draw(st.sampled_from([None, Held("zombie", "silent", START), Held("suspect", "silent", START)])),
    )


def texts(*known: str) -> st.SearchStrategy[list[str]]:
    names, globs = st.sampled_from(known), st.sampled_from(GLOBS)
    return st.lists(names, min_size=1, max_size=3) | st.lists(names | globs, min_size=1, max_size=3)


CRITERIA: dict[str, st.SearchStrategy[Any]] = {
    "names": texts(*RUN_NAMES),
    "flows": texts("f1", "unnamed", "etl", "etl [daily]", "load*"),
    "deployments": texts("d1", "etl", "nightly"),
    "work_pools": texts("p1", "p2", "k8s"),
    "work_queues": texts("q1", "hot"),
    "tags": texts(*TAGS),
    "any_tags": texts(*TAGS),
    "states": st.lists(st.sampled_from(StateType), min_size=1, max_size=3),
    "state_names": texts("Late", "Completed"),
    "verdicts": st.lists(st.sampled_from(["zombie", "suspect"]), min_size=1),
    "sources": texts("default", "staging"),
    "task_runs": st.lists(st.sampled_from(["t1", "t2"]), min_size=1),
    "subflows": st.booleans(),
    "deleted": st.none() | st.booleans(),
    "since": moments,
    "until": moments,
    "order": st.sampled_from(Order),
    "oldest_first": st.booleans(),
}


ALWAYS = ("order", "oldest_first")


@st.composite
def queries(draw: st.DrawFn, *without: str) -> RunQuery:
    """Draw a few of the criteria: of too many at once nothing is left."""
    chosen = draw(
        st.lists(st.sampled_from([name for name in CRITERIA if name not in without]), max_size=4, unique=True)
    )
    return RunQuery(**{name: draw(CRITERIA[name]) for name in chosen})


def key(query: RunQuery, run: RunState) -> datetime | None:
    return {
        Order.CREATED: run.seen_at,
        Order.STARTED: run.started_at,
        Order.ENDED: run.deleted_at or run.ended_at,
        Order.STATE: run.state_at,
    }[query.order]


def sought(query: RunQuery, run: RunState) -> bool:
    """Search as anybody would."""

    def one(wanted: Sequence[str], *values: str | None) -> bool:
        told = [value for value in values if value is not None]
        return not wanted or any(value == text or fnmatchcase(value, text) for text in wanted for value in told)

    def of(wanted: Sequence[str], ident: str | None) -> bool:
        return one(wanted, NAMES.get(ident or "")) or ident in wanted

    moment = key(query, run)
    return moment is not None and all(
        (
            not query.ids or run.id in query.ids,
            one(query.names, run.name),
            of(query.flows, run.flow),
            of(query.deployments, run.deployment),
            of(query.work_pools, run.work_pool),
            of(query.work_queues, run.work_queue),
            all(one([tag], *run.tags) for tag in query.tags),
            one(query.any_tags, *run.tags),
            not query.states or run.state_type in query.states,
            one(query.state_names, run.state_name),
            not query.verdicts or (run.verdict and run.verdict.status in query.verdicts),
            one(query.sources, run.source),
            not query.task_runs or run.task_run in query.task_runs,
            query.subflows in (None, run.task_run is not None),
            query.deleted in (None, run.deleted_at is not None),
            query.since is None or moment >= query.since,
            query.until is None or moment < query.until,
        )
    )


def naive(query: RunQuery, runs: Iterable[RunState]) -> list[RunState]:
    """Return all that is sought, in order."""
    found = [run for run in runs if sought(query, run)]
    return sorted(found, key=lambda run: (key(query, run) or START, run.id), reverse=not query.oldest_first)


class Shelf:
    """Runs in a store of their own, in memory."""

    def __init__(self) -> None:
        self.connection = bare()
        self.connection.execute("INSERT INTO sources (id, name, identity, epoch) VALUES (1, 'default', '', 0)")
        self.connection.execute("INSERT INTO sources (id, name, identity, epoch) VALUES (2, 'staging', '', 0)")
        self.connection.executemany("INSERT INTO names VALUES (?, ?, 0)", NAMES.items())
        self.runs: dict[UUID, RunState] = {}

    def put(self, runs: Iterable[RunState]) -> None:
        fresh = {run.id: run for run in runs}
        run_rows.save(self.connection, fresh.values(), self.runs)
        self.runs |= fresh

    def page(self, query: RunQuery) -> Page:
        return inspection.page(self.connection, query)

    def pages(self, query: RunQuery) -> Iterator[Page]:
        page = self.page(query)
        yield page
        while page.next:
            page = self.page(query.model_copy(update={"after": page.next}))
            yield page


def ids(runs: Iterable[RunState]) -> list[UUID]:
    return [run.id for run in runs]


@settings(max_examples=300, deadline=None)
@given(
    runs=st.lists(run_states(), min_size=5, max_size=25),
    query=queries(),
    limit=st.integers(1, 6),
    few=st.sampled_from([0, 2, 5_000]),
    side_by_side=st.sampled_from([0, 2, 50]),
)
def test_all_pages_together_have_what_a_naive_search_has(
    runs: list[RunState], query: RunQuery, limit: int, few: int, side_by_side: int
) -> None:
    shelf = Shelf()
    with closing(shelf.connection), patch.multiple(run_ways, FEW=few, SAMPLE=1, SIDE_BY_SIDE=side_by_side):
        shelf.put(runs)
        wanted = naive(query, shelf.runs.values())
        found = list(shelf.pages(query.model_copy(update={"limit": limit})))
        assert [run for page in found for run in page.items] == wanted
        assert all(len(page.items) == limit for page in found[:-1])
        assert inspection.count(shelf.connection, query) == Count(len(wanted), Tally(run.state_type for run in wanted))


@settings(max_examples=200, deadline=None)
@given(
    batches=st.lists(st.lists(run_states(), min_size=1, max_size=8), min_size=2, max_size=6),
    query=queries("order", "states", "state_names", "verdicts"),
    limit=st.integers(1, 3),
    few=st.sampled_from([0, 5_000]),
    data=st.data(),
)
def test_of_what_comes_between_two_pages_nothing_is_met_twice_and_nothing_else_is_missed(
    batches: list[list[RunState]], query: RunQuery, limit: int, few: int, data: st.DataObject
) -> None:
    shelf = Shelf()
    with closing(shelf.connection), patch.object(run_ways, "FEW", few):
        shelf.put(batches.pop())
        first, met = ids(naive(query, shelf.runs.values())), list[UUID]()
        query = query.model_copy(update={"limit": limit})
        while True:
            page = shelf.page(query)
            assert (
                list(page.items) == [run for run in naive(query, shelf.runs.values()) if is_beyond(query, run)][:limit]
            )
            met += ids(page.items)
            if page.next is None:
                break
            query = query.model_copy(update={"after": page.next})
            shelf.put(batches.pop() if batches else ())
            going_on = data.draw(st.lists(st.sampled_from(list(shelf.runs.values())), max_size=3))
            shelf.put(ended(run) for run in going_on)
        assert len(set(met)) == len(met)
        assert set(first) <= set(met)


def is_beyond(query: RunQuery, run: RunState) -> bool:
    """Tell whether a run is beyond the place that the page before ended at."""
    place, moment = query.place, key(query, run)
    if place is None or moment is None:
        return True
    here, there = (to_micros(moment), run.id), (place.at, place.run)
    return here > there if query.oldest_first else here < there


def ended(run: RunState) -> RunState:
    return replace(run, state_type=StateType.COMPLETED, state_name="Completed", state_at=at(99), ended_at=at(99))


@settings(max_examples=100, deadline=None)
@given(runs=st.lists(run_states(), max_size=30, unique_by=lambda run: run.id))
def test_the_summary_of_each_flow_and_deployment_is_what_its_runs_are(runs: list[RunState]) -> None:
    shelf = Shelf()
    with closing(shelf.connection):
        shelf.put(runs)
        for column, found in (
            ("flow", summaries.flows(shelf.connection, FlowQuery())),
            ("deployment", summaries.deployments(shelf.connection, DeploymentQuery())),
        ):
            groups = defaultdict[str, list[RunState]](list)
            for run in runs:
                if (ident := getattr(run, column)) and not run.deleted_at:
                    groups[ident].append(run)
            wanted = [summarised(ident, group, column) for ident, group in groups.items()]
            assert found == sorted(wanted, key=lambda each: by(each.latest.seen_at, each.latest), reverse=True)


def by(moment: datetime | None, run: RunState) -> tuple[datetime, UUID]:
    return moment or START, run.id


def summarised(ident: str, runs: Sequence[RunState], column: str) -> Summary:
    def last(*states: StateType) -> RunState | None:
        ended = [run for run in runs if run.state_type in states]
        return max(ended, key=lambda run: by(run.ended_at, run), default=None)

    latest, success = max(runs, key=lambda run: by(run.seen_at, run)), last(StateType.COMPLETED)
    since = success.ended_at if success and success.ended_at else at(-1)
    bad = [run for run in runs if run.state_type in (StateType.FAILED, StateType.CRASHED)]
    return Summary(
        id=ident,
        name=NAMES.get(ident),
        runs=len(runs),
        latest=latest,
        latest_successful=success,
        latest_failed=last(StateType.FAILED, StateType.CRASHED),
        consecutive_failures=sum(run.ended_at > since for run in bad if run.ended_at),
        flow=latest.flow if column == "deployment" else None,
    )


@pytest.fixture(scope="module")
def shelf() -> Iterator[Shelf]:
    shelf = Shelf()
    with closing(shelf.connection):
        yield shelf


@settings(max_examples=300)
@given(
    wanted=st.lists(st.text("ab*?[]!-^\ud7ff\U0010ffff", min_size=1, max_size=6), min_size=1, max_size=2),
    name=st.text("ab*[]!-^\ud7ff\U0010ffff", max_size=5),
)
def test_a_name_is_matched_as_fnmatch_does(shelf: Shelf, wanted: list[str], name: str) -> None:
    run, query = RunState(id=UUID(int=1), source="default", name=name, seen_at=START), RunQuery(names=wanted)
    shelf.connection.execute("DELETE FROM runs")
    run_rows.save(shelf.connection, [run], {})
    assert list(shelf.page(query).items) == naive(query, [run])


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    store = await opened(tmp_path / "store.db")
    yield store
    await store.close()


def story(number: int, *states: str, tags: Sequence[str] = (), **parties: str) -> list[Event]:
    """Return what happens to a run, whose name is its number, a second apart; its parties' names are their ids."""
    related = [
        {"prefect.resource.id": f"prefect.{role}.{name}", "prefect.resource.role": role, "prefect.resource.name": name}
        for role, name in [*parties.items(), *(("tag", tag) for tag in tags)]
    ]
    run, told, before = UUID(int=number, version=4), list[Event](), None
    for second, after in enumerate(states):
        event = an_event(run=str(run), before=before, after=after, occurred=at(number * 10 + second), related=related)
        event["resource"]["prefect.resource.name"] = f"run {number}"
        told.append(decode(orjson.dumps(event)))
        before = after
    return told


HAPPENED = [
    *story(1, "PENDING", "RUNNING", "COMPLETED", flow="etl", deployment="nightly", tags=["prod", "team:a"]),
    *story(2, "PENDING", "RUNNING", "FAILED", flow="etl", deployment="nightly", tags=["prod", "prod"]),
    *story(3, "PENDING", "RUNNING", "CRASHED", flow="etl", tags=["team:b"]),
    *story(4, "PENDING", "RUNNING", flow="load", tags=["prod", "team:b"]),
    *story(5, "SCHEDULED", flow="load"),
]

ASKED: dict[str, tuple[RunQuery, list[int]]] = {
    "all": (RunQuery(), [5, 4, 3, 2, 1]),
    "by id": (RunQuery(ids=(UUID(int=2, version=4), UUID(int=9, version=4))), [2]),
    "by name": (RunQuery(names="run 3"), [3]),
    "by flow": (RunQuery(flows="etl"), [3, 2, 1]),
    "by some flows": (RunQuery(flows=("l*", "nothing")), [5, 4]),
    "by deployment": (RunQuery(deployments="nightly", oldest_first=True), [1, 2]),
    "with all tags": (RunQuery(tags=("prod", "team:*")), [4, 1]),
    "with any tag": (RunQuery(any_tags=("prod", "team:b")), [4, 3, 2, 1]),
    "with any tag, by when they ended": (RunQuery(any_tags=("prod", "team:a"), order=Order.ENDED), [2, 1]),
    "of a flow, ended or not": (RunQuery(flows="load", states=(StateType.RUNNING, StateType.FAILED)), [4]),
    "in a state": (RunQuery(states=(StateType.RUNNING, StateType.SCHEDULED)), [5, 4]),
    "latest success": (RunQuery(flows="etl", states=(StateType.COMPLETED,), order=Order.ENDED, limit=1), [1]),
    "started": (RunQuery(order=Order.STARTED, oldest_first=True), [1, 2, 3, 4]),
    "of a time": (RunQuery(since=at(20), until=at(40)), [3, 2]),
    "ended in a time": (RunQuery(since=at(22), until=at(32), order=Order.ENDED), [2]),
    "of no source": (RunQuery(sources="another"), []),
}


@pytest.mark.parametrize(("query", "numbers"), ASKED.values(), ids=ASKED)
async def test_the_store_answers(store: SqlStore, query: RunQuery, numbers: list[int]) -> None:
    await store.append("default", HAPPENED, net=Net.LIVE)
    page = await store.inspection.runs(query)
    assert [run.name for run in page.items] == [f"run {number}" for number in numbers]
    assert (await store.inspection.count(query)).total == len(numbers)
    assert page.names.keys() == {ident for run in page.items for ident in (run.flow, run.deployment) if ident}


async def test_flows_and_deployments_are_summed_up_the_latest_first(store: SqlStore) -> None:
    await store.append("default", HAPPENED, net=Net.LIVE)
    load, etl = await store.inspection.flows(FlowQuery(sources="def*"))
    assert (load.name, load.runs, load.latest_successful, load.consecutive_failures) == ("load", 2, None, 0)
    assert (etl.name, etl.source, etl.runs, etl.consecutive_failures) == ("etl", "default", 3, 2)
    assert [run and run.name for run in (etl.latest, etl.latest_successful, etl.latest_failed)] == [
        *("run 3", "run 1", "run 3")
    ]
    (nightly,) = await store.inspection.deployments(DeploymentQuery(flows="etl"))
    assert (nightly.id, nightly.flow, nightly.runs, nightly.consecutive_failures) == ("nightly", "etl", 2, 1)
    assert await store.inspection.deployments(DeploymentQuery(flows="load")) == []
    assert await store.inspection.flows(FlowQuery(names="nothing")) == []


@pytest.mark.sqlite
async def test_it_can_be_asked_beside_the_service(store: SqlStore, tmp_path: Path) -> None:
    await store.append("default", HAPPENED, net=Net.LIVE)
    reader = SqliteStore.open_read_only(tmp_path / "store.db")
    found = [page async for page in pages(reader.inspection, RunQuery(limit=2))]
    assert [len(page.items) for page in found] == [2, 2, 1]
    await reader.close()


async def test_tags_go_with_their_runs(store: SqlStore, tmp_path: Path) -> None:
    await store.append("default", HAPPENED, net=Net.LIVE)
    await store.append("default", story(4, "PENDING", "RUNNING", "COMPLETED", tags=["new"])[2:], net=Net.LIVE)
    tagged = {row[0] for row in rows(tmp_path / "store.db", "SELECT DISTINCT tag FROM run_tags")}
    assert tagged == {"prod", "team:a", "team:b", "new"}
    keep = Retention(runs=timedelta(0))
    assert (await store.prune(keep, now=at(1_000), readers=(), ids=False)).runs == 4
    assert rows(tmp_path / "store.db", "SELECT * FROM run_tags") == []


async def test_a_run_that_an_older_event_is_told_of_late_is_found_where_it_belongs(
    store: SqlStore, tmp_path: Path
) -> None:
    first, second = story(1, "PENDING", "RUNNING", tags=["prod"])
    await store.append("default", [second, *story(0, "PENDING", tags=["prod"])], net=Net.LIVE)
    await store.append("default", [first], net=Net.SWEEP)
    page = await store.inspection.runs(RunQuery(tags="prod", since=at(10), until=at(11)))
    assert [run.name for run in page.items] == ["run 1"]
    assert len(rows(tmp_path / "store.db", "SELECT * FROM run_tags")) == 2


REFUSED: dict[str, dict[str, object]] = {
    "a cursor that is none": {"after": "there"},
    "a cursor of another order": {"after": str(Place(Order.ENDED, False, 0, UUID(int=1)))},
    "a cursor of the other direction": {"after": str(Place(Order.CREATED, True, 0, UUID(int=1)))},
    "a page without end": {"limit": 1_000_000},
    "a time without a zone": {"since": "2026-01-01T00:00:00"},
    "a state that is none": {"states": ["Done"]},
    "what nobody knows": {"color": "red"},
}


@pytest.mark.parametrize("asked", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_asked_is_refused(asked: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RunQuery.model_validate(asked)


@given(st.sampled_from(Order), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.uuids())
def test_a_cursor_tells_its_place(order: Order, oldest_first: bool, moment: int, run: UUID) -> None:
    place = Place(order, oldest_first, moment, run)
    assert Place.read(str(place)) == place
    assert str(place).replace("-", "").replace("_", "").isalnum()
