"""The log: one sequence, the same from memory and from the store, which moves only after a commit."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from streamer.errors import StoreError
from streamer.log import NEWEST_KEPT, Log
from streamer.model import Net, Record
from streamer.store.sql import SqlStore
from streamer.testing import until
from streamer.testing.conformance import EPOCH, events
from tests.stores import full, held, open_store

pytestmark = pytest.mark.either_store

IDENTITY = "http://server/api"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqlStore]:
    store = open_store(path)
    yield store
    await store.close()


@pytest.fixture
async def log(store: SqlStore) -> Log:
    return await reopened(store)


async def reopened(store: SqlStore) -> Log:
    """Return the log as the next process would find it."""
    log = await Log.open(store)
    await log.open_source("default", identity=IDENTITY, now=EPOCH)
    return log


@pytest.fixture
def asked(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return what the store is asked for from now on, by the `seq` that it lies beyond; the rest comes from memory."""
    asked, ask = list[int](), store.after

    async def after(seq: int, limit: int) -> Sequence[Record]:
        asked.append(seq)
        return await ask(seq, limit)

    monkeypatch.setattr(store, "after", after)
    return asked


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_memory_and_store_tell_the_same(log: Log, store: SqlStore, asked: list[int]) -> None:
    for _ in range(6):
        await log.append("default", events(NEWEST_KEPT // 4), net=Net.LIVE)
    head = log.head
    floor = head - NEWEST_KEPT
    for seq in (0, 1, floor - 1, floor, floor + 1, NEWEST_KEPT, head - 1, head, head + 9):
        kept = await store.after(seq, 500)
        asked.clear()
        assert await log.after(seq, 500) == kept
        assert asked == ([seq] if seq < floor else [])
    assert len(await log.after(0, 100_000)) == 6 * (NEWEST_KEPT // 4)


async def test_a_reader_walks_from_the_store_into_memory_without_a_gap(log: Log) -> None:
    for _ in range(3):
        await log.append("default", events(NEWEST_KEPT // 2), net=Net.LIVE)
    seq, walked = 0, []
    while records := await log.after(seq, 300):
        walked += [record.seq for record in records]
        seq = records[-1].seq
    assert walked == list(range(1, 3 * (NEWEST_KEPT // 2) + 1))


async def test_after_a_restart_older_records_come_from_the_store(log: Log, store: SqlStore, asked: list[int]) -> None:
    before = await log.append("default", events(3), net=Net.LIVE)
    again = await reopened(store)
    after = await again.append("default", events(2), net=Net.LIVE)
    assert again.head == 5
    assert await again.after(3, 9) == after.records
    assert asked == []
    assert await again.after(0, 9) == [*before.records, *after.records]
    assert asked == [0]


async def test_the_head_moves_only_after_the_commit(log: Log, path: Path, asked: list[int]) -> None:
    with held(path):
        appending = asyncio.create_task(log.append("default", events(2), net=Net.LIVE))
        waiting = asyncio.create_task(log.wait(0))
        await settle()
        assert (log.head, await log.after(0, 9)) == (0, [])
        assert not waiting.done()
    await asyncio.gather(appending, waiting)
    assert (log.head, len(await log.after(0, 9)), asked) == (2, 2, [])


async def test_an_append_that_fails_moves_nothing(log: Log, store: SqlStore, path: Path, asked: list[int]) -> None:
    with full(path):
        with pytest.raises(StoreError, match="disk is full"):
            await log.append("default", events(2), net=Net.LIVE)
        assert (log.head, await log.after(0, 9), asked, await store.head()) == (0, [], [], 0)
    assert len((await log.append("default", events(2), net=Net.LIVE)).records) == log.head == 2


async def test_an_append_that_its_caller_gave_up_ends_in_memory_and_store(
    log: Log, store: SqlStore, asked: list[int]
) -> None:
    appending = asyncio.create_task(log.append("default", events(3), net=Net.LIVE))
    await asyncio.sleep(0)
    appending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await appending
    await until(lambda: log.head == 3)
    remembered = await log.after(0, 9)
    assert (len(remembered), asked) == (3, [])
    assert remembered == await store.after(0, 9)


async def test_appends_that_run_at_once_keep_the_order(log: Log, store: SqlStore) -> None:
    await asyncio.gather(*(log.append("default", events(3), net=Net.LIVE) for _ in range(20)))
    seqs = [record.seq for record in await log.after(0, 100)]
    assert (seqs, log.head) == (list(range(1, 61)), 60)
    assert await log.after(0, 100) == await store.after(0, 100)


async def test_all_who_wait_are_woken_once_there_is_more(log: Log) -> None:
    waiting = [asyncio.create_task(log.wait(beyond)) for beyond in (0, 0, 1, 2)]
    await settle()
    await log.append("default", events(2), net=Net.LIVE)
    await asyncio.gather(*waiting[:3])
    assert not waiting[3].done()
    await log.append("default", events(1), net=Net.LIVE)
    await waiting[3]


async def test_nobody_waits_for_what_is_there(log: Log) -> None:
    await log.append("default", events(1), net=Net.LIVE)
    await asyncio.wait_for(log.wait(0), timeout=5)


async def test_a_batch_of_duplicates_wakes_nobody(log: Log) -> None:
    brought = events(2)
    await log.append("default", brought, net=Net.LIVE)
    waiting = asyncio.create_task(log.wait(2))
    await log.append("default", brought, net=Net.SWEEP)
    await settle()
    assert not waiting.done()
    assert log.head == 2
    waiting.cancel()


async def test_what_occurred_before_the_epoch_is_history(log: Log) -> None:
    old, new = events(1, start=EPOCH - timedelta(microseconds=1)), events(1, start=EPOCH)
    appended = await log.append("default", old + new, net=Net.SWEEP)
    assert [log.is_history(record) for record in appended.records] == [True, False]
    assert log.epochs == {"default": EPOCH}
