"""What the service answers over HTTP, asked of the app in this process."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamer.clock import SystemClock
from streamer.instruments import Instruments
from streamer.metrics.counters import Metrics
from streamer.model import Totals
from streamer.web.app import SinkStatus, SourceStatus, Status, create_app


class Told:
    """What the app is told when it asks, to be changed by the test."""

    def __init__(self) -> None:
        self.status = Status("1.2.3", [a_source()], [SinkStatus("jsonl:runs.jsonl", acked=7, behind=3)], head=10)

    def not_ready(self, reason: str) -> None:
        self.status = Status("1.2.3", [a_source(connected=False, problem=reason)], [], head=10)


def a_source(*, connected: bool = True, problem: str | None = None) -> SourceStatus:
    watermark = datetime(2026, 11, 21, 12, tzinfo=UTC)
    return SourceStatus("default", "http://host/api", "live", connected, connected, problem, watermark, problem)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def http(told: Told) -> AsyncIterator[httpx.AsyncClient]:
    metrics = Metrics(Instruments(), Totals(), SystemClock())
    app = create_app(metrics, lambda: told.status)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://streamer") as client:
        yield client


async def test_it_is_live_whatever_its_sources_are(http: httpx.AsyncClient, told: Told) -> None:
    told.not_ready("the server is gone")
    answer = await http.get("/livez")
    assert (answer.status_code, answer.json()) == (200, {"live": True})


async def test_it_is_ready_when_nothing_is_missing(http: httpx.AsyncClient) -> None:
    answer = await http.get("/readyz")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert (body["ready"], body["sources"][0]["mode"], body["missing"], body["version"]) == (True, "live", [], "1.2.3")
    assert body["sources"][0]["watermark"] == "2026-11-21T12:00:00+00:00"
    assert body["sinks"] == [{"name": "jsonl:runs.jsonl", "acked": 7, "behind": 3}]


async def test_it_is_not_ready_when_something_is_missing_and_says_what(http: httpx.AsyncClient, told: Told) -> None:
    told.not_ready("connection refused")
    answer = await http.get("/readyz")
    assert answer.status_code == 503
    assert (answer.json()["ready"], answer.json()["missing"]) == (False, ["source default: connection refused"])
    assert answer.json()["sources"][0]["problem"] == "connection refused"


async def test_it_asks_anew_at_each_request(http: httpx.AsyncClient, told: Told) -> None:
    first = await http.get("/readyz")
    told.not_ready("gone")
    assert (first.status_code, (await http.get("/readyz")).status_code) == (200, 503)


@pytest.mark.parametrize("accept", [None, "*/*", "text/plain", "text/html,application/xhtml+xml"])
async def test_metrics_are_text_unless_asked_otherwise(http: httpx.AsyncClient, accept: str | None) -> None:
    answer = await http.get("/metrics", headers={"Accept": accept} if accept else {})
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "prefect_streamer_build_info" in {each.name for each in text_string_to_metric_families(answer.text)}


async def test_metrics_are_openmetrics_when_a_scraper_asks_for_it(http: httpx.AsyncClient) -> None:
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
    answer = await http.get("/metrics", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("POST", "/metrics", 405)])
async def test_there_is_nothing_else(http: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    assert (await http.request(method, path)).status_code == status
