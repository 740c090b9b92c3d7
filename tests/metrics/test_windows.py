"""What a scrape shows of the last hour, day and week: the store's newest answers, by flow name."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from streamer.errors import StoreError
from streamer.metrics.windows import WindowGauges
from streamer.reports import Statistics, Window

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
WINDOWS = {"1h": timedelta(hours=1), "7d": timedelta(days=7)}
RUNS = "prefect_flow_run_history_runs"
RUN_TIME = "prefect_flow_run_history_run_time_seconds"
LATENESS = "prefect_flow_run_history_lateness_seconds"


class Asked:
    """A store that gives one answer, and remembers since when it was asked for."""

    def __init__(self, answer: Window) -> None:
        self.answer = answer
        self.since: list[datetime] = []

    async def window(self, since: datetime, *, now: datetime) -> Window:
        assert now == NOON
        self.since.append(since)
        return self.answer


class Broken:
    async def window(self, since: datetime, *, now: datetime) -> Window:
        raise StoreError("the disk is gone")


class World:
    def __init__(self, **names: str) -> None:
        self.names = names
        self.registry = CollectorRegistry()
        self.gauges = WindowGauges(WINDOWS, self.names, self.registry)

    async def refresh(self, answer: Window) -> Asked:
        store = Asked(answer)
        await self.gauges.refresh(store, NOON)
        return store

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"window": "1h", **labels})

    def number_of_series(self) -> int:
        return sum(len(family.samples) for family in self.registry.collect())


def a_window(states: dict[tuple[str, str], int], times: Statistics | None = None) -> Window:
    by_flow = {"f1": times} if times else {}
    return Window(states, by_flow, by_flow)


async def test_each_window_ends_now() -> None:
    store = await World().refresh(a_window({}))
    assert store.since == [NOON - timedelta(hours=1), NOON - timedelta(days=7)]


async def test_runs_are_told_by_flow_name_and_state() -> None:
    world = World(f1="etl", f2="etl", f3="other")
    await world.refresh(a_window({("f1", "FAILED"): 1, ("f2", "FAILED"): 2, ("f3", "FAILED"): 4, ("", "FAILED"): 8}))
    assert world.value(RUNS, flow="etl", state="FAILED") == 3
    assert world.value(RUNS, flow="other", state="FAILED") == 4
    assert world.value(RUNS, flow="", state="FAILED") == 8
    assert world.value(RUNS, flow="other", state="FAILED", window="7d") == 4


async def test_a_renamed_flow_is_shown_by_its_newest_name_at_once() -> None:
    world = World(f1="etl")
    await world.refresh(a_window({("f1", "FAILED"): 1}))
    world.names["f1"] = "elt"
    assert (world.value(RUNS, flow="elt", state="FAILED"), world.value(RUNS, flow="etl", state="FAILED")) == (1, None)


@pytest.mark.parametrize("name", [RUN_TIME, LATENESS])
async def test_times_are_told_by_four_figures(name: str) -> None:
    world = World(f1="etl")
    await world.refresh(a_window({}, Statistics(avg=2.5, p50=2, p95=9, max=10)))
    figures = {stat: world.value(name, flow="etl", stat=stat) for stat in ("avg", "p50", "p95", "max")}
    assert figures == {"avg": 2.5, "p50": 2, "p95": 9, "max": 10}


async def test_a_new_answer_takes_the_place_of_the_old_one() -> None:
    world = World(f1="etl")
    await world.refresh(a_window({("f1", "RUNNING"): 1}))
    await world.refresh(a_window({("f1", "COMPLETED"): 1}))
    assert world.value(RUNS, flow="etl", state="RUNNING") is None
    assert world.value(RUNS, flow="etl", state="COMPLETED") == 1


async def test_a_store_that_cannot_answer_leaves_the_last_answer() -> None:
    world = World(f1="etl")
    await world.refresh(a_window({("f1", "RUNNING"): 1}))
    with pytest.raises(StoreError):
        await world.gauges.refresh(Broken(), NOON)
    assert world.value(RUNS, flow="etl", state="RUNNING") == 1


def test_before_the_first_answer_nothing_is_shown() -> None:
    assert World().number_of_series() == 0
