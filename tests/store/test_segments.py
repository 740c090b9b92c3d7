"""The log's bytes: what was written is read again, whatever the pieces it lies in."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from random import Random

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import Event, decode
from streamer.model import Record
from streamer.store import segments
from streamer.store.connection import SqliteConnection
from streamer.store.migrations import migrate
from streamer.testing import an_event

SOURCES = {"default": 1, "other": 2}

OCCURRED = datetime(2026, 1, 1, tzinfo=UTC)
SMALL = decode(orjson.dumps(an_event(occurred=OCCURRED)))
LARGE = decode(orjson.dumps(an_event(occurred=OCCURRED, comment=Random(0).randbytes(60_000).hex())))


def opened() -> SqliteConnection:
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=SqliteConnection)
    migrate(connection)
    for name, number in SOURCES.items():
        connection.execute("INSERT INTO sources VALUES (?, ?, 'http://server/api', 0, NULL, NULL)", (number, name))
    return connection


@pytest.fixture
def connection() -> Iterator[SqliteConnection]:
    with closing(opened()) as connection:
        yield connection


def write(connection: SqliteConnection, *batches: tuple[str, Sequence[Event]]) -> list[Record]:
    """Write each batch as a segment, every second number left out; return all the records."""
    records: list[Record] = []
    for source, events in batches:
        start = records[-1].seq if records else 0
        batch = [Record(start + 2 * number, source, event) for number, event in enumerate(events, 1)]
        segments.write(connection, SOURCES[source], batch)
        records += batch
    return records


def bounds(connection: SqliteConnection) -> list[tuple[int, int]]:
    """Return the first and last `seq` of each segment."""
    return list(connection.execute("SELECT first_seq, last_seq FROM segments ORDER BY first_seq"))


def read_all(connection: SqliteConnection) -> list[Record]:
    return segments.read(connection, beyond=0, limit=10_000)


batches = st.lists(
    st.tuples(st.sampled_from(list(SOURCES)), st.lists(st.sampled_from([SMALL, SMALL, LARGE]), min_size=1, max_size=4)),
    max_size=8,
)


@settings(deadline=None, max_examples=50)
@given(batches, st.integers(0, 70), st.integers(1, 40))
def test_what_is_read_is_what_lies_beyond(written: list[tuple[str, list[Event]]], beyond: int, limit: int) -> None:
    with closing(opened()) as connection:
        records = write(connection, *written)
        assert segments.read(connection, beyond=beyond, limit=limit) == [r for r in records if r.seq > beyond][:limit]


@settings(deadline=None, max_examples=50)
@given(batches)
def test_a_merge_keeps_every_record_in_order(written: list[tuple[str, list[Event]]]) -> None:
    with closing(opened()) as connection:
        records, before = write(connection, *written), len(written)
        while merged := segments.merge(connection):
            assert len(bounds(connection)) == before - merged
            before -= merged
            assert read_all(connection) == records
        ends = [end for pair in bounds(connection) for end in pair]
        assert ends == sorted(ends), "segments overlap"


def test_a_record_comes_back_with_its_bytes(connection: SqliteConnection) -> None:
    (written,) = write(connection, ("default", [SMALL]))
    (found,) = read_all(connection)
    assert (found.seq, found.source, found.event.raw) == (written.seq, "default", SMALL.raw)


def test_an_event_with_line_breaks_and_tabs_is_one_record(connection: SqliteConnection) -> None:
    event = decode(orjson.dumps(an_event(comment="a\n\tb"), option=orjson.OPT_INDENT_2))
    records = write(connection, ("default", [event, SMALL]))
    assert [orjson.loads(each.event.raw).get("comment") for each in read_all(connection)] == ["a\n\tb", None]
    assert read_all(connection) == records


def test_small_neighbours_are_merged_into_one(connection: SqliteConnection) -> None:
    records = write(connection, *[("default", [SMALL])] * 20)
    assert segments.merge(connection) == 19
    assert bounds(connection) == [(records[0].seq, records[-1].seq)]
    assert segments.merge(connection) == 0


def test_a_merge_takes_no_more_segments_than_its_limit(connection: SqliteConnection) -> None:
    write(connection, *[("default", [SMALL])] * 20)
    assert segments.merge(connection, limit=5) == 4
    assert len(bounds(connection)) == 16


def test_segments_of_different_sources_are_not_merged(connection: SqliteConnection) -> None:
    records = write(connection, *[(source, [SMALL]) for source in ("default", "other", "default", "other")])
    assert segments.merge(connection) == 0
    assert [each.source for each in read_all(connection)] == [each.source for each in records]


@pytest.mark.parametrize("source", SOURCES)
def test_nothing_is_merged_over_a_large_segment(connection: SqliteConnection, source: str) -> None:
    records = write(connection, ("default", [SMALL]), (source, [LARGE]), ("default", [SMALL]))
    assert segments.merge(connection) == 0
    assert read_all(connection) == records


def test_a_merged_segment_does_not_grow_without_bound(connection: SqliteConnection) -> None:
    half = decode(orjson.dumps(an_event(comment=Random(1).randbytes(20_000).hex())))
    write(connection, *[("default", [half])] * 12)
    while segments.merge(connection):
        pass
    sizes = [row[0] for row in connection.execute("SELECT length(body) FROM segments")]
    assert max(sizes) < 2 * segments.MERGE_BELOW_BYTES


def test_an_empty_log_has_nothing_to_read_or_merge(connection: SqliteConnection) -> None:
    assert (read_all(connection), segments.merge(connection)) == ([], 0)
