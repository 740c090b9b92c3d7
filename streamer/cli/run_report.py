"""All that is known of one run, from who answers; what only the Prefect server knows may be missing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from streamer.client import Client, FlowRun
from streamer.errors import ConfigError, SourceError
from streamer.run_view import HeartbeatView, LogLine, Named, RunView, TaskRunView, TransitionView

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run. `parent` is the run that it is a subflow of, `logs` are the last lines.

    `unanswered` says why `parent`, `task_runs` or `logs` is null though there may be some.
    """

    run: RunView
    parent: Named | None
    transitions: Sequence[TransitionView]
    heartbeats: Sequence[HeartbeatView]
    task_runs: Sequence[TaskRunView] | None
    logs: Sequence[LogLine] | None
    links: Mapping[str, str]
    unanswered: Mapping[str, str]


def report_of(run: FlowRun, asked: Client, *, lines: int) -> RunReport:
    """Return what is known of a run, with so many lines of its log."""
    known, ask = run.view, asked.session.provider
    of_parent, of_run = _Server(), _Server()
    parent = of_parent.told("parent", lambda: _parent(run, asked))
    task_runs = of_run.told("task_runs", lambda: ask.task_runs(known.id))
    logs = of_run.told("logs", lambda: ask.last_lines(known.id, lines)) if lines else ()
    return RunReport(
        run=known,
        parent=parent,
        transitions=ask.transitions(known.id),
        heartbeats=ask.heartbeats(known.id),
        task_runs=task_runs,
        logs=logs,
        links=_links(known),
        unanswered={**of_parent.unanswered, **of_run.unanswered},
    )


class _Server:
    """A Prefect server: if it does not answer one question, it is not asked another."""

    def __init__(self) -> None:
        self._trouble: str | None = None
        self.unanswered: dict[str, str] = {}

    def told(self, what: str, question: Callable[[], T]) -> T | None:
        if self._trouble is None:
            try:
                return question()
            except (SourceError, ConfigError) as error:
                self._trouble = str(error)
        self.unanswered[what] = self._trouble
        return None


def _parent(run: FlowRun, asked: Client) -> Named | None:
    by = run.view.parent_task_run
    ident = asked.session.provider.run_of(by) if by else None
    known = asked.session.by_id(ident) if ident else None
    return Named(str(ident), FlowRun.told(known, asked).pathspec if known else None) if ident else None


def _links(run: RunView) -> dict[str, str]:
    """Return where Prefect's pages are of the run and what it belongs to, as far as known."""
    if run.url is None:
        return {}
    pages = run.url.partition("/runs/flow-run/")[0]
    found = {"run": run.url}
    if run.flow:
        found["flow"] = f"{pages}/flows/flow/{run.flow.id}"
    if run.deployment:
        found["deployment"] = f"{pages}/deployments/deployment/{run.deployment.id}"
    return found
