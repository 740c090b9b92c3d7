"""The embedded store keeps its contract over restarts, beside readers, on a full disk, and killed at any moment."""

import json
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from random import Random
from uuid import UUID

import orjson
import pytest

from schemas import InvalidEvent, Reason, decode
from streamer.counting import Counting
from streamer.errors import StoreError
from streamer.model import Counter, Family, Frame, Net
from streamer.store import appending
from streamer.store.appending import Batch
from streamer.store.connection import connect, in_words, transaction
from streamer.store.migrations import STEPS
from streamer.store.sqlite import SqliteStore
from streamer.testing import an_event, check_store
from streamer.testing.conformance import EPOCH, events
from tests.frames import RUN, bare, heartbeat
from tests.store.agreement import IDENTITY, opened, require_agreement
from tests.store.processes import MOVES, keep_appending, lines, outgrow, running, work
from tests.stores import open_store, rows

pytestmark = pytest.mark.either_store

TABLES = ("records", "segments", "ledger", "runs", "counters", "names")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


async def test_the_store_keeps_the_contract(path: Path) -> None:
    await check_store(lambda: open_store(path))


async def test_a_seq_is_not_used_again_after_its_record_was_deleted(path: Path) -> None:
    store = await opened(path)
    first = await store.append("default", events(3), net=Net.LIVE)
    await store.close()
    rows(path, "DELETE FROM records")
    rows(path, "DELETE FROM segments")
    store = await opened(path)
    assert await store.head() == first.records[-1].seq
    second = await store.append("default", events(1), net=Net.LIVE)
    assert second.records[0].seq > first.records[-1].seq
    await store.close()


async def test_the_watermark_never_falls(path: Path) -> None:
    store = await opened(path)
    for hours in (2, 3, 1):
        await store.append("default", (), net=Net.SWEEP, watermark=EPOCH + timedelta(hours=hours))
    await store.close()
    store = open_store(path)
    state = await store.open_source("default", identity=IDENTITY, now=EPOCH + timedelta(days=1))
    assert (state.epoch, state.watermark) == (EPOCH, EPOCH + timedelta(hours=3))
    await store.close()


async def test_a_heartbeat_updates_its_run_and_is_no_record(path: Path) -> None:
    store = await opened(path)
    beat = decode(bare(heartbeat(RUN, occurred=EPOCH)))
    appended = await store.append("default", [beat, beat], net=Net.LIVE)
    assert (appended.records, appended.beats, appended.duplicates) == ([], [beat], 1)
    assert await store.run(RUN) is None, "a run is known by its transitions"
    await store.append("default", [decode(orjson.dumps(an_event(run=str(RUN), occurred=EPOCH)))], net=Net.LIVE)
    run = await store.run(RUN)
    assert run
    assert len(run.beats) == 1
    await store.close()


async def test_an_unknown_run_is_none(path: Path) -> None:
    store = await opened(path)
    assert await store.run(UUID(int=0)) is None
    await store.close()


async def test_a_frame_is_quarantined_once_whichever_net_brings_it(path: Path) -> None:
    store, error = await opened(path), InvalidEvent(Reason.SCHEMA, "occurred: missing")
    content = {key: value for key, value in an_event().items() if key != "occurred"}
    for net, data in ((Net.LIVE, {"type": "event", "event": content}), (Net.SWEEP, content)):
        totals = await store.quarantine(Frame("default", net, orjson.dumps(data)), error)
        assert totals.counts == {Counter(Family.QUARANTINED, "default", labels=("schema",)): 1}
    assert rows(path, "SELECT net, reason, detail FROM quarantine") == [("live", "schema", "occurred: missing")]
    await store.close()


async def test_a_buried_record_is_kept_with_the_last_reason(path: Path) -> None:
    store = await opened(path)
    (record,) = (await store.append("default", events(1), net=Net.LIVE)).records
    await store.bury("a sink", record, "too large")
    await store.bury("a sink", record, "still too large")
    assert rows(path, "SELECT sink, seq, reason FROM dead_letters") == [("a sink", record.seq, "still too large")]
    await store.close()


async def test_compacting_leaves_the_log_as_it_was(path: Path) -> None:
    store = await opened(path)
    for each in events(12):
        await store.append("default", [each], net=Net.LIVE)
    before = await store.after(0, 99)
    assert await store.compact() == 11
    assert await store.after(0, 99) == before
    await store.close()


@pytest.mark.sqlite
async def test_a_reader_beside_the_writer_sees_what_was_committed(path: Path) -> None:
    store = await opened(path)
    reader = SqliteStore.open_read_only(path)
    appended = await store.append("default", events(2), net=Net.LIVE)
    assert await reader.after(0, 9) == appended.records
    assert await reader.totals() == await store.totals()
    await reader.close()
    await store.close()


@pytest.mark.sqlite
async def test_a_store_opened_for_reading_cannot_be_written(path: Path) -> None:
    await (await opened(path)).close()
    store = SqliteStore.open_read_only(path)
    with pytest.raises(StoreError, match="readonly") as refusal:
        await store.open_source("default", identity=IDENTITY, now=EPOCH)
    assert "writable" in (refusal.value.hint or "")
    await store.close()


@pytest.mark.sqlite
async def test_a_closed_store_is_one_file(path: Path) -> None:
    store = await opened(path)
    await store.append("default", events(2), net=Net.LIVE)
    await store.close()
    assert {each.name for each in path.parent.iterdir()} == {"store.db", "store.db.lock"}


async def test_another_identity_is_refused_with_the_way_out(path: Path) -> None:
    store = await opened(path)
    with pytest.raises(StoreError, match="is http://server/api, not http://another/api") as refusal:
        await store.open_source("default", identity="http://another/api", now=EPOCH)
    assert "streamer store adopt http://another/api" in (refusal.value.hint or "")
    await store.close()


@pytest.mark.sqlite
async def test_a_newer_schema_is_refused_and_the_lock_given_back(path: Path) -> None:
    await open_store(path).close()
    rows(path, "PRAGMA user_version = 99")
    for open_it in (SqliteStore.open, SqliteStore.open_read_only):
        with pytest.raises(StoreError, match="schema version 99") as refusal:
            open_it(path)
        assert "newer version" in (refusal.value.hint or "")
    rows(path, f"PRAGMA user_version = {len(STEPS)}")
    await open_store(path).close()


@pytest.mark.sqlite
async def test_a_batch_that_did_not_fit_is_not_there_and_can_be_appended_again(path: Path) -> None:
    store, batch = open_store(path), Batch(events(500), Net.LIVE)
    state = await store.open_source("default", identity=IDENTITY, now=EPOCH)
    await store.close()
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA max_page_count = 40")
        with pytest.raises(StoreError, match="full") as refusal, in_words(path, "write to"), transaction(connection):
            appending.append(connection, 1, state, batch, Counting())
        assert "free some space" in (refusal.value.hint or "")
        assert [rows(path, f"SELECT * FROM {table}") for table in TABLES] == [[]] * len(TABLES)
        connection.execute("PRAGMA max_page_count = 100000")
        with transaction(connection):
            appending.append(connection, 1, state, batch, Counting())
    assert await require_agreement(path) == batch.events


@pytest.mark.sqlite
async def test_a_file_that_may_not_grow_fails_the_append_and_nothing_else(path: Path) -> None:
    with running(outgrow, path) as process:
        told = json.loads(next(lines(process)))
    assert "the disk" in told["hint"]
    assert told["records"] == [10, 10, 510]
    assert len(await require_agreement(path)) == 510


@pytest.mark.sqlite
async def test_killed_at_any_moment_all_tables_agree(path: Path) -> None:
    random, acknowledged = Random(20261121), 0
    for _ in range(4):
        with running(keep_appending, path) as process:
            progress = lines(process)
            for _ in range(random.randrange(4, 40)):
                acknowledged = int(next(progress))
        kept = await require_agreement(path, net=Net.SWEEP)
        batches = [work(batch) for batch in range(len(kept) // MOVES)]
        assert kept == [each for batch in batches for each in batch[:MOVES]]
        assert len(batches) >= acknowledged > 0
        counted = "(SELECT sum(value) FROM counters WHERE family = 'heartbeats')"
        assert rows(path, f"SELECT {counted}, sum(length(ring)) / 16 FROM beats") == [(len(batches), len(batches))]
