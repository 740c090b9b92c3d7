"""Flows, runs, task runs and deployments: what each tells of itself, whoever answers."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from schemas import StateType
from streamer.client import Client, Deployment, Flow, FlowRun, FlowRunLog, State, TaskRun
from tests.client.world import (
    BROKEN,
    FOX,
    HERE,
    OTHER_TWIN,
    OWL,
    RUNS,
    SUBFLOW,
    THERE,
    TWIN,
    YAK,
    Told,
    at,
    ident,
)

ETL = (YAK, OTHER_TWIN, TWIN, OWL, FOX)
SECOND = timedelta(seconds=1)


def ids(runs: Any) -> list[str]:
    return [run.id for run in runs]


def keys(*told: Told) -> list[str]:
    return [each.id for each in told]


OF_CLIENT: list[tuple[str, Callable[[Client], Any], Any]] = [
    ("flows", lambda c: [each.name for each in c.flows], ["both", "both", "etl", "load"]),
    ("iteration", lambda c: [each.name for each in c], ["both", "both", "etl", "load"]),
    ("index", lambda c: c["etl"].name, "etl"),
    ("index by id", lambda c: c[ident("flow etl")].name, "etl"),
    ("contains", lambda c: ("etl" in c, "none" in c), (True, False)),
    ("flow", lambda c: c.flow("etl").id, ident("flow etl")),
    ("flow_run", lambda c: c.flow_run("etl/crimson-fox").id, FOX.id),
    ("task_run", lambda c: c.task_run("etl/crimson-fox/step-0").id, ident("step-0")),
    ("deployment", lambda c: c.deployment("etl/nightly").id, ident("deployment nightly")),
    ("deployment by name", lambda c: c.deployment("nightly").id, ident("deployment nightly")),
    ("deployments", lambda c: [each.name for each in c.deployments], ["nightly"]),
    ("view", lambda c: c.view(FOX.id).name, "crimson-fox"),
    ("find all", lambda c: ids(c.find_runs()), keys(*sorted(RUNS, key=lambda run: -run.minute))),
    ("find by name", lambda c: ids(c.find_runs(name="crimson-fox")), keys(FOX)),
    ("find by glob", lambda c: ids(c.find_runs(name=["crimson*", "amber*"])), keys(OWL, FOX)),
    ("find by id", lambda c: ids(c.find_runs(id=UUID(FOX.id))), keys(FOX)),
    ("find by flow", lambda c: ids(c.find_runs(flow="load")), keys(SUBFLOW)),
    ("find by tags", lambda c: ids(c.find_runs(tags=["prod", "team:a"])), keys(FOX)),
    ("find by any tag", lambda c: ids(c.find_runs(any_tags=["dev", "team:a"])), keys(YAK, TWIN, FOX)),
    ("find by type", lambda c: ids(c.find_runs(state="failed")), keys(OWL)),
    ("find by types", lambda c: ids(c.find_runs(state=[StateType.FAILED, "CRASHED"])), keys(OTHER_TWIN, TWIN, OWL)),
    ("find by state's name", lambda c: ids(c.find_runs(state="Runn*")), keys(YAK)),
    ("find since", lambda c: ids(c.find_runs(since=at(25), flow="etl")), keys(YAK, OTHER_TWIN)),
    ("find since how long", lambda c: ids(c.find_runs(since="10m")), []),
    ("find until", lambda c: ids(c.find_runs(until=at(5), flow="etl")), keys(FOX)),
    ("find oldest first", lambda c: ids(c.find_runs(flow="etl", oldest_first=True)), keys(*reversed(ETL))),
    ("find by end", lambda c: ids(c.find_runs(order="ended", flow="etl")), keys(OTHER_TWIN, TWIN, OWL, FOX)),
    ("find subflows", lambda c: ids(c.find_runs(subflows=True)), keys(SUBFLOW)),
    ("find by deployment", lambda c: ids(c.find_runs(deployment="nightly")), keys(YAK, FOX)),
    ("find by any property", lambda c: ids(c.find_runs(finished=False)), keys(YAK)),
    ("find a few", lambda c: ids(c.find_runs(flow="etl", limit=2)), keys(YAK, OTHER_TWIN)),
    ("completion", lambda c: c._ipython_key_completions_(), ["both", "both", "etl", "load"]),
    ("repr", lambda c: repr(c).startswith("Client('"), True),
]

OF_FLOW: list[tuple[str, Callable[[Any], Any], Any]] = [
    ("id", lambda f: f.id, ident("flow etl")),
    ("name", lambda f: f.name, "etl"),
    ("source", lambda f: f.source, "default"),
    ("tags", lambda f: f.tags, {"dev"}),
    ("created_at", lambda f: f.created_at, at(1)),
    ("parent", lambda f: f.parent, None),
    ("pathspec", lambda f: f.pathspec, "etl"),
    ("path_components", lambda f: f.path_components, ["etl"]),
    ("number_of_runs", lambda f: f.number_of_runs, 5),
    ("latest_run", lambda f: f.latest_run.id, YAK.id),
    ("latest_successful_run", lambda f: f.latest_successful_run.id, FOX.id),
    ("latest_failed_run", lambda f: f.latest_failed_run.id, OTHER_TWIN.id),
    ("consecutive_failures", lambda f: f.consecutive_failures, 3),
    ("deployments", lambda f: [each.pathspec for each in f.deployments], ["etl/nightly"]),
    ("iteration", ids, keys(*ETL)),
    ("runs", lambda f: ids(f.runs()), keys(*ETL)),
    ("runs with tags", lambda f: ids(f.runs("prod", "team:a")), keys(FOX)),
    ("runs in a state", lambda f: ids(f.runs("prod", state="FAILED")), keys(OWL)),
    ("runs since", lambda f: ids(f.runs(since=at(35))), keys(YAK)),
    ("runs of a deployment", lambda f: ids(f.runs(deployment="nightly")), keys(YAK, FOX)),
    ("index", lambda f: f["crimson-fox"].id, FOX.id),
    ("index by id", lambda f: f[TWIN.id].id, TWIN.id),
    ("contains", lambda f: ("crimson-fox" in f, "2026/07" in f, SUBFLOW.id in f), (True, False, False)),
    ("completion", lambda f: f._ipython_key_completions_(), [each.name for each in ETL]),
    ("equality", lambda f: f == f[TWIN.id].parent, True),
    ("repr", repr, "Flow('etl')"),
]

OF_RUN: list[tuple[str, Callable[[Any], Any], Any]] = [
    ("id", lambda r: r.id, FOX.id),
    ("name", lambda r: r.name, "crimson-fox"),
    ("tags", lambda r: r.tags, {"prod", "team:a"}),
    ("created_at", lambda r: r.created_at, at(1)),
    ("parent", lambda r: r.parent.name, "etl"),
    ("pathspec", lambda r: r.pathspec, "etl/crimson-fox"),
    ("path_components", lambda r: r.path_components, ["etl", "crimson-fox"]),
    ("source", lambda r: r.source, "default"),
    ("url", lambda r: r.url.endswith(f"/runs/flow-run/{FOX.id}"), True),
    ("deployment", lambda r: r.deployment.name, "nightly"),
    ("work_pool", lambda r: r.work_pool, None),
    ("work_queue", lambda r: r.work_queue, None),
    ("state", lambda r: r.state, State(StateType.COMPLETED, "Completed", None, at(1) + 3 * SECOND)),
    ("verdict", lambda r: r.verdict, None),
    ("finished", lambda r: r.finished, True),
    ("successful", lambda r: r.successful, True),
    ("started_at", lambda r: r.started_at, at(1) + 2 * SECOND),
    ("finished_at", lambda r: r.finished_at, at(1) + 3 * SECOND),
    ("deleted_at", lambda r: r.deleted_at, None),
    ("duration", lambda r: r.duration, SECOND),
    ("run_count", lambda r: r.run_count, 1),
    ("transitions", lambda r: [each.id for each in r.transitions], [FOX.state_id(number) for number in range(4)]),
    ("ways", lambda r: [each.before and each.before.name for each in r.transitions][:2], [None, "Scheduled"]),
    ("durations", lambda r: [each.duration for each in r.transitions], [1.0, 1.0, 1.0, None]),
    ("no heartbeats", lambda r: list(r.heartbeats), []),
    ("no parent_run", lambda r: r.parent_run, None),
    ("subflow_runs", lambda r: ids(r.subflow_runs), keys(SUBFLOW)),
    ("no exception", lambda r: r.exception, None),
    ("logs", lambda r: [each.message for each in r.logs()], ["begun", "slow", "done"]),
    ("log lines", lambda r: r.logs()[1], FlowRunLog(at(1) + SECOND, 30, "slow")),
    ("iteration", lambda r: [each.name for each in r], ["step-0", "step-1", "load-0"]),
    ("index", lambda r: r["step-1"].id, ident("step-1")),
    ("contains", lambda r: ("step-1" in r, "step-7" in r), (True, False)),
    ("artifacts", lambda r: [each.key for each in r.artifacts], ["row-counts", "row-counts", None]),
    ("data", lambda r: r.data.row_counts, [{"rows": 2}]),
    ("data by key", lambda r: dict(r.data), {"row-counts": [{"rows": 2}]}),
    ("completion of data", lambda r: dir(r.data), ["row_counts"]),
    ("completion", lambda r: r._ipython_key_completions_(), ["step-0", "step-1", "load-0"]),
    ("repr", repr, "FlowRun('etl/crimson-fox', Completed)"),
]

OF_TASK_RUN: list[tuple[str, Callable[[Any], Any], Any]] = [
    ("id", lambda t: t.id, ident("step-1")),
    ("name", lambda t: t.name, "step-1"),
    ("task_key", lambda t: t.task_key, "step-af3c"),
    ("task_slug", lambda t: t.task_slug, "step-af3c-1"),
    ("tags", lambda t: t.tags, {"slow"}),
    ("created_at", lambda t: t.created_at, at(1.2)),
    ("parent", lambda t: t.parent.id, FOX.id),
    ("pathspec", lambda t: t.pathspec, "etl/crimson-fox/step-1"),
    ("path_components", lambda t: t.path_components, ["etl", "crimson-fox", "step-1"]),
    ("state", lambda t: t.state.is_running(), True),
    ("finished", lambda t: t.finished, False),
    ("successful", lambda t: t.successful, False),
    ("started_at", lambda t: t.started_at, at(1.2)),
    ("finished_at", lambda t: t.finished_at, None),
    ("duration", lambda t: t.duration, None),
    ("duration of another", lambda t: t.parent["step-0"].duration, 3 * SECOND),
    ("run_count", lambda t: t.run_count, 1),
    ("exception", lambda t: t.exception, None),
    ("logs", lambda t: [each.message for each in t.logs()], ["slow"]),
    ("artifacts", lambda t: [len(each.artifacts) for each in t.parent], [1, 0, 0]),
    ("repr", repr, "TaskRun('etl/crimson-fox/step-1', Running)"),
]

OF_DEPLOYMENT: list[tuple[str, Callable[[Any], Any], Any]] = [
    ("id", lambda d: d.id, ident("deployment nightly")),
    ("name", lambda d: d.name, "nightly"),
    ("tags", lambda d: d.tags, {"dev"}),
    ("created_at", lambda d: d.created_at, at(1)),
    ("parent", lambda d: d.parent.name, "etl"),
    ("pathspec", lambda d: d.pathspec, "etl/nightly"),
    ("path_components", lambda d: d.path_components, ["etl", "nightly"]),
    ("latest_run", lambda d: d.latest_run.id, YAK.id),
    ("latest_successful_run", lambda d: d.latest_successful_run.id, FOX.id),
    ("latest_failed_run", lambda d: d.latest_failed_run, None),
    ("consecutive_failures", lambda d: d.consecutive_failures, 0),
    ("iteration", ids, keys(YAK, FOX)),
    ("runs", lambda d: ids(d.runs("dev")), keys(YAK)),
    ("repr", repr, "Deployment('etl/nightly')"),
]

OBJECTS: dict[str, tuple[Callable[[Client], Any], list[Any]]] = {
    "client": (lambda c: c, OF_CLIENT),
    "flow": (lambda c: Flow("etl", c), OF_FLOW),
    "run": (lambda c: FlowRun("etl/crimson-fox", c), OF_RUN),
    "task run": (lambda c: TaskRun("etl/crimson-fox/step-1", c), OF_TASK_RUN),
    "deployment": (lambda c: Deployment("etl/nightly", c), OF_DEPLOYMENT),
}

CASES = [
    pytest.param(find, ask, expected, id=f"{kind}: {name}")
    for kind, (find, table) in OBJECTS.items()
    for name, ask, expected in table
]


@pytest.mark.parametrize(("find", "ask", "expected"), CASES)
def test_each_tells(client: Client, find: Callable[[Client], Any], ask: Callable[[Any], Any], expected: Any) -> None:
    assert ask(find(client)) == expected


@pytest.mark.parametrize("kind", OBJECTS)
def test_every_public_name_is_in_the_table(kind: str, client: Client) -> None:
    find, table = OBJECTS[kind]
    told = {name.split()[0] for name, _, _ in table}
    elsewhere = {"close", "session", "metadata", "history", "follow", "find_runs", "told", "told_task_runs", "view"}
    elsewhere |= {"code", "result", "due_at", "heartbeats", "parent_run", "exception"}
    assert {name for name in dir(find(client)) if name not in elsewhere} <= told


def test_an_exception_is_what_the_state_says(client: Client) -> None:
    exception = FlowRun(OWL.id, client).exception
    assert exception
    assert (exception.message, exception.kind, exception.said) == (BROKEN, "ValueError", "no rows")


def test_heartbeats_come_oldest_first(client: Client) -> None:
    assert [beat.occurred for beat in FlowRun("slow-yak", client).heartbeats] == [at(41), at(42)]


def test_a_subflow_has_a_parent_run(client: Client) -> None:
    parent = FlowRun("load/2026/07", client).parent_run
    assert parent
    assert parent.id == FOX.id


def test_a_run_that_has_not_ended_has_no_end(client: Client) -> None:
    run = FlowRun(YAK.id, client)
    assert (run.finished, run.successful, run.finished_at, run.duration) == (False, False, None, None)


@pytest.mark.parametrize("told", [HERE, THERE])
def test_flows_with_one_name_are_told_apart_by_their_ids(told: Told, client: Client) -> None:
    assert ids(Flow(told.flow_id, client)) == [told.id]


@pytest.mark.parametrize("find", [find for find, _ in OBJECTS.values()], ids=list(OBJECTS))
def test_each_is_shown_in_a_notebook(find: Callable[[Client], Any], client: Client) -> None:
    html = find(client)._repr_html_()
    assert html.startswith("<table><caption>")
    assert "etl" in html


def test_what_is_shown_is_escaped(client: Client) -> None:
    html = FlowRun(HERE.id, client)._repr_html_()
    assert "x&lt;y&gt;" in html
    assert "<y>" not in html
