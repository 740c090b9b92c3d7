"""Which events are selected."""

import pytest
from pydantic import ValidationError

from schemas import Event, decode
from streamer.selection import Selection
from tests.frames import Json, bare, deployed, heartbeat, related, transition

FLOW_ID = "d75a7def-acb0-4581-ac29-5945fc5a25ba"


def event(*relations: Json) -> Event:
    return decode(bare(transition(related=list(relations))))


DEPLOYED = event(*deployed("prod", "team:a.b"))
BARE = event()

SELECTED: list[tuple[Selection, bool]] = [
    (Selection(), True),
    (Selection(flows=("sleepy",)), True),
    (Selection(flows=("sle*",)), True),
    (Selection(flows=("Sleepy",)), False),
    (Selection(flows=("other", "s[kl]e?py")), True),
    (Selection(flows=(FLOW_ID,)), True),
    (Selection(deployments=("*-nightly",)), True),
    (Selection(deployments=("*-daily",)), False),
    (Selection(work_pools=("local-pool",)), True),
    (Selection(work_pools=("local",)), False),
    (Selection(tags=("prod",)), True),
    (Selection(tags=("team:*",)), True),
    (Selection(tags=("pro",)), False),
    (Selection(flows=("sleepy",), tags=("prod",)), True),
    (Selection(flows=("sleepy",), tags=("staging",)), False),
    (Selection(flows=("other",), tags=("prod",)), False),
]


@pytest.mark.parametrize(("selection", "expected"), SELECTED)
def test_an_event_is_selected_if_it_passes_each_list(selection: Selection, expected: bool) -> None:
    assert (DEPLOYED in selection) is expected


@pytest.mark.parametrize("field", ["flows", "deployments", "work_pools", "tags"])
def test_what_an_event_does_not_tell_matches_nothing(field: str) -> None:
    assert BARE not in Selection.model_validate({field: ("*",)})
    assert BARE in Selection()


def test_a_nameless_flow_is_selected_by_its_id() -> None:
    assert event(related("flow", f"prefect.flow.{FLOW_ID}")) in Selection(flows=(FLOW_ID,))


def test_a_heartbeat_is_selected_like_its_run() -> None:
    beat = decode(bare(heartbeat(related=deployed())))
    assert (beat in Selection(flows=("sleepy",)), beat in Selection(flows=("other",))) == (True, False)


def test_only_an_empty_selection_is_everything() -> None:
    assert Selection().is_everything
    assert not Selection(tags=("*",)).is_everything


def test_an_unknown_list_is_refused() -> None:
    with pytest.raises(ValidationError, match="flow"):
        Selection.model_validate({"flow": ["sleepy"]})
