"""The lines of a run's log: the new ones each time it is read, and how they are shown."""

from logging import getLevelName
from uuid import UUID

from rich.text import Text

from streamer.cli.times import local
from streamer.client import Provider
from streamer.run_view import LogLine

_COLOURS = ((40, "red"), (30, "yellow"), (20, "default"))


LATE_LINES = 500
"""A line may come when so many that are younger are there already."""


class RunLog:
    """The log of a run and its tasks. Each line is told once, however late it comes, and the same line comes again."""

    def __init__(self, provider: Provider, run: UUID) -> None:
        self._provider = provider
        self._run = run
        self._told: set[UUID] = set()
        self.tasks: dict[UUID, str] = {}
        """The names of the task runs that the lines are of."""

    def new(self, *, whole: bool = True) -> list[LogLine]:
        """Return the lines that were not there before, oldest first; unless the whole log is read, of its end only."""
        beyond = 0 if whole else max(0, len(self._told) - LATE_LINES)
        found = [each for each in self._provider.logs(self._run, beyond=beyond) if each.id not in self._told]
        if not self.tasks.keys() >= {each.task_run_id for each in found if each.task_run_id}:
            self.tasks |= {each.id: each.name for each in self._provider.task_runs(self._run)}
        self._told.update(each.id for each in found)
        return found


def shown(line: LogLine, tasks: dict[UUID, str]) -> Text:
    """Return time, level, task run and message of a line; colours in the message are those that it came with."""
    text = Text(local(line.timestamp), style="dim")
    text.append(f" {getLevelName(line.level):<8}", style=_colour(line.level))
    if line.task_run_id:
        text.append(f" {tasks.get(line.task_run_id, line.task_run_id)} |", style="cyan")
    return text.append(" ").append_text(Text.from_ansi(line.message))


def _colour(level: int) -> str:
    return next((colour for least, colour in _COLOURS if level >= least), "dim")
