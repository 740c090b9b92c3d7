"""Pure: the parts of the page: runs, alerts, sinks and transitions, each as a table of so many lines."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from rich.table import Table
from rich.text import Text

from streamer.cli.rendering import COLOURS
from streamer.cli.times import ago
from streamer.cli.top_script import Script
from streamer.cli.top_table import Column, table
from streamer.cli.top_told import Told
from streamer.cli.top_view import RANKS, Order, View
from streamer.run_view import Named
from streamer.web.operations import AlertView
from streamer.web.present import PresentRun
from streamer.web.rows import Row
from streamer.web.sink_rates import SinkNow

WIDE = 110
"""From this width on there is room for what is nice to know."""

HELD = dict(zip(RANKS, ("bold red", "bold yellow", "yellow"), strict=True))
"""How what is held of a run is shown."""

_SEVERITIES = {"critical": "bold red", "error": "red", "warning": "yellow"}
_SINKS = {"up": "green", "down": "bold red"}

_BEATS = 10
_RUNS = (
    Column("RUNS", share=4),
    Column("state", 9),
    Column("for", 4),
    Column("beats", _BEATS),
    Column("last", 4, is_extra=True),
    Column("why, or tags", share=4),
)
_ALERTS = (
    Column("ALERTS", share=3),
    Column("for", 4),
    Column("times", 5),
    Column("of", share=3),
    Column("reason", share=4),
)
_SINK_COLUMNS = (
    Column("SINKS", share=1),
    Column("state", 7),
    Column("behind", 9),
    Column("waiting", 7),
    Column("rate", 8),
    Column("failed", 6, is_extra=True),
    Column("dead", 5),
    Column("trouble", share=1),
)
_ROWS = (Column("NEWEST", 8), Column("transition", 23), Column("run", share=1), Column("message", share=1))

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the page: how many lines it would like to have, and how it looks on so many."""

    lines: int
    shown: Callable[[int], Table]


@dataclass(frozen=True, slots=True)
class Parts:
    """Makes the parts of what is told at a time, for a page of a width."""

    told: Told
    view: View
    now: datetime
    script: Script
    width: int

    def runs(self) -> Part:
        """Return the runs that have not ended: the service tells the first of them only."""
        runs, told, view = self.view.runs(self.told), self.told, self.view
        known = len(told.runs)
        notes = [
            *(["only zombies, suspects, overdue"] if view.only_judged else []),
            *([f"among {known:,} of {told.under_way:,}"] if view.is_choosing and known < told.under_way else []),
            *([f"by {view.order}"] if view.order is not Order.STATE else []),
        ]
        columns = [replace(_RUNS[0], heading=", ".join(["RUNS", *notes])), *_RUNS[1:]]
        nothing = "none is such" if known else "no run is under way"
        total = len(runs) if view.is_choosing else told.under_way
        return self._part(columns, runs, self._run, total=total, nothing=nothing)

    def alerts(self) -> Part:
        """Return what fires."""
        return self._part(_ALERTS, self.told.live.alerts, self._alert, total=len(self.told.live.alerts))

    def sinks(self) -> Part:
        """Return the sinks."""
        return self._part(_SINK_COLUMNS, self.told.live.sinks, self._sink, total=len(self.told.live.sinks))

    def rows(self) -> Part:
        """Return the newest transitions and verdicts."""
        nothing = "none is such" if self.told.live.rows else "nothing yet"
        return self._part(_ROWS, self.view.rows(self.told.live), self._row, nothing=nothing)

    def _part(
        self,
        columns: Sequence[Column],
        items: Sequence[T],
        row: Callable[[T], list[Text]],
        *,
        total: int = 0,
        nothing: str = "",
    ) -> Part:
        """Return a part that says how many more there are than it shows, or in a row of its own that there is none."""

        def shown(lines: int) -> Table:
            rows = [row(item) for item in items[: lines - 1]] or [_only(nothing, columns)]
            name, comma, notes = columns[0].heading.partition(",")
            number = f" {len(rows)} of {total:,}" if len(rows) < total else ""
            first = replace(columns[0], heading=name + number + comma + notes)
            return table([first, *columns[1:]], rows, is_wide=self.width >= WIDE)

        return Part(1 + max(len(items), bool(nothing)) if items or nothing else 0, shown)

    def _run(self, run: PresentRun) -> list[Text]:
        script, style = self.script, HELD.get(run.verdict.status, "") if run.verdict else ""
        name = script.text(run.name or str(run.id), style or "bold")
        whose = [run.flow, *([run.deployment] if self.width >= WIDE else [])]
        return [
            script.text(_names(*whose)).append(" / ").append_text(name) if run.flow else name,
            script.text(run.state or "", COLOURS[run.type] if run.type else ""),
            Text(age(run.since, self.now)),
            script.beats(run.beats, run.interval, self.now, _BEATS),
            Text(age(run.beats[-1], self.now) if run.beats else ""),
            self._why(run, style) if run.verdict else script.text(", ".join(run.tags), "dim"),
        ]

    def _why(self, run: PresentRun, style: str) -> Text:
        assert run.verdict
        return self.script.text(
            f"{run.verdict.status} for {age(run.verdict.at, self.now)}: {_in_words(run.verdict.reason)}", style
        )

    def _alert(self, alert: AlertView) -> list[Text]:
        style = "dim" if alert.silenced_until else _SEVERITIES.get(alert.severity, "bold")
        silenced = " (silenced)" if alert.silenced_until else ""
        return [
            self.script.text(f"{alert.severity}: {alert.rule}{silenced}", style),
            Text(age(alert.since, self.now)),
            Text(f"{alert.occurrences:,}"),
            self.script.text(alert.name),
            self.script.text(alert.reason, "dim"),
        ]

    def _sink(self, sink: SinkNow) -> list[Text]:
        return [
            self.script.text(sink.name, "bold"),
            self.script.text(sink.state, _SINKS.get(sink.state, "yellow")),
            Text(f"{sink.behind:,}"),
            Text(age(sink.oldest_pending, self.now) if sink.behind else ""),
            Text(f"{sink.rate:,.0f}/s" if sink.rate >= 100 else f"{sink.rate:.1f}/s"),
            Text(f"{sink.failed:,}"),
            Text(f"{sink.dead_letters:,}", style="bold red" if sink.dead_letters else ""),
            self.script.text(sink.trouble or "", "red"),
        ]

    def _row(self, row: Row) -> list[Text]:
        is_verdict = row.kind == "verdict"
        message = _in_words(row.message or "") if is_verdict else row.message or ""
        return [
            Text(clock(row.at), style="dim"),
            self.script.text(row.state, HELD.get(row.state, "green")) if is_verdict else self._moved(row),
            self.script.text(f"{_names(row.flow)} / {row.name or row.run}"),
            self.script.text(message, "dim"),
        ]

    def _moved(self, row: Row) -> Text:
        before = self.script.text(row.before.capitalize() if row.before else "", "dim")
        after = self.script.text(row.state, COLOURS[row.type] if row.type else "")
        return before.append(f" {self.script.arrow} ").append_text(after) if row.before else after


def age(moment: datetime | None, now: datetime) -> str:
    """Return how long ago a time was in its largest unit, and never less than nothing; no text for no time."""
    return ago(min(moment, now), now).removesuffix(" ago") if moment else ""


def clock(moment: datetime) -> str:
    """Return the time of day as the clocks here show it."""
    with suppress(OverflowError):  # a time at the edge of the calendar has no local one
        moment = moment.astimezone()
    return f"{moment:%H:%M:%S}"


def _only(text: str, columns: Sequence[Column]) -> list[Text]:
    """Return a row that has nothing but a text, in the first column that is wide."""
    place = next(place for place, column in enumerate(columns) if column.share)
    return [Text(text if each == place else "", style="dim") for each in range(len(columns))]


def _in_words(reason: str) -> str:
    return reason.replace("_", " ")


def _names(*parties: Named | None) -> str:
    return " / ".join(each.name or each.id for each in parties if each)
