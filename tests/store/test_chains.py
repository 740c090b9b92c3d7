"""Breaks in the chains of runs."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import orjson
import pytest

from schemas import decode
from streamer.model import Net
from streamer.testing import an_event
from streamer.testing.conformance import EPOCH
from tests.stores import open_store

pytestmark = pytest.mark.either_store

LATER = EPOCH + timedelta(hours=2)
RUN = str(uuid4())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "streamer.db"


async def broken_after(path: Path, *contents: dict[str, object]) -> tuple[set[UUID], set[UUID]]:
    """Append these, one by one; return the runs with a break, and again when those were looked into."""
    store = open_store(path)
    await store.open_source("default", identity="a server", now=EPOCH)
    for content in contents:
        await store.append("default", [decode(orjson.dumps(content))], net=Net.LIVE)
    found = await store.broken("default", LATER, 10)
    await store.mended(found, LATER)
    again = await store.broken("default", LATER, 10)
    await store.close()
    return found, again


def move(second: int = 0, **changes: object) -> dict[str, object]:
    return an_event(run=RUN, occurred=EPOCH + timedelta(hours=1, seconds=second), **changes)  # type: ignore[arg-type]


async def test_missing_state_is_a_break_and_looked_into_once(path: Path) -> None:
    assert await broken_after(path, move(follows=str(uuid4()))) == ({UUID(RUN)}, set())


async def test_chain_without_a_gap_has_no_break(path: Path) -> None:
    first = move()
    assert await broken_after(path, first, move(follows=first["id"])) == (set(), set())


async def test_break_that_was_filled_meanwhile_is_none(path: Path) -> None:
    missing = move()
    assert await broken_after(path, move(follows=missing["id"]), missing) == (set(), set())


async def test_first_state_of_a_run_that_the_scheduler_made_is_no_break(path: Path) -> None:
    deployment = {"prefect.resource.id": f"prefect.deployment.{uuid4()}", "prefect.resource.role": "deployment"}
    first = move(before="SCHEDULED", after="PENDING", follows=str(uuid4()), related=[deployment])
    resource = {**first["resource"], "prefect.run-count": "0"}  # type: ignore[dict-item]
    assert await broken_after(path, {**first, "resource": resource}) == (set(), set())


async def test_first_state_of_a_run_without_a_deployment_is_missed_since_the_scheduler_makes_none(path: Path) -> None:
    first = move(before="SCHEDULED", after="PENDING", follows=str(uuid4()))
    first["resource"] |= {"prefect.run-count": "0"}  # type: ignore[operator]
    assert await broken_after(path, first) == ({UUID(RUN)}, set())


async def test_state_that_the_scheduler_announced_is_missed_as_any_other(path: Path) -> None:
    late = move(before="SCHEDULED", after="PENDING", follows=str(uuid4()))
    late["resource"] |= {"prefect.run-count": "0"}  # type: ignore[operator]
    late["payload"]["initial_state"]["name"] = "Late"  # type: ignore[index]
    assert await broken_after(path, late) == ({UUID(RUN)}, set())


async def test_break_is_given_time_to_be_filled(path: Path) -> None:
    store = open_store(path)
    await store.open_source("default", identity="a server", now=EPOCH)
    await store.append("default", [decode(orjson.dumps(move(follows=str(uuid4()))))], net=Net.LIVE)
    assert await store.broken("default", EPOCH, 10) == set()
    assert await store.broken("default", LATER, 10) == {UUID(RUN)}
    await store.close()


async def test_fork_is_a_break_although_nothing_is_missing(path: Path) -> None:
    first = move()
    rolled_back = move(1, before="RUNNING", after="FAILED", follows=first["id"])
    real = move(2, before="RUNNING", after="COMPLETED", follows=first["id"])
    assert await broken_after(path, first, rolled_back, real) == ({UUID(RUN)}, set())


async def test_fork_is_a_break_also_when_what_was_rolled_back_comes_last(path: Path) -> None:
    first = move()
    rolled_back = move(1, before="RUNNING", after="FAILED", follows=first["id"])
    real = move(2, before="RUNNING", after="COMPLETED", follows=first["id"])
    assert await broken_after(path, first, real, rolled_back) == ({UUID(RUN)}, set())


async def test_what_comes_late_and_was_missed_is_no_break(path: Path) -> None:
    first, last = move(), move(3, before="RUNNING", after="COMPLETED", follows=str(uuid4()))
    missed = move(2, follows=first["id"], id=last["follows"])
    assert await broken_after(path, first, last, missed) == (set(), set())


async def test_transition_that_tells_no_predecessor_must_start_from_the_state_that_is_shown(path: Path) -> None:
    fits, does_not = move(1, before="RUNNING", after="FAILED"), move(1, before="PAUSED", after="FAILED")
    assert await broken_after(path, move(), fits) == (set(), set())
    assert await broken_after(path, move(3), {**does_not, "occurred": move(4)["occurred"]}) == ({UUID(RUN)}, set())


async def test_events_in_another_order_are_no_break_once_all_are_there(path: Path) -> None:
    first = move(after="PENDING", before=None)
    second = move(1, follows=first["id"])
    third = move(2, before="RUNNING", after="COMPLETED", follows=second["id"])
    assert await broken_after(path, first, third, second) == (set(), set())


async def test_break_that_comes_while_others_are_looked_into_stays(path: Path) -> None:
    store = open_store(path)
    await store.open_source("default", identity="a server", now=EPOCH)
    await store.append("default", [decode(orjson.dumps(move(5, follows=str(uuid4()))))], net=Net.LIVE)
    await store.mended([UUID(RUN)], EPOCH + timedelta(hours=1, seconds=5))
    assert await store.broken("default", LATER, 10) == {UUID(RUN)}
    await store.close()


async def test_break_of_a_suspected_run_stays_when_what_was_missing_has_come(path: Path) -> None:
    missing, store = move(), open_store(path)
    await store.open_source("default", identity="a server", now=EPOCH)
    for each in (move(1, follows=missing["id"]), missing):
        await store.append("default", [decode(orjson.dumps(each))], net=Net.LIVE)
        await store.mended([], LATER, suspected=[UUID(RUN)])
    assert await store.broken("default", LATER, 10) == {UUID(RUN)}
    await store.mended([UUID(RUN)], LATER)
    assert await store.broken("default", LATER, 10) == set()
    await store.close()


async def test_state_that_was_rolled_back_is_found_though_what_came_after_it_came_in_another_order(path: Path) -> None:
    first = move(before=None, after="PENDING")
    rolled_back, again = move(1, follows=first["id"]), move(2, follows=first["id"])
    last = move(3, before="RUNNING", after="COMPLETED", follows=again["id"])
    assert await broken_after(path, first, rolled_back, last, again) == ({UUID(RUN)}, set())


async def test_first_state_that_was_rolled_back_is_found_too(path: Path) -> None:
    rolled_back, again = move(0, before=None, after="PENDING"), move(1, before=None, after="PENDING")
    last = move(2, follows=again["id"])
    assert await broken_after(path, rolled_back, last, again) == ({UUID(RUN)}, set())


async def test_state_that_was_rolled_back_is_found_though_what_it_follows_came_last(path: Path) -> None:
    first = move(before=None, after="PENDING")
    rolled_back, again = move(1, follows=first["id"]), move(2, follows=first["id"])
    assert await broken_after(path, rolled_back, again, first) == ({UUID(RUN)}, set())
