"""What the service answers over HTTP, asked of the app in this process."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from schemas import decode
from streamer.alert_list import ListedAlert, ListedRun
from streamer.clock import SystemClock
from streamer.instruments import Instruments
from streamer.metrics.counters import Metrics
from streamer.model import Record, Totals
from streamer.testing import an_event
from streamer.web.app import SinkStatus, SourceStatus, Status, create_app

EVIL = "<script>alert(1)</script>"


class Told:
    """What the app is told when it asks, to be changed by the test."""

    def __init__(self) -> None:
        self.status = Status("1.2.3", [a_source()], [SinkStatus("jsonl:runs.jsonl", acked=7, behind=3)], head=10)
        self.records: list[Record] = []
        self.alerts: list[ListedAlert] = []

    def not_ready(self, reason: str) -> None:
        source = a_source(connected=False, problem=reason)
        self.status = Status("1.2.3", [source], [], head=10, missing=[f"source default: {reason}"])


def a_source(*, connected: bool = True, problem: str | None = None) -> SourceStatus:
    watermark = datetime(2026, 11, 21, 12, tzinfo=UTC)
    return SourceStatus("default", "http://host/api", "live", connected, connected, problem, watermark)


def an_alert(**changes: Any) -> ListedAlert:
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    run = ListedRun(uuid4(), "loose-quetzal", "http://ui/runs/flow-run/1")
    usual = ListedAlert(
        incident=uuid4(),
        rule="nightly-fails",
        severity="critical",
        source="default",
        group="deployment:1",
        name="etl-nightly",
        reason="3 runs failed one after the other",
        since=noon,
        last=noon,
        occurrences=7,
        run=run,
        announced=1,
        announced_at=noon,
        silenced_until=None,
        quiet_until=None,
    )
    return replace(usual, **changes)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def http(told: Told) -> AsyncIterator[httpx.AsyncClient]:
    metrics = Metrics(Instruments(), Totals(), SystemClock())
    app = create_app(metrics, lambda: told.status, lambda: told.records, firing=lambda: told.alerts)
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


async def test_the_page_tells_how_things_are(http: httpx.AsyncClient, told: Told) -> None:
    told.records = [Record(17, "default", decode(orjson.dumps(an_event())))]
    page = (await http.get("/")).text
    assert "All is well" in page
    for shown in ("http://host/api", "jsonl:runs.jsonl", ">17<", ">etl<", ">Running<", "version 1.2.3"):
        assert shown in page


async def test_the_page_tells_what_fires_and_who_is_not_told(http: httpx.AsyncClient, told: Told) -> None:
    later = datetime(2026, 11, 21, 14, tzinfo=UTC)
    told.alerts = [an_alert(), an_alert(rule="stale", silenced_until=later, run=ListedRun(uuid4(), "some-run", None))]
    page = (await http.get("/")).text
    shown = [
        ">nightly-fails<",
        ">critical<",
        ">etl-nightly<",
        ">3 runs failed one after the other<",
        ">7<",
        ">some-run<",
    ]
    shown += ['<a href="http://ui/runs/flow-run/1">loose-quetzal</a>', "silenced until 2026-11-21 14:00:00+00:00"]
    assert [each for each in shown if each not in page] == []
    assert page.count("silenced until") == 1


async def test_the_page_tells_what_is_missing(http: httpx.AsyncClient, told: Told) -> None:
    told.not_ready("connection refused")
    assert "Not ready: source default: connection refused." in (await http.get("/")).text


async def test_the_page_of_a_service_without_anything_is_shown(http: httpx.AsyncClient, told: Told) -> None:
    told.status = Status("1.2.3", [], [], head=0, missing=["no source yet"])
    page = (await http.get("/")).text
    assert "none; add one with" in page
    assert "none yet: start a flow" in page
    assert "nothing fires" in page


async def test_names_of_others_are_shown_as_text(http: httpx.AsyncClient, told: Told) -> None:
    event = an_event(event=f"prefect.flow-run.{EVIL}")
    event["resource"]["prefect.resource.name"] = event["related"][0]["prefect.resource.name"] = EVIL
    told.records = [Record(1, "default", decode(orjson.dumps(event)))]
    told.not_ready(EVIL)
    told.alerts = [an_alert(rule=EVIL, severity=EVIL, name=EVIL, reason=EVIL, run=ListedRun(uuid4(), EVIL, None))]
    page = (await http.get("/")).text
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 4 + 5


async def test_the_page_may_run_no_code_and_tells_no_one_where_it_is(http: httpx.AsyncClient) -> None:
    headers = (await http.get("/")).headers
    assert headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("POST", "/metrics", 405)])
async def test_there_is_nothing_else(http: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    assert (await http.request(method, path)).status_code == status
