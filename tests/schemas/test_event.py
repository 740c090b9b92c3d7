"""The envelope: times, what is related to an event and in which role, and `raw` of an event made here."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from pydantic import ValidationError

from schemas import Event, InvalidEvent, Party, Reason, RelatedResource, Transition, decode
from tests.frames import (
    CAPTURES,
    DEPLOYMENT,
    FLOW,
    OCCURRED,
    RUN,
    WORK_POOL,
    WORK_QUEUE,
    Json,
    captured,
    deployed,
    edited,
    event,
    flow_run,
    frame,
    heartbeat,
    related,
    tag,
    transition,
    without,
)

AUTOMATION = "prefect.automation.7f0a3d0c-5f55-4f6e-8a0f-0c4d1f5d7a11"
TASK_RUN = "prefect.task-run.0b0e5cb0-6a83-4a4c-a1e8-4cf1c4a4a0b1"


def ident(resource: str) -> str:
    return resource.split(".", 2)[2]


def with_related(*entries: Json) -> Event:
    return decode(frame(transition(related=list(entries))))


@pytest.mark.parametrize(
    ("role", "party"),
    [
        ("flow", Party("flow", ident(FLOW), "sleepy")),
        ("deployment", Party("deployment", ident(DEPLOYMENT), "sleepy-nightly")),
        ("work_queue", Party("work-queue", ident(WORK_QUEUE), "default")),
        ("work_pool", Party("work-pool", ident(WORK_POOL), "local-pool", "process")),
        ("task_run", None),
        ("creator", None),
    ],
)
def test_a_deployed_run_s_parties(role: str, party: Party | None) -> None:
    assert getattr(with_related(*deployed("prod")), role) == party


def test_without_related_resources_there_are_no_parties() -> None:
    found = decode(frame(without(transition(), "related")))
    assert (found.parties, found.tags) == ({}, ())


def test_a_subflow_names_the_task_run_that_started_it() -> None:
    found = with_related(related("task-run", TASK_RUN, name="child-0"))
    assert found.task_run == Party("task-run", ident(TASK_RUN), "child-0")


@pytest.mark.parametrize("resource", [DEPLOYMENT, AUTOMATION])
def test_a_creator_is_a_deployment_or_an_automation(resource: str) -> None:
    found = with_related(related("creator", resource, name="nightly"))
    assert found.creator == Party(resource.split(".")[1], ident(resource), "nightly")


def test_one_deployment_in_two_roles_is_found_in_both() -> None:
    found = with_related(related("deployment", DEPLOYMENT, name="nightly"), related("creator", DEPLOYMENT))
    assert (found.deployment, found.creator) == (
        Party("deployment", ident(DEPLOYMENT), "nightly"),
        Party("deployment", ident(DEPLOYMENT)),
    )


def test_of_several_in_one_role_the_first_counts() -> None:
    found = with_related(related("flow", FLOW, name="first"), related("flow", "prefect.flow.2", name="second"))
    assert found.flow == Party("flow", ident(FLOW), "first")


def test_a_work_pool_without_a_type_has_none() -> None:
    assert with_related(related("work-pool", WORK_POOL)).work_pool == Party("work-pool", ident(WORK_POOL))


def test_a_captured_heartbeat_s_deployment_has_no_name() -> None:
    beats = [found for found in map(decode, captured(CAPTURES[1])) if found.kind == "heartbeat" and found.deployment]
    assert {found.deployment and found.deployment.name for found in beats} == {None}


@pytest.mark.parametrize(
    "text", ["prod", "owner:data-team", "v1.2.3", "a.b:c.d", "…", "日本 完了", " ", "prefect.tag.x"]
)
def test_a_tag_is_free_text(text: str) -> None:
    assert with_related(tag(text)).tags == (text,)


def test_tags_keep_their_order_and_their_doubles() -> None:
    assert with_related(tag("b"), tag("a"), tag("b")).tags == ("b", "a", "b")


def test_tags_are_no_parties() -> None:
    assert with_related(tag("a")).parties == {}


def test_thousands_of_related_resources_are_accepted() -> None:
    found = with_related(*(tag(str(number)) for number in range(3000)), related("flow", FLOW))
    assert (len(found.related), found.flow) == (3001, Party("flow", ident(FLOW)))


@pytest.mark.parametrize("resource", ["", "x", "x.y", "prefect.flow", "prefect.flow.", "…"])
def test_a_related_id_of_another_shape_is_kept_whole(resource: str) -> None:
    flow = with_related(related("flow", resource)).flow
    assert flow is not None
    assert flow.id == resource


@pytest.mark.parametrize("label", ["prefect.resource.id", "prefect.resource.role"])
def test_a_related_resource_without_role_or_id_is_refused(label: str) -> None:
    content = without(transition(related=[tag("a"), related("flow", FLOW)]), "related", 1, label)
    with pytest.raises(InvalidEvent) as caught:
        decode(frame(content))
    assert (caught.value.reason, caught.value.detail) == (Reason.SCHEMA, f"related.1.{label}: Field required")


def test_times_keep_their_microseconds() -> None:
    found = decode(frame(heartbeat(received=OCCURRED + timedelta(microseconds=1))))
    assert (found.occurred, found.received) == (OCCURRED, OCCURRED + timedelta(microseconds=1))


@pytest.mark.parametrize(
    "text", ["2026-11-21T02:03:47.5Z", "2026-11-21T02:03:47.5+00:00", "2026-11-21T03:33:47.500+01:30"]
)
def test_a_time_may_be_written_in_any_zone(text: str) -> None:
    expected = datetime(2026, 11, 21, 2, 3, 47, 500_000, tzinfo=UTC)
    assert decode(frame(heartbeat(occurred=text))).occurred == expected


@pytest.mark.parametrize("key", ["received", "follows", "payload"])
def test_what_an_event_need_not_have_is_none(key: str) -> None:
    left_out, null = without(heartbeat(), key), edited(heartbeat(), key, to=None)
    assert [getattr(decode(frame(content)), key) for content in (left_out, null)] == [None, None]


def test_an_event_about_a_run_has_its_id() -> None:
    assert decode(frame(event("mine", flow_run()))).run_id == RUN


@pytest.mark.parametrize("resource", ["x", "prefect.flow-run.x", "prefect.flow-run.", f"prefect.task-run.{RUN}"])
def test_an_event_about_something_else_has_no_run_id(resource: str) -> None:
    assert decode(frame(event("mine", {"prefect.resource.id": resource}))).run_id is None


def test_an_event_cannot_be_changed() -> None:
    found = decode(frame(heartbeat()))
    with pytest.raises(ValidationError):
        found.id = UUID(int=0)  # type: ignore[misc]


@pytest.mark.parametrize("content", [transition(related=deployed("a.b:c")), heartbeat(follows=RUN)])
def test_an_event_made_here_is_decoded_from_its_raw_again(content: Json) -> None:
    original = decode(frame(content))
    made = type(original).model_validate(original.model_dump(by_alias=True), strict=False)
    assert decode(made.raw) == original


def test_a_related_resource_keeps_its_type() -> None:
    found = with_related(*deployed())
    assert isinstance(found, Transition)
    assert all(isinstance(entry, RelatedResource) for entry in found.related)
