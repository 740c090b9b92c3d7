"""A store is brought to the newest version step by step, each whole or not at all."""

import sqlite3
from array import array
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from schemas import StateType
from streamer.errors import StoreError
from streamer.model import Beat, Counter, Family
from streamer.questions import RunQuery
from streamer.store import migrations
from streamer.store.connection import connect
from streamer.store.migrations import STEPS, migrate, schema_version
from streamer.store.sqlite import SqliteStore

HALF_BROKEN = "CREATE TABLE first_half (x); CREATE TABLE first_half (x)"
SOUND = "CREATE TABLE extra (x)"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(tmp_path / "store.db")) as connection:
        yield connection


def tables(connection: sqlite3.Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_a_new_file_ends_at_the_newest_version(connection: sqlite3.Connection) -> None:
    assert schema_version(connection) == 0
    migrate(connection)
    assert schema_version(connection) == len(STEPS)
    assert {"ledger", "records", "segments", "runs", "counters"} <= tables(connection)


def test_migrating_again_changes_nothing(connection: sqlite3.Connection) -> None:
    migrate(connection)
    before = list(connection.iterdump())
    migrate(connection)
    assert list(connection.iterdump()) == before


def test_each_store_has_an_id_of_its_own(connection: sqlite3.Connection, tmp_path: Path) -> None:
    with closing(connect(tmp_path / "other.db")) as other:
        migrate(connection)
        migrate(other)
        query = "SELECT value FROM meta WHERE key = 'uuid'"
        assert connection.execute(query).fetchone() != other.execute(query).fetchone()


def test_only_the_steps_that_are_missing_are_taken(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(connection)
    monkeypatch.setattr(migrations, "STEPS", (*STEPS, SOUND))
    migrate(connection)
    assert schema_version(connection) == len(STEPS) + 1
    assert "extra" in tables(connection)


def test_a_step_that_fails_leaves_the_version_before(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "STEPS", (*STEPS, SOUND, HALF_BROKEN))
    with pytest.raises(sqlite3.OperationalError, match="first_half"):
        migrate(connection)
    assert schema_version(connection) == len(STEPS) + 1
    assert "extra" in tables(connection)
    assert "first_half" not in tables(connection)


def test_a_step_that_failed_can_be_taken_once_it_is_mended(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "STEPS", (*STEPS, HALF_BROKEN))
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection)
    monkeypatch.setattr(migrations, "STEPS", (*STEPS, SOUND))
    migrate(connection)
    assert schema_version(connection) == len(STEPS) + 1


def test_a_newer_version_is_refused_and_left_as_it_is(connection: sqlite3.Connection) -> None:
    migrate(connection)
    connection.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    with pytest.raises(StoreError, match=rf"version {len(STEPS) + 1}, .* knows {len(STEPS)}") as refusal:
        migrate(connection)
    assert "newer version of streamer" in (refusal.value.hint or "")
    assert schema_version(connection) == len(STEPS) + 1


async def test_a_store_of_an_older_version_keeps_its_runs_beats_and_counters(tmp_path: Path) -> None:
    path, run = tmp_path / "store.db", uuid4()
    with closing(connect(path)) as old:
        for step in STEPS[:3]:
            old.executescript(step)
        old.execute("PRAGMA user_version = 3")
        old.execute("INSERT INTO sources VALUES (1, 'default', 'http://server/api', 0, 0)")
        beats = array("q", [1, 2, 3, 4]).tobytes()
        fields = (run.bytes, 1, "loose-quetzal", "[]", "COMPLETED", "Completed", 9, 1, 2, 9, beats)
        old.execute(
            "INSERT INTO runs (id, source, name, tags, state_type, state_name, state_at, seen_at, started_at, ended_at,"
            " beats) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            fields,
        )
        old.execute("""INSERT INTO counters VALUES ('transitions', 'default', 'f', '', '', '["","PENDING"]', 7)""")
    store = SqliteStore.open(path)
    known = await store.run(run)
    assert known
    assert (known.name, known.state_type, known.beats) == ("loose-quetzal", "COMPLETED", (Beat(1, 2), Beat(3, 4)))
    assert (known.waited, known.lasted, known.due) == (True, True, None), "what is over is measured no more"
    counter = Counter(Family.TRANSITIONS, "default", "f", labels=("", "PENDING"))
    assert (await store.totals()).counts == {counter: 7}
    await store.close()


async def test_the_runs_of_an_older_store_are_found_by_their_tags_and_flows(tmp_path: Path) -> None:
    path, run = tmp_path / "store.db", uuid4()
    before = next(number for number, step in enumerate(STEPS) if "run_tags" in step)
    with closing(connect(path)) as old:
        for step in STEPS[:before]:
            old.executescript(step)
        old.execute(f"PRAGMA user_version = {before}")
        old.execute("INSERT INTO sources (id, name, identity, epoch) VALUES (1, 'default', 'http://server/api', 0)")
        old.execute("INSERT INTO names VALUES ('f', 'etl', 0)")
        old.execute(
            "INSERT INTO runs (id, source, flow, tags, state_type, state_at, seen_at, ended_at)"
            """ VALUES (?, 1, 'f', '["prod","prod","eu"]', 'COMPLETED', 9, 1, 9)""",
            (run.bytes,),
        )
    store = SqliteStore.open(path)
    for query in (RunQuery(tags=("prod", "eu")), RunQuery(flows="etl"), RunQuery(states=(StateType.COMPLETED,))):
        assert [each.id for each in (await store.inspection.runs(query)).items] == [run]
    await store.close()
