"""What runs have done over a time: by buckets, as Prefect's own history has them, and in sum for windows.

A run belongs to when it was due. It has run for as long as it was in RUNNING, which the log tells as far as it goes
back; it was late by how long after that it first ran, or by how long it is by now.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson

from streamer.reports import Bucket, Outcome, Span, StateCount, Statistics, Window
from streamer.store.engine import Connection
from streamer.timestamps import from_micros, to_micros


def history(connection: Connection, span: Span, *, now: datetime) -> list[Bucket]:
    """Return the buckets, empty ones too, oldest first."""
    width = span.interval // timedelta(microseconds=1)
    start, end = to_micros(span.start), to_micros(span.start + span.number * span.interval)
    found: dict[int, list[StateCount]] = defaultdict(list)
    wanted: dict[str, Any] = {"start": start, "end": end, "width": width, "now": to_micros(now), "flows": None}
    if span.flows:
        wanted["flows"] = orjson.dumps(span.flows).decode()
    for bucket, state_type, state_name, number, ran, late in connection.execute(_HISTORY, wanted):
        found[bucket].append(StateCount(state_type, state_name, number, ran / 1e6, late / 1e6))
    starts = [span.start + number * span.interval for number in range(span.number)]
    return [Bucket(each, each + span.interval, found[number]) for number, each in enumerate(starts)]


def window(connection: Connection, since: datetime, *, now: datetime) -> Window:
    """Return the runs that were due, that ended, and that began since a time."""
    bounds = {"since": to_micros(since), "now": to_micros(now)}
    return Window(
        states={(flow or "", state): number for flow, state, number in connection.execute(_STATES, bounds)},
        run_times=_statistics(connection, _RUN_TIMES, bounds),
        lateness=_statistics(connection, _LATENESS, bounds),
    )


def late_runs(connection: Connection) -> dict[str, int]:
    """Return how many runs are late by the id of their work queue, those without one under the empty string."""
    query = (
        "SELECT coalesce(work_queue, ''), count(*) FROM runs"
        " WHERE ended_at IS NULL AND deleted_at IS NULL AND state_name = 'Late' GROUP BY 1"
    )
    return dict(connection.execute(query).fetchall())


def outcomes(connection: Connection, since: datetime) -> list[Outcome]:
    """Return how runs ended that did since a time and have not gone on, by what they belong to and by state."""
    rows = connection.execute(_OUTCOMES, {"since": to_micros(since)})
    return [
        Outcome((source, flow, deployment, pool), state, from_micros(last), failures)
        for source, flow, deployment, pool, state, last, failures in rows
    ]


_OUTCOMES = """
    WITH ended AS (
        SELECT sources.name AS source, coalesce(flow, '') AS flow, coalesce(deployment, '') AS deployment,
            coalesce(work_pool, '') AS work_pool, state_type, ended_at
        FROM runs JOIN sources ON sources.id = runs.source
        WHERE coalesce(deleted_at, ended_at) >= :since AND deleted_at IS NULL
    ),
    compared AS (
        SELECT *, max(CASE WHEN state_type = 'COMPLETED' THEN ended_at ELSE 0 END) OVER (
            PARTITION BY source, flow, deployment, work_pool
        ) AS completed
        FROM ended
    )
    SELECT source, flow, deployment, work_pool, state_type, max(ended_at),
        count(*) FILTER (WHERE state_type IN ('FAILED', 'CRASHED') AND ended_at > completed)
    FROM compared GROUP BY 1, 2, 3, 4, 5
"""

_HISTORY = """
    WITH wanted AS (
        SELECT * FROM runs WHERE due >= :start AND due < :end AND state_type IS NOT NULL AND deleted_at IS NULL
            AND (
                CAST(:flows AS TEXT) IS NULL
                OR flow IN (SELECT id FROM names WHERE name IN (SELECT value FROM json_each(:flows)))
            )
    ),
    moves AS (
        SELECT run, to_type, occurred, lead(occurred, 1, :now) OVER (PARTITION BY run ORDER BY occurred, seq) AS until
        FROM records
        WHERE run IN (SELECT id FROM wanted) AND kind = 'transition' AND id NOT IN (SELECT id FROM phantoms)
    ),
    ran AS (SELECT run, sum(until - occurred) AS took FROM moves WHERE to_type = 'RUNNING' GROUP BY run)
    SELECT (due - :start) / :width, state_type, state_name, count(*), sum(coalesce(took, 0)),
        sum(max(0, coalesce(started_at, CASE WHEN ended_at IS NULL THEN :now ELSE due END) - due))
    FROM wanted LEFT JOIN ran ON ran.run = wanted.id GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""

_STATES = """
    SELECT flow, state_type, count(*) FROM runs
    WHERE due >= :since AND due <= :now AND state_type IS NOT NULL AND deleted_at IS NULL GROUP BY 1, 2
"""

_RUN_TIMES = """
    SELECT flow, ended_at - started_at AS took FROM runs
    WHERE coalesce(deleted_at, ended_at) >= :since AND deleted_at IS NULL AND started_at IS NOT NULL
"""

_LATENESS = """
    SELECT flow, max(0, started_at - due) AS took FROM runs
    WHERE due >= :since AND due <= :now AND started_at IS NOT NULL AND deleted_at IS NULL
"""


def _statistics(connection: Connection, of: str, bounds: Mapping[str, int]) -> dict[str, Statistics]:
    rows = connection.execute(
        f"""
        WITH ranked AS (
            SELECT flow, took, row_number() OVER (PARTITION BY flow ORDER BY took) AS place,
                count(*) OVER (PARTITION BY flow) AS number
            FROM ({of}) AS those
        )
        SELECT flow, avg(took), max(CASE WHEN place = (number + 1) / 2 THEN took END),
            max(CASE WHEN place = (number * 95 + 99) / 100 THEN took END), max(took)
        FROM ranked GROUP BY flow
        """,
        bounds,
    )
    return {flow or "": Statistics(*(each / 1e6 for each in figures)) for flow, *figures in rows}
