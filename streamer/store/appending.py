"""The one transaction by which events enter the store: dedupe, keep, fold into runs, count.

It owns the promise of exactness: whatever follows from an event is written with it, or not at all.
"""

import time
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import orjson

from schemas import Alert, Event, Heartbeat, Notice, Transition, Verdict
from streamer import counting, measuring
from streamer.counting import Counting
from streamer.measuring import Finish
from streamer.model import (
    Appended,
    Counter,
    Dues,
    Family,
    Measured,
    Net,
    Progress,
    Record,
    RunState,
    SourceState,
    Totals,
)
from streamer.runs import about_run, advance, continues
from streamer.store import alerts, beats, chains, finishes, history, ledger, quarantine, run_rows, segments
from streamer.store.engine import Connection
from streamer.timestamps import to_micros


@dataclass(frozen=True, slots=True)
class Batch:
    """What one append brings, all of one source and one net."""

    events: Sequence[Event]
    net: Net
    passed_over: Sequence[Event] = ()
    watermark: datetime | None = None
    progress: Progress | None = None


@dataclass(slots=True)
class Folded:
    """What became of runs, those `known` before among them: the transitions that did not start from the state that was
    shown, those that came too late to be shown, and the ends.
    """

    runs: dict[UUID, RunState]
    known: Mapping[UUID, RunState]
    astray: list[Transition] = field(default_factory=list)
    late: list[Transition] = field(default_factory=list)
    ends: list[Transition] = field(default_factory=list)


def append(connection: Connection, source_id: int, source: SourceState, batch: Batch, by: Counting) -> Appended:
    """Write a batch inside the caller's transaction, and return what of it was new."""
    quarantine.release(connection, [each.id for each in batch.events])
    _admit(connection, source_id, source, _without_beats(batch.passed_over), batch.net)
    fresh, expired = _admit(connection, source_id, source, _without_beats(batch.events), batch.net)
    fresh_beats = beats.add(connection, [each for each in batch.events if isinstance(each, Heartbeat)])
    records = _keep(connection, source_id, source, fresh)
    folded = _fold(connection, source, fresh)
    transitions = [each for each in fresh if isinstance(each, Transition)]
    chains.note(connection, source_id, transitions, astray=folded.astray, late=folded.late)
    measured = _measure(connection, source, folded, by)
    run_rows.save(connection, folded.runs.values(), folded.known)
    history.mark_phantoms(connection, [each for each in fresh if isinstance(each, Notice)])
    new = [*fresh, *fresh_beats]
    duplicates = len(batch.events) - len(new) - expired
    raised, examples = _raised(source, new, batch.net, duplicates, by)
    raised.update(_observed(measured))
    if batch.progress:
        alerts.advance(connection, batch.progress)
        raised.update(batch.progress.raised)
    totals = Totals(raise_counters(connection, raised), _name(connection, new))
    if batch.watermark:
        _move_watermark(connection, source_id, batch.watermark)
    return Appended(records, fresh_beats, totals, measured, examples, duplicates=duplicates, expired=expired)


def learn(connection: Connection, source: SourceState, dues: Dues, by: Counting) -> Appended:
    """Note when runs should have started; where nobody knows, take when they were first seen."""
    known = run_rows.load(connection, dues.due)
    folded = Folded({ident: run.but(due=dues.due[ident] or run.seen_at) for ident, run in known.items()}, known)
    measured = _measure(connection, source, folded, by)
    run_rows.save(connection, folded.runs.values(), folded.known)
    return Appended(totals=Totals(raise_counters(connection, _observed(measured))), measured=measured)


def _without_beats(events: Sequence[Event]) -> list[Event]:
    return [each for each in events if not isinstance(each, Heartbeat)]


def _admit(
    connection: Connection, source_id: int, source: SourceState, events: Sequence[Event], net: Net
) -> tuple[list[Event], int]:
    """Enter the ids in the ledger; return the events whose id was not there, each once, the first winning.

    Of what occurred before the horizon nobody knows whether it was there: it is not entered, and its number returned.
    """
    horizon = source.horizon if net is not Net.FILE else None
    in_time = [each for each in events if horizon is None or each.occurred >= horizon]
    entries = [(each.id, to_micros(each.occurred), each.name) for each in in_time]
    ids = ledger.admit(connection, source_id, entries, net)
    fresh = []
    for each in in_time:
        if (ident := each.id.bytes) in ids:
            ids.remove(ident)
            fresh.append(each)
    return fresh, len(events) - len(in_time)


def _keep(connection: Connection, source_id: int, source: SourceState, events: Sequence[Event]) -> list[Record]:
    if not events:
        return []
    start = connection.newest_seq()
    records = [Record(seq, source.name, event) for seq, event in enumerate(events, start + 1)]
    connection.executemany(
        "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [_record_row(source_id, record) for record in records]
    )
    connection.given(records[-1].seq)
    segments.write(connection, source_id, records)
    return records


def _record_row(source_id: int, record: Record) -> tuple[object, ...]:
    event = record.event
    between = (event.from_type, event.to_type) if isinstance(event, Transition) else (None, None)
    run = event.run_id.bytes if event.run_id else None
    return (record.seq, event.id.bytes, source_id, run, to_micros(event.occurred), event.kind, *between)


def _fold(connection: Connection, source: SourceState, events: Sequence[Event]) -> Folded:
    """Fold events into their runs, which are not saved yet."""
    about = [(run, each) for each in events if (run := about_run(each))]
    known = run_rows.load(connection, {run for run, _ in about})
    folded = Folded(dict(known), known)
    for run, each in about:
        before = folded.runs.get(run)
        after = folded.runs[run] = advance(before, source.name, each)
        if isinstance(each, Transition):
            if not continues(before, each):
                folded.astray.append(each)
            if after.state_id != each.id:
                folded.late.append(each)
            if each.is_finish:
                folded.ends.append(each)
    return folded


def _measure(connection: Connection, source: SourceState, folded: Folded, by: Counting) -> list[Measured]:
    """Measure the times of runs of which both ends are known, and nothing is missing in between."""
    put_off = finishes.waiting(connection, folded.runs.keys())
    ends: dict[UUID, list[Finish]] = defaultdict(list, put_off)
    for end in folded.ends:
        ends[end.run].append(Finish(end.occurred, end.to_type))
    ready = {ident for ident, run in folded.runs.items() if measuring.is_open(run) or ident in ends}
    not_begun = {ident for ident in ready if folded.runs[ident].started_at is None}
    too_early = not_begun | chains.incomplete(connection, ready)
    for ident in too_early:
        finishes.put_off(connection, ident, ends[ident])
    finishes.forget(connection, put_off.keys() - too_early)
    found: list[Measured] = []
    for ident in ready - too_early:
        run = folded.runs[ident]
        found += [
            Measured(bucket, ident, measure.seconds, measure.until)
            for measure in measuring.measures(run, ends[ident])
            if measure.until >= source.epoch and (bucket := by.bucket(run, measure))
        ]
        folded.runs[ident] = measuring.measured(run)
    return found


def _observed(measured: Sequence[Measured]) -> Tally[Counter]:
    raised: Tally[Counter] = Tally()
    for each in measured:
        raised[each.counter] += 1
        raised[counting.sum_of(each.counter)] += round(each.seconds * 1_000_000)
    return raised


def _raised(
    source: SourceState, fresh: Sequence[Event], net: Net, duplicates: int, by: Counting
) -> tuple[Tally[Counter], dict[Counter, Transition]]:
    """Return by how much counters are raised, and of those that transitions raise, one of these."""
    counted = [each for each in fresh if each.occurred >= source.epoch]
    raised: Tally[Counter] = Tally()
    examples: dict[Counter, Transition] = {}
    for counter, number, event in by.raised_by_all(source.name, counted):
        raised[counter] += number
        if isinstance(event, Transition):
            examples[counter] = event
    if duplicates:
        raised[Counter(Family.DUPLICATES, source.name, labels=(net,))] = duplicates
    recovered = sum(not isinstance(each, Alert | Notice | Verdict) for each in counted)
    if recovered and net in (Net.SWEEP, Net.STATES):
        raised[Counter(Family.RECOVERED, source.name, labels=(net,))] = recovered
    return raised, examples


def raise_counters(connection: Connection, raised: Tally[Counter]) -> dict[Counter, int]:
    """Add to the stored counters; return their absolute values."""
    values, now = {}, time.time_ns() // 1000
    for counter, by in raised.items():
        labels, more = (orjson.dumps(each).decode() for each in (counter.labels, counter.more))
        row = connection.execute(
            "INSERT INTO counters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (family, source, flow, deployment, work_pool, labels, more)"
            " DO UPDATE SET value = counters.value + excluded.value, raised = excluded.raised RETURNING value",
            (*counter[:5], labels, more, by, now),
        ).fetchone()
        values[counter] = row[0]
    return values


def _name(connection: Connection, events: Iterable[Event]) -> dict[str, str]:
    """Keep the newest name of each id; return those that were told anew."""
    rows = [(ident, name, to_micros(moment)) for ident, (moment, name) in counting.names(events).items()]
    if not rows:
        return {}
    newest = connection.execute(
        "INSERT INTO names SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'),"
        " CAST(json_extract(value, '$[2]') AS BIGINT) FROM json_each(?) WHERE true"
        " ON CONFLICT (id) DO UPDATE SET name = excluded.name, occurred = excluded.occurred"
        " WHERE (names.occurred, names.name) < (excluded.occurred, excluded.name) RETURNING id, name",
        (orjson.dumps(rows).decode(),),
    )
    return dict(newest.fetchall())


def _move_watermark(connection: Connection, source_id: int, watermark: datetime) -> None:
    connection.execute(
        "UPDATE sources SET watermark = max(coalesce(watermark, 0), ?) WHERE id = ?", (to_micros(watermark), source_id)
    )
