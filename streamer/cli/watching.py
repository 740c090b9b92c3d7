"""Asking again and again: in what rhythm, with what patience, and how a picture that changes is shown."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

import typer
from rich.console import Console, RenderableType
from rich.live import Live

from streamer.errors import AuthenticationFailed, SourceError, StoreError
from streamer.run_view import RunView

T = TypeVar("T")

SECONDS = 2.0


def rounds(every: float = SECONDS) -> Iterator[float]:
    """Yield the time for ever, `every` so many seconds; who takes long to answer is asked less often."""
    while True:
        begun = time.monotonic()
        yield begun
        time.sleep(max(every, 2 * (time.monotonic() - begun)))


class Patience:
    """Ask who has answered once, through trouble that may pass: it is said on stderr when it begins and when it ends.

    What goes wrong at the first time, or is a matter of credentials, is raised.
    """

    def __init__(self) -> None:
        self._has_answered = False
        self._trouble = ""

    def ask(self, question: Callable[[], T]) -> T | None:
        """Return the answer, None if there is none at present."""
        try:
            answer = question()
        except (SourceError, StoreError) as error:
            if not self._has_answered or isinstance(error, AuthenticationFailed):
                raise
            if not self._trouble:
                typer.echo(f"{error}; asking again", err=True)
            self._trouble = str(error)
            return None
        if self._trouble:
            typer.echo("there are answers again", err=True)
        self._has_answered, self._trouble = True, ""
        return answer


@contextmanager
def until_interrupted() -> Iterator[None]:
    """Let Ctrl-C end the block, and nothing else."""
    with suppress(KeyboardInterrupt):
        yield


def show_live(console: Console, pictures: Iterable[RenderableType]) -> None:
    """Show each picture in the place of the one before."""
    with Live(console=console, auto_refresh=False) as live:
        for picture in pictures:
            live.update(picture, refresh=True)


def changed(pictures: Iterable[Sequence[RunView]]) -> Iterator[RunView]:
    """Yield each run that was not there the last time, or was in another state, or held to be something else."""
    before: set[object] = set()
    for runs in pictures:
        now = {(run.id, run.state, run.verdict, run.deleted): run for run in runs}
        yield from (run for mark, run in now.items() if mark not in before)
        before = set(now)
