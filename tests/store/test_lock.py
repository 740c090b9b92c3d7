"""One writer to a store, which others can find."""

import os
from pathlib import Path

import pytest

from streamer.errors import StoreError
from streamer.store.lock import StoreLock, read_holder, service_address
from streamer.store.sqlite import SqliteStore
from tests.store.processes import hold, lines, running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


async def test_a_second_writer_is_told_who_has_the_store(path: Path) -> None:
    store = SqliteStore.open(path, address="http://127.0.0.1:4280")
    with pytest.raises(StoreError, match=rf"process {os.getpid()}, which listens on http://127.0.0.1:4280") as refusal:
        SqliteStore.open(path)
    assert "stop that service" in (refusal.value.hint or "")
    await store.close()


async def test_a_refused_writer_leaves_the_holder_s_word_as_it_was(path: Path) -> None:
    store = SqliteStore.open(path, address="here")
    with pytest.raises(StoreError):
        SqliteStore.open(path, address="there")
    holder = {"pid": os.getpid(), "address": "here", "token": store.token}
    assert read_holder(path.with_name("store.db.lock")) == holder
    await store.close()


async def test_a_closed_store_can_be_opened_again(path: Path) -> None:
    await SqliteStore.open(path, address="here").close()
    assert read_holder(path.with_name("store.db.lock")) == {}
    await SqliteStore.open(path).close()


async def test_a_reader_needs_no_lock_and_frees_none(path: Path) -> None:
    store = SqliteStore.open(path, address="here")
    await SqliteStore.open_read_only(path).close()
    assert service_address(path) == "here"
    await store.close()


async def test_the_lock_is_free_once_its_holder_was_killed(path: Path) -> None:
    with running(hold, path) as process:
        assert next(lines(process)) == f"held {path}"
        assert service_address(path) == "here"
        with pytest.raises(StoreError, match=f"process {process.pid}, which listens on here"):
            SqliteStore.open(path)
    assert service_address(path) is None
    await SqliteStore.open(path).close()


def test_a_holder_without_an_address_is_named_by_its_process(path: Path) -> None:
    lock = StoreLock(path)
    lock.acquire()
    with pytest.raises(StoreError, match=rf"^the store is in use by process {os.getpid()}$"):
        StoreLock(path).acquire()
    lock.release()


def test_where_no_lock_was_ever_taken_no_service_runs(path: Path) -> None:
    assert (service_address(path), read_holder(path)) == (None, {})
