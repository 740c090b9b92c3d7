"""All that is known of one run, for a person."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from rich.bar import Bar
from rich.console import RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from schemas import StateType
from streamer.cli import log_lines
from streamer.cli.rendering import COLOURS
from streamer.cli.run_report import RunReport
from streamer.cli.run_table import duration, name, state, title
from streamer.cli.times import ago, length, local
from streamer.run_view import HeartbeatView, LogLine, RunView, TaskRunView, TransitionView

BAR = 30
TASK_RUNS = 50


def page(report: RunReport, now: datetime) -> Iterator[RenderableType]:
    """Yield the parts of the page, from the run's head to the end of its log."""
    run = report.run
    yield from _head(report, now)
    yield from _section("states", _timeline(report.transitions) if report.transitions else "none is kept")
    if report.heartbeats:
        yield from _section("last heartbeats", _beats(report.heartbeats, None if run.ended else now))
    if run.verdict:
        held = f"{run.verdict.status}: {run.verdict.reason}, held to be so since {ago(run.verdict.at, now)}"
        yield from _section("verdict", Text(held, style="bold red"))
    yield from _section("task runs", _told(report, "task_runs") or _task_runs(report.task_runs or (), now))
    if report.logs or "logs" in report.unanswered:
        yield from _section("log", _told(report, "logs") or _lines(report.logs or (), report.task_runs or ()))
    if report.links:
        yield from _section("links", _pairs(report.links.items()))


def _section(heading: str, content: RenderableType) -> Iterator[RenderableType]:
    yield from ("", Text(heading, style="bold"), content)


def _told(report: RunReport, what: str) -> Text | None:
    """Return why the server has not told something; None if it has."""
    why = report.unanswered.get(what)
    return Text(f"the Prefect server cannot be asked: {why}", style="yellow") if why else None


def _head(report: RunReport, now: datetime) -> Iterator[RenderableType]:
    run = report.run
    yield Text().append_text(title(run)).append(f"  {run.id}", style="dim")
    rows = {
        "flow": name(run.flow),
        "deployment": name(run.deployment),
        "work pool": Text(" / ").join(each for each in (name(run.work_pool), name(run.work_queue)) if each),
        "parent": _parent(report),
        "tags": ", ".join(run.tags),
        "attempt": str(run.run_count) if run.run_count is not None else "",
        "state": state(run.state.type, run.state.name).append(f"  {ago(run.state.at, now)}", style="dim"),
        "message": run.state.message or "",
        "due": local(run.due),
        "started": local(run.started) + _late(run),
        "ended": local(run.ended),
        "duration": length(duration(run, now)),
        "deleted": local(run.deleted),
        "source": run.source,
    }
    yield _pairs((key, value) for key, value in rows.items() if value)


def _pairs(rows: Iterable[tuple[str, str | Text]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    for key, value in rows:
        table.add_row(key, value if isinstance(value, Text) else Text.from_ansi(value))
    return table


def _parent(report: RunReport) -> Text | str:
    if report.parent:
        return name(report.parent).append(f"  {report.parent.id}", style="dim")
    by = report.run.parent_task_run
    return _told(report, "parent") or (f"unknown; by the task run {by}" if by else "")


def _late(run: RunView) -> str:
    if not run.due or not run.started or run.started <= run.due:
        return ""
    return f" ({length((run.started - run.due).total_seconds())} after it was due)"


def _timeline(moves: Sequence[TransitionView]) -> Table:
    """Return a row a state, with a bar for when it was the run's, of all the time that is told."""
    table = Table("when", "state", "for", "", "message", box=None, pad_edge=False)
    first = moves[0].occurred
    spans = [((each.occurred - first).total_seconds(), each.seconds or 0.0) for each in moves]
    whole = max(begin + lasted for begin, lasted in spans)
    for each, (begin, lasted) in zip(moves, spans, strict=True):
        bar = _bar(each.type, begin, lasted, whole) if lasted else ""
        message = " ".join((each.message or "").split())
        table.add_row(
            local(each.occurred), state(each.type, each.name), length(each.seconds), bar, Text.from_ansi(message)
        )
    return table


def _bar(kind: StateType, begin: float, lasted: float, whole: float) -> Bar:
    """Return a bar that can be seen, however short the time was."""
    least = whole / BAR
    begin = min(begin, whole - least)
    colour = Style.parse(COLOURS[kind]).color
    return Bar(whole, begin, max(begin + lasted, begin + least), width=BAR, color=colour or "default")


def _beats(beats: Sequence[HeartbeatView], now: datetime | None) -> Table:
    """Return the last heartbeats, how long after the one before each came, and how long there has been none since."""
    table = Table("sent", "after the one before", "on the way", box=None, pad_edge=False)
    for before, beat in pairwise([None, *beats]):
        gap = length((beat.occurred - before.occurred).total_seconds()) if beat and before else ""
        if beat:
            table.add_row(local(beat.occurred), gap, length((beat.received - beat.occurred).total_seconds()))
    if now:
        table.add_row("none since", length((now - beats[-1].occurred).total_seconds()), style="bold")
    return table


def _task_runs(runs: Sequence[TaskRunView], now: datetime) -> RenderableType:
    table = Table("name", "state", "started", "duration", "attempt", box=None, pad_edge=False)
    if len(runs) > TASK_RUNS:
        table.add_row(Text(f"{len(runs) - TASK_RUNS} earlier", style="dim"))
    for run in runs[-TASK_RUNS:]:
        now_in = state(run.state.type, run.state.name) if run.state else ""
        table.add_row(Text(run.name), now_in, local(run.start_time), length(_lasted(run, now)), str(run.run_count))
    return table if runs else "there is none"


def _lasted(run: TaskRunView, now: datetime) -> float | None:
    """Return for how many seconds a task run was at work, or has been since it first started."""
    if run.start_time is None:
        return None
    return run.total_run_time or ((run.end_time or now) - run.start_time).total_seconds()


def _lines(lines: Sequence[LogLine], task_runs: Sequence[TaskRunView]) -> Text:
    tasks = {each.id: each.name for each in task_runs}
    return Text("\n").join(log_lines.shown(each, tasks) for each in lines)
