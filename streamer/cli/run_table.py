"""Runs as a table, or each as a line."""

from collections.abc import Iterable
from datetime import datetime

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from schemas import StateType
from streamer.cli.rendering import COLOURS
from streamer.cli.times import ago, length, local
from streamer.run_view import Named, RunView


def table(runs: Iterable[RunView], now: datetime) -> RenderableType:
    """Return a row a run, or that there is none."""
    shown = Table("run", "flow", "state", "since", "duration", "last heartbeat", "verdict", box=None)
    for run in runs:
        verdict = f"{run.verdict.status}: {run.verdict.reason}" if run.verdict else ""
        times = (ago(run.since, now), length(duration(run, now)), ago(run.last_heartbeat, now))
        shown.add_row(title(run), name(run.flow), state(run.state.type, run.state.name), *times, Text(verdict))
    return shown if shown.row_count else Text("no run is such")


def line(run: RunView) -> Text:
    """Return when the run came into its state, which, and of which run of which flow that is told."""
    text = Text(local(run.state.at), style="dim", no_wrap=True)
    text.append("  ").append(f"{run.state.name or '':<16}", style=_colour(run.state.type))
    text.append(f"  {name(run.flow) or '-'} / {title(run)}", style="default")
    if run.verdict:
        text.append(f"  {run.verdict.status}: {run.verdict.reason}", style="bold red")
    if run.deleted:
        text.append("  deleted", style="red")
    return text


def title(run: RunView) -> Text:
    """Return what a run is called, its id if it has no name."""
    return Text(run.name or str(run.id), style="bold")


def name(of: Named | None) -> Text:
    """Return the name of something, its id if nobody has told the name; nothing for none."""
    return Text((of.name or of.id) if of else "")


def state(kind: StateType | None, called: str | None) -> Text:
    """Return the name of a state in the colour of its type."""
    return Text(called or "", style=_colour(kind))


def duration(run: RunView, now: datetime) -> float | None:
    """Return for how many seconds a run was, or has been, at work; None if it has not begun."""
    if run.duration is not None or run.started is None or run.ended:
        return run.duration
    return max(0.0, (now - run.started).total_seconds())


def _colour(kind: StateType | None) -> str:
    return COLOURS[kind] if kind else ""
