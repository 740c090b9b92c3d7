"""What is heard of late, claims to come from the future, or was waited for too long; and what time costs."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from schemas import Event, decode
from schemas.ours import VerdictStatus
from streamer.alerts.engine import SPARE, Engine
from streamer.model import Record
from tests.alerts.stories import Said, alerts, at, judged, moved, rule, told
from tests.alerts.test_engine import FAILED, engine
from tests.alerts.test_reader import House, house, rules

__all__ = ["house"]


def claiming(event: Event, occurred: str) -> Event:
    return decode(orjson.dumps({**orjson.loads(event.raw), "occurred": occurred}))


def test_a_failure_that_is_heard_of_late_does_not_make_the_one_after_it_forgotten() -> None:
    story = [moved(10, "a", "FAILED"), moved(5, "b", "FAILED"), moved(7, "c", "COMPLETED")]
    assert [each.status for each in told(engine("transition"), story, until=60)] == ["firing"]


def test_what_time_has_ended_hides_no_failure_that_is_heard_of_later() -> None:
    some = engine("transition", resolve_after="5m")
    assert len(told(some, [moved(10, "a", "FAILED")], until=15)) == 2
    assert told(some, [moved(14, "b", "FAILED")], until=16) == [Said(14, "firing", FAILED, 1)]


def test_nothing_is_over_before_it_began() -> None:
    story = [moved(0, "a", "PENDING"), moved(20, "b", "RUNNING"), moved(10, "a", "RUNNING")]
    firing, over = alerts(engine("held", states=["PENDING"], longer="15m"), story, until=60)
    assert firing.situation.since == over.situation.until == over.occurred == at(15)


def test_a_success_that_is_older_than_one_that_is_known_ends_nothing() -> None:
    story = [moved(5, "a", "COMPLETED"), moved(30, "b", "RUNNING"), moved(2, "c", "COMPLETED")]
    assert [each.status for each in told(engine("no_success", within="10m"), story, until=60)] == ["firing"]


def test_failures_of_long_ago_do_not_add_to_the_share_of_today() -> None:
    story = [moved(1000 + number, f"a{number}", "COMPLETED") for number in range(5)]
    story += [moved(number, f"b{number}", "FAILED") for number in range(9)]
    assert told(engine("failure_rate", percent=50, within="1h"), story, until=2000) == []


def test_what_a_success_alone_can_end_is_not_ended_by_time() -> None:
    with pytest.raises(ValidationError, match="forget ends this without a success"):
        rule("no_success", within="10m", resolve_after="5m")


async def test_what_claims_to_come_from_the_future_hides_nothing_and_stops_nothing(house: House) -> None:
    house.rules = rules("failed", "stale")
    await house.again()
    far = "9999-12-31T23:59:59Z"
    await house.append(claiming(moved(1, "a", "COMPLETED"), far), claiming(moved(1, "p", "PENDING"), far))
    await house.look(1)
    await house.append(moved(2, "b", "FAILED"))
    assert await house.look(2) == ["failed firing 1"]
    assert "held firing 1" in await house.look(60)


async def test_a_verdict_that_comes_after_the_run_has_moved_on_is_none(house: House) -> None:
    house.rules = {"zombies": rule("verdict")}
    await house.again()
    for run, moves_on in (("a", True), ("b", False)):
        running = moved(0, run, "RUNNING", before="PENDING")
        ending = [moved(4, run, "COMPLETED")] if moves_on else []
        await house.append(running, *ending, judged(5, run, VerdictStatus.ZOMBIE, like=running))
    assert await house.look(6) == ["zombies firing 1"]
    await house.append(moved(7, "b", "COMPLETED"))
    assert await house.look(8) == ["zombies firing 1", "zombies resolved 1"]


async def test_what_was_to_be_said_again_while_it_was_stopped_is_said_once(house: House) -> None:
    house.rules = {"failed": rule("transition", repeat="1m")}
    await house.again()
    await house.append(moved(1, "a", "FAILED"))
    await house.look(1)
    await house.again()
    assert await house.look(60 * 24) == ["failed firing 1"] * 2
    assert await house.look(60 * 24 + 1) == ["failed firing 1"] * 3


async def test_many_runs_that_are_held_at_once_stop_nobody_else(house: House) -> None:
    await house.append(*(moved(0, f"p{number}", "PENDING") for number in range(300)))
    house.clock.time = at(1)
    for _ in range(10):
        await house.alerting.look()
    house.clock.time = at(60)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(others())
    await house.alerting._pass_time()
    other.cancel()
    assert turns > 3
    assert [incident.occurrences for _, incident in house.alerting.engine.firing()] == [300]


def test_what_is_put_off_again_and_again_takes_no_room() -> None:
    some = Engine({"rule": rule("no_success", within="1d")})
    for number in range(3 * SPARE):
        some.take(Record(number, "default", moved(number / 100, "a", "COMPLETED")))
    assert len(some._queue) <= SPARE + 2


def test_time_tells_nothing_of_a_source_that_is_not_seen_until_it_is() -> None:
    some = Engine({"rule": rule("no_success", within="1h")})
    for number, source in enumerate(("north", "south")):
        some.take(Record(number, source, moved(number, "a", "COMPLETED")))
    assert not some.pass_time(at(90), sees=lambda source: source == "north")
    assert [source for source, _ in some.changes().alerts] == ["north"]
    assert not some.pass_time(at(90))
    assert [source for source, _ in some.changes().alerts] == ["south"]


def test_quiet_times_that_are_taken_out_hold_nothing_back_any_more() -> None:
    some = engine("transition", quiet=["11:00-18:00"])
    assert told(some, [moved(1, "a", "FAILED")], until=2) == []
    some.change({"rule": rule("transition")}, at(3))
    some.pass_time(at(4))
    assert [each.situation.status for _, each in some.changes().alerts] == ["firing"]


@pytest.mark.parametrize(
    ("quiet", "hour", "ends"),
    [("01:00-02:30", 1, "2026-10-25T01:30Z"), ("01:00-02:30", 0, "2026-10-25T01:30Z")],
)
def test_a_quiet_time_that_ends_when_clocks_are_set_back_ends_the_second_time(quiet: str, hour: int, ends: str) -> None:
    begun = datetime(2026, 10, 25, hour, 15, tzinfo=UTC)
    _said_at(begun, datetime.fromisoformat(ends), quiet=[quiet])


def test_a_quiet_time_that_ends_when_clocks_are_set_forward_ends_then() -> None:
    _said_at(datetime(2026, 3, 29, 0, 15, tzinfo=UTC), datetime(2026, 3, 29, 1, 30, tzinfo=UTC), quiet=["01:00-02:30"])


def _said_at(begun: datetime, ends: datetime, **fields: Any) -> None:
    some = engine("transition", timezone="Europe/Berlin", **fields)
    some.take(Record(1, "default", claiming(moved(1, "a", "FAILED"), begun.isoformat())))
    some.pass_time(begun + timedelta(days=1))
    assert [alert.occurred for _, alert in some.changes().alerts] == [ends]
