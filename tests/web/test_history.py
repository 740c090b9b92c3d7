"""`/api/history`: what is asked for, what is answered, what is refused."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from streamer.reports import Bucket, StateCount, span_until
from streamer.web.operations import HistoryAsked, OperationsAsked, endpoints
from tests.store.agreement import opened
from tests.web.asking import asking, problem

pytestmark = pytest.mark.either_store

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Told:
    """A store that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[HistoryAsked] = []

    async def __call__(self, asked: HistoryAsked, /) -> Sequence[Bucket]:
        span_until(NOON, since=asked.since, interval=asked.interval, flows=asked.flow)
        self.asked.append(asked)
        return [Bucket(NOON, NOON + asked.interval, [StateCount("FAILED", "TimedOut", 3, 1.5, 0.25)])]


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def http(told: Told, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async def none() -> list[object]:
        return []

    store = await opened(tmp_path / "store.db")
    asked = OperationsAsked(history=told, letters=store, sinks=none, alerts=none, silences=none)
    async with asking(endpoints(asked)) as client:
        yield client
    await store.close()


async def test_buckets_have_the_shape_of_prefects(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/history")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == [
        {
            "interval_start": "2026-11-21T12:00:00Z",
            "interval_end": "2026-11-21T13:00:00Z",
            "states": [
                {
                    "state_type": "FAILED",
                    "state_name": "TimedOut",
                    "count_runs": 3,
                    "sum_estimated_run_time": 1.5,
                    "sum_estimated_lateness": 0.25,
                }
            ],
        }
    ]


async def test_a_day_by_the_hour_of_all_flows_is_usual(http: httpx.AsyncClient, told: Told) -> None:
    await http.get("/api/history")
    assert told.asked == [HistoryAsked(since=timedelta(hours=24), interval=timedelta(hours=1))]


async def test_times_and_flows_can_be_chosen(http: httpx.AsyncClient, told: Told) -> None:
    await http.get("/api/history?since=90m&until=2026-11-21T12:00:00Z&interval=30s&flow=a%20b&flow=c")
    asked = {"since": timedelta(minutes=90), "interval": timedelta(seconds=30), "flow": ("a b", "c")}
    assert told.asked == [HistoryAsked(until=datetime(2026, 11, 21, 12, tzinfo=UTC), **asked)]


@pytest.mark.parametrize("query", ["since=soon", "interval=", "interval=true", "since=-5s"])
async def test_what_is_no_duration_is_refused(http: httpx.AsyncClient, told: Told, query: str) -> None:
    answer = await http.get(f"/api/history?{query}")
    assert answer.status_code == 400
    assert problem(answer)["field"] == query.partition("=")[0]
    assert told.asked == []


@pytest.mark.parametrize(
    ("query", "said"),
    [("since=501s&interval=1s", "501 intervals, and the most is 500"), ("interval=0s", "at least a second")],
)
async def test_what_cannot_be_asked_is_refused_with_a_sentence(
    http: httpx.AsyncClient, told: Told, query: str, said: str
) -> None:
    answer = await http.get(f"/api/history?{query}")
    assert answer.status_code == 400
    assert said in problem(answer)["detail"]
    assert told.asked == []
