"""A run event is what the standard's own client would have made of it."""

from typing import Any
from uuid import UUID

import orjson
import pytest
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage.client.generated.error_message_run import ErrorMessageRunFacet
from openlineage.client.generated.job_type_job import JobTypeJobFacet
from openlineage.client.generated.parent_run import Job as ParentJob
from openlineage.client.generated.parent_run import ParentRunFacet
from openlineage.client.generated.parent_run import Run as ParentRun
from openlineage.client.generated.tags_run import TagsRunFacet, TagsRunFacetFields
from openlineage.client.serde import Serde

from schemas import StateType, decode
from streamer import __version__
from streamer.model import Record
from streamer.sinks.openlineage import run_event
from tests.frames import (
    FLOW,
    OCCURRED,
    RUN,
    Json,
    bare,
    captured_events,
    deployed,
    event,
    flow_run,
    heartbeat,
    pull_step,
    related,
    tag,
    transition,
    verdict,
)

REAL = {each["event"]: each for each in captured_events()}
PRODUCER = f"urn:prefect-streamer:{__version__}"
TASK_RUN = UUID("5dcfc260-f055-46d2-be01-4f6d5c8d5a11")
ETL = related("flow", FLOW, name="etl")


def made(content: Json, namespace: str = "prefect") -> Json | None:
    body = run_event(Record(7, "default", decode(bare(content))), namespace)
    found: Json | None = orjson.loads(body) if body else None
    return found


def kind(before: str | None, after: str, **fields: Any) -> str | None:
    found = made(transition(before, after, related=[ETL], **fields))
    return found["eventType"] if found else None


def facets(content: Json) -> Json:
    found = made(content)
    assert found
    run_facets: Json = found["run"]["facets"]
    return run_facets


def failed(message: str | None, after: str = "FAILED", **fields: Any) -> Json:
    content = transition("RUNNING", after, **{"related": [ETL], **fields})
    content["payload"]["validated_state"]["message"] = message
    return content


def subflow(task_run: str, name: str | None) -> Json:
    return transition(related=[ETL, related("task-run", f"prefect.task-run.{task_run}", name=name)])


def without_empty(tree: Any) -> Any:
    """Return the tree without facets that are not there; the client writes them as empty objects."""
    if isinstance(tree, dict):
        return {key: without_empty(each) for key, each in tree.items() if each != {}}
    return tree


def test_it_is_what_the_client_of_the_standard_makes() -> None:
    parent = related("task-run", f"prefect.task-run.{TASK_RUN}", name="etl-0")
    content = failed("no disk", related=[ETL, parent, tag("prod"), tag("owner:data")])
    tags = [TagsRunFacetFields(key=each, value="true", source="PREFECT") for each in ("prod", "owner:data")]
    job = ParentJob(namespace="ours", name="etl")
    expected = RunEvent(
        eventType=RunState.FAIL,
        eventTime=OCCURRED.isoformat().replace("+00:00", "Z"),
        run=Run(
            runId=str(RUN),
            facets={
                "parent": ParentRunFacet(run=ParentRun(runId=str(TASK_RUN)), job=job, producer=PRODUCER),
                "errorMessage": ErrorMessageRunFacet("no disk", "PYTHON", producer=PRODUCER),
                "tags": TagsRunFacet(tags=tags, producer=PRODUCER),
            },
        ),
        job=Job(
            namespace="ours",
            name="etl",
            facets={"jobType": JobTypeJobFacet("BATCH", "PREFECT", "FLOW", producer=PRODUCER)},
        ),
        producer=PRODUCER,
    )
    assert made(content, "ours") == without_empty(Serde.to_dict(expected))


@pytest.mark.parametrize("content", REAL.values(), ids=REAL)
def test_the_client_takes_what_becomes_of_real_events(content: Json) -> None:
    if found := made(content):
        run, job = Run(runId=found["run"]["runId"]), Job(**found["job"])
        RunEvent(eventType=RunState(found["eventType"]), eventTime=found["eventTime"], run=run, job=job)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("RUNNING", "START"),
        ("COMPLETED", "COMPLETE"),
        ("FAILED", "FAIL"),
        ("CRASHED", "FAIL"),
        ("CANCELLED", "ABORT"),
        ("SCHEDULED", None),
        ("PENDING", None),
        ("PAUSED", None),
        ("CANCELLING", None),
    ],
)
def test_the_type_follows_from_the_state(after: str, expected: str | None) -> None:
    assert kind("PENDING", after) == expected


def test_every_state_type_is_thought_of() -> None:
    known = {each.value: kind("PENDING", each.value) for each in StateType}
    assert len(known) == 9
    assert set(known.values()) == {"START", "COMPLETE", "FAIL", "ABORT", None}


@pytest.mark.parametrize(
    ("before", "run_count", "expected"),
    [
        ("PENDING", 1, "START"),
        ("PENDING", None, "START"),
        ("SCHEDULED", 1, "START"),
        (None, 1, "START"),
        ("SCHEDULED", 2, "RUNNING"),
        ("PENDING", 3, "RUNNING"),
        ("PAUSED", 1, "RUNNING"),
        ("RUNNING", 1, "RUNNING"),
    ],
)
def test_a_run_starts_once(before: str | None, run_count: int | None, expected: str) -> None:
    assert kind(before, "RUNNING", run_count=run_count) == expected


@pytest.mark.parametrize(
    "content",
    [
        heartbeat(related=[ETL]),
        pull_step(related=[ETL]),
        verdict(related=[ETL]),
        event("prefect.flow-run.mine", flow_run(), related=[ETL]),
        transition(related=[]),
    ],
)
def test_what_is_no_transition_of_a_flows_run_is_passed_over(content: Json) -> None:
    assert made(content) is None


def test_a_job_is_the_flow_by_name_else_by_id() -> None:
    named, nameless = made(transition(related=deployed())), made(transition(related=[related("flow", FLOW)]))
    assert named
    assert nameless
    assert (named["job"]["name"], nameless["job"]["name"]) == ("sleepy", FLOW.removeprefix("prefect.flow."))


@pytest.mark.parametrize("after", ["FAILED", "CRASHED"])
def test_a_failure_tells_its_message(after: str) -> None:
    assert facets(failed("no disk", after))["errorMessage"]["message"] == "no disk"


@pytest.mark.parametrize("message", [None, ""])
def test_a_failure_without_a_message_has_no_such_facet(message: str | None) -> None:
    assert facets(failed(message)) == {}


@pytest.mark.parametrize("after", ["COMPLETED", "CANCELLED", "RUNNING"])
def test_a_message_of_another_state_is_no_error(after: str) -> None:
    assert facets(failed("all good", after)) == {}


@pytest.mark.parametrize(
    ("name", "job"),
    [
        ("child-0", "child"),
        ("load-2-17", "load-2"),
        ("sub_in_task-3bf", "sub_in_task"),
        ("child-d75c19b5-003f-469b-abd4-077f1fd9ecb0", "child"),
        ("nightly load", "nightly load"),
        (None, str(TASK_RUN)),
    ],
)
def test_a_parents_job_has_the_same_name_in_every_run(name: str | None, job: str) -> None:
    parent = facets(subflow(str(TASK_RUN), name))["parent"]
    assert parent["run"] == {"runId": str(TASK_RUN)}
    assert parent["job"] == {"namespace": "prefect", "name": job}


def test_a_parent_without_an_id_of_the_standards_kind_is_left_out() -> None:
    assert facets(subflow("nothing", "child-0")) == {}


def test_a_run_event_is_one_line() -> None:
    body = run_event(Record(7, "default", decode(bare(failed("two\nlines")))), "prefect")
    assert body
    assert b"\n" not in body
