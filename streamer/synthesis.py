"""Pure: a run and its states, as the server's REST tells them → the events that should have announced them.

The id of a state is the id of the event that announced it, so that nothing is counted twice should that event come
after all. The JSON is complete, as Prefect's server would send it, but for `received`, which is null.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

Json = Mapping[str, Any]


def events(run: Json, states: Sequence[Json], names: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield a state-change event for each state, oldest first; `names` has those of flow and deployment by id."""
    related, attempt = list(_related(run, names)), 0
    in_order = sorted(states, key=lambda state: (datetime.fromisoformat(state["timestamp"]), state["id"]))
    for before, after in pairwise([None, *in_order]):
        assert after is not None
        attempt += after["type"] == "RUNNING"
        yield _event(run, before, after, {"related": related, "run_count": attempt})


def _event(run: Json, before: Json | None, after: Json, more: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": after["id"],
        "occurred": after["timestamp"],
        "received": None,
        "event": f"prefect.flow-run.{after['name']}",
        "resource": {
            "prefect.resource.id": f"prefect.flow-run.{run['id']}",
            "prefect.resource.name": run["name"],
            "prefect.run-count": str(more["run_count"]),
            "prefect.state-message": after.get("message") or "",
            "prefect.state-name": after["name"],
            "prefect.state-timestamp": after["timestamp"],
            "prefect.state-type": after["type"],
        },
        "related": more["related"],
        "payload": {
            "intended": {"from": before["type"] if before else None, "to": after["type"]},
            "initial_state": _state(before) if before else None,
            "validated_state": _state(after),
        },
        "follows": before["id"] if before else None,
    }


def _state(state: Json) -> dict[str, Any]:
    shown = {"type": state["type"], "name": state["name"]}
    if state.get("message"):
        shown["message"] = state["message"]
    if state["type"] == "PAUSED":
        details = state.get("state_details") or {}
        shown["pause_reschedule"] = str(bool(details.get("pause_reschedule"))).lower()
    return shown


def _related(run: Json, names: Mapping[str, str]) -> Iterator[dict[str, str]]:
    for role, ident, name in (
        ("flow", run.get("flow_id"), names.get(run.get("flow_id") or "")),
        ("deployment", run.get("deployment_id"), names.get(run.get("deployment_id") or "")),
        ("work-queue", run.get("work_queue_id"), run.get("work_queue_name")),
        ("work-pool", run.get("work_pool_id"), run.get("work_pool_name")),
        ("task-run", run.get("parent_task_run_id"), None),
    ):
        if ident:
            resource = {"prefect.resource.id": f"prefect.{role}.{ident}", "prefect.resource.role": role}
            yield {**resource, "prefect.resource.name": name} if name else resource
    for tag in run.get("tags") or ():
        yield {"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"}
