"""The run table: `RunState` to a row and back."""

import sqlite3
from array import array
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from schemas import StateType
from streamer.model import Beat, RunState
from streamer.timestamps import from_micros, to_micros

_COLUMNS = (
    "runs.id, sources.name, runs.name, flow, deployment, work_pool, work_queue, task_run, tags, run_count, state_id,"
    " state_type, state_name, state_message, state_at, seen_at, started_at, ended_at, beats, deleted_at"
)


def load(connection: sqlite3.Connection, ids: Iterable[UUID]) -> dict[UUID, RunState]:
    """Return the runs that are known, by id."""
    wanted = b"".join(each.bytes for each in ids)
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM runs JOIN sources ON sources.id = runs.source"  # noqa: S608 - a constant
        " WHERE runs.id IN (SELECT substr(?1, 16 * value + 1, 16) FROM json_each(?2))",
        (wanted, orjson.dumps(list(range(len(wanted) // 16))).decode()),
    )
    return {run.id: run for run in map(_run, rows)}


def save(connection: sqlite3.Connection, runs: Iterable[RunState]) -> None:
    """Insert or replace these runs."""
    connection.executemany(
        "INSERT OR REPLACE INTO runs SELECT ?1, sources.id, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,"
        " ?16, ?17, ?18, ?19, ?20 FROM sources WHERE name = ?2",
        map(_row, runs),
    )


def unfinished(connection: sqlite3.Connection, source_id: int) -> dict[UUID, StateType]:
    """Return the runs of a source whose shown state is not a terminal one, and that were not deleted."""
    rows = connection.execute(
        "SELECT id, state_type FROM runs"
        " WHERE source = ? AND deleted_at IS NULL AND ended_at IS NULL AND state_id IS NOT NULL",
        (source_id,),
    )
    return {UUID(bytes=run): StateType(state) for run, state in rows}


def _row(run: RunState) -> tuple[object, ...]:
    return (
        run.id.bytes,
        run.source,
        run.name,
        run.flow,
        run.deployment,
        run.work_pool,
        run.work_queue,
        run.task_run,
        orjson.dumps(run.tags).decode(),
        run.run_count,
        run.state_id.bytes if run.state_id else None,
        run.state_type,
        run.state_name,
        run.state_message,
        _micros(run.state_at),
        _micros(run.seen_at),
        _micros(run.started_at),
        _micros(run.ended_at),
        array("q", [number for beat in run.beats for number in beat]).tobytes(),
        _micros(run.deleted_at),
    )


def _run(row: tuple[Any, ...]) -> RunState:
    numbers = array("q", row[18])
    return RunState(
        id=UUID(bytes=row[0]),
        source=row[1],
        name=row[2],
        flow=row[3],
        deployment=row[4],
        work_pool=row[5],
        work_queue=row[6],
        task_run=row[7],
        tags=tuple(orjson.loads(row[8])),
        run_count=row[9],
        state_id=UUID(bytes=row[10]) if row[10] else None,
        state_type=StateType(row[11]) if row[11] else None,
        state_name=row[12],
        state_message=row[13],
        state_at=_moment(row[14]),
        seen_at=_moment(row[15]),
        started_at=_moment(row[16]),
        ended_at=_moment(row[17]),
        deleted_at=_moment(row[19]),
        beats=tuple(Beat(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)),
    )


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else to_micros(moment)


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
