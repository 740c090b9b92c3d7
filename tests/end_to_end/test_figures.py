"""Every figure about runs, compared with what the server's REST says of the same runs afterwards."""

import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import ceil
from pathlib import Path
from statistics import fmean
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamer.client import Client
from streamer.demo.server import PrefectServer
from tests import patient
from tests.running import RunningService, running

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]

Json = dict[str, Any]
Series = dict[tuple[str, ...], float]

RUNS = 210
SHOWING = {"STREAMER_METRICS__INVENTORY": "10s", "STREAMER_METRICS__COMPAT": "prometheus-prefect-exporter"}
PATIENCE_SECONDS = 60
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
FAILED = {"FAILED", "CRASHED"}
BOUNDS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 43200.0, 86400.0)

LATE_SECONDS = 10
"""The server calls a run `Late` after 15 s, whatever others do to it meanwhile: which state that follows is chance."""

LIVES: Sequence[Sequence[str]] = (
    ("PENDING", "RUNNING", "COMPLETED"),
    ("PENDING", "RUNNING", "FAILED"),
    ("PENDING", "RUNNING", "CRASHED"),
    ("PENDING", "CRASHED"),
    ("PENDING", "RUNNING", "CANCELLING", "CANCELLED"),
    ("PENDING", "RUNNING", "AwaitingRetry", "RUNNING", "COMPLETED"),
    ("PENDING", "RUNNING", "FAILED", "AwaitingRetry", "RUNNING", "FAILED"),
    ("PENDING", "RUNNING", "PAUSED", "RUNNING", "COMPLETED"),
    ("PENDING", "RUNNING", "PAUSED"),
    ("PENDING", "RUNNING", "CANCELLING"),
    ("PENDING", "RUNNING"),
    ("PENDING",),
    (),
)
"""What runs go through after they were scheduled."""


class Driver:
    """Flows, deployments and runs on a real server, made and moved through its REST."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._random = random.Random("figures")
        self.flows = [self._post("/flows/", {"name": name})["id"] for name in ("extract", "load", "report")]
        self._post("/work_pools/", {"name": "machines", "type": "process"})
        self._post("/work_pools/machines/queues", {"name": "urgent"})
        pooled: Json = {"work_pool_name": "machines", "work_queue_name": "urgent"}
        self.deployments = [
            self._post("/deployments/", {"name": name, "flow_id": flow, **more})["id"]
            for name, flow, more in zip(("nightly", "weekly"), self.flows, (pooled, {"paused": True}), strict=False)
        ]
        self.runs: list[str] = []

    def drive(self, number: int) -> None:
        """Make so many runs, and let each go through its life."""
        for _ in range(number):
            place = self._random.randrange(3)
            life = self._random.choice(LIVES)
            ago = timedelta(seconds=self._random.choice((0, 0, 2, LATE_SECONDS))) if life else timedelta(hours=-1)
            due = datetime.now(UTC) - ago
            state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due.isoformat()}}
            body: Json = {"flow_id": self.flows[place], "state": state}
            if place < len(self.deployments):
                run = self._post(f"/deployments/{self.deployments[place]}/create_flow_run", {"state": state})["id"]
            else:
                run = self._post("/flow_runs/", body)["id"]
            self.runs.append(run)
            for step in life:
                retry = {"type": "SCHEDULED", "name": step, "state_details": {"scheduled_time": due.isoformat()}}
                wanted = retry if step == "AwaitingRetry" else {"type": step}
                self._post(f"/flow_runs/{run}/set_state", {"state": wanted, "force": True})

    def _post(self, endpoint: str, body: Json) -> Json:
        """Post as Prefect's client does: again, while the server's database is locked."""
        while (answer := self._http.post(endpoint, json=body)).status_code == httpx.codes.SERVICE_UNAVAILABLE:
            time.sleep(0.1)
        made: Json = answer.raise_for_status().json()
        return made


class Expected:
    """What the figures must be, from the server's tables."""

    def __init__(self, http: httpx.Client, driver: Driver) -> None:
        self._http = http
        self._names = dict(zip(driver.flows, ("extract", "load", "report"), strict=True))
        self._names |= dict(zip(driver.deployments, ("nightly", "weekly"), strict=True))
        self.runs = [http.get(f"/flow_runs/{run}").raise_for_status().json() for run in driver.runs]
        self.states = {run["id"]: self._states(run["id"]) for run in self.runs}

    def figures(self) -> dict[str, Series]:
        """Return by metric the value of each series."""
        found: dict[str, Series] = defaultdict(lambda: defaultdict(float))
        for run in self.runs:
            for name, labels, value in self._of_run(run):
                found[name][labels] += value
        found["prefect_flow_run_consecutive_failures"] = self._consecutive_failures()
        found.update(self._oldest())
        unfinished = sum(run["state_type"] not in ENDED for run in self.runs)
        found["prefect_streamer_tracked_runs"][()] = unfinished
        for name, seconds in (("run_time", self._run_times()), ("lateness", self._lateness())):
            found[f"prefect_flow_run_history_{name}_seconds"] = _statistics(seconds)
        return found

    def _states(self, run: str) -> list[Json]:
        states: list[Json] = self._http.get("/flow_run_states/", params={"flow_run_id": run}).json()
        return sorted(states, key=lambda state: moment(state["timestamp"]))

    def _parties(self, run: Json) -> tuple[str, ...]:
        names = self._names
        return (names[run["flow_id"]], names.get(run["deployment_id"], ""), run["work_pool_name"] or "")

    def _of_run(self, run: Json) -> Iterator[tuple[str, tuple[str, ...], float]]:
        parties, states = self._parties(run), self.states[run["id"]]
        yield from self._of_states(parties, states)
        if running := [moment(state["timestamp"]) for state in states if state["type"] == "RUNNING"]:
            wait = max(0.0, (running[0] - moment(run["expected_start_time"])).total_seconds())
            yield "prefect_flow_run_queue_wait_seconds_count", parties, 1
            yield "prefect_flow_run_queue_wait_seconds_sum", parties, wait
        if run["state_type"] not in ENDED:
            yield "prefect_flow_runs", (*parties, run["state_type"]), 1
            yield "prefect_flow_run_liveness", (*parties, "unmonitored"), 1
        yield from self._of_the_other_exporter(run)
        if run["state_type"] != "SCHEDULED":  # these are due in an hour
            for window in ("1h", "24h", "7d"):
                yield "prefect_flow_run_history_runs", (window, parties[0], run["state_type"]), 1

    def _of_the_other_exporter(self, run: Json) -> Iterator[tuple[str, tuple[str, ...], float]]:
        """Yield what it shows of runs that have not ended, or within three minutes; all of these have."""
        flow, deployment = self._names[run["flow_id"]], self._names.get(run["deployment_id"], "null")
        queue = run["work_queue_name"] or "null"
        yield "prefect_info_flow_runs", (deployment, flow, run["state_name"], queue), 1
        if run["state_type"] in ENDED:
            yield "prefect_flow_runs_total", (), 1
            states = self.states[run["id"]]
            yield "prefect_flow_runs_total_run_time", (flow,), self._took(states, states[-1]) or 0

    def _of_states(self, parties: tuple[str, ...], states: list[Json]) -> Iterator[tuple[str, tuple[str, ...], float]]:
        for before, after in pairwise([None, *states]):
            assert after
            pair = (before["type"] if before else "", after["type"])
            yield "prefect_flow_run_transitions_total", (*parties, *pair), 1
            if after["type"] in ENDED and pair[0] not in ENDED:
                yield "prefect_flow_runs_finished_total", (*parties, after["type"]), 1
                if took := self._took(states, after):
                    yield "prefect_flow_run_duration_seconds_count", (*parties, after["type"]), 1
                    yield "prefect_flow_run_duration_seconds_sum", (*parties, after["type"]), took
                    for bound in BOUNDS:
                        labels = (*parties, after["type"], str(bound))
                        yield "prefect_flow_run_duration_seconds_bucket", labels, took <= bound
            if after["name"] == "AwaitingRetry":
                yield "prefect_flow_run_retries_total", parties, 1
            if pair == ("PENDING", "CRASHED"):
                yield "prefect_flow_run_infra_failures_total", (*parties, "infrastructure"), 1

    def _took(self, states: list[Json], end: Json) -> float | None:
        started = [moment(state["timestamp"]) for state in states if state["type"] == "RUNNING"]
        ended = moment(end["timestamp"])
        return (ended - started[0]).total_seconds() if started and started[0] <= ended else None

    def _run_times(self) -> dict[str, list[float]]:
        """Return by flow how long its runs took that have ended."""
        found: dict[str, list[float]] = defaultdict(list)
        for run in self.runs:
            states = self.states[run["id"]]
            if run["state_type"] in ENDED and (took := self._took(states, states[-1])) is not None:
                found[self._names[run["flow_id"]]].append(took)
        return found

    def _lateness(self) -> dict[str, list[float]]:
        """Return by flow how late its runs began."""
        found: dict[str, list[float]] = defaultdict(list)
        for run in self.runs:
            started = [moment(each["timestamp"]) for each in self.states[run["id"]] if each["type"] == "RUNNING"]
            if started:
                late = max(0.0, (started[0] - moment(run["expected_start_time"])).total_seconds())
                found[self._names[run["flow_id"]]].append(late)
        return found

    def _consecutive_failures(self) -> Series:
        ended: dict[tuple[str, ...], list[tuple[datetime, str]]] = defaultdict(list)
        for run in self.runs:
            if run["state_type"] in ENDED:
                ended[self._parties(run)].append((moment(run["end_time"]), run["state_type"]))
        numbers: Series = {}
        for parties, runs in ended.items():
            completed = [at for at, state in runs if state == "COMPLETED"]
            numbers[parties] = sum(state in FAILED and at > max(completed, default=at) for at, state in runs)
        return numbers

    def _oldest(self) -> dict[str, Series]:
        finished: Series = {}
        entered: Series = {}
        for run in self.runs:
            key = (*self._parties(run), run["state_type"])
            if run["state_type"] in ENDED:
                finished[key] = max(moment(run["end_time"]).timestamp(), finished.get(key, 0))
            else:
                since = moment(self.states[run["id"]][-1]["timestamp"]).timestamp()
                entered[key] = min(since, entered.get(key, since))
        return {
            "prefect_flow_run_last_finished_timestamp_seconds": finished,
            "prefect_flow_run_oldest_state_timestamp_seconds": entered,
        }


def _statistics(seconds: Mapping[str, list[float]]) -> Series:
    """Return what each window shows of these times; percentiles are of the nearest rank."""
    found: Series = {}
    for flow, unordered in seconds.items():
        times = sorted(unordered)
        ranks = {"p50": times[ceil(len(times) * 0.5) - 1], "p95": times[ceil(len(times) * 0.95) - 1]}
        for stat, value in {"avg": fmean(times), **ranks, "max": times[-1]}.items():
            found.update({(window, flow, stat): value for window in ("1h", "24h", "7d")})
    return found


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def shown(service: RunningService, names: Mapping[str, Series]) -> dict[str, Series]:
    """Return the series of these metrics that are above 0, labels in the order of the catalogue."""
    text = patient.get(f"{service.address}/metrics").text
    found: dict[str, Series] = defaultdict(dict)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in names and sample.value and sample.labels.get("le") != "+Inf":
                labels = tuple(sample.labels[label] for label in ORDER if label in sample.labels)
                found[sample.name][labels] = sample.value
    return found


ORDER = (
    *("window", "flow", "deployment", "work_pool", "from_state", "to_state", "step", "state", "le", "stat"),
    *("deployment_name", "flow_name", "state_name", "work_queue_name", "status"),
)
"""The labels, as their series are named here."""


def differences(ours: dict[str, Series], theirs: dict[str, Series]) -> list[str]:
    """Return where the two differ, by more than a rounding of floats."""
    found = []
    for name, series in theirs.items():
        for labels in series.keys() | ours[name].keys():
            mine, wanted = ours[name].get(labels, 0), series.get(labels, 0)
            if abs(mine - wanted) > 1e-3:
                found.append(f"{name}{labels}: {mine} here, {wanted} there")
    return found


def agreeing(service: RunningService, figures: dict[str, Series]) -> dict[str, Series]:
    """Return what the service shows once it is what it must be; fail with what is not."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while found := differences(ours := shown(service, figures), figures):
        assert time.monotonic() < deadline, "\n".join(found)
        time.sleep(0.5)  # the pace of asking
    return ours


def test_every_figure_is_what_the_servers_rest_says_of_the_same_runs(
    tmp_path_factory: pytest.TempPathFactory, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        PrefectServer(tmp_path_factory.mktemp("figures")) as prefect,
        running(folder, prefect.api_url, **SHOWING) as service,
        patient.client(base_url=prefect.api_url) as http,
    ):
        driver = Driver(http)
        driver.drive(RUNS)
        expected = Expected(http, driver)
        figures = expected.figures()
        ours = agreeing(service, figures)
        with capsys.disabled():
            for name, series in figures.items():
                print(f"\n{name}: {sum(ours[name].values()):.3f} here, {sum(series.values()):.3f} there", end="")
        assert {run["state_type"] for run in expected.runs} >= ENDED | {"PENDING", "RUNNING", "PAUSED", "CANCELLING"}
        service.wait_until(lambda: service.counted("prefect_deployments") == len(driver.deployments))
        for kind in ("flows", "work_pools", "work_queues"):
            number = len(http.post(f"/{kind}/filter", json={}).raise_for_status().json())
            assert number == service.counted(f"prefect_{kind}") == service.counted(f"prefect_{kind}_total") > 0
        assert service.counted("prefect_deployments_total") == len(driver.deployments)
        assert service.counted("prefect_info_work_queues", work_queue_name="urgent", work_pool_name="machines") == 1
        assert service.counted("prefect_deployment_info", deployment="nightly", work_queue="urgent") == 1
        assert service.counted("prefect_deployment_paused", deployment="weekly") == 1
        assert service.counted("prefect_deployment_paused", deployment="nightly") == 0
        compare_history(http, folder, expected.runs)


def compare_history(http: httpx.Client, folder: Path, runs: Sequence[Json]) -> None:
    """Require that the server's own history and ours agree bucket by bucket."""
    ours = Client(f"sqlite:///{folder}/.streamer/streamer.db").history(since="10m", interval="30s")
    body = {
        "history_start": ours[0].interval_start.isoformat(),
        "history_end": ours[-1].interval_end.isoformat(),
        "history_interval_seconds": 30,
    }
    theirs = http.post("/flow_runs/history", json=body).raise_for_status().json()
    assert [counts(each["states"]) for each in theirs] == [counts(vars_of(each.states)) for each in ours]
    due = [run for run in runs if run["state_type"] != "SCHEDULED"]
    assert sum(each.count_runs for bucket in ours for each in bucket.states) == len(due) > RUNS / 2
    assert [moment(each["interval_start"]) for each in theirs] == [each.interval_start for each in ours]
    ended = [state for bucket in ours for state in bucket.states if state.state_type in ENDED]
    mine = sum(state.sum_estimated_lateness for state in ended if state.state_type != "CRASHED")
    assert mine == pytest.approx(total(theirs, "sum_estimated_lateness"), abs=RUNS), "it knows whole seconds only"


def counts(states: Sequence[Json]) -> Counter[tuple[str, str]]:
    return Counter({(each["state_type"], each["state_name"]): each["count_runs"] for each in states})


def vars_of(states: Sequence[Any]) -> list[Json]:
    return [{name: getattr(each, name) for name in ("state_type", "state_name", "count_runs")} for each in states]


def total(buckets: Sequence[Json], name: str) -> float:
    """Return the sum over runs that have run and ended: of the others the times go on."""
    states = [state for bucket in buckets for state in bucket["states"]]
    return sum(float(state[name]) for state in states if state["state_type"] in ENDED - {"CRASHED"})
