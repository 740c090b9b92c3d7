"""Whatever happens, in whatever order it is heard of: nothing is said twice, and what a naive eye sees goes on."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import Alert, Event
from streamer.alerts.engine import Engine
from streamer.alerts.facts import Group, Key
from streamer.alerts.silences import Silence
from streamer.model import Record
from streamer.routing import Criteria
from tests.alerts.stories import at, moved, rule

LONGEST = 5_000
"""Steps; stories are of 120 minutes, and a rule says something again every 5 at the most."""

KINDS: dict[str, dict[str, Any]] = {
    "transition": {"match": {"states": ["FAILED", "CRASHED"]}},
    "failures": {"count": 2},
    "failure_rate": {"percent": 40, "within": "15m", "least": 2},
    "no_success": {"within": "20m", "forget": "45m"},
    "held": {"states": ["PENDING"], "longer": "10m"},
}
BURSTS = {"count": 2, "within": "12m"}


class Step(NamedTuple):
    """What happens: an event, or at a minute nothing but time, or that somebody wants to be left alone."""

    minute: int
    event: Event | None = None
    silence: Silence | None = None


@st.composite
def rules(draw: st.DrawFn) -> Any:
    on = draw(st.sampled_from(list(KINDS)))
    fields = dict(draw(st.sampled_from([KINDS[on], BURSTS]))) if on == "failures" else dict(KINDS[on])
    fields["group"] = draw(st.sampled_from(["deployment", "run", "all"]))
    if draw(st.booleans()):
        fields["repeat"] = draw(st.sampled_from(["5m", "30m"]))
    if on != "no_success" and draw(st.booleans()):
        fields["resolve_after"] = draw(st.sampled_from(["3m", "40m"]))
    if draw(st.booleans()):
        fields["quiet"] = draw(st.sampled_from([["12:10-12:30"], ["12:20-12:40", "12:30-13:10"], ["Sat"]]))
    return rule(on, **fields)


@st.composite
def events(draw: st.DrawFn, minute: int) -> Event:
    state = draw(st.sampled_from(["PENDING", "RUNNING", "FAILED", "CRASHED", "COMPLETED", "COMPLETED"]))
    run, deployment = draw(st.sampled_from([("a", "x"), ("b", "x"), ("c", "y")]))
    return moved(minute, run, state, deployment=deployment)


@st.composite
def stories(draw: st.DrawFn, *, in_order: bool = False) -> list[Step]:
    """Minutes in order, in which events are heard of that occurred then, or some time before."""
    steps: list[Step] = []
    for minute in sorted(
        draw(st.lists(st.integers(0, 120), min_size=0 if in_order else 8, max_size=25, unique=in_order))
    ):
        what = draw(st.sampled_from(["event"] if in_order else ["event", "event", "event", "time", "silence"]))
        if what == "event":
            late = 0 if in_order else draw(st.sampled_from([0, 0, 5, 30, 90]))
            steps.append(Step(minute, event=draw(events(minute - late))))
        elif what == "silence":
            ends = at(minute + draw(st.integers(1, 60)))
            silence = Silence(id=UUID(int=minute), match=Criteria(), begins=at(minute), ends=ends)
            steps.append(Step(minute, silence=silence))
        else:
            steps.append(Step(minute))
    return [*steps, Step(130)]


def restarted(engine: Engine, minute: int) -> Engine:
    kept = {key: group.model_dump_json() for key, group in engine._groups.items()}
    again = Engine(engine.rules, {key: Group.model_validate_json(body) for key, body in kept.items()})
    again.forget_old(at(minute))
    again.silences = engine.silences
    return again


def replayed(
    rule: Any, steps: Sequence[Step], *, restarts: Iterable[int] = ()
) -> tuple[list[tuple[Key, Alert]], Engine]:
    engine, said, restarting = Engine({"rule": rule}), list[Alert](), set(restarts)
    for seq, step in enumerate(steps, 1):
        if step.silence:
            engine.silence([*engine.silences, step.silence], at(step.minute))
        if step.event:
            engine.take(Record(seq, "default", step.event))
        assert not engine.pass_time(at(step.minute), steps=LONGEST), "time never ends"
        due = engine.due()
        assert due is None or due > at(step.minute)
        said += [alert for _, alert in engine.changes().alerts]
        if seq in restarting:
            engine = restarted(engine, step.minute)
    return [(Key("rule", "default", each.situation.group), each) for each in said], engine


checked = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@checked
@given(rules(), stories())
def test_an_incident_is_said_to_fire_then_to_be_over_and_the_next_of_its_group_comes_after(
    rule: Any, steps: list[Step]
) -> None:
    said, engine = replayed(rule, steps)
    said = once(said, may_be_found_again=rule.on == "no_success")
    goes_on = {key: incident.id for key, incident in engine.firing() if incident.announced}
    for key in {key for key, _ in said}:
        alerts = [alert.situation for each, alert in said if each == key]
        incidents = [list(some) for _, some in groupby(alerts, key=lambda each: each.incident)]
        assert len({some[0].incident for some in incidents}) == len(incidents), "one that is over goes on"
        for some in incidents:
            *firing, last = some
            is_over = last.status == "resolved"
            firing = firing if is_over else some
            assert [each.number for each in firing] == list(range(len(firing)))
            assert {each.status for each in firing} == {"firing"}
            assert is_over or goes_on[key] == last.incident
        assert len([some for some in incidents if some[-1].status == "firing"]) == (key in goes_on)


def once(said: Sequence[tuple[Key, Alert]], *, may_be_found_again: bool) -> list[tuple[Key, Alert]]:
    """Return what the log has of this: what was begun and given up by the same times is the same to it."""
    kept: dict[UUID, tuple[Key, Alert]] = {}
    for key, alert in said:
        before = kept.setdefault(alert.id, (key, alert))[1]
        assert before is alert or may_be_found_again
        assert (before.situation.since, before.situation.until) == (alert.situation.since, alert.situation.until)
    return list(kept.values())


@checked
@given(rules(), stories())
def test_nothing_is_over_before_it_began(rule: Any, steps: list[Step]) -> None:
    for _, alert in replayed(rule, steps)[0]:
        assert alert.occurred >= alert.situation.since
        assert (alert.situation.until or alert.occurred) == alert.occurred


@checked
@given(rules(), stories(), st.sets(st.integers(1, 26)))
def test_a_restart_at_any_point_says_the_same(rule: Any, steps: list[Step], restarts: set[int]) -> None:
    assert replayed(rule, steps, restarts=restarts)[0] == replayed(rule, steps)[0]


def fails(events: Sequence[Event]) -> bool:
    """Tell whether the last run that ended did not complete."""
    ends = [each.to_type for each in events if each.to_type in ("FAILED", "CRASHED", "COMPLETED")]  # type: ignore[attr-defined]
    return bool(ends) and ends[-1] != "COMPLETED"


def keeps_failing(events: Sequence[Event]) -> bool:
    ends = [each for each in events if each.to_type in ("FAILED", "CRASHED", "COMPLETED")]  # type: ignore[attr-defined]
    return len(ends) > 1 and fails(ends) and fails(ends[:-1])


def waits(events: Sequence[Event]) -> bool:
    """Tell whether a run came to PENDING more than 10 minutes before the end, and has stayed there."""
    since: dict[Any, Any] = {}
    for each in events:
        if each.to_type == "PENDING":  # type: ignore[attr-defined]
            since.setdefault(each.run_id, each.occurred)
        else:
            since.pop(each.run_id, None)
    return any(each <= at(120) for each in since.values())


@pytest.mark.parametrize(
    ("on", "fields", "is_so"),
    [("transition", {}, fails), ("failures", {"count": 2}, keeps_failing), ("held", KINDS["held"], waits)],
)
@checked
@given(steps=stories(in_order=True))
def test_at_the_end_there_goes_on_what_a_naive_eye_sees(
    on: str, fields: dict[str, Any], is_so: Any, steps: list[Step]
) -> None:
    _, engine = replayed(rule(on, **{"group": "all", **fields}), steps)
    assert bool(list(engine.firing())) == is_so([step.event for step in steps if step.event])


@checked
@given(stories(in_order=True), st.randoms())
def test_in_what_order_events_are_heard_of_does_not_matter_in_the_end(steps: list[Step], random: Random) -> None:
    events = [step.event for step in steps if step.event]
    heard = random.sample(events, len(events))
    _, engine = replayed(rule("transition", group="all"), [Step(130, event=event) for event in heard])
    assert bool(list(engine.firing())) == fails(events)
