"""Events of states that were rolled back."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from schemas import Event, Heartbeat, StateType, decode, notices
from streamer.model import Counter, Family, Net
from streamer.store.sql import SqlStore
from streamer.testing import an_event
from streamer.testing.conformance import EPOCH
from tests.frames import bare, heartbeat
from tests.stores import open_store

pytestmark = pytest.mark.either_store

RUN = UUID(int=4)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    store = open_store(tmp_path / "streamer.db")
    await store.open_source("default", identity="a server", now=EPOCH)
    yield store
    await store.close()


def move(second: int, after: str, **changes: Any) -> Event:
    moment = EPOCH + timedelta(hours=1, seconds=second)
    return decode(orjson.dumps(an_event(run=str(RUN), occurred=moment, after=after, **changes)))


def phantom_of(event: Event) -> Event:
    return notices.phantom("default", RUN, event.id, occurred=event.occurred)


async def append(store: SqlStore, *events: Event) -> None:
    await store.append("default", events, net=Net.LIVE)


async def counted(store: SqlStore, family: Family) -> int:
    return sum(value for counter, value in (await store.totals()).counts.items() if counter.family is family)


async def test_phantom_is_marked_counted_once_and_kept_out_of_what_its_run_is_said_to_be(store: SqlStore) -> None:
    beat = decode(bare(heartbeat(RUN, occurred=EPOCH + timedelta(hours=1, seconds=3))))
    real, rolled_back = move(1, "RUNNING"), move(2, "COMPLETED")
    await append(store, real, beat, rolled_back)
    before = await store.run(RUN)
    assert before
    assert before.state_type is StateType.COMPLETED
    await append(store, phantom_of(rolled_back))
    await append(store, phantom_of(rolled_back))
    after = await store.run(RUN)
    assert after
    assert (after.state_id, after.state_type, after.ended_at) == (real.id, StateType.RUNNING, None)
    assert (after.name, after.flow, after.beats, after.seen_at) == (
        before.name,
        before.flow,
        before.beats,
        real.occurred,
    )
    assert isinstance(beat, Heartbeat)
    assert len(after.beats) == 1
    assert await store.transitions(RUN) == {real.id: real.occurred}
    assert await counted(store, Family.PHANTOMS) == 1
    assert await counted(store, Family.TRANSITIONS) == 2, "counters never fall"
    assert [each.event.id for each in await store.after(0, 10)] == [real.id, rolled_back.id, phantom_of(rolled_back).id]


async def test_phantom_of_before_the_epoch_is_not_counted_as_its_event_was_not(store: SqlStore) -> None:
    old = move(-7200, "COMPLETED")
    await append(store, old, phantom_of(old))
    assert await counted(store, Family.PHANTOMS) == await counted(store, Family.TRANSITIONS) == 0


async def test_phantom_in_the_batch_of_its_own_event(store: SqlStore) -> None:
    real, rolled_back = move(1, "RUNNING"), move(2, "FAILED")
    await append(store, real, rolled_back, phantom_of(rolled_back))
    run = await store.run(RUN)
    assert run
    assert run.state_id == real.id


async def test_notice_of_a_phantom_that_is_not_here_changes_no_run(store: SqlStore) -> None:
    real = move(1, "RUNNING")
    await append(store, real, notices.phantom("default", RUN, uuid4(), occurred=real.occurred))
    run = await store.run(RUN)
    assert run
    assert run.state_id == real.id


async def test_notices_and_phantoms_are_no_recovered_events(store: SqlStore) -> None:
    real = move(1, "RUNNING")
    await store.append("default", [real, phantom_of(real)], net=Net.STATES)
    assert (await store.totals()).counts[Counter(Family.RECOVERED, "default", labels=("states",))] == 1
