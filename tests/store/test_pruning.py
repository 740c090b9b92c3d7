"""What the store forgets: by age, by size, and never in silence."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import orjson
import pytest

from schemas import Event, InvalidEvent, Reason, decode
from streamer.model import Frame, Net, Pruned, Retention
from streamer.store import pruning
from streamer.store.sql import SqlStore
from streamer.testing import an_event
from streamer.testing.conformance import events
from tests.stores import open_store

pytestmark = pytest.mark.either_store

NOW = datetime.now(UTC)
MONTH = timedelta(days=30)
LATER = NOW + MONTH + timedelta(hours=12)
"""When what is written now is just old enough."""


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqlStore]:
    monkeypatch.setattr(pruning, "STEP_SEGMENTS", 2)
    store = open_store(tmp_path / "streamer.db")
    await store.open_source("default", identity="a server", now=NOW - timedelta(days=365))
    yield store
    await store.close()


async def fill(store: SqlStore, number: int = 3, *, start: datetime = NOW) -> list[Event]:
    """Append so many events, a segment each."""
    brought = events(number, start=start)
    for event in brought:
        await store.append("default", [event], net=Net.LIVE, watermark=event.occurred)
    return brought


async def prune_all(
    store: SqlStore, *, now: datetime = LATER, keep: Retention | None = None, readers: tuple[str, ...] = ()
) -> list[Pruned]:
    steps = []
    while step := await store.prune(keep or Retention(), now=now, readers=readers, ids=True):
        steps.append(step)
    return steps


async def seqs(store: SqlStore) -> list[int]:
    return [record.seq for record in await store.after(0, 100)]


async def test_records_go_when_they_are_old_and_not_before(store: SqlStore) -> None:
    await fill(store)
    assert await prune_all(store, now=LATER - timedelta(days=1)) == []
    assert await seqs(store) == [1, 2, 3]
    assert sum(step.records for step in await prune_all(store)) == 3
    assert (await seqs(store), await store.size(), await store.head()) == ([], 0, 3)


async def test_a_step_is_short(store: SqlStore) -> None:
    await fill(store, 5)
    assert [step.records for step in await prune_all(store)] == [2, 2, 1]


async def test_age_is_from_when_a_record_came_so_that_history_is_kept_as_long(store: SqlStore) -> None:
    await fill(store, start=NOW - timedelta(days=60))
    assert sum(step.records for step in await prune_all(store, now=NOW)) == 0
    assert await seqs(store) == [1, 2, 3]


async def test_a_merge_does_not_make_records_older(store: SqlStore) -> None:
    await fill(store)
    await store.compact()
    assert await prune_all(store, now=LATER - timedelta(days=1)) == []
    assert sum(step.records for step in await prune_all(store)) == 3


async def test_what_a_reader_still_has_to_take_stays(store: SqlStore) -> None:
    await store.cursor("slow")
    await store.cursor("removed")
    await fill(store)
    await store.commit("slow", 2)
    assert sum(step.records for step in await prune_all(store, readers=("slow",))) == 2
    assert await seqs(store) == [3]


async def test_beyond_the_size_a_slow_reader_is_passed_over_and_told_how_much_it_lacks(store: SqlStore) -> None:
    await store.cursor("slow")
    await store.cursor("quick")
    await fill(store)
    await store.commit("slow", 1)
    await store.commit("quick", 3)
    steps = await prune_all(store, now=NOW, keep=Retention(size=1), readers=("slow", "quick"))
    assert [dict(step.expired) for step in steps] == [{"slow": 1}, {"slow": 1}]
    assert await seqs(store) == []
    assert (await store.cursor("slow")).seq == 3


async def test_a_store_within_its_size_drops_nothing(store: SqlStore) -> None:
    await fill(store)
    assert await prune_all(store, now=NOW, keep=Retention(size=10_000_000)) == []


async def test_ids_outlive_their_records_by_a_day_and_what_is_older_is_dropped_as_expired(store: SqlStore) -> None:
    brought = await fill(store)
    await fill(store, 1, start=NOW + timedelta(days=90))  # the watermark is beyond all this
    await prune_all(store, now=LATER)
    again = await store.append("default", brought, net=Net.SWEEP)
    assert (again.records, again.duplicates, again.expired) == ([], 3, 0)
    steps = await prune_all(store, now=LATER + timedelta(days=1))
    assert sum(step.ids for step in steps) == 3
    again = await store.append("default", brought, net=Net.SWEEP)
    assert (again.records, again.duplicates, again.expired) == ([], 0, 3)
    replayed = await store.append("default", brought, net=Net.FILE)
    assert len(replayed.records) == 3, "who replays a file wants what is in it"


async def test_the_horizon_stays_behind_the_watermark(store: SqlStore) -> None:
    brought = await fill(store)
    await prune_all(store, now=LATER + timedelta(days=400))
    late = decode(orjson.dumps(an_event(occurred=brought[-1].occurred)))
    assert len((await store.append("default", [late], net=Net.SWEEP)).records) == 1
    assert (await store.append("default", brought[-1:], net=Net.SWEEP)).duplicates == 1


async def test_runs_go_long_after_they_ended_and_those_that_did_not_end_stay(store: SqlStore) -> None:
    ended, unfinished = uuid4(), uuid4()
    for run, after in ((ended, "COMPLETED"), (unfinished, "RUNNING")):
        await store.append("default", [decode(orjson.dumps(an_event(run=str(run), after=after)))], net=Net.LIVE)
    await prune_all(store, now=NOW + timedelta(days=89))
    assert set(await store.runs([ended, unfinished])) == {ended, unfinished}
    steps = await prune_all(store, now=NOW + timedelta(days=91))
    assert sum(step.runs for step in steps) == 1
    assert set(await store.runs([ended, unfinished])) == {unfinished}


async def test_quarantine_and_dead_letters_go_with_the_records(store: SqlStore) -> None:
    await fill(store, 1)
    (record,) = await store.after(0, 1)
    await store.bury("a sink", record, "no")
    await store.quarantine(Frame("default", Net.LIVE, b"{"), InvalidEvent(Reason.JSON, "no JSON"))
    steps = await prune_all(store)
    assert sum(step.refused for step in steps) == 2
    assert (await store.dead_letters("a sink"), await store.refused()) == (0, [])


async def test_only_the_newest_of_a_flood_of_nonsense_is_kept(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "QUARANTINED_MOST", 2)
    moments = iter(range(time.time_ns(), time.time_ns() + 10_000_000, 1_000_000))
    monkeypatch.setattr(time, "time_ns", lambda: next(moments))
    for number in range(4):
        await store.quarantine(Frame("default", Net.LIVE, b"%d{" % number), InvalidEvent(Reason.JSON, str(number)))
    await prune_all(store, now=NOW)
    assert [each.detail for each in await store.refused()] == ["3", "2"]
