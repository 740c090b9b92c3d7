"""`FlowRunView`: what Prefect 1 called it, and that nothing about it changes."""

from collections.abc import Callable
from typing import Any

import pytest

from streamer.client import Client, FlowRunView, NotFound
from streamer.errors import ConfigError
from tests.client.world import FOX, YAK, World, at, ident

OF_VIEW: list[tuple[str, Callable[[Any], Any], Any]] = [
    ("flow_run_id", lambda v: v.flow_run_id, FOX.id),
    ("name", lambda v: v.name, "crimson-fox"),
    ("flow_id", lambda v: v.flow_id, ident("flow etl")),
    ("labels", lambda v: sorted(v.labels), ["prod", "team:a"]),
    ("state", lambda v: (v.state.is_finished(), v.state.is_running(), v.state.message), (True, False, None)),
    ("states", lambda v: [each.name for each in v.states], ["Scheduled", "Pending", "Running", "Completed"]),
    ("updated_at", lambda v: (v.updated_at - at(1)).total_seconds(), 3),
    ("parameters", lambda v: v.parameters, {}),
    ("context", lambda v: v.context, {}),
    (
        "get_logs",
        lambda v: [(each.level, each.message) for each in v.get_logs()],
        [(20, "begun"), (30, "slow"), (40, "done")],
    ),
    ("get_logs after", lambda v: [each.message for each in v.get_logs(start_time=at(1))], ["slow", "done"]),
    ("get_flow_metadata", lambda v: v.get_flow_metadata().name, "etl"),
    ("get_task_run by id", lambda v: v.get_task_run(task_run_id=ident("step-1")).name, "step-1"),
    ("get_task_run by slug", lambda v: v.get_task_run(task_slug="step-af3c-0").name, "step-0"),
    ("get_task_run by name", lambda v: v.get_task_run(task_slug="step-0").task_slug, "step-af3c-0"),
    ("get_task_run by both", lambda v: v.get_task_run(task_run_id=ident("step-1"), task_slug="step-1").name, "step-1"),
    ("get_all_task_runs", lambda v: [each.name for each in v.get_all_task_runs()], ["step-0", "step-1", "load-0"]),
    ("task_run_ids", lambda v: v.task_run_ids, [ident("step-0"), ident("step-1"), ident("load-0")]),
    ("get_latest", lambda v: v.get_latest().flow_run_id, FOX.id),
]


@pytest.mark.parametrize(("ask", "expected"), [each[1:] for each in OF_VIEW], ids=[each[0] for each in OF_VIEW])
def test_a_view_tells(client: Client, ask: Callable[[FlowRunView], Any], expected: Any) -> None:
    assert ask(FlowRunView.from_flow_run_id(FOX.id, client)) == expected


def test_every_public_name_is_in_the_table(client: Client) -> None:
    assert set(dir(client.view(FOX.id))) - {"from_flow_run_id"} == {name.split()[0] for name, *_ in OF_VIEW}


def test_task_runs_that_ended_are_asked_for_once_and_handed_on(client: Client, world: World) -> None:
    view = client.view(FOX.id)
    assert repr(view).endswith("cached_task_runs=0)")
    ended, running = view.get_task_run(task_slug="step-0"), view.get_task_run(task_slug="step-1")
    asked = len(world.server.requests)
    later = view.get_latest()
    assert later.get_task_run(task_run_id=ended.task_run_id) is ended
    assert world.server.requests[asked:].count("/api/task_runs/filter") == 0
    assert later.get_task_run(task_run_id=running.task_run_id) is not running
    assert world.server.requests[asked:].count("/api/task_runs/filter") == 1


def test_the_flow_is_asked_for_once_unless_told_otherwise(client: Client) -> None:
    view = client.view(YAK.id)
    first = view.get_flow_metadata()
    assert view.get_flow_metadata() is first
    assert view.get_flow_metadata(no_cache=True) is not first
    assert view.get_flow_metadata(no_cache=True) == first


@pytest.mark.parametrize("change", ["name", "state", "labels", "flow_run_id"])
def test_a_view_is_not_changed(client: Client, change: str) -> None:
    with pytest.raises(AttributeError):
        setattr(client.view(FOX.id), change, "other")


def test_which_task_run_has_to_be_said(client: Client) -> None:
    with pytest.raises(ConfigError):
        client.view(FOX.id).get_task_run()


def test_an_id_and_another_slug_disagree(client: Client) -> None:
    with pytest.raises(NotFound, match="is step-af3c-1, not step-0"):
        client.view(FOX.id).get_task_run(task_run_id=ident("step-1"), task_slug="step-0")


def test_a_view_is_of_an_id(client: Client) -> None:
    with pytest.raises(ConfigError, match="is no id"):
        FlowRunView.from_flow_run_id("crimson-fox", client)
