"""The reader finds alerts in the log once, whenever it is stopped, and concludes nothing from missing knowledge."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from schemas import Alert, Event
from streamer.alerts.reader import LATE, SILENCES_KEPT, Alerting, never_yet
from streamer.alerts.rule import Rule
from streamer.alerts.silences import Silence
from streamer.instruments import Instruments
from streamer.intake import Intake
from streamer.log import Log
from streamer.metrics.counters import Metrics
from streamer.model import Net
from streamer.pipeline import Pipeline
from streamer.routing import Criteria
from streamer.store.sql import SqlStore
from streamer.testing import until
from tests.alerts.stories import at, moved, rule
from tests.store.agreement import opened
from tests.stores import rows

pytestmark = pytest.mark.either_store


@dataclass
class Clock:
    """A clock that stands."""

    time: datetime = field(default_factory=lambda: at(0))

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


class House:
    """A store, a log, a pipeline and the reader, as the service has them; it can be torn down and built up again."""

    def __init__(self, path: Path, rules: dict[str, Rule]) -> None:
        self.path = path
        self.rules = rules
        self.clock = Clock()
        self.sees = True

    async def begin(self) -> None:
        self.store: SqlStore = await opened(self.path)
        self.log, self.intake = await Log.open(self.store), Intake()
        instruments = Instruments()
        self.metrics = Metrics(instruments, await self.store.totals(), self.clock)
        self.pipeline = asyncio.create_task(
            Pipeline(self.intake, self.log, instruments, observers=[self.metrics]).run()
        )
        self.alerting = await Alerting.open(self.rules, self.log, self.intake.put, self.clock, sees=lambda _: self.sees)

    async def end(self) -> None:
        self.intake.close()
        await self.pipeline
        await self.store.close()

    async def again(self) -> None:
        await self.end()
        await self.begin()

    async def append(self, *events: Event) -> None:
        await self.log.append("default", events, net=Net.LIVE)

    async def look(self, minute: float) -> list[str]:
        """Let the reader look until it has seen all, and return what it has said since the test began."""
        self.clock.time = at(minute) + LATE
        for _ in range(3):
            await self.alerting.look()
        return await self.said()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let the reader run for the length of the block."""
        running = asyncio.create_task(self.alerting.run())
        yield
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    async def said(self) -> list[str]:
        records = await self.store.after(0, 1000)
        alerts = [each.event for each in records if isinstance(each.event, Alert)]
        return [f"{each.situation.rule} {each.situation.status} {each.situation.occurrences}" for each in alerts]

    def counted(self) -> dict[str, float]:
        """Return what is counted of the rule `failed`, but for what is 0."""
        (metric,) = (each for each in self.metrics.collect() if each.name == "prefect_streamer_alerts")
        return {each.labels["action"]: each.value for each in metric.samples if each.value}


def rules(*names: str) -> dict[str, Rule]:
    known = {"failed": rule("transition"), "stale": rule("no_success", within="1h")}
    return {name: known[name] for name in names} | {"held": rule("held", states=["PENDING"], longer="30m")}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "test.db", rules("failed"))
    await house.begin()
    yield house
    await house.end()


async def test_alerts_are_records_of_the_log_and_are_counted(house: House) -> None:
    await house.append(moved(1, "a", "FAILED"), moved(2, "b", "FAILED"), moved(3, "c", "COMPLETED"))
    assert await house.look(5) == ["failed firing 1", "failed resolved 2"]
    assert house.counted() == {"fired": 1, "deduplicated": 1, "resolved": 1}


async def test_a_restart_after_any_look_neither_repeats_nor_forgets(house: House) -> None:
    for minute, state in ((1, "FAILED"), (2, "FAILED"), (3, "COMPLETED"), (4, "FAILED")):
        await house.append(moved(minute, f"run {minute}", state))
        await house.again()
        await house.look(minute)
        await house.again()
    assert await house.look(5) == ["failed firing 1", "failed resolved 2", "failed firing 1"]
    assert house.counted() == {"fired": 2, "deduplicated": 1, "resolved": 1}


async def test_what_was_not_committed_is_concluded_again(house: House) -> None:
    """The reader has looked, but the process was killed before the store had what it concluded."""
    await house.append(moved(1, "a", "FAILED"))
    lost = await Alerting.open(house.rules, house.log, _into_nothing, house.clock, sees=lambda _: True)
    looking = asyncio.create_task(lost.look())
    await until(lambda: any(lost.engine.firing()))
    looking.cancel()
    await house.again()
    assert await house.look(5) == ["failed firing 1"]
    assert house.counted() == {"fired": 1}


async def _into_nothing(item: object) -> None:
    await asyncio.Event().wait()


async def test_what_the_reader_remembers_is_written_with_what_it_concludes(house: House) -> None:
    await house.append(moved(1, "a", "FAILED"))
    await house.alerting.look()
    (cursor,) = rows(house.path, "SELECT seq FROM cursors WHERE reader = 'streamer.alerts'")
    ((rule_name, body),) = rows(house.path, "SELECT rule, body FROM alert_groups")
    assert cursor == (1,), "its own alert, seq 2, has not told it anything"
    assert rule_name == "failed"
    assert b'"announced":1' in body


async def test_nothing_is_concluded_from_time_while_something_is_missing(house: House) -> None:
    house.rules = rules("stale")
    await house.again()
    await house.append(moved(0, "a", "COMPLETED"))
    house.sees = False
    assert await house.look(90) == []
    await house.append(moved(30, "b", "COMPLETED"))
    house.sees = True
    assert await house.look(89) == []
    assert await house.look(91) == ["stale firing 1"]


async def test_a_run_that_came_late_is_looked_up_before_it_is_said_to_be_held(house: House) -> None:
    await house.append(moved(3, "a", "RUNNING", before="PENDING"), moved(2, "a", "PENDING"), moved(2, "b", "PENDING"))
    assert await house.look(40) == ["held firing 1"]
    (alert,) = [each.event for each in await house.store.after(0, 100) if isinstance(each.event, Alert)]
    assert alert.resource.name == "b"


async def test_history_is_not_told(house: House) -> None:
    rows(house.path, f"UPDATE sources SET epoch = {int((at(0) + timedelta(hours=1)).timestamp() * 1_000_000)}")
    await house.again()
    await house.append(moved(1, "a", "FAILED"), moved(61, "b", "FAILED"))
    assert await house.look(70) == ["failed firing 1"]


async def test_a_rule_that_is_taken_out_ends_what_it_found(house: House) -> None:
    await house.append(moved(1, "a", "FAILED"))
    await house.look(1)
    house.rules = {}
    await house.again()
    assert house.alerting.is_needed
    assert await house.look(120) == ["failed firing 1", "failed resolved 1"]
    assert not house.alerting.is_needed


async def test_without_rules_nothing_is_read_and_rules_that_come_begin_at_the_head(tmp_path: Path) -> None:
    house = House(tmp_path / "test.db", {})
    await house.begin()
    await house.append(moved(1, "a", "FAILED"))
    async with house.running():
        assert rows(house.path, "SELECT * FROM cursors") == []
        await house.alerting.change(rules("failed"))
        await house.append(moved(2, "b", "FAILED", deployment="hourly"))
        await until(lambda: house.log.head == 3)
    assert await house.said() == ["failed firing 1"]
    await house.end()


async def test_what_happened_while_there_were_no_rules_is_none_of_those_that_come_back(house: House) -> None:
    await house.append(moved(1, "a", "COMPLETED"))
    await house.look(1)
    house.rules = {}
    await house.again()
    async with house.running():
        await house.append(moved(2, "a", "FAILED"))
        await until(lambda: not rows(house.path, "SELECT * FROM cursors"))
    house.rules = rules("failed")
    await house.again()
    await house.append(moved(3, "b", "FAILED", deployment="hourly"))
    assert await house.look(5) == ["failed firing 1"]


async def test_rules_are_changed_while_it_goes_on(house: House) -> None:
    await house.append(moved(1, "a", "FAILED"), moved(1, "p", "PENDING"))
    assert await house.look(1) == ["failed firing 1"]
    await house.alerting.change({"failed": rule("transition", severity="critical"), "more": rule("failures", count=1)})
    await house.append(moved(2, "b", "FAILED"))
    assert await house.look(60) == ["failed firing 1", "more firing 1"]
    await house.alerting.change({"more": rule("failures", count=1, group="flow")})
    assert await house.look(61) == ["failed firing 1", "more firing 1", "failed resolved 2", "more resolved 1"]
    assert rows(house.path, "SELECT * FROM alert_groups") == []
    await house.alerting.change({})
    await house.append(moved(62, "c", "FAILED"))
    assert len(await house.look(62)) == 4
    assert not house.alerting.is_needed


async def test_a_rule_that_was_changed_while_it_was_stopped_ends_what_it_can_see_the_end_of_no_more(
    house: House,
) -> None:
    await house.append(moved(1, "a", "FAILED"))
    await house.look(1)
    house.rules = {"failed": rule("transition", match={"deployments": ["hourly"]})}
    await house.again()
    assert await house.look(2) == ["failed firing 1", "failed resolved 1"]


async def test_where_it_has_come_to_is_kept_though_there_was_nothing_to_conclude(house: House) -> None:
    await house.append(moved(1, "a", "RUNNING"), moved(2, "a", "COMPLETED"))
    house.rules = {"failed": rule("transition", match={"flows": ["another"]})}
    await house.again()
    await house.append(moved(3, "a", "RUNNING"))
    await house.look(3)
    assert rows(house.path, "SELECT seq FROM cursors WHERE reader = 'streamer.alerts'") == [(3,)]


async def test_a_silence_holds_back_over_a_restart_until_it_is_lifted(house: House) -> None:
    silence = Silence(id=uuid4(), match=Criteria(alerts=("fail*",)), begins=at(0), ends=at(600))
    await house.store.put_silence(str(silence.id), silence.model_dump_json().encode())
    await house.again()
    await house.append(moved(1, "a", "FAILED"))
    assert await house.look(1) == []
    await house.again()
    await house.store.drop_silence(str(silence.id))
    assert await house.look(2) == []
    await house.alerting.silence()
    assert await house.look(3) == ["failed firing 1"]


async def test_silences_that_ended_long_ago_are_dropped(house: House) -> None:
    for ends in (at(0), at(60)):
        silence = Silence(id=uuid4(), match=Criteria(), begins=at(-1), ends=ends)
        await house.store.put_silence(str(silence.id), silence.model_dump_json().encode())
    house.clock.time = at(30) + SILENCES_KEPT
    await house.alerting.silence()
    (left,) = map(Silence.model_validate_json, (await house.store.silences()).values())
    assert left.ends == at(60)


async def test_it_wakes_up_by_itself(house: House) -> None:
    async with house.running():
        await house.append(moved(1, "a", "FAILED"))
        await until(lambda: house.log.head == 2)
    assert await house.said() == ["failed firing 1"]


async def test_what_fires_is_given_as_records(house: House) -> None:
    await house.append(moved(1, "a", "FAILED"))
    await house.look(1)
    (alert,) = [each.event for each in await house.store.after(0, 100) if isinstance(each.event, Alert)]
    assert [(each.source, each.event) for each in house.alerting.firing()] == [("default", alert)]


def test_each_action_of_each_rule_is_shown_at_0() -> None:
    labels: Iterable[tuple[str, ...]] = (counter.labels for counter in never_yet(["one", "two"], "default"))
    assert set(labels) >= {("one", "fired"), ("two", "silenced")}
