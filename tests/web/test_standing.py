"""Whether all is well, in words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from streamer.reports import Oddities
from streamer.web.standing import Facts, Level, SinkFact, standing

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
WELL = Facts(
    now=NOW,
    version="1.2.3",
    mode="live",
    missing=[],
    sinks=[SinkFact("archive", None, None)],
    firing=[],
    by_status={"alive": 7},
    lag=0.2,
    watermark=NOW,
    oddities=Oddities(recovered=3, quarantined=0),
)


def test_all_is_well() -> None:
    said = standing(WELL)
    assert (said.level, said.points) == (Level.WELL, [])
    assert said.sentence == "All is well: connected and caught up, every sink has what there is, nothing fires."
    assert (said.lag, said.recovered, said.mode) == (0.2, 3, "live")


def test_without_a_websocket_or_sinks_it_says_so() -> None:
    said = standing(replace(WELL, mode="rest", sinks=[]))
    assert said.sentence == "All is well: read by REST, since there is no websocket, nothing fires."


@pytest.mark.parametrize(
    ("changes", "level", "sentence"),
    [
        ({"missing": ["source default: gone"]}, Level.WRONG, "Not all is well: source default: gone."),
        (
            {"sinks": [SinkFact("archive", "disk full", None)]},
            Level.WRONG,
            "Not all is well: sink archive takes nothing: disk full.",
        ),
        (
            {"sinks": [SinkFact("archive", None, NOW - timedelta(minutes=5, seconds=3))]},
            Level.WRONG,
            "Not all is well: sink archive is 5m behind.",
        ),
        ({"by_status": {"zombie": 1}}, Level.ATTENTION, "Something wants a look: 1 run is a zombie."),
        ({"by_status": {"zombie": 1200}}, Level.ATTENTION, "Something wants a look: 1,200 runs are zombies."),
        ({"firing": ["late"]}, Level.ATTENTION, "Something wants a look: an alert fires: late."),
        (
            {"firing": ["late", "failed", "late"]},
            Level.ATTENTION,
            "Something wants a look: 3 alerts fire: failed, late.",
        ),
        (
            {"oddities": Oddities(recovered=0, quarantined=2)},
            Level.ATTENTION,
            "Something wants a look: 2 frames are in quarantine.",
        ),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, object], level: Level, sentence: str) -> None:
    said = standing(replace(WELL, **changes))  # type: ignore[arg-type]
    assert (said.level, said.sentence) == (level, sentence)


def test_a_sink_that_is_behind_for_a_moment_is_not_worth_a_word() -> None:
    assert standing(replace(WELL, sinks=[SinkFact("archive", None, NOW - timedelta(seconds=29))])).level is Level.WELL


def test_the_worst_comes_first_and_the_rest_is_counted() -> None:
    said = standing(replace(WELL, by_status={"suspect": 2, "overdue": 1}, missing=["the disk is full"]))
    assert said.sentence == "Not all is well: the disk is full, and 2 more."
    assert [point.text for point in said.points] == ["the disk is full", "2 runs are suspect", "1 run is overdue"]
