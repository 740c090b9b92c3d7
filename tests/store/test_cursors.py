"""A time is found in the log wherever it is, also of what older versions wrote."""

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import decode
from streamer.counting import Counting
from streamer.model import OLDEST, Cursor, Net, SourceState
from streamer.store import migrations, segments
from streamer.store.appending import Batch, append
from streamer.store.connection import SqliteConnection, connect
from streamer.store.cursors import Reader, find
from streamer.store.migrations import STEPS, migrate
from streamer.store.sql import SqlStore
from streamer.testing import an_event
from streamer.testing.conformance import EPOCH, events
from streamer.timestamps import to_micros
from tests.store.agreement import opened
from tests.stores import rows

pytestmark = pytest.mark.either_store

BEFORE_TIMES = 6
"""The step before segments knew when their newest record occurred."""


def at(minutes: int) -> datetime:
    return EPOCH + timedelta(minutes=minutes)


@pytest.fixture
async def store(tmp_path: Path) -> SqlStore:
    return await opened(tmp_path / "store.db")


@given(st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=4), max_size=6), st.integers(-1, 21), st.booleans())
def test_the_first_that_occurred_since_a_time_is_found_in_any_order(
    batches: list[list[int]], since: int, merged: bool
) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None, factory=SqliteConnection)) as connection:
        migrate(connection)
        minutes = [minute for batch in batches for minute in batch]
        _write(connection, batches)
        if merged:
            segments.merge(connection)
        expected = next((seq for seq, minute in enumerate(minutes, 1) if minute >= since), None)
        assert segments.first_since(connection, to_micros(at(since))) == expected
        connection.execute("UPDATE segments SET newest = NULL WHERE first_seq % 2")
        assert segments.first_since(connection, to_micros(at(since))) == expected, "of what older versions wrote"


def _write(connection: SqliteConnection, batches: list[list[int]]) -> None:
    connection.execute("INSERT INTO sources VALUES (1, 'default', 'http://server/api', 0, NULL, NULL)")
    source = SourceState("default", "http://server/api", EPOCH)
    for batch in batches:
        brought = [decode(orjson.dumps(an_event(occurred=at(minute)))) for minute in batch]
        append(connection, 1, source, Batch(brought, Net.LIVE, (), None), Counting())


def test_only_segments_that_may_hold_the_time_are_looked_at(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "store.db")) as connection:
        migrate(connection)
        _write(connection, [[minute] for minute in range(200)])
        steps = count()
        connection.set_progress_handler(lambda: next(steps) < 0, 1)
        assert segments.first_since(connection, to_micros(at(198))) == 199
        assert next(steps) < 100, "it looked at more than it had to"


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a store that an older version has written."""
    path = tmp_path / "old.db"
    with monkeypatch.context() as older, closing(connect(path)) as connection:
        older.setattr(migrations, "STEPS", STEPS[:BEFORE_TIMES])
        migrate(connection)
        connection.execute("INSERT INTO cursors VALUES ('archive', 3, 1), ('page', 4, 0)")
    return path


@pytest.mark.sqlite
async def test_where_sinks_stood_is_taken_over_from_an_older_version(old: Path) -> None:
    store = await opened(old)
    assert await store.cursor("archive") == Cursor(3, OLDEST)
    assert await store.cursor("page", since=OLDEST) == Cursor(4, None)
    await store.close()


async def test_readers_are_those_with_a_cursor_or_dead_letters(store: SqlStore) -> None:
    brought = events(3)
    await store.cursor("a sink")
    records = (await store.append("default", brought, net=Net.LIVE)).records
    await store.commit("a sink", records[0].seq)
    await store.bury("gone", records[1], "never")
    assert await store.readers() == [Reader("a sink", 1, brought[1].occurred, 0), Reader("gone", None, None, 1)]
    assert (await store.forget("gone"), await store.forget("a sink")) == ((0, 1), (1, 0))
    assert await store.readers() == []
    await store.close()


async def test_a_commit_never_moves_a_cursor_back_and_brings_none_back_that_is_forgotten(
    store: SqlStore, tmp_path: Path
) -> None:
    await store.append("default", events(3), net=Net.LIVE)
    await store.cursor("a sink")
    await store.commit("a sink", 1)
    assert (await store.cursor("a sink")).seq == 3
    await store.forget("a sink")
    await store.commit("a sink", 3)
    assert rows(tmp_path / "store.db", "SELECT * FROM cursors") == []
    await store.close()


async def test_records_between_two_places_are_counted(store: SqlStore) -> None:
    await store.append("default", events(5), net=Net.LIVE)
    assert [await store.between(low, high) for low, high in ((0, 5), (2, 4), (5, 5))] == [5, 2, 0]
    await store.close()


def test_a_reader_without_a_cursor_has_none(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "store.db")) as connection:
        migrate(connection)
        assert find(connection, "nobody") is None
