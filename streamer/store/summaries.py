"""Flows and deployments, and how their runs fare."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from schemas import StateType
from streamer.model import OLDEST, RunState
from streamer.questions import DeploymentQuery, FlowQuery, Summary, meets
from streamer.search import ANY, Condition, Kind
from streamer.store import run_conditions, run_rows
from streamer.store.engine import Connection
from streamer.store.run_terms import Bound, named


def flows(connection: Connection, query: FlowQuery) -> list[Summary]:
    """Return flows, the one with the latest run first."""
    found = _summaries(connection, "flow", named(connection, query.names) if query.names else None)
    return _latest_first(each for each in found if _is_of(each.source, query.sources))


def deployments(connection: Connection, query: DeploymentQuery) -> list[Summary]:
    """Return deployments, the one with the latest run first."""
    of_flows = named(connection, query.flows)
    found = _summaries(connection, "deployment", named(connection, query.names) if query.names else None)
    return _latest_first(
        each for each in found if _is_of(each.source, query.sources) and (not query.flows or each.flow in of_flows)
    )


def where(connection: Connection, kind: Kind, condition: Condition) -> list[Summary]:
    """Return the flows or deployments that meet a condition, the one with the latest run first."""
    if condition == ANY:
        return _latest_first(_summaries(connection, kind, None))
    bound = Bound()
    met = run_conditions.term(condition, run_conditions.PARTY, bound)
    return these(connection, kind, [ident for (ident,) in connection.execute(_KNOWN.format(kind=kind, met=met), bound)])


def these(connection: Connection, kind: Kind, ids: Sequence[str]) -> list[Summary]:
    """Return the flows or deployments that have these ids, the one with the latest run first."""
    return _latest_first(_summaries(connection, kind, ids))


def _is_of(source: str, sources: Sequence[str]) -> bool:
    return not sources or meets(sources, (source,))


def _latest_first(found: Iterable[Summary]) -> list[Summary]:
    return sorted(found, key=lambda each: (each.latest.seen_at or OLDEST, each.latest.id.bytes), reverse=True)


def _summaries(connection: Connection, column: str, ids: Sequence[str] | None) -> list[Summary]:
    """Return those that have these ids, or all."""
    bound = Bound()
    of_these = f"runs.{column} IS NOT NULL" if ids is None else f"runs.{column} IN {bound.several(ids)}"
    rows = connection.execute(_query(column, of_these), bound).fetchall()
    runs = run_rows.load(connection, {UUID(bytes=run) for row in rows for run in row[3:7] if run})
    return [each for row in rows if (each := _summary(column, row, runs))]


def _summary(column: str, row: Sequence[Any], known: Mapping[UUID, RunState]) -> Summary | None:
    ident, name, number, *runs, failures = row
    latest, successful, *bad = (known.get(UUID(bytes=run)) if run else None for run in runs)
    if latest is None:
        return None
    failed = max((run for run in bad if run), key=lambda run: (run.ended_at or OLDEST, run.id.bytes), default=None)
    flow = latest.flow if column == "deployment" else None
    return Summary(ident, name, number, latest, successful, failed, failures, flow)


def _query(column: str, of_these: str) -> str:
    """Return what looks up each flow, or deployment: the ends of its runs are among those of its flow."""
    ends = _ENDS.format(of_this="runs.deployment = counted.id" if column == "deployment" else "true")
    states = {"successful": StateType.COMPLETED, "failed": StateType.FAILED, "crashed": StateType.CRASHED}
    last = {name: _LAST.format(ends=ends, state=state) for name, state in states.items()}
    return _SUMMARIES.format(column=column, of_these=of_these, ends=ends, never=-(2**62), **last)


_KNOWN = """
    WITH RECURSIVE known (id) AS (
        SELECT min({kind}) FROM runs INDEXED BY runs_of_{kind} WHERE {kind} IS NOT NULL
        UNION ALL
        SELECT (SELECT min({kind}) FROM runs INDEXED BY runs_of_{kind} WHERE {kind} > known.id)
        FROM known WHERE known.id IS NOT NULL
    )
    SELECT known.id FROM known LEFT JOIN names ON names.id = known.id WHERE known.id IS NOT NULL AND {met}
"""
"""From one to the next by the index: there are far fewer of them than runs."""

_ENDS = """
    FROM runs INDEXED BY ends_of_flow
    WHERE runs.flow = counted.flow AND runs.deleted_at IS NULL AND runs.ended_at IS NOT NULL AND {of_this}
"""
_LAST = "(SELECT runs.id {ends} AND runs.state_type = '{state}' ORDER BY runs.ended_at DESC, runs.id DESC LIMIT 1)"
_SUMMARIES = """
    WITH known AS (
        SELECT {column} AS id, count(*) AS number FROM runs INDEXED BY runs_of_{column}
        WHERE {of_these} AND runs.deleted_at IS NULL GROUP BY 1
    ),
    latest AS (
        SELECT known.*, (
            SELECT runs.id FROM runs INDEXED BY runs_of_{column} WHERE {column} = known.id AND deleted_at IS NULL
            ORDER BY seen_at DESC, runs.id DESC LIMIT 1
        ) AS latest
        FROM known
    ),
    counted AS (SELECT latest.*, runs.flow FROM latest JOIN runs ON runs.id = latest.latest),
    ended AS (SELECT counted.*, {successful} AS successful, {failed} AS failed, {crashed} AS crashed FROM counted),
    compared AS (
        SELECT ended.*, coalesce((SELECT ended_at FROM runs WHERE runs.id = successful), {never}) AS success FROM ended
    )
    SELECT counted.id, names.name, number, latest, successful, failed, crashed,
        (SELECT count(*) {ends} AND runs.state_type IN ('FAILED', 'CRASHED') AND runs.ended_at > success)
    FROM compared AS counted LEFT JOIN names ON names.id = counted.id
"""
