"""Events and frames as a Prefect server sends them, made or captured; what a test does not name is likely.

The builders return plain JSON objects, a new one with a new id at each call; `frame` and `bare` make bytes of them.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

DATA = Path(__file__).parent / "data"
CAPTURES = ("direct-3.8.8.jsonl", "worker-3.8.8.jsonl")

RUN = UUID("e24e6040-3e4a-4f5e-a82f-53660eff5e35")
FLOW = "prefect.flow.d75a7def-acb0-4581-ac29-5945fc5a25ba"
DEPLOYMENT = "prefect.deployment.50ae0e78-c098-4b7e-bb27-67a780e0ff72"
WORK_QUEUE = "prefect.work-queue.8cf4d8e0-0a39-4b91-9e25-af4ddd9c92af"
WORK_POOL = "prefect.work-pool.f0d03f57-9e15-42b2-b64c-cfc70125cb14"
OCCURRED = datetime(2026, 11, 21, 2, 3, 47, 10932, tzinfo=UTC)

Json = dict[str, Any]

_FIRST_ID = UUID("01a1fbc0-0000-7000-8000-000000000000").int
_serial = count(1)


def transition(
    before: str | None = "PENDING",
    after: str = "RUNNING",
    *,
    name: str | None = None,
    run: UUID = RUN,
    run_count: int | None = 1,
    **fields: Any,
) -> Json:
    """Return the entry of a run into a state type; `name` is the new state's, a further field replaces the event's."""
    state = _state(after, name)
    labels = {
        "prefect.state-message": "",
        "prefect.state-name": state["name"],
        "prefect.state-timestamp": OCCURRED.isoformat(),
        "prefect.state-type": after,
    }
    payload = {
        "intended": {"from": before, "to": after},
        "initial_state": _state(before) if before else None,
        "validated_state": state,
    }
    count_label = {} if run_count is None else {"prefect.run-count": str(run_count)}
    resource = {**flow_run(run), **count_label, **labels}
    return event(f"prefect.flow-run.{state['name']}", resource, **{"payload": payload, **fields})


def heartbeat(run: UUID = RUN, **fields: Any) -> Json:
    """Return a sign of life from the process that runs the flow."""
    return event("prefect.flow-run.heartbeat", {**flow_run(run), "prefect.version": "3.8.8"}, **fields)


def pull_step(step: str = "git_clone", *, failed: bool = False, run: UUID = RUN, **fields: Any) -> Json:
    """Return a step that fetched the flow's code; its resource has no name, as in Prefect."""
    payload = {
        "index": 0,
        "qualified_name": f"prefect.deployments.steps.{step}",
        "step_name": step,
        "id": None,
        "inputs": {},
    }
    name = f"prefect.flow-run.pull-step.{'failed' if failed else 'executed'}"
    return event(name, {"prefect.resource.id": f"prefect.flow-run.{run}"}, **{"payload": payload, **fields})


def verdict(status: str = "zombie", *, run: UUID = RUN, **fields: Any) -> Json:
    """Return our own event that holds a run to be dead, late or alive again."""
    ruling = {
        "status": status,
        "reason": "heartbeat_missing",
        "since": "2026-11-21T02:04:17.010932Z",
        "last_heartbeat": "2026-11-21T02:03:47.010932Z",
        "interval": 30.0,
        "deadline": "2026-11-21T02:05:32.010932Z",
        "state": {"type": "RUNNING", "name": "Running"},
    }
    return event(f"streamer.flow-run.{status}", flow_run(run), **{"payload": {"verdict": ruling}, **fields})


def event(name: str, resource: Mapping[str, Any], /, **fields: Any) -> Json:
    """Return an event of any name about any resource; `id`, `occurred`, `received` and `follows` may be typed."""
    base = {
        "occurred": OCCURRED,
        "event": name,
        "resource": dict(resource),
        "related": [],
        "payload": {},
        "id": UUID(int=_FIRST_ID + next(_serial)),
        "follows": None,
        "received": fields.get("occurred", OCCURRED),
    }
    return {key: _plain(value) for key, value in {**base, **fields}.items()}


def flow_run(run: UUID = RUN, name: str = "loose-quetzal") -> Json:
    """Return the labels that a flow run has as the subject of any event."""
    return {"prefect.resource.id": f"prefect.flow-run.{run}", "prefect.resource.name": name}


def related(role: str, resource: str, *, name: str | None = None, **labels: str) -> Json:
    """Return one entry of `related`; further labels come as `**{"prefect.work-pool.type": "process"}`."""
    entry = {"prefect.resource.id": resource, "prefect.resource.role": role}
    return {**entry, **({"prefect.resource.name": name} if name is not None else {}), **labels}


def tag(text: str) -> Json:
    """Return the entry of one tag."""
    return related("tag", f"prefect.tag.{text}")


def deployed(*tags: str) -> list[Json]:
    """Return what is related to a run of a deployment on a work pool, with these tags."""
    return [
        related("flow", FLOW, name="sleepy"),
        related("deployment", DEPLOYMENT, name="sleepy-nightly"),
        *(tag(text) for text in tags),
        related("work-queue", WORK_QUEUE, name="default"),
        related("work-pool", WORK_POOL, name="local-pool", **{"prefect.work-pool.type": "process"}),
    ]


def edited(original: Json, *path: str | int, to: Any) -> Json:
    """Return a copy in which the value at the path, a key or an index each, is another, or is there at all."""
    copy = deepcopy(original)
    _at(copy, path[:-1])[path[-1]] = to
    return copy


def without(original: Json, *path: str | int) -> Json:
    """Return a copy that lacks what is at the path."""
    copy = deepcopy(original)
    del _at(copy, path[:-1])[path[-1]]
    return copy


def frame(content: Mapping[str, Any]) -> bytes:
    """Return the websocket message of an event, laid out as Prefect's server does it."""
    return bare({"type": "event", "event": content})


def bare(content: Mapping[str, Any]) -> bytes:
    """Return an event alone, as in a REST answer or a file."""
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()


def captured(name: str) -> list[bytes]:
    """Return the messages of a capture, in the order they came."""
    return (DATA / name).read_bytes().splitlines()


def captured_events(*names: str) -> list[Json]:
    """Return the events in captures, in all of them if none is named."""
    return [json.loads(line)["event"] for name in names or CAPTURES for line in captured(name)]


def _state(kind: str, name: str | None = None) -> Json:
    return {"type": kind, "name": kind.capitalize() if name is None else name}


def _plain(value: Any) -> Any:
    """Write times and ids as the server does."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value) if isinstance(value, UUID) else value


def _at(tree: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        tree = tree[step]
    return tree
