"""Which records a sink wants, and why it does not want one."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
import pytest
from pydantic import ValidationError

from schemas import decode, notices
from streamer.model import Record
from streamer.routing import Criteria, Route, Routed, Routing
from streamer.testing import an_event


def related(role: str, ident: str, name: str | None = None) -> dict[str, str]:
    labels = {"prefect.resource.id": f"prefect.{role}.{ident}", "prefect.resource.role": role}
    return labels | ({"prefect.resource.name": name} if name else {})


RELATED = [
    related("flow", "f1", "etl"),
    related("deployment", "d1", "nightly"),
    related("work-pool", "p1", "machines"),
    related("work-queue", "q1", "urgent"),
    related("tag", "prod"),
    related("tag", "team:data"),
]


def failed(**changes: Any) -> Record:
    """Return that a run failed, in its second attempt."""
    event = an_event(before="RUNNING", after="FAILED", related=RELATED, **changes)
    event["resource"]["prefect.run-count"] = "2"
    return Record(1, "default", decode(orjson.dumps(event)))


def test_criteria_that_are_like_others_ask_what_is_theirs() -> None:
    asked = Criteria(states=("COMPLETED",))
    assert asked.unmet(failed()) == "states: FAILED"
    assert asked.but(states=()).unmet(failed()) is None


def noticed() -> Record:
    return Record(2, "default", notices.deleted("default", uuid4(), occurred=datetime.now(UTC)))


MET: list[dict[str, Any]] = [
    {},
    {"kinds": ["transition"]},
    {"sources": ["def*"]},
    {"flows": ["e?l"]},
    {"flows": ["f1"]},
    {"deployments": ["hourly", "nightly"]},
    {"work_pools": ["machines"]},
    {"work_queues": ["urgent"]},
    {"tags_any": ["dev", "prod"]},
    {"tags_all": ["prod", "team:*"]},
    {"tags_none": ["dev"]},
    {"states": ["FAILED", "CRASHED"]},
    {"state_names": ["Fail*"]},
    {"from_states": ["RUNNING"]},
    {"min_run_count": 2},
    {"max_run_count": 2},
    {"flows": ["etl"], "states": ["FAILED"], "tags_any": ["prod"]},
]
UNMET: list[tuple[dict[str, Any], str]] = [
    ({"kinds": ["heartbeat"]}, "kinds: transition"),
    ({"sources": ["eu"]}, "sources: default"),
    ({"flows": ["ETL"]}, "flows: etl, f1"),
    ({"deployments": ["hourly"]}, "deployments: nightly, d1"),
    ({"work_pools": ["k8s"]}, "work_pools: machines, p1"),
    ({"work_queues": ["default"]}, "work_queues: urgent, q1"),
    ({"tags_any": ["dev"]}, "tags_any: prod, team:data"),
    ({"tags_all": ["prod", "dev"]}, "tags_all: not dev"),
    ({"tags_none": ["team:*"]}, "tags_none: team:data"),
    ({"states": ["COMPLETED"]}, "states: FAILED"),
    ({"state_names": ["TimedOut"]}, "state_names: Failed"),
    ({"from_states": ["PENDING", "NONE"]}, "from_states: RUNNING"),
    ({"min_run_count": 3}, "min_run_count: 2"),
    ({"max_run_count": 1}, "max_run_count: 2"),
    ({"flows": ["etl"], "states": ["COMPLETED"]}, "states: FAILED"),
]


@pytest.mark.parametrize("criteria", MET)
def test_what_meets_all_criteria_is_wanted(criteria: dict[str, Any]) -> None:
    assert Routing.model_validate({"match": criteria}).refusal(failed()) is None


@pytest.mark.parametrize(("criteria", "why"), UNMET)
def test_what_fails_one_criterion_is_not_and_it_is_said_which(criteria: dict[str, Any], why: str) -> None:
    assert Routing.model_validate({"match": criteria}).refusal(failed()) == f"match.{why}"


@pytest.mark.parametrize("criteria", [each for each in MET if each])
def test_what_meets_all_criteria_of_exclude_is_not_wanted(criteria: dict[str, Any]) -> None:
    assert Routing.model_validate({"exclude": criteria}).refusal(failed()) == "exclude"


@pytest.mark.parametrize("criteria", [criteria for criteria, _ in UNMET])
def test_what_fails_one_criterion_of_exclude_is_wanted(criteria: dict[str, Any]) -> None:
    assert Routing.model_validate({"exclude": criteria}).refusal(failed()) is None


def test_a_runs_first_state_comes_from_none() -> None:
    first = Record(1, "default", decode(orjson.dumps(an_event(before=None, after="SCHEDULED"))))
    assert Routing.model_validate({"match": {"from_states": ["NONE"]}}).refusal(first) is None


@pytest.mark.parametrize(
    "criteria", [{"states": ["*"]}, {"state_names": ["*"]}, {"from_states": ["*"]}, {"max_run_count": 9}]
)
def test_a_record_that_tells_no_state_does_not_meet_a_criterion_about_it(criteria: dict[str, Any]) -> None:
    assert Routing.model_validate({"match": criteria}).refusal(noticed())
    assert Routing.model_validate({"exclude": criteria}).refusal(noticed()) is None


@pytest.mark.parametrize(
    ("routing", "said"),
    [
        ({"match": {"states": ["FAILDE"]}}, "'FAILDE' is no type of state: there are SCHEDULED, "),
        ({"match": {"kinds": ["transitions"]}}, "Input should be 'transition', "),
        ({"match": {"flow": ["etl"]}}, "Extra inputs are not permitted"),
        ({"exclude": {}}, "exclude has no criterion"),
    ],
)
def test_what_can_never_be_meant_is_refused(routing: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Routing.model_validate(routing)


@pytest.mark.parametrize(
    ("routes", "refusal"),
    [
        ([], None),
        ([{"sinks": ["archive"]}], None),
        ([{"sinks": ["arch*", "other"]}], None),
        ([{"sinks": ["pager", "other"]}], "route 1: pager, other"),
        ([{"drop": True}], "route 1: drop"),
        ([{"drop": True, "match": {"states": ["COMPLETED"]}}], None),
        ([{"drop": True, "exclude": {"states": ["FAILED"]}}], None),
        ([{"sinks": ["archive"], "match": {"flows": ["etl"]}}, {"drop": True}], None),
        ([{"sinks": ["pager"], "match": {"flows": ["other"]}}, {"drop": True}], "route 2: drop"),
    ],
)
def test_the_first_route_that_wants_a_record_decides_whom_it_is_for(
    routes: list[dict[str, Any]], refusal: str | None
) -> None:
    wishes = Routed("archive", [Route.model_validate(each) for each in routes], Routing())
    assert wishes.refusal(failed()) == refusal


def test_a_record_that_routes_lead_to_a_sink_is_still_subject_to_its_own_routing() -> None:
    routing = Routing.model_validate({"match": {"states": ["COMPLETED"]}})
    assert Routed("archive", [Route(sinks=("archive",))], routing).refusal(failed()) == "match.states: FAILED"


@pytest.mark.parametrize("route", [{}, {"sinks": ["archive"], "drop": True}])
def test_a_route_leads_to_sinks_or_nowhere(route: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="either the sinks it leads to, or drop = true"):
        Route.model_validate(route)
