"""The one transaction by which events enter the store: dedupe, keep, fold into runs, count.

It owns the promise of exactness: whatever follows from an event is written with it, or not at all.
"""

import sqlite3
from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from schemas import Event, FlowRunEvent, Heartbeat, Transition
from streamer import counting
from streamer.model import Appended, Counter, Family, Net, Record, SourceState, Totals
from streamer.runs import advance
from streamer.store import holes, ledger, run_rows, segments
from streamer.timestamps import to_micros


@dataclass(frozen=True, slots=True)
class Batch:
    """What one append brings, all of one source and one net."""

    events: Sequence[Event]
    net: Net
    passed_over: Sequence[Event] = ()
    watermark: datetime | None = None


def append(connection: sqlite3.Connection, source_id: int, source: SourceState, batch: Batch) -> Appended:
    """Write a batch inside the caller's transaction, and return what of it was new."""
    _admit(connection, source_id, batch.passed_over, batch.net)
    fresh = _admit(connection, source_id, batch.events, batch.net)
    records = _keep(connection, source_id, source, [each for each in fresh if not isinstance(each, Heartbeat)])
    _fold(connection, source, [each for each in fresh if isinstance(each, FlowRunEvent)])
    holes.note(connection, source_id, [each for each in fresh if isinstance(each, Transition)])
    totals = Totals(_count(connection, source, fresh, batch.net), _name(connection, fresh))
    if batch.watermark:
        _move_watermark(connection, source_id, batch.watermark)
    return Appended(
        records=records,
        beats=[each for each in fresh if isinstance(each, Heartbeat)],
        totals=totals,
        duplicates=len(batch.events) - len(fresh),
    )


def _admit(connection: sqlite3.Connection, source_id: int, events: Sequence[Event], net: Net) -> list[Event]:
    """Enter the ids in the ledger; return the events whose id was not there, each once, the first winning."""
    entries = [(each.id.bytes, to_micros(each.occurred), each.name) for each in events]
    ids = ledger.admit(connection, source_id, entries, on_server=net is not Net.STATES)
    fresh = []
    for each in events:
        if each.id.bytes in ids:
            ids.remove(each.id.bytes)
            fresh.append(each)
    return fresh


def _keep(connection: sqlite3.Connection, source_id: int, source: SourceState, events: Sequence[Event]) -> list[Record]:
    if not events:
        return []
    start = newest_seq(connection)
    records = [Record(seq, source.name, event) for seq, event in enumerate(events, start + 1)]
    connection.executemany(
        "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [_record_row(source_id, record) for record in records]
    )
    segments.write(connection, source_id, records)
    return records


def newest_seq(connection: sqlite3.Connection) -> int:
    """Return the newest `seq` ever given, also when the records themselves were pruned."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'records'").fetchone()
    return row[0] if row else 0


def _record_row(source_id: int, record: Record) -> tuple[object, ...]:
    event = record.event
    between = (event.from_type, event.to_type) if isinstance(event, Transition) else (None, None)
    run = event.run_id.bytes if event.run_id else None
    return (record.seq, event.id.bytes, source_id, run, to_micros(event.occurred), event.kind, *between)


def _fold(connection: sqlite3.Connection, source: SourceState, events: Sequence[FlowRunEvent]) -> None:
    runs = run_rows.load(connection, {each.run for each in events})
    for each in events:
        runs[each.run] = advance(runs.get(each.run), source.name, each)
    run_rows.save(connection, runs.values())


def _count(connection: sqlite3.Connection, source: SourceState, fresh: Sequence[Event], net: Net) -> dict[Counter, int]:
    raised: Tally[Counter] = Tally()
    for event in fresh:
        if event.occurred >= source.epoch:
            raised.update(counting.raised(source.name, event))
            if net in (Net.SWEEP, Net.STATES):
                raised[Counter(Family.RECOVERED, source.name, labels=(net,))] += 1
    return raise_counters(connection, raised)


def raise_counters(connection: sqlite3.Connection, raised: Tally[Counter]) -> dict[Counter, int]:
    """Add to the stored counters; return their absolute values."""
    values = {}
    for counter, by in raised.items():
        row = connection.execute(
            "INSERT INTO counters VALUES (?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET value = value + excluded.value RETURNING value",
            (*counter[:5], orjson.dumps(counter.labels).decode(), by),
        ).fetchone()
        values[counter] = row[0]
    return values


def _name(connection: sqlite3.Connection, events: Iterable[Event]) -> dict[str, str]:
    """Keep the newest name of each id; return those that changed."""
    newest: dict[str, tuple[int, str]] = {}
    for event in events:
        told = to_micros(event.occurred)
        for ident, name in counting.names(event).items():
            newest[ident] = max(newest.get(ident, (told, name)), (told, name))
    changed = {}
    for ident, (told, name) in newest.items():
        row = connection.execute(
            "INSERT INTO names VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET name = excluded.name,"
            " occurred = excluded.occurred WHERE (occurred, name) < (excluded.occurred, excluded.name) RETURNING name",
            (ident, name, told),
        ).fetchone()
        if row:
            changed[ident] = row[0]
    return changed


def _move_watermark(connection: sqlite3.Connection, source_id: int, watermark: datetime) -> None:
    connection.execute(
        "UPDATE sources SET watermark = max(coalesce(watermark, 0), ?) WHERE id = ?", (to_micros(watermark), source_id)
    )
