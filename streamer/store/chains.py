"""Breaks in the chains of runs: a transition that does not start where the one before it ended, or that none follows.

What it follows may be missing, or what is shown was rolled back; or the events came in another order, and the break is
gone by the time it is looked at. The first `Scheduled` of a run that the scheduler made is announced by no event, so
that its absence is no break.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from uuid import UUID

from schemas import Kind, StateType, Transition
from streamer.store import ledger
from streamer.store.engine import Connection
from streamer.store.many import THESE, joined
from streamer.timestamps import to_micros

_NONE = b""
"""Nothing is known to be missing: the transition just did not start from the state that was shown."""

_STAY = """
    INSERT INTO breaks SELECT run, ?, source, max(occurred) FROM breaks WHERE run = ? GROUP BY run, source
    ON CONFLICT (run, missing) DO UPDATE SET occurred = excluded.occurred
"""


def note(
    connection: Connection,
    source_id: int,
    transitions: Collection[Transition],
    *,
    astray: Iterable[Transition],
    late: Iterable[Transition],
) -> None:
    """Remember which of these transitions follow what we do not have, and which went astray from what was shown.

    What came too late to be shown, and was not missed, may have been rolled back, too; and if it was missed, then what
    occurred before it and does not lead to it; and of two that follow the same, one.
    """
    following = {each.follows: each for each in transitions if each.follows and not _is_from_the_scheduler(each)}
    missing = following.keys() - ledger.known(connection, following.keys())
    breaks = [(following[ident], ident.bytes) for ident in missing]
    breaks += [(each, _NONE) for each in astray if each.follows not in missing]
    followed = Counter(each.follows for each in transitions)
    for ident in missing:
        if followed[ident] > 1 or _is_missed(connection, following[ident].run, ident):
            breaks.append((following[ident], _NONE))
    for each in late:
        wanted = each.id in followed or _is_missed(connection, each.run, each.id)
        if not (wanted and _follows_the_one_before(connection, each)):
            breaks.append((each, _NONE))
    if not breaks:
        return
    connection.executemany(
        "INSERT INTO breaks VALUES (?, ?, ?, ?)"
        " ON CONFLICT (run, missing) DO UPDATE SET occurred = max(breaks.occurred, excluded.occurred)",
        [(event.run.bytes, ident, source_id, to_micros(event.occurred)) for event, ident in breaks],
    )


def broken(connection: Connection, source_id: int, before: int, limit: int) -> set[UUID]:
    """Return the runs with a break since before a time."""
    rows = connection.execute(
        "SELECT DISTINCT run FROM breaks WHERE source = ? AND occurred < ?"
        " AND missing NOT IN (SELECT id FROM ledger) LIMIT ?",
        (source_id, before, limit),
    )
    return {UUID(bytes=run) for (run,) in rows}


def incomplete(connection: Connection, runs: Collection[UUID]) -> set[UUID]:
    """Return of which of these runs something is known to be missing."""
    query = f"SELECT run FROM breaks WHERE run IN {THESE} AND missing != ?3 AND missing NOT IN (SELECT id FROM ledger)"
    return {UUID(bytes=run) for (run,) in connection.execute(query, (*joined(runs), _NONE))} if runs else set()


def mended(connection: Connection, runs: Collection[UUID], before: int, suspected: Collection[UUID]) -> None:
    """Forget the breaks of these runs, as they were before a time, and all that mended themselves.

    Those of the suspected stay: they are to be looked into once more, even if what was missing has come.
    """
    connection.executemany(_STAY, [(_NONE, run.bytes) for run in suspected])
    connection.executemany(
        "DELETE FROM breaks WHERE run = ? AND missing != ?", [(run.bytes, _NONE) for run in suspected]
    )
    connection.executemany("DELETE FROM breaks WHERE run = ? AND occurred < ?", [(run.bytes, before) for run in runs])
    connection.execute("DELETE FROM breaks WHERE missing IN (SELECT id FROM ledger)")


def _is_missed(connection: Connection, run: UUID, ident: UUID) -> bool:
    query = "SELECT 1 FROM breaks WHERE run = ? AND missing = ?"
    return connection.execute(query, (run.bytes, ident.bytes)).fetchone() is not None


def _follows_the_one_before(connection: Connection, event: Transition) -> bool:
    """Tell whether a transition starts from the newest of its run that occurred before it, if we have one."""
    before = connection.execute(
        "SELECT id, to_type FROM records WHERE run = ? AND occurred < ? AND kind = ?"
        " AND id NOT IN (SELECT id FROM phantoms) ORDER BY occurred DESC LIMIT 1",
        (event.run.bytes, to_micros(event.occurred), Kind.TRANSITION),
    ).fetchone()
    if before is None:
        return True
    return bool(before[0] == event.follows.bytes if event.follows else before[1] == event.from_type)


def _is_from_the_scheduler(event: Transition) -> bool:
    """Tell whether what it follows may be the scheduler's; `Late` and the like are announced as any other.

    It makes runs of deployments only; a run without one was made by a client, and its `Scheduled` was announced.
    """
    is_first = event.before is None or event.before.name == "Scheduled"
    is_scheduled = event.from_type is StateType.SCHEDULED and (event.run_count or 0) == 0
    return is_scheduled and is_first and event.deployment is not None
