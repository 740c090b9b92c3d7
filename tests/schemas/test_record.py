"""The record: the documented shape, and what each kind adds to it."""

from typing import Any

import orjson
import pytest

from schemas import decode, downstream
from schemas.record import RecordBody
from tests.frames import (
    CAPTURES,
    DEPLOYMENT,
    RUN,
    Json,
    captured,
    deployed,
    edited,
    event,
    flow_run,
    frame,
    heartbeat,
    pull_step,
    related,
    transition,
    verdict,
)

COMMON = [
    "seq",
    "id",
    "source",
    "kind",
    "event",
    "occurred",
    "received",
    "follows",
    "flow_run",
    "flow",
    "deployment",
    "work_pool",
    "work_queue",
    "task_run",
    "creator",
    "tags",
]

EACH = [transition(), heartbeat(), pull_step(), verdict(), event("user.x", {"prefect.resource.id": "x"})]


def record(content: Json) -> Json:
    """Return the record as a consumer reads it."""
    found: Json = orjson.loads(orjson.dumps(downstream(17, "default", decode(frame(content))), option=orjson.OPT_UTC_Z))
    return found


def test_a_transition_s_record_is_as_documented() -> None:
    content = transition(None, "SCHEDULED", run_count=0, related=deployed("owner:data-team", "prod"))
    assert record({**content, "received": "2026-11-21T02:03:47.020489Z"}) == {
        "seq": 17,
        "id": content["id"],
        "source": "default",
        "kind": "transition",
        "event": "prefect.flow-run.Scheduled",
        "occurred": "2026-11-21T02:03:47.010932Z",
        "received": "2026-11-21T02:03:47.020489Z",
        "follows": None,
        "flow_run": {"id": str(RUN), "name": "loose-quetzal", "run_count": 0},
        "flow": {"id": "d75a7def-acb0-4581-ac29-5945fc5a25ba", "name": "sleepy"},
        "deployment": {"id": "50ae0e78-c098-4b7e-bb27-67a780e0ff72", "name": "sleepy-nightly"},
        "work_pool": {"id": "f0d03f57-9e15-42b2-b64c-cfc70125cb14", "name": "local-pool", "type": "process"},
        "work_queue": {"id": "8cf4d8e0-0a39-4b91-9e25-af4ddd9c92af", "name": "default"},
        "task_run": None,
        "creator": None,
        "tags": ["owner:data-team", "prod"],
        "from": None,
        "to": {"type": "SCHEDULED", "name": "Scheduled", "message": None},
    }


@pytest.mark.parametrize(
    ("content", "own"),
    [
        (transition(), ["from", "to"]),
        (heartbeat(), []),
        (pull_step(), ["pull_step"]),
        (verdict(), ["verdict"]),
        (event("prefect.flow-run.mine", flow_run()), []),
    ],
)
def test_each_kind_adds_its_own_keys_in_the_documented_order(content: Json, own: list[str]) -> None:
    assert list(record(content)) == COMMON + own


def test_a_transition_tells_the_states_it_went_between() -> None:
    content = edited(transition("RUNNING", "FAILED"), "payload", "validated_state", "message", to="no\nluck")
    found = record(content)
    assert (found["from"], found["to"]) == (
        {"type": "RUNNING", "name": "Running", "message": None},
        {"type": "FAILED", "name": "Failed", "message": "no\nluck"},
    )


def test_a_record_tells_what_it_follows() -> None:
    assert record(transition(follows=RUN))["follows"] == str(RUN)


def test_a_record_of_an_event_the_server_never_stamped_has_no_received() -> None:
    assert record(transition(received=None))["received"] is None


@pytest.mark.parametrize("failed", [False, True])
def test_a_pull_step_tells_its_name_and_whether_it_failed(failed: bool) -> None:
    assert record(pull_step("git_clone", failed=failed))["pull_step"] == {"name": "git_clone", "failed": failed}


def test_a_verdict_tells_its_ruling() -> None:
    assert record(verdict())["verdict"] == {
        "status": "zombie",
        "reason": "heartbeat_missing",
        "since": "2026-11-21T02:04:17.010932Z",
        "last_heartbeat": "2026-11-21T02:03:47.010932Z",
        "interval": 30.0,
        "deadline": "2026-11-21T02:05:32.010932Z",
        "state": {"type": "RUNNING", "name": "Running", "message": None, "pause_reschedule": None},
        "run_count": None,
        "incident": None,
        "action": None,
        "result": None,
    }


@pytest.mark.parametrize("content", [heartbeat(), pull_step(), verdict()])
def test_only_a_transition_has_a_run_count(content: Json) -> None:
    assert record(content)["flow_run"]["run_count"] is None


def test_an_event_that_is_not_ours_has_no_flow_run() -> None:
    assert record(event("user.x", {"prefect.resource.id": "x"}))["flow_run"] is None


def test_a_creator_tells_what_it_is() -> None:
    found = record(transition(related=[related("creator", DEPLOYMENT, name="nightly")]))
    assert found["creator"] == {"id": DEPLOYMENT.split(".")[2], "name": "nightly", "type": "deployment"}


def test_a_parent_task_run_is_told() -> None:
    found = record(transition(related=[related("task-run", "prefect.task-run.7", name="child-0")]))
    assert found["task_run"] == {"id": "7", "name": "child-0"}


@pytest.mark.parametrize("content", EACH)
def test_the_record_of_each_kind_is_a_record_body(content: Json) -> None:
    assert RecordBody.model_validate(record(content)).kind == decode(frame(content)).kind


@pytest.mark.parametrize("capture", CAPTURES)
def test_every_captured_event_s_record_is_a_record_body(capture: str) -> None:
    bodies = [
        RecordBody.model_validate(downstream(seq, "default", decode(line)))
        for seq, line in enumerate(captured(capture))
    ]
    assert [body.seq for body in bodies] == list(range(len(captured(capture))))


@pytest.mark.parametrize("change", [{"new": 1}, {"seq": "x"}, {"occurred": "2026-11-21T02:03:47"}, {"kind": "odd"}])
def test_a_record_body_is_no_more_than_is_documented(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="1 validation error"):
        RecordBody.model_validate({**record(transition()), **change})
