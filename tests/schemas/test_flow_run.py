"""Events about flow runs: recognised by content, never by name, and when a run finished."""

import json

import pytest

from schemas import FlowRunEvent, Heartbeat, Kind, PullStep, StateType, Transition, decode
from tests.frames import (
    CAPTURES,
    RUN,
    Json,
    captured,
    edited,
    event,
    flow_run,
    frame,
    heartbeat,
    pull_step,
    transition,
    without,
)

TERMINAL = {StateType.COMPLETED, StateType.FAILED, StateType.CANCELLED, StateType.CRASHED}

NAMED = {
    "Scheduled": "SCHEDULED",
    "Late": "SCHEDULED",
    "AwaitingConcurrencySlot": "SCHEDULED",
    "AwaitingRetry": "SCHEDULED",
    "Pending": "PENDING",
    "Running": "RUNNING",
    "Retrying": "RUNNING",
    "Completed": "COMPLETED",
    "Failed": "FAILED",
    "Crashed": "CRASHED",
    "Cancelled": "CANCELLED",
    "Cancelling": "CANCELLING",
    "Paused": "PAUSED",
    "Suspended": "PAUSED",
}

CUSTOM = [
    "",
    "heartbeat",
    "pull-step.executed",
    "pull-step.failed",
    "All Good (warn)",
    "All Good ✓ 50%",
    "日本 完了",
    "a\u0000b",
    "x" * 1024,
]


def moved(content: Json) -> Transition:
    found = decode(frame(content))
    assert isinstance(found, Transition)
    return found


@pytest.mark.parametrize("kind", StateType)
def test_each_state_type_is_entered(kind: StateType) -> None:
    assert moved(transition("RUNNING", kind)).to_type is kind


@pytest.mark.parametrize("kind", StateType)
def test_each_state_type_is_left(kind: StateType) -> None:
    assert moved(transition(kind, "RUNNING")).from_type is kind


def test_four_state_types_are_terminal() -> None:
    assert {kind for kind in StateType if kind.is_terminal} == TERMINAL


@pytest.mark.parametrize(("name", "kind"), NAMED.items())
def test_each_named_state_has_its_type(name: str, kind: str) -> None:
    found = moved(transition("PENDING", kind, name=name))
    assert (found.to_type, found.after.name) == (kind, name)


@pytest.mark.parametrize("name", CUSTOM)
@pytest.mark.parametrize("kind", ["COMPLETED", "RUNNING"])
def test_a_state_of_any_name_is_a_transition(name: str, kind: str) -> None:
    found = moved(transition("RUNNING", kind, name=name))
    assert (found.to_type, found.after.name, found.name) == (kind, name, f"prefect.flow-run.{name}")


def test_the_captured_custom_state_is_a_transition() -> None:
    names = {each.after.name for each in map(decode, captured(CAPTURES[0])) if isinstance(each, Transition)}
    assert "All Good (warn)" in names


def test_a_captured_message_keeps_unicode_and_line_breaks() -> None:
    messages = [each.after.message or "" for each in map(decode, captured(CAPTURES[0])) if isinstance(each, Transition)]
    assert any("\n" in message and not message.isascii() for message in messages)


@pytest.mark.parametrize("content", [heartbeat(), heartbeat(payload=None), heartbeat(payload={"state": "x"})])
def test_a_heartbeat_carries_no_state(content: Json) -> None:
    assert isinstance(decode(frame(content)), Heartbeat)


def test_a_heartbeat_tells_its_run_and_the_version_of_prefect() -> None:
    found = decode(frame(heartbeat()))
    assert isinstance(found, Heartbeat)
    assert (found.run, found.resource.name, found.resource.sdk_version) == (RUN, "loose-quetzal", "3.8.8")


@pytest.mark.parametrize("name", ["Heartbeat", "heartbeat.", "heartbeats", "pull-step.started", "pull-step", "mine"])
def test_an_event_of_another_name_without_a_state_is_other(name: str) -> None:
    assert decode(frame(event(f"prefect.flow-run.{name}", flow_run()))).kind is Kind.OTHER


@pytest.mark.parametrize("failed", [False, True])
def test_a_pull_step_tells_its_name_and_whether_it_failed(failed: bool) -> None:
    found = decode(frame(pull_step("git_clone", failed=failed)))
    assert isinstance(found, PullStep)
    assert (found.step, found.failed, found.run) == ("git_clone", failed, RUN)


@pytest.mark.parametrize("payload", [None, {}, [], "x", {"step_name": None}, {"step_name": 5}])
def test_a_pull_step_of_another_shape_has_no_name(payload: object) -> None:
    found = decode(frame(pull_step(payload=payload)))
    assert isinstance(found, PullStep)
    assert found.step is None


@pytest.mark.parametrize("content", [transition(), heartbeat(), pull_step()])
def test_every_flow_run_event_has_its_run(content: Json) -> None:
    found = decode(frame(content))
    assert isinstance(found, FlowRunEvent)
    assert found.run == RUN


def test_the_first_transition_has_no_state_before() -> None:
    found = moved(transition(None, "SCHEDULED"))
    assert (found.before, found.from_type) == (None, None)


@pytest.mark.parametrize("path", [("initial_state",), ("intended", "from")])
def test_the_state_before_may_be_left_out(path: tuple[str, ...]) -> None:
    assert moved(without(transition(None, "PENDING"), "payload", *path)).from_type is None


def test_the_type_before_is_known_from_what_was_intended() -> None:
    assert moved(edited(transition("RUNNING", "FAILED"), "payload", "initial_state", to=None)).from_type == "RUNNING"


def test_the_state_before_tells_its_type_first() -> None:
    content = edited(transition("RUNNING", "FAILED"), "payload", "intended", "from", to=None)
    assert moved(content).from_type == "RUNNING"


@pytest.mark.parametrize(("sent", "known"), [("true", True), ("false", False), (True, True), (None, None)])
def test_pause_reschedule_is_read(sent: object, known: bool | None) -> None:
    content = edited(transition("RUNNING", "PAUSED"), "payload", "validated_state", "pause_reschedule", to=sent)
    assert moved(content).after.pause_reschedule is known


def test_pause_reschedule_tells_the_captured_suspended_run_from_the_paused_one() -> None:
    pauses = [each for each in map(decode, captured(CAPTURES[1])) if isinstance(each, Transition)]
    told = {(each.after.name, each.after.pause_reschedule) for each in pauses if each.to_type == "PAUSED"}
    assert told == {("Paused", False), ("Suspended", True)}


@pytest.mark.parametrize(("label", "count"), [("0", 0), ("1", 1), ("2147483647", 2**31 - 1), (3, 3), (None, None)])
def test_the_run_count_is_read(label: object, count: int | None) -> None:
    assert moved(edited(transition(), "resource", "prefect.run-count", to=label)).run_count == count


def test_the_run_count_is_none_before_prefect_3_4_8() -> None:
    assert moved(transition(run_count=None)).run_count is None


@pytest.mark.parametrize("before", [None, *StateType])
@pytest.mark.parametrize("after", StateType)
def test_a_run_finishes_where_it_enters_a_terminal_type_from_another(
    before: StateType | None, after: StateType
) -> None:
    expected = after in TERMINAL and before not in TERMINAL
    assert moved(transition(before, after)).is_finish is expected


@pytest.mark.parametrize(
    ("before", "after"), [("FAILED", "FAILED"), ("CRASHED", "COMPLETED"), ("COMPLETED", "CRASHED")]
)
def test_a_flip_after_the_end_is_no_second_finish(before: str, after: str) -> None:
    assert not moved(transition(before, after)).is_finish


def test_a_finish_from_an_intended_type_alone_is_none_if_that_was_terminal() -> None:
    content = edited(transition("CRASHED", "COMPLETED"), "payload", "initial_state", to=None)
    assert not moved(content).is_finish


def test_every_captured_run_finishes_once() -> None:
    finishes = [
        each.run
        for capture in CAPTURES
        for each in map(decode, captured(capture))
        if isinstance(each, Transition) and each.is_finish
    ]
    assert len(finishes) == len(set(finishes)) == 9 + 6


def test_an_event_s_id_and_follows_are_those_of_states() -> None:
    first = transition(None, "PENDING")
    second = moved(transition("PENDING", "RUNNING", follows=first["id"]))
    assert second.follows == moved(first).id


def test_labels_that_are_no_concern_of_ours_may_be_anything() -> None:
    content = edited(transition(), "resource", "prefect.state-timestamp", to={"no": "time"})
    assert json.loads(moved(content).raw) == content
