"""A real Prometheus scrapes a running service, and answers what the dashboards and the rules ask it."""

import asyncio
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

import httpx
import pytest

from streamer.demo.server import free_port
from streamer.testing import FakePrefect
from tests import frames, patient
from tests.running import RunningService
from tests.test_dashboards import COMING, NOT_OURS, QUERIES, families_in
from tests.test_deploy import ALL_RULES, RECORDINGS
from tests.test_metrics import CATALOGUE

pytestmark = pytest.mark.services

RULES = Path(__file__).parents[2] / "deploy/prometheus/rules"
RECORDED = {rule["record"]: rule["expr"] for rule in RECORDINGS}

UNSEEN = {
    "prefect_flow_run_overdue_total",
    "prefect_streamer_observer_errors_total",
    "prefect_streamer_series_limited_total",
    "prefect_streamer_zombie_actions_total",
}
"""Metrics that have no series here, since what they count takes hours, or a fault."""

UNSEEN_STATUSES = re.compile(r'status=~?"(zombie|suspect)')
"""Nor does any run become these here."""

WINDOWED = ("prefect_flow_run_history_run_time_seconds", "prefect_flow_run_history_lateness_seconds")
"""Metrics that the service makes anew every quarter of a minute."""

INSTANT = timedelta(milliseconds=1)


class Answer(NamedTuple):
    """What Prometheus said to a query."""

    status: str
    error: str
    series: int


class Prometheus:
    """A Prometheus process, asked over its API."""

    def __init__(self, folder: Path, scraped: str) -> None:
        self.log = folder / "prometheus.log"
        self._address = f"127.0.0.1:{free_port()}"
        self._folder = folder
        (folder / "rules").mkdir()
        for file in RULES.glob("*.yml"):
            (folder / "rules" / file.name).write_text(file.read_text().replace("interval: 1h", "interval: 1s"))
        (folder / "prometheus.yml").write_text(CONFIGURATION.format(folder=folder, scraped=scraped))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it for the length of the block."""
        program = shutil.which("prometheus")
        assert program, "prometheus is missing: `make test-services` installs it"
        command = [
            program,
            f"--config.file={self._folder}/prometheus.yml",
            f"--storage.tsdb.path={self._folder}/tsdb",
            f"--web.listen-address={self._address}",
        ]
        with self.log.open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                yield
            finally:
                process.terminate()

    def ask(self, query: str) -> Answer:
        """Return the answer to an instant query."""
        body = self._get("api/v1/query", query=query).json()
        return Answer(body["status"], body.get("error", ""), len(body.get("data", {}).get("result", ())))

    def is_ready(self) -> bool:
        """Ask whether it answers queries yet."""
        try:
            return self._get("-/ready").is_success
        except httpx.TransportError:
            return False

    def rules(self) -> dict[str, str]:
        """Return the health of each rule by its name, as its last evaluation left it."""
        groups = self._get("api/v1/rules").json()["data"]["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}

    def _get(self, path: str, **parameters: str) -> httpx.Response:
        return patient.get(f"http://{self._address}/{path}", params=parameters)


CONFIGURATION = """
global:
  scrape_interval: 1s
  evaluation_interval: 1s
rule_files:
  - {folder}/rules/*.yml
scrape_configs:
  - job_name: streamer
    static_configs:
      - targets: ["{scraped}"]
"""


class Heard(NamedTuple):
    """All that Prometheus said: to the queries by their names, to the selectors in them, and of the rules."""

    queries: Mapping[str, Answer]
    selectors: Mapping[str, Answer]
    rules: Mapping[str, str]


def without_variables(query: str) -> str:
    return re.sub(r"\$\w+", ".*", query.replace("$__rate_interval", "1m"))


ASKED = {name: without_variables(query) for name, query in {**QUERIES, **ALL_RULES}.items()}
SELECTORS = sorted({each for query in ASKED.values() for each in re.findall(r"[\w:]+\{[^}]*\}", query)})


def families_behind(expression: str) -> set[str]:
    """Return the metrics that an expression asks for, also by way of recordings."""
    direct = families_in(expression)
    return (direct - RECORDED.keys()).union(*(families_behind(RECORDED[name]) for name in direct & RECORDED.keys()))


def is_answerable(expression: str) -> bool:
    return families_behind(expression) <= (CATALOGUE.keys() | NOT_OURS) - COMING - UNSEEN


def moves(*states: str | None, run: UUID | None = None) -> list[frames.Json]:
    """Return the transitions of a run through these state types, about now."""
    run, now = run or uuid4(), datetime.now(UTC)
    pairs = enumerate(pairwise(states))
    return [
        frames.transition(before, after, run=run, occurred=now + step * INSTANT, related=frames.deployed(), id=uuid4())
        for step, (before, after) in pairs
        if after
    ]


def happenings() -> Iterator[frames.Json]:
    """Yield a day in the life of a deployment: runs in every state, one that beats, one that is tried again."""
    begun = (None, "SCHEDULED", "PENDING", "RUNNING")
    for end in ("COMPLETED", "FAILED", "CRASHED"):
        yield from moves(*begun, end)
    yield from moves(*begun[:3])
    yield from moves(*begun, "CANCELLING")
    alive, related = uuid4(), frames.deployed()
    yield from moves(*begun, run=alive)
    now = datetime.now(UTC) + len(begun) * INSTANT
    yield frames.heartbeat(alive, occurred=now, related=related, id=uuid4())
    yield frames.pull_step(failed=True, run=alive, occurred=now, related=related, id=uuid4())
    yield frames.transition(
        "RUNNING", "SCHEDULED", name="AwaitingRetry", run=uuid4(), occurred=now, related=related, id=uuid4()
    )


def inventory() -> Mapping[str, list[frames.Json]]:
    """Return what the server has besides runs: one of each."""
    names = {"flow_id": "f", "work_pool_name": "pool", "work_queue_name": "queue"}
    return {
        "flows": [{"id": "f", "name": "sleepy"}],
        "deployments": [{"name": "sleepy-nightly", **names}],
        "work_pools": [{"name": "pool", "type": "process", "status": "READY"}],
        "work_queues": [{"id": "q", "name": "queue", "last_polled": datetime.now(UTC).isoformat(), **names}],
    }


async def until(service: RunningService, condition: Callable[[], object]) -> None:
    await asyncio.to_thread(service.wait_until, condition)


async def live(server: FakePrefect, service: RunningService, prometheus: Prometheus) -> None:
    """Let things happen, some of them before the first scrape and some after, and until all are scraped."""

    def has(query: str) -> Callable[[], object]:
        return lambda: prometheus.ask(query).series

    await until(service, prometheus.is_ready)
    server.publish(*moves(None, "SCHEDULED"))
    await until(service, has('prefect_flow_runs_finished_total{state="FAILED"}'))
    server.publish(*happenings())
    server.publish(*moves("PENDING", "RUNNING"), live=False)
    server.disconnect(1012)
    await until(service, has("count_over_time(prefect_streamer_events_recovered_total[1m]) > 2"))
    await until(service, has("count_over_time(prefect_streamer_source_disconnects_total[1m]) > 2"))
    await until(service, has("prefect_streamer_source_caught_up == 1"))
    for name in WINDOWED:
        await until(service, has(name))
    await until(service, lambda: all(prometheus.ask(name).series for name in RECORDED))


def heard(prometheus: Prometheus) -> Heard:
    return Heard(
        {name: prometheus.ask(query) for name, query in ASKED.items()},
        {selector: prometheus.ask(selector) for selector in SELECTORS},
        prometheus.rules(),
    )


async def hear(folder: Path) -> Heard:
    """Run a server, a service and Prometheus until there is something to ask, and ask."""
    async with FakePrefect() as server:
        server.tables.inventory.update(inventory())
        service = RunningService(folder, server.api_url)
        prometheus = Prometheus(folder, service.address.removeprefix("http://"))
        try:
            await asyncio.to_thread(service.start)
            with prometheus.running():
                await live(server, service, prometheus)
                return await asyncio.to_thread(heard, prometheus)
        finally:
            if service.process:
                await asyncio.to_thread(service.stop)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Heard:
    return asyncio.run(hear(tmp_path_factory.mktemp("prometheus")))


@pytest.mark.parametrize("name", ASKED)
def test_every_query_succeeds(said: Heard, name: str) -> None:
    assert (said.queries[name].status, said.queries[name].error) == ("success", "")


@pytest.mark.parametrize("name", [name for name in (*QUERIES, *RECORDED) if is_answerable(ASKED[name])])
def test_every_query_about_what_there_is_finds_series(said: Heard, name: str) -> None:
    assert said.queries[name].series, ASKED[name]


@pytest.mark.parametrize("selector", [each for each in SELECTORS if is_answerable(each)])
def test_whatever_a_query_selects_is_there(said: Heard, selector: str) -> None:
    assert bool(said.selectors[selector].series) is not bool(UNSEEN_STATUSES.search(selector))


@pytest.mark.parametrize("name", ALL_RULES)
def test_every_rule_can_be_evaluated(said: Heard, name: str) -> None:
    assert said.rules[name] == "ok"
