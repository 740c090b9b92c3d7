"""Pushes come at their interval, survive whatever the destination does, and end with a last one."""

import asyncio
import threading
from collections import Counter as Multiset
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge
from structlog.testing import capture_logs

from streamer.errors import Reject, Retry
from streamer.push.points import Snapshot, Sum, earlier
from streamer.push.pushing import Catalogue, Meters, Push, pushing
from streamer.testing.waiting import until
from tests.push.catalogues import TRANSITIONS, Registry, begun

SOON, NEVER = timedelta(milliseconds=1), timedelta(hours=1)


class Destination:
    """An exporter that keeps what it is given, or does `instead`."""

    def __init__(self, *, spacing: float = 0.0) -> None:
        self.spacing = spacing
        self.instead: Callable[[], None] = lambda: None
        self.tried = 0
        self.got: list[tuple[Snapshot, Snapshot]] = []
        self.closed = False

    def push(self, now: Snapshot, before: Snapshot, /) -> None:
        self.tried += 1
        self.instead()
        self.got.append((now, before))

    def close(self) -> None:
        self.closed = True


class Bench:
    """A push to a destination, with its meters."""

    def __init__(
        self,
        *,
        every: timedelta = SOON,
        patience: float = 5.0,
        spacing: float = 0.0,
        kept: Registry | None = None,
    ) -> None:
        registry = CollectorRegistry()
        self.counted = Registry(etl=5)
        self.meters = Meters(
            Counter("push", "P.", ("push", "result"), registry=registry),
            Gauge("success", "S.", ("push",), registry=registry),
        )
        self.registry = registry
        self.destination = Destination(spacing=spacing)
        self.push = Push(
            "up",
            self.destination,
            Catalogue(self.counted.all, begun, kept.all if kept else None),
            self.meters,
            every=every,
            patience=patience,
        )

    def results(self, result: str) -> float:
        return self.registry.get_sample_value("push_total", {"push": "up", "result": result}) or 0.0

    def succeeded(self) -> float:
        return self.registry.get_sample_value("success", {"push": "up"}) or 0.0


def failing(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def until_set(event: threading.Event) -> Callable[[], None]:
    def wait() -> None:
        event.wait(10)

    return wait


def totals(snapshot: Snapshot) -> list[float]:
    return [getattr(value, "total", 0) for series, value in snapshot.values.items() if series.name == TRANSITIONS]


async def test_each_push_is_told_what_was_pushed_before_and_the_first_what_was_there_at_the_start() -> None:
    bench = Bench()
    async with pushing([bench.push], grace=timedelta(seconds=5)):
        await until(lambda: len(bench.destination.got) >= 2)
    (first, at_start), (second, before) = bench.destination.got[:2]
    assert before == first
    assert at_start.at <= first.at < second.at
    assert bench.results("ok") == len(bench.destination.got)
    assert bench.succeeded() >= second.at


async def test_a_stop_pushes_what_has_come_since_and_closes() -> None:
    bench = Bench(every=NEVER)
    async with pushing([bench.push], grace=timedelta(seconds=5)):
        await until(lambda: bench.push._before is not None)
        bench.counted.stored.totals["etl"] = 9
    ((last, before),) = bench.destination.got
    assert (totals(before), totals(last)) == ([5], [9])
    assert bench.destination.closed


async def test_totals_that_are_not_shown_at_the_start_are_known() -> None:
    bench = Bench(kept=Registry(etl=1, monthly=100))
    async with pushing([bench.push], grace=timedelta(seconds=5)):
        await until(lambda: len(bench.destination.got) >= 2)
        bench.counted.stored.totals["monthly"] = 101
    grown = Multiset[str]()
    for now, before in bench.destination.got:
        for series, was in earlier(now, before).items():
            if isinstance(was, Sum) and isinstance(value := now.values[series], Sum):
                grown[dict(series.labels)["flow"]] += int(value.total - was.total)
    assert grown == {"etl": 0, "monthly": 1}


async def test_what_could_not_be_pushed_is_in_the_next_push() -> None:
    bench = Bench()
    bench.destination.instead = failing(Retry("down"))
    async with pushing([bench.push], grace=timedelta(seconds=5)):
        await until(lambda: bench.results("failed") >= 2)
        bench.counted.stored.totals["etl"] = 9
        bench.destination.instead = lambda: None
        await until(lambda: bench.destination.got)
    now, before = bench.destination.got[0]
    assert (totals(before), totals(now)) == ([5], [9])


async def test_what_was_refused_for_good_is_not_pushed_again() -> None:
    bench = Bench()
    bench.destination.instead = failing(Reject("a label"))
    async with pushing([bench.push], grace=timedelta(seconds=5)):
        await until(lambda: bench.results("refused") >= 1)
        bench.counted.stored.totals["etl"] = 9
        already = bench.results("refused")
        await until(lambda: bench.results("refused") >= already + 2)
        bench.destination.instead = lambda: None
        await until(lambda: bench.destination.got)
    assert totals(bench.destination.got[0][1]) == [9]


@pytest.mark.parametrize("error", [Retry("down"), OSError("no route"), ZeroDivisionError("a bug"), TimeoutError()])
async def test_trouble_is_told_once_when_it_begins_and_once_when_it_ends(error: Exception) -> None:
    bench = Bench()
    bench.destination.instead = failing(error)
    with capture_logs() as logs:
        async with pushing([bench.push], grace=timedelta(seconds=5)):
            await until(lambda: bench.results("failed") >= 3)
            bench.destination.instead = lambda: None
            await until(lambda: bench.results("ok") >= 2)
    assert [(each["log_level"], each["event"]) for each in logs] == [
        ("warning", "a push fails, retrying"),
        ("info", "a push works again"),
    ]
    assert type(error).__name__ in logs[0]["error"]
    assert bench.push._wait() == SOON.total_seconds()


async def test_a_push_that_hangs_is_given_up_and_not_begun_again_beside_itself() -> None:
    bench, hanging = Bench(patience=0.01), threading.Event()
    bench.destination.instead = until_set(hanging)
    async with pushing([bench.push], grace=timedelta(seconds=5)):
        await until(lambda: bench.results("failed") >= 3)
        assert bench.destination.tried == 1
        hanging.set()
        await until(lambda: bench.results("ok") >= 1)


async def test_a_push_that_hangs_holds_up_neither_the_loop_nor_the_stop() -> None:
    bench, hanging = Bench(), threading.Event()
    bench.destination.instead = until_set(hanging)
    async with asyncio.timeout(5):
        async with pushing([bench.push], grace=timedelta(milliseconds=20)):
            await until(lambda: bench.destination.tried)
    (thread,) = [each for each in threading.enumerate() if each.name == "push up"]
    assert thread.daemon  # nor the end of the process
    hanging.set()


async def test_a_stop_keeps_the_distance_that_the_destination_asks_for() -> None:
    bench = Bench(spacing=0.2)
    async with pushing([bench.push], grace=timedelta(seconds=5)):
        await until(lambda: bench.destination.got)
    times = [now.at for now, _ in bench.destination.got]
    assert len(times) >= 2
    assert all(after - before >= 0.199 for before, after in pairwise(times))


async def test_what_comes_while_a_push_is_under_way_is_pushed_before_the_end() -> None:
    bench, going_on = Bench(), threading.Event()
    bench.destination.instead = until_set(going_on)
    async with pushing([bench.push], grace=timedelta(seconds=5)):
        await until(lambda: bench.destination.tried)
        bench.counted.stored.totals["etl"] = 9
        bench.push.stop()
        going_on.set()
    assert [totals(now) for now, _ in bench.destination.got] == [[5], [9]]


async def test_failures_are_repeated_ever_later_up_to_five_minutes() -> None:
    push = Bench(every=timedelta(seconds=60)).push
    waits = []
    for push._failures in (0, 1, 2, 3, 10_000):
        waits.append(push._wait())
    assert waits == [60, 120, 240, 300, 300]
    assert Bench(every=timedelta(hours=1)).push._wait() == 3600


async def test_results_are_there_at_0_from_the_start() -> None:
    bench = Bench()
    values = [
        bench.registry.get_sample_value("push_total", {"push": "up", "result": each})
        for each in ("ok", "refused", "failed")
    ]
    assert values == [0, 0, 0]
