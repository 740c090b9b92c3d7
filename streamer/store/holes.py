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


def older_than(connection: sqlite3.Connection, source_id: int, before: int, limit: int) -> dict[UUID, UUID]:
    """Return what is missing since before a time, with the run it is missing from."""
    rows = connection.execute(
        "SELECT follows, run FROM holes WHERE source = ? AND occurred < ? AND follows NOT IN (SELECT id FROM ledger)"
        " LIMIT ?",
        (source_id, before, limit),
    )
    return {UUID(bytes=follows): UUID(bytes=run) for follows, run in rows}


def forget(connection: sqlite3.Connection, looked_into: Iterable[UUID]) -> None:
    """Forget these holes, filled or not, and all that were filled by themselves."""
    connection.executemany("DELETE FROM holes WHERE follows = ?", [(each.bytes,) for each in looked_into])
    connection.execute("DELETE FROM holes WHERE follows IN (SELECT id FROM ledger)")


def _is_from_the_scheduler(event: Transition) -> bool:
    return event.from_type is StateType.SCHEDULED and (event.run_count or 0) == 0
