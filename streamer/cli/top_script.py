"""Pure: how words and figures are written on a terminal that may have neither colours nor more than ASCII."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median

from rich.text import Text

from schemas import StateType
from streamer.cli.rendering import COLOURS

UNDER_WAY = (StateType.RUNNING, StateType.CANCELLING, StateType.PENDING, StateType.PAUSED)
UNFINISHED = (*UNDER_WAY, StateType.SCHEDULED)

USUAL_INTERVAL = 30.0
SLOWEST = 4.0
"""A wait of so many intervals between two heartbeats is as high as the sparkline gets."""


@dataclass(frozen=True, slots=True)
class Script:
    """What can be written; where there are no colours, a bar is made of letters."""

    is_ascii: bool = False
    has_colours: bool = True

    def plain(self, text: str) -> str:
        """Return a free text on one line, without anything in it that could command the terminal."""
        bare = Text.from_ansi(text).plain if "\x1b" in text else text
        line = " ".join("".join(each if each.isprintable() else " " for each in bare).split())
        return line.encode("ascii", "replace").decode() if self.is_ascii else line

    def text(self, text: str, style: str = "") -> Text:
        """Return a free text as it is shown."""
        return Text(self.plain(text), style=style, no_wrap=True, overflow="crop" if self.is_ascii else "ellipsis")

    @property
    def dot(self) -> str:
        """Return what stands between two things on a line."""
        return "|" if self.is_ascii else "·"

    @property
    def arrow(self) -> str:
        """Return what stands between two states."""
        return "->" if self.is_ascii else "→"

    def bar(self, by_state: Mapping[str, int], width: int) -> Text:
        """Return a bar in which each type of state has its share, and what there is at all has a cell at least."""
        bar, is_letters = Text(), self.is_ascii or not self.has_colours
        cells = _shares([by_state.get(each, 0) for each in UNFINISHED], width)
        for state, number in zip(UNFINISHED, cells, strict=True):
            bar.append((state[0] if is_letters else "█") * number, style=COLOURS[state])
        return bar

    def beats(self, beats: Sequence[datetime], interval: float | None, now: datetime, width: int) -> Text:
        """Return how long it was from each heartbeat to the next, and at the end how long there has been none."""
        if not beats:
            return Text()
        waits = [(after - before).total_seconds() for before, after in pairwise([*beats, max(now, beats[-1])])]
        usual = interval or (median(waits[:-1]) if len(waits) > 2 else USUAL_INTERVAL) or USUAL_INTERVAL
        levels = "_.-=+*%#" if self.is_ascii else "▁▂▃▄▅▆▇█"
        heights = [min(len(levels) - 1, int(wait / usual / SLOWEST * len(levels))) for wait in waits[-width:]]
        late = waits[-1] / usual
        style = "green" if late < 1.5 else "yellow" if late < 2.5 else "red"
        return Text("".join(levels[height] for height in heights), style=style, no_wrap=True, overflow="crop")


def _shares(numbers: Sequence[int], width: int) -> list[int]:
    """Return how many cells each number has of a width; the largest makes room for those that are next to nothing."""
    whole = sum(numbers)
    if not whole:
        return [0 for _ in numbers]
    cells = [max(1, width * each // whole) if each else 0 for each in numbers]
    cells[numbers.index(max(numbers))] += width - sum(cells)
    return cells
