"""Questions in the shape that people know from Prefect 1, asked of a service that runs."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.client.world import FOX, HERE, OTHER_TWIN, OWL, SUBFLOW, THERE, TWIN, YAK, Told, World, at, ident
from tests.web.graphql.conftest import Ask

FOUND: list[tuple[str, list[Told]]] = [
    ('{name: {_eq: "crimson-fox"}}', [FOX]),
    ('{name: {_neq: "twin"}, flow: {name: {_eq: "etl"}}}', [YAK, OWL, FOX]),
    ('{name: {_in: ["twin", "one"]}}', [HERE, OTHER_TWIN, TWIN]),
    ('{name: {_nin: ["twin", "one", "two"]}}', [YAK, OWL, SUBFLOW, FOX]),
    ('{name: {_gt: "one", _lte: "twin"}}', [YAK, OTHER_TWIN, TWIN]),
    ('{name: {_gte: "two"}}', [THERE]),
    ('{name: {_lt: "b"}}', [OWL, SUBFLOW]),
    ('{name: {_like: "%-fox"}}', [FOX]),
    ('{name: {_like: "T_in"}}', []),
    ('{name: {_ilike: "T_in"}}', [OTHER_TWIN, TWIN]),
    ('{name: {_nlike: "%w%", _nilike: "%E%"}}', [SUBFLOW, FOX]),
    ('{state: {_eq: COMPLETED}, flow: {name: {_like: "e%"}}}', [FOX]),
    ("{state: {_in: [FAILED, CRASHED]}}", [OTHER_TWIN, TWIN, OWL]),
    ('{state_name: {_eq: "Running"}}', [YAK]),
    ('{state_message: {_like: "%no rows%"}}', [OWL]),
    ("{state_message: {_is_null: false}}", [OWL]),
    ("{end_time: {_is_null: true}}", [YAK]),
    ("{deployment_id: {_is_null: false}}", [YAK, FOX]),
    ('{deployment: {name: {_eq: "nightly"}}, state: {_neq: RUNNING}}', [FOX]),
    ('{tags: {_contains: ["prod", "team:a"]}}', [FOX]),
    ('{tags: {_contains: ["[x]*"]}}', [OTHER_TWIN]),
    ("{tags: {_contains: []}, run_count: {_gt: 1}}", []),
    (f'{{start_time: {{_lt: "{at(11).isoformat()}"}}, parent_task_run_id: {{_is_null: true}}}}', [OWL, FOX]),
    (f'{{parent_task_run_id: {{_eq: "{ident("load-0")}"}}}}', [SUBFLOW]),
    (f'{{flow_id: {{_in: ["{ident("both here")}", "{ident("flow load")}"]}}}}', [HERE, SUBFLOW]),
    (f'{{id: {{_eq: "{YAK.id}"}}}}', [YAK]),
    (f'{{id: {{_nin: ["{YAK.id}"]}}, flow: {{name: {{_eq: "etl"}}}}}}', [OTHER_TWIN, TWIN, OWL, FOX]),
    ('{_not: {flow: {name: {_eq: "etl"}}}}', [THERE, HERE, SUBFLOW]),
    ('{_or: [{name: {_eq: "one"}}, {_and: [{name: {_eq: "twin"}}, {tags: {_contains: ["dev"]}}]}]}', [HERE, TWIN]),
    ("{_or: []}", []),
    ("{_and: [], _not: {_or: []}, verdict: {_eq: ZOMBIE}}", []),
    ('{source: {_eq: "default"}, name: {_eq: "two"}}', [THERE]),
]


@pytest.mark.parametrize(("where", "runs"), FOUND)
def test_a_condition_finds_what_meets_it_newest_first(ask: Ask, where: str, runs: list[Told]) -> None:
    found = ask(
        f"{{ flow_run(where: {where}) {{ id }} flow_run_aggregate(where: {where}) {{ aggregate {{ count }} }} }}"
    )
    assert [each["id"] for each in found["flow_run"]] == [run.id for run in runs]
    assert found["flow_run_aggregate"]["aggregate"]["count"] == len(runs)


def test_the_question_of_prefect_1(ask: Ask) -> None:
    query = """
        query ($where: flow_run_bool_exp, $limit: Int = 5) {
          flow_run(where: $where, order_by: {start_time: desc}, limit: $limit) {
            id state start_time flow { name }
            transitions { type name message occurred seconds }
          }
        }
    """
    (run,) = ask(query, where={"name": {"_eq": "amber-owl"}})["flow_run"]
    told = [(each["type"], each["seconds"]) for each in run["transitions"]]
    assert told == [("PENDING", 1.0), ("RUNNING", 1.0), ("FAILED", None)]
    assert (run["id"], run["state"], run["flow"]) == (OWL.id, "FAILED", {"name": "etl"})
    assert datetime.fromisoformat(run["start_time"]) == at(10) + timedelta(seconds=1)


def test_all_that_is_known_of_a_run_is_what_rest_tells(ask: Ask, world: World) -> None:
    fields = """
        id name source state state_name state_message state_timestamp run_count tags created scheduled_start_time
        start_time end_time duration deleted last_heartbeat verdict { status reason at } parent_task_run_id
        flow_id deployment_id url flow { id name } deployment { id name } work_pool { id name } work_queue { id name }
        transitions { id type name message occurred seconds run_count follows } heartbeats { occurred received }
        logs { id timestamp level name message task_run_id }
        task_runs { id name task_key dynamic_key tags run_count state { id type name timestamp message }
            created expected_start_time start_time end_time total_run_time }
    """
    told = ask(f'{{ flow_run_by_pk(id: "{FOX.id}") {{ {fields} }} }}')["flow_run_by_pk"]

    def rest(path: str = "") -> Any:
        return httpx.get(f"{world.service}/api/runs/{FOX.id}{path}", trust_env=False).json()

    run = rest()
    renamed = {"due": "scheduled_start_time", "started": "start_time", "ended": "end_time"}
    state = {"state": run["state"]["type"], "state_name": run["state"]["name"], "state_timestamp": run["state"]["at"]}
    expected = {renamed.get(name, name): value for name, value in run.items() if name not in ("state", "since")}
    expected |= state | {"flow_id": run["flow"]["id"], "deployment_id": run["deployment"]["id"]}
    expected |= {"parent_task_run_id": expected.pop("parent_task_run"), "state_message": run["state"]["message"]}
    for part in ("transitions", "heartbeats", "logs", "task_runs"):
        expected[part] = rest(f"/{part}")["items"]
    assert in_utc(told) == in_utc(expected)


def in_utc(told: Any) -> Any:
    """Return the same with times written in one way."""
    if isinstance(told, dict):
        return {name: in_utc(value) for name, value in told.items()}
    if isinstance(told, list):
        return [in_utc(each) for each in told]
    return told.replace("+00:00", "Z") if isinstance(told, str) else told


def test_flows_and_deployments_tell_how_their_runs_fare(ask: Ask) -> None:
    fared = """
        id name source runs consecutive_failures
        latest_run { name } latest_successful_run { name } latest_failed_run { name }
        failed: flow_runs(where: {state: {_in: [FAILED, CRASHED]}}, order_by: {end_time: asc}, limit: 2) { name }
        flow_runs_aggregate(where: {tags: {_contains: ["prod"]}}) { aggregate { count } }
    """
    told = ask(
        f'{{ flow(where: {{name: {{_eq: "etl"}}}}) {{ {fared} }} deployment {{ {fared} flow {{ name runs }} }} }}'
    )
    assert told["flow"] == [
        {
            "id": ident("flow etl"),
            "name": "etl",
            "source": "default",
            "runs": 5,
            "consecutive_failures": 3,
            "latest_run": {"name": "slow-yak"},
            "latest_successful_run": {"name": "crimson-fox"},
            "latest_failed_run": {"name": "twin"},
            "failed": [{"name": "amber-owl"}, {"name": "twin"}],
            "flow_runs_aggregate": {"aggregate": {"count": 3}},
        }
    ]
    (nightly,) = told["deployment"]
    assert (nightly["name"], nightly["runs"], nightly["flow"]) == ("nightly", 2, {"name": "etl", "runs": 5})


def test_flows_are_told_the_latest_first_and_some_at_a_time(ask: Ask) -> None:
    told = ask("{ all: flow { name } some: flow(limit: 2, offset: 1) { id } none: flow(where: {_or: []}) { id } }")
    assert [each["name"] for each in told["all"]] == ["both", "both", "etl", "load"]
    assert [each["id"] for each in told["some"]] == [ident("both here"), ident("flow etl")]
    assert told["none"] == []


def test_runs_are_told_some_at_a_time_in_the_order_asked_for(ask: Ask) -> None:
    by = "order_by: {created: asc}, limit: 3"
    told = ask(f"{{ first: flow_run({by}) {{ id }} next: flow_run({by}, offset: 3) {{ id }} }}")
    assert [each["id"] for each in told["first"]] == [run.id for run in (FOX, SUBFLOW, OWL)]
    assert [each["id"] for each in told["next"]] == [run.id for run in (TWIN, OTHER_TWIN, YAK)]


def test_what_is_not_known_is_null(ask: Ask) -> None:
    nobody = ident("nobody")
    told = ask(
        f'{{ flow_run_by_pk(id: "{nobody}") {{ id }} flow_by_pk(id: "{nobody}") {{ id }}'
        f' deployment_by_pk(id: "{nobody}") {{ id }} }}'
    )
    assert told == {"flow_run_by_pk": None, "flow_by_pk": None, "deployment_by_pk": None}
    known = ask(f'{{ flow_by_pk(id: "{ident("flow etl")}") {{ name }} }}')
    assert known == {"flow_by_pk": {"name": "etl"}}


def test_a_question_may_be_in_the_address(world: World) -> None:
    answer = httpx.get(f"{world.service}/graphql", params={"query": "{ flow_run(limit: 1) { id } }"}, trust_env=False)
    assert answer.json() == {"data": {"flow_run": [{"id": THERE.id}]}}


def test_the_schema_tells_what_may_be_asked(ask: Ask) -> None:
    told = ask("{ __schema { queryType { fields { name } } mutationType { name } } }")["__schema"]
    named = ["flow_run", "flow_run_by_pk", "flow_run_aggregate", "flow", "flow_by_pk", "deployment", "deployment_by_pk"]
    assert [each["name"] for each in told["queryType"]["fields"]] == named
    assert told["mutationType"] is None
