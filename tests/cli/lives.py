"""Made-up pictures of a service, as `/api/live` would tell them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from schemas import StateType
from streamer.run_view import Named, VerdictView
from streamer.web.activity import ActivityView
from streamer.web.live import LiveView
from streamer.web.operations import AlertRunView, AlertView
from streamer.web.present import PresentRun, PresentView
from streamer.web.rows import Row
from streamer.web.sink_rates import SinkNow
from streamer.web.standing import Level, StandingView

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def before(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def named(name: str) -> Named:
    return Named(str(uuid4()), name)


def a_run(name: str = "a-run", *, flow: str = "etl", held: str = "", age: float = 60, **fields: Any) -> PresentRun:
    run = PresentRun(
        id=uuid4(),
        name=name,
        flow=named(flow),
        deployment=None,
        tags=(),
        run_count=1,
        type=StateType.RUNNING,
        state="Running",
        since=before(age),
        verdict=VerdictView(held, "heartbeat_missing", before(130)) if held else None,
        beats=(),
        interval=None,
    )
    return replace(run, **fields)


def a_row(seq: int, name: str = "a-run", **fields: Any) -> Row:
    row = Row(
        seq=seq,
        kind="transition",
        at=before(1),
        run=UUID(int=seq),
        name=name,
        flow=named("etl"),
        deployment=None,
        tags=(),
        before=StateType.PENDING,
        type=StateType.RUNNING,
        state="Running",
        message=None,
        since=None,
    )
    return replace(row, **fields)


def a_sink(name: str, **fields: Any) -> SinkNow:
    sink = SinkNow(name, "jsonl", 7, 0, None, 0, "up", None, 12.5, 0)
    return replace(sink, **fields)


def an_alert(rule: str, **fields: Any) -> AlertView:
    run = AlertRunView(str(uuid4()), "a-run", None)
    times = {"since": before(300), "last": before(3), "occurrences": 4, "announced": 1, "announced_at": before(300)}
    alert = AlertView(
        incident="i",
        rule=rule,
        severity="critical",
        source="default",
        group="g",
        name="etl",
        reason="a run failed",
        run=run,
        silenced_until=None,
        quiet_until=None,
        **times,  # type: ignore[arg-type]
    )
    return replace(alert, **fields)


WELL = StandingView(Level.WELL, "All is well: connected.", (), "0.1.0", "live", 0.25, before(4), 0, 0)


def a_live(
    *runs: PresentRun,
    rows: Sequence[Row] = (),
    sinks: Sequence[SinkNow] = (),
    alerts: Sequence[AlertView] = (),
    standing: StandingView = WELL,
    total: int | None = None,
) -> LiveView:
    there = len(runs) if total is None else total
    held = [run.verdict.status for run in runs if run.verdict]
    by_status = {status: held.count(status) for status in held}
    present = PresentView(there, {"RUNNING": there} if there else {}, by_status, runs)
    activity = ActivityView(NOW, 60, {}, (), [])
    return LiveView("store-1", standing, present, activity, sinks, alerts, rows)
