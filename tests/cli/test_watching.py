"""What is asked again and again: which changes are told, what trouble is waited out, and when a log has ended."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from uuid import UUID, uuid4

import pytest
from rich.console import Console

from schemas import StateType
from streamer.cli.log_lines import RunLog, shown
from streamer.cli.logs import QUIET_SECONDS, until_quiet
from streamer.cli.times import ago, length
from streamer.cli.watching import Patience, changed, show_live
from streamer.errors import AuthenticationFailed, ConnectionLost, StoreError
from streamer.model import RunState
from streamer.run_view import LogLine, RunView, StateView, TaskRunView, view

NOW = datetime.now(UTC)
STEP = uuid4()


def a_run(state: StateType = StateType.RUNNING, at: datetime | None = None) -> RunView:
    run = view(RunState(id=uuid4(), source="default"), {})
    return replace(run, state=StateView(uuid4(), state, state.capitalize(), None, at or datetime.now(UTC)))


def a_line(message: str, *, second: float = 0.0, task_run: UUID | None = None) -> LogLine:
    return LogLine(uuid4(), NOW + timedelta(seconds=second), 20, "prefect", message, task_run)


def test_a_run_is_told_again_when_its_state_has_changed_and_not_before() -> None:
    one, other = a_run(), a_run()
    ended = replace(one, state=a_run(StateType.COMPLETED).state)
    beaten = replace(other, last_heartbeat=NOW)
    assert list(changed([[one], [one, other], [one, beaten], [ended, beaten], []])) == [one, other, ended]


def test_a_run_that_was_away_is_told_again() -> None:
    run = a_run()
    assert list(changed([[run], [], [run]])) == [run, run]


def failing(*answers: Any) -> Any:
    left = iter(answers)

    def question() -> Any:
        if isinstance(answer := next(left), Exception):
            raise answer
        return answer

    return question


def test_trouble_that_passes_is_said_when_it_begins_and_when_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    patience = Patience()
    question = failing(1, ConnectionLost("it is away"), StoreError("it is locked"), 2, 3)
    assert [patience.ask(question) for _ in range(5)] == [1, None, None, 2, 3]
    assert capsys.readouterr().err.splitlines() == ["it is away; asking again", "there are answers again"]


@pytest.mark.parametrize("answers", [(ConnectionLost("nobody is there"),), (1, AuthenticationFailed("who are you"))])
def test_trouble_that_does_not_pass_is_an_error(answers: Sequence[object]) -> None:
    patience, question = Patience(), failing(*answers)
    with pytest.raises((ConnectionLost, AuthenticationFailed)):
        [patience.ask(question) for _ in answers]


class Server:
    """A provider of what a run has logged so far."""

    def __init__(self) -> None:
        self.lines: list[LogLine] = []
        self.asked_for_names = 0

    def logs(self, run: UUID, *, beyond: int = 0) -> list[LogLine]:
        return sorted(self.lines, key=lambda line: line.timestamp)[beyond:]

    def task_runs(self, run: UUID) -> list[TaskRunView]:
        self.asked_for_names += 1
        return [TaskRunView(STEP, "step-0", "step", "0")]


def test_a_line_that_comes_late_is_told_once() -> None:
    server = Server()
    log = RunLog(server, uuid4())  # type: ignore[arg-type]
    server.lines += [a_line("first", second=1), a_line("third", second=3)]
    assert [line.message for line in log.new()] == ["first", "third"]
    server.lines += [a_line("second", second=2)]
    assert [line.message for line in log.new()] == ["second"]
    assert log.new() == []


def test_task_runs_are_named_and_asked_for_only_where_there_are_new_ones() -> None:
    server, gone = Server(), uuid4()
    log = RunLog(server, uuid4())  # type: ignore[arg-type]
    server.lines += [a_line("flow"), a_line("task", task_run=STEP), a_line("gone", task_run=gone)]
    lines = [shown(line, log.tasks).plain for line in log.new()]
    assert lines[1].endswith("step-0 | task")
    assert lines[2].endswith(f"{gone} | gone")
    server.lines += [a_line("again", task_run=STEP)]
    log.new()
    assert server.asked_for_names == 1


def test_a_log_in_colours_does_not_command_the_terminal() -> None:
    line = a_line("\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b[2Jcleared\nand more")
    out = StringIO()
    Console(file=out, force_terminal=True).print(shown(line, {}))
    assert "red" in out.getvalue()
    assert "\x1b]0;" not in out.getvalue()
    assert "\x1b[2J" not in out.getvalue()


Answer = tuple[RunView, Sequence[LogLine]] | None


def rounds_until_the_end(answers: Sequence[Answer], *, every: float = 2.0) -> tuple[int, list[str]]:
    """Return how many rounds a log is followed, and its lines."""
    left: Iterator[Answer] = iter(answers)
    asked = 0

    def ask() -> Answer:
        nonlocal asked
        asked += 1
        return next(left)

    told = [line.message for lines in until_quiet(ask, (1_000 + every * each for each in range(100))) for line in lines]
    return asked, told


def test_a_log_is_followed_until_the_run_has_ended_and_its_last_lines_have_come() -> None:
    running, ended = a_run(), a_run(StateType.COMPLETED)
    answers: list[Answer] = [(running, [a_line("a")]), (running, []), (running, []), None]
    answers += [(ended, []), (ended, [a_line("late")]), *[(ended, ())] * 10]
    asked, lines = rounds_until_the_end(answers)
    assert lines == ["a", "late"]
    assert asked == 6 + QUIET_SECONDS // 2 + 1


def test_a_run_that_has_just_ended_is_waited_for() -> None:
    assert rounds_until_the_end([(a_run(StateType.COMPLETED), ())] * 10)[0] == 1 + QUIET_SECONDS // 2 + 1


def test_a_run_that_begins_again_is_followed_on() -> None:
    answers: list[Answer] = [(a_run(StateType.FAILED), []), (a_run(), []), *[(a_run(StateType.COMPLETED), ())] * 10]
    assert rounds_until_the_end(answers)[0] == 2 + QUIET_SECONDS // 2 + 1


@pytest.mark.parametrize(
    "run",
    [a_run(StateType.FAILED, NOW - timedelta(hours=1)), replace(a_run(), deleted=NOW - timedelta(hours=1))],
    ids=["ended", "deleted"],
)
def test_the_log_of_a_run_that_is_long_over_is_read_once(run: RunView) -> None:
    assert rounds_until_the_end([(run, [a_line("all")])]) == (1, ["all"])


def test_pictures_are_shown_one_in_the_place_of_the_other() -> None:
    out = StringIO()
    show_live(Console(file=out, force_terminal=True), ["first", "second"])
    assert "first" in out.getvalue()
    assert "\x1b[2K" in out.getvalue().partition("second")[0]


def test_times_are_told_in_their_largest_units() -> None:
    assert [length(each) for each in (None, 0.0071, 0.9999, 4.2, 59.99, 63, 3_725, 93_600)] == [
        "", "7ms", "1.0s", "4.2s", "1m 00s", "1m 03s", "1h 02m", "1d 2h"
    ]  # fmt: skip
    agos = [NOW - timedelta(seconds=each) for each in (0, 119, 120, 7_200, 172_800)]
    assert [ago(each, NOW) for each in (None, *agos)] == ["", "0s ago", "119s ago", "2m ago", "2h ago", "2d ago"]
