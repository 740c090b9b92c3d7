"""Finishes of runs of which something is missing: how long the run took is measured once that has come."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from schemas import StateType
from streamer.measuring import Finish
from streamer.store.engine import Connection
from streamer.store.many import THESE, joined
from streamer.timestamps import from_micros, to_micros


def put_off(connection: Connection, run: UUID, finishes: Iterable[Finish]) -> None:
    """Keep finishes of a run that cannot be measured yet."""
    rows = [(run.bytes, to_micros(each.at), each.state) for each in finishes]
    connection.executemany("INSERT INTO finishes VALUES (?, ?, ?) ON CONFLICT DO NOTHING", rows)


def waiting(connection: Connection, runs: Collection[UUID]) -> Mapping[UUID, list[Finish]]:
    """Return what was put off of these runs, oldest first."""
    found: dict[UUID, list[Finish]] = defaultdict(list)
    query = f"SELECT run, ended, state FROM finishes WHERE run IN {THESE} ORDER BY ended"
    for run, ended, state in connection.execute(query, joined(runs)):
        found[UUID(bytes=run)].append(Finish(from_micros(ended), StateType(state)))
    return found


def forget(connection: Connection, runs: Iterable[UUID]) -> None:
    """Drop what was put off of runs that are measured by now, or gone."""
    connection.executemany("DELETE FROM finishes WHERE run = ?", [(run.bytes,) for run in runs])
