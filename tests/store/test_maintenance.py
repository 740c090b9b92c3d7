"""What an operator does with a store loses nothing, and refuses what cannot be right."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from schemas import Event
from streamer.errors import ConfigError, StoreError
from streamer.model import OLDEST, Net
from streamer.store.connection import connect, size_on_disk
from streamer.store.maintenance import adopt, backup, info, restore, vacuum
from streamer.store.sqlite import SqliteStore
from streamer.testing import until
from streamer.testing.conformance import EPOCH, events
from tests.store.agreement import IDENTITY, opened, require_agreement
from tests.store.processes import keep_appending, lines, running
from tests.stores import rows


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


async def filled(path: Path, number: int) -> list[Event]:
    """Make a store with so many events."""
    store, brought = await opened(path), events(number)
    await store.append("default", brought, net=Net.LIVE)
    await store.close()
    return brought


async def test_info_tells_what_the_store_holds(path: Path) -> None:
    store = SqliteStore.open(path, address="http://127.0.0.1:4280")
    await store.open_source("default", identity=IDENTITY, now=EPOCH)
    await store.append("default", events(3), net=Net.LIVE, watermark=EPOCH + timedelta(hours=2))
    await store.cursor("a sink", since=OLDEST)
    told = info(path)
    assert (told["records"], told["ids known"], told["runs"]) == ("3, seq up to 3", "3", "3")
    assert told["service"] == "http://127.0.0.1:4280"
    assert told["source default"].startswith(f"{IDENTITY}, counting since 2026-01-01T00:00:00+00:00")
    assert told["source default"].endswith("complete up to 2026-01-01T02:00:00+00:00")
    assert told["reader a sink"] == "at 0"
    await store.close()
    assert info(path)["service"] == "none runs on it"


def test_of_a_store_that_is_not_there_nothing_is_told(path: Path) -> None:
    with pytest.raises(StoreError, match="no store at") as refusal:
        info(path)
    assert "--store" in (refusal.value.hint or "")
    assert not path.exists()


async def test_a_backup_is_a_store_of_one_file(path: Path) -> None:
    brought, target = await filled(path, 5), path.with_name("backup.db")
    assert backup(path, target) == target.stat().st_size
    assert not list(path.parent.glob("backup.db*-*")) + list(path.parent.glob("*.partial"))
    assert await require_agreement(target) == brought


async def test_a_backup_taken_while_a_service_appends_is_whole(path: Path) -> None:
    target = path.with_name("backup.db")
    with running(keep_appending, path) as process:
        progress = lines(process)
        acknowledged = [int(next(progress)) for _ in range(20)][-1]
        backup(path, target)
        assert int(next(progress)) > acknowledged
    kept = await require_agreement(target, net=Net.SWEEP)
    assert len(kept) >= 5 * acknowledged


async def test_a_backup_beside_a_writer_of_the_same_process_is_whole(path: Path) -> None:
    store, target, appended = await opened(path), path.with_name("backup.db"), 0

    async def appending() -> None:
        nonlocal appended
        while True:
            await store.append("default", events(3), net=Net.LIVE)
            appended += 3

    writing = asyncio.create_task(appending())
    await until(lambda: appended > 9)
    await asyncio.to_thread(backup, path, target)
    writing.cancel()
    await asyncio.wait([writing])
    await store.close()
    assert 9 < len(await require_agreement(target)) <= len(await require_agreement(path))


async def test_a_backup_overwrites_nothing(path: Path) -> None:
    await filled(path, 1)
    target = path.with_name("backup.db")
    target.write_bytes(b"precious")
    with pytest.raises(ConfigError, match="exists"):
        backup(path, target)
    assert target.read_bytes() == b"precious"


async def test_a_backup_is_restored_where_there_is_no_store(path: Path) -> None:
    brought, target = await filled(path, 3), path.with_name("backup.db")
    backup(path, target)
    elsewhere = path.parent / "new folder" / "store.db"
    restore(target, elsewhere)
    assert await require_agreement(elsewhere) == brought


async def test_a_store_is_replaced_only_with_force_and_then_kept(path: Path) -> None:
    target = path.with_name("backup.db")
    first = await filled(path, 2)
    backup(path, target)
    second = await filled(path, 3)
    with pytest.raises(ConfigError, match="there is a store") as refusal:
        restore(target, path)
    assert "--force" in (refusal.value.hint or "")
    assert await require_agreement(path) == first + second
    restore(target, path, force=True)
    assert await require_agreement(path) == first
    assert await require_agreement(path.with_name("store.db.replaced")) == first + second


async def test_what_a_killed_service_left_in_sqlite_s_log_does_not_come_back(path: Path) -> None:
    target = path.with_name("backup.db")
    first = await filled(path, 2)
    backup(path, target)
    with running(keep_appending, path) as process:
        assert next(lines(process))
    assert path.with_name("store.db-wal").stat().st_size
    restore(target, path, force=True)
    assert await require_agreement(path) == first
    assert rows(path.with_name("store.db.replaced"), "SELECT count(*) FROM records") >= [(7,)]


async def test_a_copy_with_sqlite_s_log_beside_it_is_restored_whole(path: Path) -> None:
    store, brought, copy = await opened(path), events(3), path.with_name("copy.db")
    await store.append("default", brought, net=Net.LIVE)
    for suffix in ("", "-wal"):
        shutil.copy(path.with_name(path.name + suffix), copy.with_name(copy.name + suffix))
    await store.close()
    restore(copy, path, force=True)
    assert await require_agreement(path) == brought


async def test_a_damaged_store_can_be_replaced(path: Path) -> None:
    brought, target = await filled(path, 2), path.with_name("backup.db")
    backup(path, target)
    is_garbage(path)
    restore(target, path, force=True)
    assert await require_agreement(path) == brought


def is_garbage(path: Path) -> None:
    path.write_bytes(b"no database at all" * 1000)


def is_empty(path: Path) -> None:
    path.touch()


def is_another_program_s(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (x)")


def is_cut_short(path: Path) -> None:
    asyncio.run(filled(path, 200))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def is_newer(path: Path) -> None:
    asyncio.run(filled(path, 1))
    rows(path, "PRAGMA user_version = 99")


@pytest.mark.parametrize("spoil", [is_garbage, is_empty, is_another_program_s, is_cut_short, is_newer])
def test_what_is_no_sound_store_is_not_restored(path: Path, spoil: Callable[[Path], None]) -> None:
    asyncio.run(filled(path, 1))
    before, unsound = path.read_bytes(), path.with_name("backup.db")
    spoil(unsound)
    with pytest.raises(StoreError):
        restore(unsound, path, force=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        lambda path: restore(path.with_name("backup.db"), path, force=True),
        vacuum,
        lambda path: adopt(path, source="default", identity="http://another/api"),
    ],
    ids=["restore", "vacuum", "adopt"],
)
async def test_a_store_in_use_is_not_changed(path: Path, change: Callable[[Path], None]) -> None:
    await filled(path, 1)
    backup(path, path.with_name("backup.db"))
    store = SqliteStore.open(path)
    with pytest.raises(StoreError, match="in use by process"):
        change(path)
    await store.close()
    change(path)


async def test_a_vacuum_gives_unused_space_back(path: Path) -> None:
    await filled(path, 500)
    rows(path, "DELETE FROM ledger")
    before, after = vacuum(path)
    assert after < before
    assert after == size_on_disk(path)
    with closing(connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM records").fetchone() == (500,)


async def test_an_adopted_source_goes_on_under_its_new_identity(path: Path) -> None:
    await filled(path, 2)
    adopt(path, source="default", identity="http://another/api")
    store = SqliteStore.open(path)
    state = await store.open_source("default", identity="http://another/api", now=EPOCH + timedelta(days=1))
    assert (state.epoch, await store.head()) == (EPOCH, 2)
    with pytest.raises(StoreError, match="not http://server/api"):
        await store.open_source("default", identity=IDENTITY, now=EPOCH)
    await store.close()


async def test_a_source_that_is_not_there_is_not_adopted(path: Path) -> None:
    await filled(path, 1)
    with pytest.raises(ConfigError, match="no source 'defualt'") as refusal:
        adopt(path, source="defualt", identity="http://another/api")
    assert refusal.value.hint == "it has: default"
