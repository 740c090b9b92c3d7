"""`streamer logs`: the log of a run and its tasks, once or until the run has ended."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from streamer.cli.answering import ServiceUrl, client, warn_if_idle
from streamer.cli.inspect import Run
from streamer.cli.log_lines import RunLog, shown
from streamer.cli.options import ApiUrl, ConfigFile, StoreUrl
from streamer.cli.printing import console, json_lines
from streamer.cli.watching import Patience, rounds, until_interrupted
from streamer.client import Client
from streamer.run_view import LogLine, RunView

QUIET_SECONDS = 5.0
"""So long after a run's end no new line has come, none is expected: a Prefect client sends what it has every 2 s."""

LONG_OVER = timedelta(minutes=1)
"""A run that ended so long ago has sent all its lines, whatever clocks differ."""


class Level(StrEnum):
    """How much a line matters, as Python's logging has it."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


def logs(
    run: Run,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    level: Annotated[Level, typer.Option(help="The least that is shown.", case_sensitive=False)] = Level.DEBUG,
    tail: Annotated[int | None, typer.Option(help="Only so many lines of those there are, the last.", min=0)] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON lines.")] = False,
    service: ServiceUrl = None,
    store: StoreUrl = None,
    api_url: ApiUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Show the log of a run and its tasks, which the Prefect server keeps."""
    least, terminal = logging.getLevelNamesMapping()[level], console()
    with client(service=service, store=store, api_url=api_url, config_file=config_file) as asked:
        known = asked.flow_run(run).view
        log = RunLog(asked.session.provider, known.id)
        with until_interrupted():
            batches = _followed(asked, known, log) if follow else iter([log.new()])
            lines = _from_the_end((_that_matter(each, least) for each in batches), tail)
            if json:
                json_lines(lines)
            else:
                for line in lines:
                    terminal.print(shown(line, log.tasks), soft_wrap=True)


def _followed(asked: Client, run: RunView, log: RunLog) -> Iterator[Sequence[LogLine]]:
    warn_if_idle(asked)
    patience = Patience()

    def now() -> tuple[RunView, Sequence[LogLine]]:
        known = asked.session.by_id(run.id)  # before the log, so that what is read of an ended run came after its end
        shown = known.run if known else run
        return shown, log.new(whole=_end(shown) is not None)

    return until_quiet((lambda: patience.ask(now)), rounds())


def until_quiet(
    ask: Callable[[], tuple[RunView, Sequence[LogLine]] | None], times: Iterable[float]
) -> Iterator[Sequence[LogLine]]:
    """Yield the new lines of each round until the run has ended and no more of them come."""
    last_sign: float | None = None
    for time in times:
        answer = ask()
        if answer is None:
            continue
        run, lines = answer
        yield lines
        ended = _end(run)
        if ended is None or lines or last_sign is None:
            last_sign = time
        if ended and (time - last_sign >= QUIET_SECONDS or datetime.now(UTC) - ended > LONG_OVER):
            return


def _end(run: RunView) -> datetime | None:
    """Return when a run came to its end, in whatever way; None as long as it has not."""
    is_over = run.state.type is not None and run.state.type.is_terminal
    return run.deleted or (run.state.at if is_over else None)


def _that_matter(lines: Sequence[LogLine], least: int) -> list[LogLine]:
    return [each for each in lines if each.level >= least]


def _from_the_end(batches: Iterable[Sequence[LogLine]], most: int | None) -> Iterator[LogLine]:
    """Yield the last lines of the first batch, and all of the later ones."""
    for number, lines in enumerate(batches):
        yield from lines if most is None or number else lines[len(lines) - min(most, len(lines)) :]
