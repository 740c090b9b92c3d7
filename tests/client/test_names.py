"""Names that are unknown, ambiguous or outside the namespace; and the namespace itself."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from streamer import client as inspecting
from streamer.client import (
    Ambiguous,
    Client,
    Deployment,
    Flow,
    FlowRun,
    FlowRunView,
    InspectionError,
    NotFound,
    OutsideNamespace,
    TaskRun,
)
from streamer.errors import ConfigError
from tests.client.world import FOX, HERE, OTHER_TWIN, SUBFLOW, THERE, TWIN, YAK, World

NOBODY = str(uuid4())

WRONG: list[tuple[Callable[[Client], Any], type[InspectionError], str, str]] = [
    (lambda c: c["elt"], NotFound, "there is no flow 'elt'", "is it 'etl'?"),
    (lambda c: Flow("x" * 999, c), NotFound, "there is no flow 'xxx", ""),
    (lambda c: Flow("e*", c), NotFound, "there is no flow 'e*'", ""),
    (lambda c: Flow("etl", c)["2026/07"], NotFound, "the flow 'etl' has no run '2026/07'", "another server's"),
    (lambda c: FlowRun("none", c), NotFound, "there is no run 'none'", "another server's"),
    (lambda c: FlowRun("etl/crimson-*", c), NotFound, "the flow 'etl' has no run 'crimson-*'", ""),
    (lambda c: FlowRun("etl/" + SUBFLOW.id, c), NotFound, "the flow 'etl' has no run", ""),
    (lambda c: FlowRun(NOBODY, c), NotFound, f"there is no run '{NOBODY}'", ""),
    (lambda c: FlowRunView.from_flow_run_id(NOBODY, c), NotFound, "there is no run", ""),
    (lambda c: Deployment("etl/nihgtly", c), NotFound, "there is no deployment 'nihgtly'", "is it 'nightly'?"),
    (lambda c: Deployment("load/nightly", c), NotFound, "there is no deployment 'nightly'", ""),
    (lambda c: TaskRun("etl/crimson-fox/setp-0", c), NotFound, "no task run 'setp-0'", "is it 'step-0'"),
    (lambda c: c["both"], Ambiguous, "2 flows are called 'both'", "by its id"),
    (lambda c: c["etl"]["twin"], Ambiguous, "2 runs are called 'twin'", "by its id"),
    (lambda c: FlowRun("etl/crimson-fox", c)["step-af3c"], Ambiguous, "2 task runs are called 'step-af3c'", "its id"),
]


@pytest.mark.parametrize(("ask", "kind", "sentence", "hint"), WRONG)
def test_what_cannot_be_found_says_why(
    client: Client, ask: Callable[[Client], Any], kind: type[InspectionError], sentence: str, hint: str
) -> None:
    with pytest.raises(kind) as caught:
        ask(client)
    assert sentence in str(caught.value)
    assert hint in (caught.value.hint or "")
    assert all(note.startswith("hint: ") for note in getattr(caught.value, "__notes__", ()))


def test_an_ambiguous_name_has_its_candidates(client: Client) -> None:
    with pytest.raises(Ambiguous) as caught:
        FlowRun("etl/twin", client)
    assert set(caught.value.candidates) == {TWIN.id, OTHER_TWIN.id}
    assert all(FlowRun(each, client).name == "twin" for each in caught.value.candidates)


@pytest.mark.parametrize("kind", [NotFound, Ambiguous, OutsideNamespace])
def test_they_are_key_errors_that_read_as_sentences(kind: type[InspectionError]) -> None:
    assert issubclass(kind, KeyError)
    assert str(kind("there is no flow", "is it another?")) == "there is no flow"


@pytest.mark.parametrize(
    "asked",
    [
        {"nmae": "x"},
        {"state": ["FAILED", "Late"]},
        {"since": "soon"},
        {"order": "size"},
        {"tags": ["x"] * 101},
        {"subflows": "perhaps"},
    ],
)
def test_what_cannot_be_asked_is_refused(client: Client, asked: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        client.find_runs(**asked)


def test_a_misspelt_criterion_names_the_nearest(client: Client) -> None:
    with pytest.raises(ConfigError) as caught:
        client.find_runs(run_cuont=2)
    assert caught.value.hint == "is it run_count?"


@pytest.mark.parametrize("tag", ["[x]*", "prod"])
def test_the_namespace_is_one_tag_whatever_it_looks_like(client: Client, tag: str) -> None:
    inspecting.namespace(tag)
    found = [run.id for run in client.find_runs(flow="etl")]
    assert found == {"[x]*": [OTHER_TWIN.id], "prod": [OTHER_TWIN.id, _id("owl", client), FOX.id]}[tag]


def _id(key: str, client: Client) -> str:
    inspecting.default_namespace()
    return next(iter(client.find_runs(name=f"*{key}"))).id


def test_in_a_namespace_only_its_runs_are_seen(client: Client) -> None:
    inspecting.namespace("prod")
    flow = client["etl"]
    assert inspecting.get_namespace() == "prod"
    assert [each.id for each in client.flows] == [THERE.flow_id, flow.id, client["load"].id]
    assert flow.latest_run is not None
    assert flow.latest_run.id == OTHER_TWIN.id
    assert (flow.consecutive_failures, flow.number_of_runs) == (2, 3)
    assert FlowRun("etl/twin", client).id == OTHER_TWIN.id
    assert client["both"].id == THERE.flow_id


@pytest.mark.parametrize(
    ("ask", "tag"),
    [
        (lambda c: FlowRun("etl/slow-yak", c), "prod"),
        (lambda c: FlowRun(HERE.id, c), "prod"),
        (lambda c: TaskRun("etl/crimson-fox/step-0", c), "dev"),
        (lambda c: c["load"], "dev"),
        (lambda c: Deployment("etl/nightly", c), "[x]*"),
    ],
)
def test_what_is_outside_the_namespace_says_so(client: Client, ask: Callable[[Client], Any], tag: str) -> None:
    inspecting.namespace(tag)
    with pytest.raises(OutsideNamespace, match="is not in the namespace") as caught:
        ask(client)
    assert "namespace(None)" in (caught.value.hint or "")
    inspecting.namespace(None)
    assert ask(client).id


def test_a_client_may_have_a_namespace_of_its_own(place: str, world: World) -> None:
    with world.opened(place, namespace="dev") as own:
        inspecting.namespace("prod")
        assert [run.id for run in own["etl"]] == [YAK.id, TWIN.id]
        inspecting.default_namespace()


def test_the_global_place_is_asked_where_none_is_named(place: str) -> None:
    chosen = inspecting.metadata(place)
    assert inspecting.get_metadata() == chosen == Client(place).metadata
    assert Flow("etl").latest_run == FlowRun(YAK.id)
    assert inspecting.metadata(chosen) == chosen
    assert FlowRun("etl/crimson-fox").id == FOX.id
    assert inspecting.default_metadata().startswith("local@")
    assert inspecting.get_metadata() != chosen
