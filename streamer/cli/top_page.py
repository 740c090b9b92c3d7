"""Pure: the page as lines of a width and a height."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.segment import Segment, Segments
from rich.text import Text

from streamer.cli.rendering import COLOURS
from streamer.cli.top_parts import HELD, Part, Parts, age
from streamer.cli.top_script import UNFINISHED, Script
from streamer.cli.top_told import Told
from streamer.cli.top_view import View
from streamer.web.standing import Level

BAR = 16
SENTENCE_LINES = 2
LEAST = 2
"""A part has a heading and a row at least, or is not there."""

KEYS = "q quit  f filter  s sort  z zombies  p pause  ? help"

HELP = """\
q, Ctrl-C   quit
f, /        show only what has these words (flow, deployment, name, tag, state):
            Enter keeps them, Esc clears them, Ctrl-U begins anew
s           sort runs by state, age, name, flow; zombies and suspects first
z           only zombies, suspects and overdue runs, or all
p, space    pause, or go on
?           this help, or back

beats       how long from one heartbeat to the next, at the end since the last
last        how long ago the last heartbeat was
behind      records that a sink has yet to take
waiting     for how long the oldest of them has been
dead        records that a sink refused for good: see `streamer dead-letters`"""

_MODES = {"live": "live", "rest": "by REST only", "store": "standby"}
_LEVELS = {Level.WELL: "bold green", Level.ATTENTION: "bold yellow", Level.WRONG: "bold red"}


def script_of(console: Console, locale: str = "") -> Script:
    """Return what can be written on a terminal; a locale of `C` or `POSIX` has ASCII only."""
    is_ascii = console.options.ascii_only or locale in ("C", "POSIX")
    return Script(is_ascii, has_colours=console.color_system is not None and not console.no_color)


@dataclass(frozen=True, slots=True)
class Page:
    """What is told, looked at in some way on some console; `now` is by the server's clock."""

    console: Console
    told: Told
    view: View
    now: datetime
    script: Script

    def lines(self) -> list[str]:
        """Return lines that fill the console, with their colours as they are sent to the terminal."""
        height = self.console.height
        above = self._rendered(self._head())
        room = height - len(above) - 1
        above += self._rendered([Padding(HELP, (1, 0))] if self.view.is_helping else self._fitted(room))
        above += [""] * (height - 1 - len(above))
        return [*above[: height - 1], *self._rendered([self._foot()])]

    def snapshot(self, rows: int) -> Iterator[RenderableType]:
        """Yield all there is, however long, and so many of the newest transitions."""
        yield from self._head()
        *parts, newest = self._parts()
        yield from (part.shown(part.lines) for part in parts)
        yield newest.shown(min(newest.lines, 1 + rows))

    def _parts(self) -> list[Part]:
        """Return the parts that there is anything in."""
        parts = Parts(self.told, self.view, self.now, self.script, self.console.width)
        return [part for part in (parts.runs(), parts.alerts(), parts.sinks(), parts.rows()) if part.lines]

    def _fitted(self, room: int) -> Iterator[RenderableType]:
        """Yield the parts that there is room for, each with its share of the lines."""
        parts = self._parts()
        given = shares([part.lines for part in parts], room)
        yield from (part.shown(lines) for part, lines in zip(parts, given, strict=True) if lines)

    def _head(self) -> list[Text]:
        """Return whether all is well, in words, what else there is to say, and how many runs there are."""
        standing, trouble = self.told.live.standing, self.told.trouble
        said = f"Nothing new is heard: {trouble}. What is shown may be old." if trouble else standing.sentence
        style = _LEVELS[Level.WRONG if trouble else standing.level]
        sentence = self.script.text(("PAUSED. " if self.view.is_paused else "") + said, style)
        more = "; ".join(point.text for point in standing.points[1:])
        return [
            *self._wrapped(sentence),
            *([self.script.text(more, "yellow")] if more else []),
            self._figures(),
            self._counts(),
        ]

    def _wrapped(self, sentence: Text) -> list[Text]:
        if sentence.cell_len <= self.console.width:
            return [sentence]
        return [*sentence.wrap(self.console, self.console.width, no_wrap=False)[:SENTENCE_LINES]]

    def _figures(self) -> Text:
        standing = self.told.live.standing
        figures = [
            _MODES[standing.mode],
            f"lag {standing.lag:.1f}s" if standing.lag is not None else "",
            f"complete up to {age(standing.watermark, self.now)} ago" if standing.watermark else "",
            f"{standing.recovered:,} recovered" if standing.recovered else "",
            f"{standing.quarantined:,} in quarantine" if standing.quarantined else "",
        ]
        return self.script.text(f" {self.script.dot} ".join(filter(None, figures)), "dim")

    def _counts(self) -> Text:
        """Return how many runs there are now, with a bar; what is held of them is said where it is bad."""
        runs = self.told.live.runs
        line = self.script.text(f"{runs.total:,} " + ("run" if runs.total == 1 else "runs"), "bold")
        line.append(" ").append_text(self.script.bar(runs.by_state, BAR))
        for state in UNFINISHED:
            if number := runs.by_state.get(state, 0):
                line.append(f" {number:,} {state.lower()}", style=COLOURS[state])
        for status, style in HELD.items():
            if number := runs.by_status.get(status, 0):
                line.append(f" {number:,} {status}", style=style)
        return line

    def _foot(self) -> Text:
        text = self.script.plain(self.view.text)
        said = f"filter: {text} (Esc clears it)  {KEYS}" if text else KEYS
        if self.view.is_typing:
            said = f"filter: {text}_   (Enter keeps it, Esc clears it)"
        return Text(said, style="bold" if self.view.is_typing else "dim", no_wrap=True, overflow="crop")

    def _rendered(self, parts: Iterable[RenderableType]) -> list[str]:
        return [self._written(segments) for part in parts for segments in self.console.render_lines(part, pad=False)]

    def _written(self, segments: list[Segment]) -> str:
        with self.console.capture() as written:
            self.console.print(Segments(segments), end="")
        return written.get()


def shares(wanted: Sequence[int], room: int) -> list[int]:
    """Return how many lines each part has: first the least, then one by one, until all have enough or none is left."""
    given = [0 for _ in wanted]
    for place, lines in enumerate(wanted):
        if room >= LEAST:
            given[place] = min(LEAST, lines)
            room -= given[place]
    while room > 0 and (hungry := [place for place in range(len(wanted)) if 0 < given[place] < wanted[place]]):
        for place in hungry[:room]:
            given[place] += 1
        room -= len(hungry[:room])
    return given
