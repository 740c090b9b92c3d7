"""What cannot be opened or written is told in words, with what the operator can do."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from streamer.errors import StoreError
from streamer.store.connection import connect, in_words, size_on_disk, transaction
from streamer.store.sqlite import SqliteStore


def is_garbage(path: Path) -> None:
    path.write_bytes(b"no database at all" * 1000)


def is_damaged(path: Path) -> None:
    asyncio.run(SqliteStore.open(path).close())
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 4000)


def is_a_folder(path: Path) -> None:
    path.mkdir()


def is_below_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.touch()


@pytest.mark.parametrize(
    ("spoil", "hint"),
    [
        (is_garbage, "the file is no store"),
        (is_damaged, "the file is damaged"),
        (is_a_folder, "readable and writable"),
        (is_below_a_file, "a part of the path is a file"),
    ],
)
def test_what_is_no_store_is_refused_with_a_hint(tmp_path: Path, spoil: Callable[[Path], None], hint: str) -> None:
    path = tmp_path / "folder" / "store.db"
    path.parent.mkdir()
    spoil(path)
    with pytest.raises(StoreError, match=f"cannot open the store {path}") as refusal:
        SqliteStore.open(path)
    assert hint in (refusal.value.hint or "")


def test_a_store_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store at") as refusal:
        SqliteStore.open_read_only(tmp_path / "store.db")
    assert "--store" in (refusal.value.hint or "")


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(13, "Permission denied"),
        OSError(30, "Read-only file system"),
        OSError(28, "No space left on device"),
        sqlite3.OperationalError("database is locked"),
        sqlite3.OperationalError("attempt to write a readonly database"),
        sqlite3.OperationalError("disk I/O error"),
    ],
    ids=str,
)
def test_the_usual_failures_come_with_a_hint(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(StoreError, match=str(error.args[-1])) as refusal, in_words(tmp_path, "open"):
        raise error
    assert refusal.value.hint
    assert refusal.value.__cause__ is error


def test_an_error_that_is_not_the_store_s_passes_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(KeyError), in_words(tmp_path, "read"):
        raise KeyError("a bug")


def fail_in_the_middle(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO numbers VALUES (1)")
    raise KeyError("in the middle")


def test_of_a_transaction_that_fails_nothing_is_left(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "store.db")) as connection:
        connection.execute("CREATE TABLE numbers (number)")
        with pytest.raises(KeyError), transaction(connection):
            fail_in_the_middle(connection)
        assert connection.execute("SELECT * FROM numbers").fetchall() == []
        assert not connection.in_transaction


def test_each_commit_of_the_writer_is_synced_to_the_disk(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "store.db")) as connection:
        settings = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert settings == ["wal", 2]


def test_a_store_takes_what_its_file_and_its_log_take(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    assert size_on_disk(path) == 0
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE numbers (number)")
        assert size_on_disk(path) == sum((tmp_path / name).stat().st_size for name in ("store.db", "store.db-wal"))


def test_what_is_written_is_copied_to_the_file_in_large_pieces(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE pages (of)")
        for _ in range(20):
            connection.execute("INSERT INTO pages VALUES (zeroblob(?))", (100 * 4096,))
        assert path.stat().st_size < 1_000_000 < size_on_disk(path)
    assert path.stat().st_size == size_on_disk(path) > 8_000_000
