"""OpenLineage 2-0-2: a run event for each transition of a flow run that the standard's run cycle knows.

The standard asks for one START and one end per run id, so that what follows a first RUNNING state (a retry, a paused
run that goes on) is a RUNNING. That a run waits, pauses or is being cancelled is passed over: OTHER stands for metadata
outside of the cycle, and a backend such as Marquez would show the run as running.
"""

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson

from schemas import Party, StateType, Transition
from streamer import __version__
from streamer.model import Record

NAMESPACE = "prefect"
_PRODUCER = f"urn:prefect-streamer:{__version__}"
_SPEC = "https://openlineage.io/spec"
_ENDS = {
    StateType.COMPLETED: "COMPLETE",
    StateType.FAILED: "FAIL",
    StateType.CRASHED: "FAIL",
    StateType.CANCELLED: "ABORT",
}
_DYNAMIC_KEY = re.compile(r"-(\d+|[0-9a-f]{3}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$")
"""How Prefect tells the runs of one task apart: `task-0`, `task-3bf` (prefect/tasks.py, `create_run`)."""

Json = dict[str, Any]


def run_event(record: Record, namespace: str) -> bytes | None:
    """Return the run event on one line; None for what the run cycle has no word for, or when the flow is not known."""
    event = record.event
    if not isinstance(event, Transition) or not event.flow or not (kind := _event_type(event)):
        return None
    return orjson.dumps(
        {
            "eventType": kind,
            "eventTime": event.occurred,
            "run": {"runId": event.run, "facets": _run_facets(event, namespace)},
            "job": {"facets": _job_facets(), **_job(namespace, event.flow.name or event.flow.id)},
            "inputs": [],
            "outputs": [],
            "producer": _PRODUCER,
            "schemaURL": f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent",
        },
        option=orjson.OPT_UTC_Z,
    )


def _event_type(event: Transition) -> str | None:
    if event.to_type is not StateType.RUNNING:
        return _ENDS.get(event.to_type)
    again = (event.run_count or 1) > 1 or event.from_type in (StateType.RUNNING, StateType.PAUSED)
    return "RUNNING" if again else "START"


def _run_facets(event: Transition, namespace: str) -> Mapping[str, Json]:
    found = {}
    if parent := _parent(event.task_run, namespace):
        found["parent"] = parent
    if _ENDS.get(event.to_type) == "FAIL" and event.after.message:
        message = {"message": event.after.message, "programmingLanguage": "PYTHON"}
        found["errorMessage"] = _facet("1-0-1/ErrorMessageRunFacet", **message)
    if event.tags:
        tags = [{"key": tag, "value": "true", "source": "PREFECT"} for tag in event.tags]
        found["tags"] = _facet("1-0-0/TagsRunFacet", tags=tags)
    return found


def _parent(task_run: Party | None, namespace: str) -> Json | None:
    """Return the facet of a subflow: its parent is the task run that stands for it in the flow that called it."""
    if not task_run or not (run := _uuid(task_run.id)):
        return None
    name = _DYNAMIC_KEY.sub("", task_run.name or "") or task_run.id
    return _facet("1-2-0/ParentRunFacet", run={"runId": run}, job=_job(namespace, name))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _job_facets() -> Mapping[str, Json]:
    return {
        "jobType": _facet("2-0-4/JobTypeJobFacet", processingType="BATCH", integration="PREFECT", jobType="FLOW"),
    }


def _job(namespace: str, name: str) -> Json:
    return {"namespace": namespace, "name": name}


def _facet(schema: str, **content: Any) -> Json:
    name = schema.partition("/")[2]
    return {"_producer": _PRODUCER, "_schemaURL": f"{_SPEC}/facets/{schema}.json#/$defs/{name}", **content}
