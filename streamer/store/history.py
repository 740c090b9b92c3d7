"""What the log tells of one run, and what of it is untrue.

Phantoms, the events of states that were rolled back, are marked, and kept out of what their run is said to be. They
stay in the log, and counters never fall: transitions less phantoms are the states that the server has.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from schemas import Event, Kind, Notice
from schemas.ours import NoticeAbout
from streamer.model import Record, RunState
from streamer.runs import about_run, advance
from streamer.store import run_rows, segments
from streamer.store.engine import Connection
from streamer.store.many import THESE, joined
from streamer.timestamps import from_micros, to_micros

_REAL = "FROM records WHERE run = ? AND id NOT IN (SELECT id FROM phantoms)"


def mark_phantoms(connection: Connection, notices: Iterable[Notice]) -> None:
    """Mark what these notices call phantoms, and show their runs without them."""
    for notice in notices:
        if notice.about is NoticeAbout.PHANTOM and notice.run_id and notice.announcement.event:
            row = (notice.announcement.event.bytes, to_micros(notice.occurred))
            connection.execute("INSERT INTO phantoms VALUES (?, ?) ON CONFLICT DO NOTHING", row)
            connection.execute("DELETE FROM finishes WHERE run = ? AND ended = ?", (notice.run_id.bytes, row[1]))
            known = run_rows.load(connection, [notice.run_id])
            run_rows.save(connection, [_without_phantoms(connection, run) for run in known.values()], known)


def records(connection: Connection, run: UUID) -> list[Record]:
    """Return the run's records that are in the log, phantoms left out, in the order in which they came."""
    return records_of(connection, [run])[run]


def records_of(connection: Connection, runs: Sequence[UUID]) -> dict[UUID, list[Record]]:
    """Return the records of each of these runs that are in the log, as `records` does."""
    query = f"SELECT seq, run FROM records WHERE run IN {THESE} AND id NOT IN (SELECT id FROM phantoms)"
    of = {seq: UUID(bytes=run) for seq, run in connection.execute(query, joined(runs))}
    found: dict[UUID, list[Record]] = {run: [] for run in runs}
    for record in segments.read_these(connection, list(of)):
        found[of[record.seq]].append(record)
    return found


def transitions(connection: Connection, run: UUID) -> dict[UUID, datetime]:
    """Return the ids of a run's transitions with when they occurred, phantoms left out."""
    rows = connection.execute(f"SELECT id, occurred {_REAL} AND kind = ?", (run.bytes, Kind.TRANSITION))
    return {UUID(bytes=ident): from_micros(occurred) for ident, occurred in rows}


def newest_transition(connection: Connection, run: UUID) -> Event | None:
    """Return the run's newest transition that is in the log."""
    query = f"SELECT seq {_REAL} AND kind = ? ORDER BY occurred DESC, seq DESC LIMIT 1"
    seqs = [seq for (seq,) in connection.execute(query, (run.bytes, Kind.TRANSITION))]
    return next((record.event for record in segments.read_these(connection, seqs)), None)


def _without_phantoms(connection: Connection, run: RunState) -> RunState:
    """Return the run as its records tell it, with what they do not tell."""
    told = RunState(id=run.id, source=run.source, name=run.name)
    for record in records(connection, run.id):
        if about_run(record.event):
            told = advance(told, run.source, record.event)
    return told.but(
        seen_at=run.seen_at,
        deleted_at=run.deleted_at,
        beats=run.beats,
        due=run.due,
        waited=run.waited,
        lasted=run.lasted and told.ended_at is not None,
    )
