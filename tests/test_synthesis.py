"""Events made of runs and states (against the real server's own: tests/end_to_end/test_states.py)."""

from typing import Any
from uuid import uuid4

import orjson

from schemas import StateType, Transition, decode
from streamer.synthesis import events

RUN = {
    "id": str(uuid4()),
    "name": "loose-quetzal",
    "flow_id": "f1",
    "deployment_id": "d1",
    "work_queue_id": "q1",
    "work_queue_name": "default",
    "work_pool_id": "p1",
    "work_pool_name": "local",
    "parent_task_run_id": None,
    "tags": ["prod", "owner:data.team"],
}
NAMES = {"f1": "etl", "d1": "nightly"}


def state(second: int, kind: str, name: str | None = None, **more: Any) -> dict[str, Any]:
    moment = f"2026-11-21T02:00:{second:02}.000001Z"
    return {"id": str(uuid4()), "type": kind, "name": name or kind.capitalize(), "timestamp": moment, **more}


def made(*states: dict[str, Any]) -> list[Transition]:
    found = [decode(orjson.dumps(event)) for event in events(RUN, states, NAMES)]
    assert all(isinstance(event, Transition) for event in found)
    return [event for event in found if isinstance(event, Transition)]


def test_each_state_follows_the_one_before_whatever_their_order() -> None:
    first, second, third = state(1, "PENDING"), state(2, "RUNNING"), state(3, "FAILED", message="no disk")
    found = made(third, first, second)
    assert [str(event.id) for event in found] == [first["id"], second["id"], third["id"]]
    assert [str(event.follows) for event in found] == ["None", first["id"], second["id"]]
    assert [(event.from_type, event.to_type) for event in found] == [
        (None, StateType.PENDING),
        (StateType.PENDING, StateType.RUNNING),
        (StateType.RUNNING, StateType.FAILED),
    ]
    assert found[2].after.message == "no disk"


def test_attempts_are_counted_as_the_run_begins_them() -> None:
    states = (state(1, "PENDING"), state(2, "RUNNING"), state(3, "SCHEDULED", "AwaitingRetry"), state(4, "RUNNING"))
    assert [event.run_count for event in made(*states)] == [0, 1, 1, 2]


def test_pause_tells_whether_the_process_waits() -> None:
    suspended = state(1, "PAUSED", "Suspended", state_details={"pause_reschedule": True})
    assert [event.after.pause_reschedule for event in made(suspended, state(2, "PAUSED"))] == [True, False]


def test_what_the_run_belongs_to_is_named() -> None:
    (event,) = made(state(1, "PENDING"))
    named = {role: (party.id, party.name) for role, party in event.parties.items()}
    assert named == {
        "flow": ("f1", "etl"),
        "deployment": ("d1", "nightly"),
        "work-queue": ("q1", "default"),
        "work-pool": ("p1", "local"),
    }
    assert event.tags == ("prod", "owner:data.team")
    assert event.received is None
