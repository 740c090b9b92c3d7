"""A run is the same whatever the order in which its events came, and however often."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import FlowRunEvent, StateType, Transition, decode
from streamer.model import RunState
from streamer.runs import about_run, advance
from streamer.testing import an_event
from tests.frames import Json, bare, deployed, heartbeat, pull_step, related

RUN = UUID("e24e6040-3e4a-4f5e-a82f-53660eff5e35")
START = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
TYPES = [each.value for each in StateType]

gaps = st.sampled_from([timedelta(microseconds=1), timedelta(seconds=1), timedelta(minutes=7)])


def event(content: Json) -> FlowRunEvent:
    found = decode(orjson.dumps(content))
    assert isinstance(found, FlowRunEvent)
    return found


def at(minute: float, after: str = "RUNNING", **changes: Any) -> FlowRunEvent:
    return event(an_event(run=str(RUN), after=after, occurred=START + timedelta(minutes=minute), **changes))


def about(minute: float, *, name: str | None, relations: Sequence[Json], run_count: int | None) -> FlowRunEvent:
    content = an_event(run=str(RUN), occurred=START + timedelta(minutes=minute), related=list(relations))
    labels = {"prefect.resource.name": name, "prefect.run-count": run_count and str(run_count)}
    content["resource"] = {key: value for key, value in {**content["resource"], **labels}.items() if value}
    return event(content)


def fold(events: Sequence[FlowRunEvent]) -> RunState:
    run = reduce(lambda known, each: advance(known, "default", each), events, None)
    assert run is not None
    return run


@st.composite
def chains(draw: st.DrawFn) -> list[FlowRunEvent]:
    """Draw transitions as they happened; one may share the instant of that before it, and then says whom it follows."""
    chain: list[FlowRunEvent] = []
    moment, may_share = START, False
    for number, after in enumerate(draw(st.lists(st.sampled_from(TYPES), max_size=7))):
        shares = may_share and draw(st.booleans())
        moment += timedelta() if shares else draw(gaps)
        follows = str(chain[-1].id) if shares or (chain and draw(st.booleans())) else None
        content = an_event(run=str(RUN), after=after, occurred=moment, follows=follows)
        content["resource"]["prefect.run-count"] = str(number)
        chain.append(event(content))
        may_share = not shares
    return chain


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[FlowRunEvent], list[FlowRunEvent]]:
    """Draw a history, and the same events in any order with some of them again."""
    history = draw(chains().filter(bool))
    again = draw(st.lists(st.sampled_from(history), max_size=5))
    return history, draw(st.permutations([*history, *again]))


@settings(deadline=None)
@given(arrivals())
def test_the_run_is_what_a_look_at_its_whole_history_says(both: tuple[list[FlowRunEvent], list[FlowRunEvent]]) -> None:
    history, arrived = both
    run, moves = fold(arrived), [each for each in history if isinstance(each, Transition)]
    last = moves[-1] if moves else None
    assert (run.state_id, run.state_type) == (last and last.id, last and last.to_type)
    assert (run.state_at, run.run_count) == (last and last.occurred, last and last.run_count)
    assert run.ended_at == (last.occurred if last and last.to_type.is_terminal else None)
    assert run.started_at == min((each.occurred for each in moves if each.to_type is StateType.RUNNING), default=None)
    assert run.seen_at == min(each.occurred for each in history)


@settings(deadline=None)
@given(arrivals())
def test_the_run_is_the_same_in_any_order_and_with_repetitions(
    both: tuple[list[FlowRunEvent], list[FlowRunEvent]],
) -> None:
    history, arrived = both
    assert fold(arrived) == fold(history)


@settings(deadline=None)
@given(arrivals())
def test_the_shown_state_never_goes_back(both: tuple[list[FlowRunEvent], list[FlowRunEvent]]) -> None:
    _, arrived = both
    shown = [fold(arrived[:count]).state_at for count in range(1, len(arrived) + 1)]
    known = [moment for moment in shown if moment]
    assert known == sorted(known)
    assert shown[len(shown) - len(known) :] == known


def test_a_late_failure_does_not_take_back_a_completion() -> None:
    run = fold([at(2, "COMPLETED"), at(1, "FAILED")])
    assert (run.state_type, run.ended_at) == (StateType.COMPLETED, START + timedelta(minutes=2))


def test_a_run_that_is_retried_has_not_ended() -> None:
    assert fold([at(1, "FAILED"), at(2, "SCHEDULED")]).ended_at is None


def test_the_state_that_follows_the_shown_one_at_the_same_instant_is_shown() -> None:
    first = at(1, "PENDING")
    second = at(1, "RUNNING", follows=str(first.id))
    assert fold([first, second]).state_id == fold([second, first]).state_id == second.id


def test_a_second_start_does_not_move_the_first() -> None:
    assert fold([at(1), at(2, "SCHEDULED"), at(3)]).started_at == START + timedelta(minutes=1)


def test_a_heartbeat_changes_no_run() -> None:
    assert about_run(decode(bare(heartbeat(RUN, occurred=START)))) is None


@pytest.mark.parametrize("late", [1, 3])
def test_what_an_event_does_not_tell_stays_known(late: int) -> None:
    told = about(2, name="loose-quetzal", relations=deployed("prod"), run_count=2)
    run = fold([told, about(late, name=None, relations=[], run_count=None)])
    assert (run.name, run.run_count, run.tags) == ("loose-quetzal", 2, ("prod",))
    assert all((run.flow, run.deployment, run.work_pool, run.work_queue))


def test_an_older_event_fills_what_was_unknown() -> None:
    told = about(1, name="loose-quetzal", relations=deployed("prod"), run_count=2)
    run = fold([about(2, name=None, relations=[], run_count=None), told])
    assert run.state_at == START + timedelta(minutes=2)
    assert (run.name, run.run_count, run.tags) == ("loose-quetzal", 2, ("prod",))
    assert all((run.flow, run.deployment, run.work_pool, run.work_queue))


def test_an_older_event_overwrites_nothing() -> None:
    other = [related("flow", "prefect.flow.other"), related("deployment", "prefect.deployment.other")]
    known = about(2, name="loose-quetzal", relations=deployed("prod"), run_count=2)
    older = about(1, name="its old name", relations=other, run_count=1)
    assert fold([known, older]) == fold([older, known])


def test_a_late_pull_step_overwrites_nothing() -> None:
    known = about(2, name="loose-quetzal", relations=deployed("prod"), run_count=1)
    step = event(pull_step(run=RUN, occurred=START.isoformat(), related=[related("flow", "prefect.flow.other")]))
    run = fold([known, step])
    assert (run.flow, run.seen_at) == (fold([known]).flow, START)
