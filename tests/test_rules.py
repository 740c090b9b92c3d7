"""The `[liveness]` table: what is said becomes limits; what is not said stays as it is."""

from typing import Any

import pytest
from pydantic import ValidationError

from schemas import StateType
from streamer.rules import LivenessSettings
from streamer.source.acting import Action
from streamer.suspicion import SECOND, USUAL, Limits, Move

NAMES = {"f1": "etl", "d1": "nightly", "p1": "pool"}
MOVE = Move(0, StateType.RUNNING, "Running", 1, "f1", "d1", "p1")


def limits(*tags: str, **said: Any) -> Limits:
    return LivenessSettings(**said).limits_of(MOVE._replace(tags=tags), NAMES)


def test_nothing_said_is_the_usual() -> None:
    assert limits() == USUAL


def test_durations_and_rules_that_are_off() -> None:
    found = limits(minimum="5m", slack="1.5s", pending_too_long=False, never_heartbeat=False, heartbeat_missing=False)
    assert (found.minimum, found.slack, found.pending, found.factor) == (300 * SECOND, 1_500_000, None, None)
    assert not found.never_heartbeat
    assert found.silence(30 * SECOND) is None
    assert found.cancelling == USUAL.cancelling


@pytest.mark.parametrize(
    ("globs", "selected"),
    [
        ({"deployments": ["night*"]}, True),
        ({"deployments": ["d1"]}, True),
        ({"flows": ["etl"], "tags": ["prod"]}, True),
        ({"flows": ["etl"], "tags": ["test"]}, False),
        ({"work_pools": ["other"]}, False),
    ],
)
def test_overrides_are_for_the_runs_they_select(globs: dict[str, list[str]], selected: bool) -> None:
    found = limits("prod", minimum="1m", overrides=[{**globs, "minimum": "9m", "running_too_long": "1h"}])
    assert found.minimum == (540 if selected else 60) * SECOND
    assert found.running == (3600 * SECOND if selected else None)


def test_of_several_overrides_the_later_wins_in_what_it_says() -> None:
    found = limits(overrides=[{"minimum": "1m", "slack": "1s"}, {"minimum": "2m"}])
    assert (found.minimum, found.slack) == (120 * SECOND, SECOND)


@pytest.mark.parametrize(
    ("tags", "running"), [(("sla:30m",), 1800), (("other", "sla:2h"), 7200), (("sla:soon",), None), (("sla30m",), None)]
)
def test_a_tag_may_say_how_long_a_run_may_take(tags: tuple[str, ...], running: int | None) -> None:
    assert limits(*tags).running == (running * SECOND if running else None)


def test_the_tag_may_have_another_name() -> None:
    assert limits("max:1m", sla_tag="max").running == 60 * SECOND


def test_acting_is_a_dry_run_unless_it_is_said() -> None:
    acting = LivenessSettings(on_zombie=Action.CRASH).acting
    assert (acting.on_zombie, acting.dry_run, acting.emit) == (Action.CRASH, True, False)


@pytest.mark.parametrize(
    "said",
    [
        {"factor": 0.5},
        {"minimum": "0s"},
        {"pending_too_long": True},
        {"on_zombie": "kill"},
        {"overrides": [{"minimun": "1m"}]},
    ],
)
def test_what_makes_no_sense_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LivenessSettings(**said)
