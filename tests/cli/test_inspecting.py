"""The commands that look at runs, on a small world: the store and the service that runs on it answer the same."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from anyio.from_thread import BlockingPortal
from typer.testing import CliRunner, Result

from streamer.cli import app
from streamer.client import Ambiguous, NotFound
from streamer.errors import AuthenticationFailed, SourceError
from streamer.testing import FakePrefect
from tests.client.conftest import portal, world
from tests.client.world import FOX, OWL, RUNS, SUBFLOW, TWIN, YAK, World, ident
from tests.place import Place

NOWHERE = "http://127.0.0.1:9"


__all__ = ["portal", "world"]


@pytest.fixture(params=["store", "service"])
def place(request: pytest.FixtureRequest, world: World) -> tuple[str, ...]:
    return places(world)[request.param]


def places(world: World) -> dict[str, tuple[str, ...]]:
    return {
        "store": ("--store", world.store, "--api-url", world.api_url),
        "service": ("--service", world.service),
    }


def streamer(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200", **environment})


def told(*arguments: str) -> str:
    result = streamer(*arguments)
    assert result.exit_code == 0, result.exception or result.output
    return result.stdout


def documents(*arguments: str) -> list[Any]:
    return [orjson.loads(line) for line in told(*arguments, "--json").splitlines()]


TABLE = [
    ("runs",),
    ("runs", "--json"),
    ("runs", "--flow", "etl", "--tag", "prod", "--sort", "ended", "--oldest-first"),
    ("runs", "--state", "crashed", "--limit", "1", "--json"),
    ("runs", "--subflows", "--json"),
    ("inspect", "crimson-fox"),
    ("inspect", "crimson-fox", "--json", "--logs", "2"),
    ("inspect", SUBFLOW.id),
    ("inspect", SUBFLOW.id, "--json"),
    ("inspect", "etl/amber-owl"),
    ("flows",),
    ("flows", "--json"),
    ("flows", "e*", "l*"),
    ("deployments",),
    ("deployments", "--json", "night*"),
    ("logs", "etl/crimson-fox"),
    ("logs", FOX.id, "--json", "--level", "warning"),
    ("logs", FOX.id, "--follow", "--tail", "1"),
]

PASSING = re.compile(r"\d+[smhd] ago|\d+m \d\ds|\d+h \d\dm")
"""How long something has been going on, which is another time by the time the other is asked."""


@pytest.mark.parametrize("arguments", TABLE, ids=" ".join)
def test_store_and_service_answer_the_same(world: World, arguments: tuple[str, ...]) -> None:
    by_store, by_service = (PASSING.sub("", told(*arguments, *place)) for place in places(world).values())
    assert by_store == by_service
    assert by_store.strip()


def test_a_run_is_shown_with_all_that_is_known_of_it(place: tuple[str, ...], world: World) -> None:
    shown = told("inspect", "crimson-fox", *place)
    words = [
        FOX.id,
        "etl",
        "nightly",
        "prod, team:a",
        "Scheduled",
        "Pending",
        "Running",
        "Completed",
        "1.0s",
        "3.0s",
        "█",
    ]
    words += ["step-0", "load-0", "begun", "step-1 | slow", "done", f"/runs/flow-run/{FOX.id}", "/flows/flow/"]
    assert [word for word in words if word not in shown] == []
    assert "heartbeats" not in shown


def test_a_run_that_goes_on_is_shown_with_its_heartbeats(place: tuple[str, ...]) -> None:
    shown = told("inspect", "slow-yak", *place)
    assert "1m 00s" in shown, "between the two"
    assert re.search(r"none since +\d+m \d\ds", shown)


def test_a_document_has_all_that_is_known_of_a_run(place: tuple[str, ...]) -> None:
    (found,) = documents("inspect", FOX.id, "--logs", "2", *place)
    assert found["run"]["id"] == FOX.id
    assert [each["name"] for each in found["transitions"]] == ["Scheduled", "Pending", "Running", "Completed"]
    assert [each["name"] for each in found["task_runs"]] == ["step-0", "step-1", "load-0"]
    assert [each["message"] for each in found["logs"]] == ["slow", "done"]
    assert (found["parent"], found["unanswered"]) == (None, {})


def test_a_subflow_names_its_parent(place: tuple[str, ...]) -> None:
    (found,) = documents("inspect", SUBFLOW.id, *place)
    assert found["parent"] == {"id": FOX.id, "name": "etl/crimson-fox"}
    assert f"etl/crimson-fox  {FOX.id}" in told("inspect", SUBFLOW.id, *place)


def test_what_the_server_does_not_tell_is_said_and_the_rest_is_shown(world: World) -> None:
    nowhere = ("--store", world.store, "--api-url", f"{NOWHERE}/api")
    shown = told("inspect", SUBFLOW.id, *nowhere)
    assert shown.count("the Prefect server cannot be asked") == 3, "for parent, task runs and log"
    assert "Completed" in shown
    (found,) = documents("inspect", SUBFLOW.id, *nowhere)
    assert (found["parent"], found["task_runs"], found["logs"]) == (None, None, None)
    assert set(found["unanswered"]) == {"parent", "task_runs", "logs"}
    assert len(found["transitions"]) == 3


def test_a_configuration_may_be_named(world: World, tmp_path: Path) -> None:
    (file := tmp_path / "other.toml").write_text(f'store = "{world.store}"\nui_url = "http://pages"\n')
    assert f"http://pages/runs/flow-run/{FOX.id}" in told("inspect", FOX.id, "--config", str(file))


@pytest.mark.parametrize("command", ["inspect", "logs"])
@pytest.mark.parametrize(
    ("run", "error", "said"),
    [
        ("twin", Ambiguous, f"2 runs are called 'twin': .*{TWIN.id}"),
        ("nobody", NotFound, "there is no run 'nobody'"),
        ("etl/nobody", NotFound, "the flow 'etl' has no run 'nobody'"),
        ("elt/twin", NotFound, "there is no flow 'elt'"),
        (ident("nobody"), NotFound, "there is no run"),
    ],
)
def test_a_name_that_names_no_run_or_several_is_a_clear_error(
    place: tuple[str, ...], command: str, run: str, error: type[Exception], said: str
) -> None:
    result = streamer(command, run, *place)
    assert isinstance(result.exception, error)
    assert re.search(said, str(result.exception))
    assert getattr(result.exception, "hint", None)


def test_flows_are_shown_as_their_runs_fare(place: tuple[str, ...]) -> None:
    found = {each["name"]: each for each in documents("flows", *place)}
    etl = found["etl"]
    assert (etl["runs"], etl["consecutive_failures"]) == (5, 3)
    assert (etl["latest"]["id"], etl["latest_successful"]["id"]) == (YAK.id, FOX.id)
    assert etl["latest_failed"]["name"] == "twin"
    assert {each["name"] for each in documents("flows", "l*", "etl", *place)} == {"etl", "load"}
    assert "no flow is such" in told("flows", "x*", *place)


def test_deployments_are_shown_as_their_runs_fare(place: tuple[str, ...]) -> None:
    (found,) = documents("deployments", "nightly", *place)
    assert (found["flow"]["name"], found["runs"], found["latest"]["id"]) == ("etl", 2, YAK.id)
    assert re.search(r"nightly +etl +2 +slow-yak +Running", told("deployments", *place))


def test_a_log_is_shown_from_a_level_on_and_from_the_end(place: tuple[str, ...]) -> None:
    shown = told("logs", "crimson-fox", *place).splitlines()
    assert [" ".join(line.split()[2:]) for line in shown] == ["INFO begun", "WARNING step-1 | slow", "ERROR done"]
    assert [each["message"] for each in documents("logs", FOX.id, "--level", "WARNING", *place)] == ["slow", "done"]
    assert [each["message"] for each in documents("logs", FOX.id, "--tail", "1", *place)] == ["done"]
    assert documents("logs", FOX.id, "--tail", "0", *place) == []
    assert documents("logs", OWL.id, *place) == []


def test_a_log_that_cannot_be_had_is_a_clear_error(world: World) -> None:
    result = streamer("logs", FOX.id, "--follow", "--store", world.store, "--api-url", f"{NOWHERE}/api")
    assert isinstance(result.exception, SourceError)


def test_all_runs_of_the_world_are_listed(place: tuple[str, ...]) -> None:
    assert {each["id"] for each in documents("runs", *place)} == {run.id for run in RUNS}
    assert [each["id"] for each in documents("runs", "--subflows", *place)] == [SUBFLOW.id]


@pytest.fixture
def guarded(portal: BlockingPortal, tmp_path: Path) -> Iterator[str]:
    """A service that wants to know who asks."""
    with portal.wrap_async_context_manager(FakePrefect()) as server:
        access = {"token": "s3cret", "username": "ann", "password": "pass:word"}
        with portal.wrap_async_context_manager(Place(tmp_path, server).running(access=access)) as service:
            yield portal.call(service.started)


def test_who_may_ask_a_service_is_told_by_the_settings(guarded: str, tmp_path: Path) -> None:
    (secret := tmp_path / "token").write_text("s3cret\n")
    (file := tmp_path / "other.toml").write_text('[access]\ntoken = "s3cret"\n')
    known: list[dict[str, str]] = [
        {"STREAMER_ACCESS__TOKEN": "s3cret"},
        {"STREAMER_ACCESS__TOKEN_FILE": str(secret)},
        {"STREAMER_ACCESS__USERNAME": "ann", "STREAMER_ACCESS__PASSWORD": "pass:word"},
    ]
    for environment in known:
        assert "no run is such" in streamer("runs", "--service", guarded, **environment).output
    assert "no run is such" in streamer("runs", "--service", guarded, "--config", str(file)).output


@pytest.mark.parametrize("environment", [{}, {"STREAMER_ACCESS__TOKEN": "guess"}])
def test_who_is_not_known_to_a_service_is_told_what_to_set(guarded: str, environment: dict[str, str]) -> None:
    error = streamer("runs", "--service", guarded, **environment).exception
    assert isinstance(error, AuthenticationFailed)
    assert "STREAMER_ACCESS__TOKEN" in (error.hint or "")
