"""The client on a real Prefect server: every value is what the server's REST says of the same runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from streamer.client import Client, FlowRun, FlowRunView, NotFound
from streamer.demo.server import PrefectServer
from tests import patient
from tests.end_to_end.test_run_log import post
from tests.running import PREFECT_PYTHON, RunningService, running

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]

Json = dict[str, Any]

MANY = 205
"""More than a Prefect server lists at once."""

PATIENCE_SECONDS = 120

BAD = ("FAILED", "CRASHED")


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


class Rest:
    """The server's REST, asked plainly."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def filter(self, kind: str, **body: Any) -> list[Json]:
        found: list[Json] = []
        while True:
            page: list[Json] = post(self.http, f"/{kind}/filter", {**body, "limit": 200, "offset": len(found)}).json()
            found += page
            if len(page) < 200:
                return found

    def states(self, run: str) -> list[Json]:
        states: list[Json] = self.http.get("/flow_run_states/", params={"flow_run_id": run}).raise_for_status().json()
        return sorted(states, key=lambda each: datetime.fromisoformat(each["timestamp"]))

    def of_run(self, kind: str, run: str, **more: Any) -> list[Json]:
        wanted = (
            {"flow_runs": {"id": {"any_": [run]}}} if kind == "task_runs" else {kind: {"flow_run_id": {"any_": [run]}}}
        )
        return self.filter(kind, **wanted, **more)


class Situation:
    """A server with runs, and a service that has heard of all of them."""

    def __init__(self, rest: Rest, service: RunningService) -> None:
        self.rest = rest
        self.service = service
        ours = ("etl", "load", "report", "flaky", "kept", "pickled", "deployed", "many")
        self.flows = {flow["id"]: flow for flow in rest.filter("flows") if flow["name"] in ours}
        runs = rest.filter("flow_runs", sort="ID_DESC", flows={"id": {"any_": list(self.flows)}})
        self.states = {run["id"]: rest.states(run["id"]) for run in runs}
        self.runs = sorted(runs, key=lambda run: (moment(self.states[run["id"]][0]["timestamp"]), run["id"]))

    def of(self, flow: str, *states: str) -> list[Json]:
        """Return the runs of a flow, oldest first; only those in some states."""
        of = [run for run in self.runs if self.flows[run["flow_id"]]["name"] == flow]
        return [run for run in of if not states or run["state_type"] in states]


def deployed(http: httpx.Client) -> None:
    """Let a deployment have runs that end in each way."""
    flow = post(http, "/flows/", {"name": "deployed"}).json()["id"]
    body = {"name": "nightly", "flow_id": flow, "entrypoint": "flows.py:deployed", "version": "1.2", "tags": ["cron"]}
    deployment = post(http, "/deployments/", body).json()["id"]
    for life in (("COMPLETED",), ("FAILED",), ("CRASHED",), ()):
        run = post(http, f"/deployments/{deployment}/create_flow_run", {"state": {"type": "SCHEDULED"}}).json()["id"]
        for state in ("PENDING", "RUNNING", *life):
            asked = {"state": {"type": state, "message": f"it is {state}"}, "force": True}
            post(http, f"/flow_runs/{run}/set_state", asked)


def many(http: httpx.Client) -> None:
    flow = post(http, "/flows/", {"name": "many"}).json()["id"]
    for number in range(MANY):
        body = {"flow_id": flow, "name": f"run-{number}", "state": {"type": "PENDING"}, "tags": ["many"]}
        post(http, "/flow_runs/", body)


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A server that has no other runs than these."""
    with PrefectServer(tmp_path_factory.mktemp("prefect-of-client"), python=PREFECT_PYTHON) as server:
        yield server


@pytest.fixture(scope="module")
def situation(prefect: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Situation]:
    folder = tmp_path_factory.mktemp("client")
    with running(folder, prefect.api_url) as service, patient.client(base_url=prefect.api_url) as http:
        flows = prefect.spawn_python(str(Path(__file__).with_name("client_flows.py")))
        deployed(http)
        many(http)
        assert flows.wait(120) == 0, prefect.log.read_text()[-2000:]
        situation = Situation(Rest(http), service)
        wanted = {run["id"]: run["state_id"] for run in situation.runs}
        with Client(service.address) as client:
            service.wait_until(
                lambda: wanted == {run.id: str(run.view.state.id) for run in client.find_runs(id=[*wanted])},
                seconds=PATIENCE_SECONDS,
            )
        yield situation


@pytest.fixture(params=["store", "service"])
def client(request: pytest.FixtureRequest, situation: Situation, prefect: PrefectServer) -> Iterator[Client]:
    store = f"sqlite:///{situation.service.folder / '.streamer' / 'streamer.db'}"
    is_local = request.param == "store"
    with Client(store, api_url=prefect.api_url) if is_local else Client(situation.service.address) as client:
        yield client


def of_state(state: Json) -> tuple[Any, ...]:
    return state["type"], state["name"], state["message"] or None, moment(state["timestamp"])


def ours(run: FlowRun) -> Mapping[str, Any]:
    state = run.state
    return {
        "id": run.id,
        "name": run.name,
        "tags": run.tags,
        "flow": run.parent.id if run.parent else None,
        "pathspec": run.pathspec,
        "path_components": run.path_components,
        "created": run.created_at,
        "state": (state.type, state.name, state.message or None, state.timestamp),
        "is": (state.is_running(), state.is_finished(), state.is_successful(), state.is_failed(), state.is_crashed()),
        "ends": (run.finished, run.successful),
        "started": run.started_at,
        "finished": run.finished_at,
        "run_count": run.run_count,
        "deployment": run.deployment.id if run.deployment else None,
        "transitions": [
            (each.id, each.after.type, each.after.name, each.after.message or None, each.timestamp)
            for each in run.transitions
        ],
    }


def theirs(situation: Situation, run: Json) -> Mapping[str, Any]:
    states, kind = situation.states[run["id"]], run["state_type"]
    flow, ended = situation.flows[run["flow_id"]]["name"], kind in ("COMPLETED", "FAILED", "CRASHED")
    return {
        "id": run["id"],
        "name": run["name"],
        "tags": frozenset(run["tags"]),
        "flow": run["flow_id"],
        "pathspec": f"{flow}/{run['name']}",
        "path_components": [flow, run["name"]],
        "created": moment(states[0]["timestamp"]),
        "state": of_state(run["state"]),
        "is": (kind == "RUNNING", ended, kind == "COMPLETED", kind == "FAILED", kind == "CRASHED"),
        "ends": (ended, kind == "COMPLETED"),
        "started": moment(run["start_time"]),
        "finished": moment(run["end_time"]),
        "run_count": run["run_count"],
        "deployment": run["deployment_id"],
        "transitions": [
            (each["id"], each["type"], each["name"], each["message"] or None, moment(each["timestamp"]))
            for each in states
        ],
    }


def test_every_run_is_as_the_server_has_it(client: Client, situation: Situation) -> None:
    few = [run for run in situation.runs if "many" not in run["tags"]]
    assert len(few) >= 10
    for run in few:
        assert ours(client.flow_run(run["id"])) == theirs(situation, run)


def test_what_only_the_server_knows_of_a_run_is_handed_on(client: Client, situation: Situation) -> None:
    for run in situation.of("etl") + situation.of("load") + situation.of("flaky"):
        found, rest = client.flow_run(run["id"]), situation.rest
        logs = rest.of_run("logs", run["id"], sort="TIMESTAMP_ASC")
        assert [tuple(each) for each in found.logs()] == [
            (moment(each["timestamp"]), each["level"], each["message"]) for each in logs
        ]
        told = {each["id"]: each for each in rest.of_run("task_runs", run["id"])}
        assert {each.id for each in found} == set(told)
        for each in found:
            its = told[each.id]
            assert (each.name, each.tags, each.task_key) == (its["name"], frozenset(its["tags"]), its["task_key"])
            assert (each.state.type, each.state.timestamp) == (its["state"]["type"], moment(its["state"]["timestamp"]))
            assert (each.started_at, each.finished_at) == (moment(its["start_time"]), moment(its["end_time"]))
            assert (each.created_at, each.run_count) == (moment(its["created"]), its["run_count"])
            assert client.task_run(f"{found.id}/{each.id}") == found[each.name] == each
            assert each.pathspec == f"{found.pathspec}/{each.name}"
            lines = [line["message"] for line in logs if line["task_run_id"] == each.id]
            assert [line.message for line in each.logs()] == lines
        artifacts = {each["id"]: each for each in rest.of_run("artifacts", run["id"])}
        assert {each.id: (each.key, each.type) for each in found.artifacts} == {
            ident: (each["key"], each["type"]) for ident, each in artifacts.items()
        }


def test_artifacts_are_read(client: Client, situation: Situation) -> None:
    first = client.flow_run(situation.of("etl")[0]["id"])
    assert first.data.row_counts == [{"rows": 1}]
    assert first.data["notes"] == "# done"
    tables = [each for each in first.artifacts if each.type == "table"]
    assert {each.task_run_id for each in tables} == {each.id for each in first if each.name.startswith("step")}


def test_a_result_is_read_where_that_runs_nothing(client: Client, situation: Situation) -> None:
    assert client.flow_run(situation.of("kept")[0]["id"]).result == {"rows": [1, 2]}
    for flow, sentence in (("pickled", "kept as pickle, which is not read"), ("load", "was not kept")):
        with pytest.raises(NotFound, match=sentence):
            assert client.flow_run(situation.of(flow)[0]["id"]).result


def test_subflows_and_parents_are_as_the_servers(client: Client, situation: Situation) -> None:
    for run in situation.of("load"):
        of = situation.rest.filter("task_runs", task_runs={"id": {"any_": [run["parent_task_run_id"]]}})[0][
            "flow_run_id"
        ]
        parent = client.flow_run(run["id"]).parent_run
        assert parent is not None
        assert parent.id == of
        assert [each.id for each in parent.subflow_runs] == [run["id"]]


@pytest.mark.parametrize(
    ("flow", "kind", "said"), [("report", "ValueError", "no figures"), ("flaky", "ConnectionError", "the w")]
)
def test_an_exception_is_told(client: Client, situation: Situation, flow: str, kind: str, said: str) -> None:
    run = situation.of(flow)[0]
    exception = client.flow_run(run["id"]).exception
    assert exception is not None
    assert (exception.message, exception.kind) == (run["state"]["message"], kind)
    assert (exception.said or "").startswith(said)
    assert exception.data == run["state"]["data"]


def test_the_code_is_told(client: Client, situation: Situation) -> None:
    code = client.flow_run(situation.of("deployed")[0]["id"]).code
    assert code is not None
    assert (code.entrypoint, code.version) == ("flows.py:deployed", "1.2")
    version = client.flow_run(situation.of("etl")[0]["id"]).code
    assert version is not None
    assert (version.entrypoint, version.version) == (None, situation.of("etl")[0]["flow_version"])


LATEST: Sequence[tuple[str, tuple[str, ...], Callable[[Json], Any]]] = [
    ("latest_run", (), lambda run: 0),
    ("latest_successful_run", ("COMPLETED",), lambda run: moment(run["end_time"])),
    ("latest_failed_run", BAD, lambda run: moment(run["end_time"])),
]


@pytest.mark.parametrize("flow", ["etl", "report", "flaky", "deployed", "many"])
def test_a_flow_is_as_the_server_has_it(client: Client, situation: Situation, flow: str) -> None:
    found, runs = client[flow], situation.of(flow)
    assert situation.flows[found.id]["name"] == found.name == flow
    assert [run.id for run in found] == [run["id"] for run in reversed(runs)]
    assert found.created_at == moment(situation.states[runs[0]["id"]][0]["timestamp"])
    for name, states, by in LATEST:
        wanted = [run for run in runs if not states or run["state_type"] in states]
        latest = getattr(found, name)
        assert (latest and latest.id) == (
            max(enumerate(wanted), key=lambda one: (by(one[1]), one[0]))[1]["id"] if wanted else None
        )
    good = max((run["end_time"] for run in runs if run["state_type"] == "COMPLETED"), default="")
    assert found.consecutive_failures == sum(run["state_type"] in BAD and run["end_time"] > good for run in runs)


def test_deployments_are_as_the_server_has_them(client: Client, situation: Situation) -> None:
    (deployment,) = client["deployed"].deployments
    (told,) = situation.rest.filter("deployments", deployments={"name": {"any_": ["nightly"]}})
    assert (deployment.id, deployment.name, deployment.pathspec) == (told["id"], "nightly", "deployed/nightly")
    assert [run.id for run in client["deployed"].runs(deployment="nightly")] == [
        run["id"] for run in reversed(situation.of("deployed"))
    ]
    assert [run.id for run in client["deployed"].runs(state=BAD)] == [
        run["id"] for run in reversed(situation.of("deployed", *BAD))
    ]


def test_runs_with_tags_are_the_servers(client: Client, situation: Situation) -> None:
    told = [run["id"] for run in situation.runs if {"prod", "team:a"} <= set(run["tags"])]
    assert len(told) >= 2
    assert {run.id for run in client.find_runs(tags=["prod", "team:a"])} == set(told)
    assert sum(1 for _ in client.find_runs(tags="many")) == MANY


def test_views_are_as_the_server_has_them(client: Client, situation: Situation) -> None:
    for run in situation.of("etl") + situation.of("report"):
        view = FlowRunView.from_flow_run_id(run["id"], client)
        told = {each["id"]: each for each in situation.rest.of_run("task_runs", run["id"])}
        logs = situation.rest.of_run("logs", run["id"], sort="TIMESTAMP_ASC")
        assert (view.flow_run_id, view.name, view.flow_id) == (run["id"], run["name"], run["flow_id"])
        assert (sorted(view.labels), view.parameters) == (sorted(run["tags"]), run["parameters"])
        assert (view.state.type, view.state.name, view.state.timestamp) == (
            *of_state(run["state"])[:2],
            view.updated_at,
        )
        assert [each.name for each in view.states] == [each["name"] for each in situation.states[run["id"]]]
        assert [each.message for each in view.get_logs()] == [each["message"] for each in logs]
        assert set(view.task_run_ids) == set(told)
        assert view.get_flow_metadata().name == situation.flows[run["flow_id"]]["name"]
        for ident, its in told.items():
            by_slug = view.get_task_run(task_slug=f"{its['task_key']}-{its['dynamic_key']}")
            assert by_slug is view.get_task_run(task_run_id=ident)
            assert (by_slug.name, by_slug.state.type) == (its["name"], its["state_type"])
        assert view.get_latest().state == view.state


def test_following_a_run_that_has_ended_tells_all_of_it(client: Client, situation: Situation) -> None:
    run = situation.of("flaky")[0]
    assert [each.id for each in client.follow(run["id"])] == [each["id"] for each in situation.states[run["id"]]]
