"""Holes in the chains of runs: what a transition follows, but no net has brought.

The first `Scheduled` of a run that the scheduler made is announced by no event, so that its absence is no hole.
"""

import sqlite3
from collections.abc import Iterable
from uuid import UUID

from schemas import StateType, Transition
from streamer.store import ledger
from streamer.timestamps import to_micros


def note(connection: sqlite3.Connection, source_id: int, transitions: Iterable[Transition]) -> None:
    """Remember what these transitions follow, where we do not have it."""
    following = {each.follows: each for each in transitions if each.follows and not _is_from_the_scheduler(each)}
    for ident in following.keys() - ledger.known(connection, following.keys()):
        event = following[ident]
        connection.execute(
            "INSERT INTO holes VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (ident.bytes, source_id, event.run.bytes, to_micros(event.occurred)),
        )


def take(connection: sqlite3.Connection, source_id: int, before: int, limit: int) -> set[UUID]:
    """Return the runs with holes older than a time, and forget these holes: each is looked into once."""
    rows = connection.execute(
        "DELETE FROM holes WHERE follows IN (SELECT follows FROM holes WHERE source = ? AND occurred < ? LIMIT ?)"
        " RETURNING run, follows IN (SELECT id FROM ledger)",
        (source_id, before, limit),
    ).fetchall()
    return {UUID(bytes=run) for run, filled in rows if not filled}


def _is_from_the_scheduler(event: Transition) -> bool:
    return event.from_type is StateType.SCHEDULED and (event.run_count or 0) == 0
