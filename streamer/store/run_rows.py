"""The run table: `RunState` to a row and back."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

import orjson

from schemas import StateType
from streamer.model import Held, RunState
from streamer.store import beats
from streamer.store.engine import Connection
from streamer.store.many import THESE, joined
from streamer.timestamps import from_micros, to_micros

_COLUMNS = (
    "runs.id, sources.name, runs.name, flow, deployment, work_pool, work_queue, task_run, tags, run_count, state_id,"
    " state_type, state_name, state_message, state_at, seen_at, started_at, ended_at, deleted_at,"
    " since, verdict, verdict_reason, verdict_at, due, waited, lasted, ring"
)
_BESIDE = "JOIN sources ON sources.id = runs.source LEFT JOIN beats ON beats.run = runs.id"
_RUNS = f"runs {_BESIDE}"
_VERDICT = ("verdict", "verdict_reason", "verdict_at")
_WRITTEN = tuple(each.name for each in fields(RunState) if each.name != "beats")


def load(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, RunState]:
    """Return the runs that are known, by id."""
    query = f"SELECT {_COLUMNS} FROM {_RUNS} WHERE runs.id IN {THESE}"
    rows = connection.execute(query, joined(ids))
    return {run.id: run for run in map(_run, rows)}


def listed(connection: Connection, page: str, bound: Mapping[str, object]) -> list[tuple[int, RunState]]:
    """Return the runs of a query that yields `at` and `id`, each with its `at`, in no order."""
    rows = connection.execute(
        f"SELECT {_COLUMNS}, page.at FROM ({page}) AS page CROSS JOIN runs ON runs.id = page.id {_BESIDE}", bound
    )
    return [(row[-1], _run(row)) for row in rows]


def newest(connection: Connection, *, judged: bool, limit: int) -> list[RunState]:
    """Return the runs whose state is the newest; only those that a verdict stands of if so asked."""
    wanted = "verdict IS NOT NULL" if judged else "state_at IS NOT NULL"
    query = f"SELECT {_COLUMNS} FROM {_RUNS} WHERE {wanted}"
    return list(map(_run, connection.execute(f"{query} ORDER BY state_at DESC LIMIT ?", (limit,))))


def present(connection: Connection) -> list[RunState]:
    """Return the runs that have not ended."""
    wanted = "runs.ended_at IS NULL AND runs.deleted_at IS NULL AND state_type IS NOT NULL"
    return list(map(_run, connection.execute(f"SELECT {_COLUMNS} FROM {_RUNS} WHERE {wanted}")))


def ended(connection: Connection, since: int, *, failed: bool, each: int | None) -> list[RunState]:
    """Return the runs that ended after a time, newest first; only the failed, only so many of each deployment."""
    states = " AND state_type IN ('FAILED', 'CRASHED')" if failed else ""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM {_RUNS} JOIN ("
        " SELECT id AS wanted, row_number() OVER (PARTITION BY deployment ORDER BY ended_at DESC) AS place FROM runs"
        f" WHERE coalesce(deleted_at, ended_at) >= ? AND deleted_at IS NULL{states}"
        ") AS placed ON wanted = runs.id WHERE place <= coalesce(?, place) ORDER BY ended_at DESC",
        (since, each),
    )
    return list(map(_run, rows))


def save(connection: Connection, runs: Iterable[RunState], known: Mapping[UUID, RunState]) -> None:
    """Insert these runs, all but their beats; of those that are known, as they were loaded, write only what changed.

    An index in which nothing changes is not written either, and most do not when a run goes on.
    """
    new, changes = [], defaultdict(list)
    for run in runs:
        if before := known.get(run.id):
            changed = _columns(run, _changed(vars(before), vars(run)))
            changes[tuple(changed)].append((*changed.values(), run.id.bytes))
        else:
            new.append(run)
    _insert(connection, new)
    for names, rows in changes.items():
        if names:
            setting = ", ".join(f"{name} = ?" for name in names)
            connection.executemany(f"UPDATE runs SET {setting} WHERE id = ?", rows)


def _insert(connection: Connection, runs: Sequence[RunState]) -> None:
    """Insert runs and their tags, which triggers keep as they are from then on: to enter them takes a trigger long."""
    rows = [_columns(run, _WRITTEN) for run in runs]
    if rows:
        places = ("(SELECT id FROM sources WHERE name = ?)" if name == "source" else "?" for name in rows[0])
        insert = f"INSERT INTO runs ({', '.join(rows[0])}) VALUES ({', '.join(places)})"
        connection.executemany(insert, [tuple(row.values()) for row in rows])
        tags = [(tag, row["seen_at"], row["id"]) for run, row in zip(runs, rows, strict=True) for tag in run.tags]
        connection.executemany("INSERT INTO run_tags VALUES (?, ?, ?) ON CONFLICT DO NOTHING", tags)


def _changed(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    return [name for name in _WRITTEN if after[name] is not before[name] and after[name] != before[name]]


def unfinished(connection: Connection, source_id: int) -> dict[UUID, StateType | None]:
    """Return the runs of a source whose shown state is not a terminal one, and that were not deleted."""
    query = "SELECT id, state_type FROM runs WHERE source = ? AND deleted_at IS NULL AND ended_at IS NULL"
    rows = connection.execute(query, (source_id,))
    return {UUID(bytes=run): StateType(state) if state else None for run, state in rows}


def without_due(connection: Connection, source_id: int, limit: int) -> set[UUID]:
    """Return runs of which nobody has learned yet when they should have started."""
    query = "SELECT id FROM runs WHERE source = ? AND due IS NULL AND deleted_at IS NULL LIMIT ?"
    return {UUID(bytes=run) for (run,) in connection.execute(query, (source_id, limit))}


def _columns(run: RunState, names: Iterable[str]) -> dict[str, object]:
    """Return what is written of some fields, by column."""
    columns = {name: _value(getattr(run, name)) for name in names}
    if "verdict" in columns:
        told = (run.verdict.status, run.verdict.reason, to_micros(run.verdict.at)) if run.verdict else (None,) * 3
        columns |= zip(_VERDICT, told, strict=True)
    return columns


def _value(value: object) -> object:
    convert = _CONVERTED.get(type(value))
    return convert(value) if convert else value


_CONVERTED: Mapping[type, Callable[[Any], object]] = {
    datetime: to_micros,
    UUID: attrgetter("bytes"),
    tuple: lambda value: orjson.dumps(value).decode(),
}


def _run(row: tuple[Any, ...]) -> RunState:
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
        deleted_at=_moment(row[18]),
        since=_moment(row[19]),
        verdict=Held(row[20], row[21], from_micros(row[22])) if row[20] else None,
        due=_moment(row[23]),
        waited=bool(row[24]),
        lasted=bool(row[25]),
        beats=beats.read(row[26]) if row[26] else (),
    )


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
