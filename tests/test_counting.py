"""An event → the counters it raises."""

from collections import Counter as Tally
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas import Event, Reason, decode
from streamer.counting import TERMINAL_STATES, USUAL_TRANSITIONS, Counting, initial, initial_of, names, raised
from streamer.model import Counter, Family
from tests.frames import (
    WORK_QUEUE,
    Json,
    bare,
    deployed,
    edited,
    event,
    flow_run,
    heartbeat,
    pull_step,
    related,
    transition,
    verdict,
)

FLOW, DEPLOYMENT, POOL = (
    "d75a7def-acb0-4581-ac29-5945fc5a25ba",
    "50ae0e78-c098-4b7e-bb27-67a780e0ff72",
    "f0d03f57-9e15-42b2-b64c-cfc70125cb14",
)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ABOUT = Counter(Family.TRANSITIONS, "default", FLOW, DEPLOYMENT, POOL)


def counted(content: Json) -> list[tuple[str, tuple[str, ...]]]:
    """Return family and labels of what the event raises."""
    return [(each.family.value, each.labels) for each in raised("default", decode(bare(content)))]


def moved(before: str | None, after: str) -> tuple[str, tuple[str, ...]]:
    return ("transitions", (before or "", after))


TABLE: list[tuple[Json, list[tuple[str, tuple[str, ...]]]]] = [
    (transition(None, "SCHEDULED"), [moved(None, "SCHEDULED")]),
    (transition(None, "PENDING"), [moved(None, "PENDING")]),
    (transition("PENDING", "RUNNING"), [moved("PENDING", "RUNNING")]),
    (transition("RUNNING", "COMPLETED"), [moved("RUNNING", "COMPLETED"), ("finished", ("COMPLETED",))]),
    (transition("RUNNING", "FAILED"), [moved("RUNNING", "FAILED"), ("finished", ("FAILED",))]),
    (
        transition("PENDING", "CRASHED"),
        [moved("PENDING", "CRASHED"), ("finished", ("CRASHED",)), ("infra_failures", ("infrastructure",))],
    ),
    (transition("CANCELLING", "CANCELLED"), [moved("CANCELLING", "CANCELLED"), ("finished", ("CANCELLED",))]),
    (transition(None, "COMPLETED"), [moved(None, "COMPLETED"), ("finished", ("COMPLETED",))]),
    (transition("FAILED", "FAILED"), [moved("FAILED", "FAILED")]),
    (transition("COMPLETED", "CRASHED"), [moved("COMPLETED", "CRASHED")]),
    (transition("RUNNING", "SCHEDULED", name="AwaitingRetry"), [moved("RUNNING", "SCHEDULED"), ("retries", ())]),
    (transition("FAILED", "SCHEDULED", name="AwaitingRetry"), [moved("FAILED", "SCHEDULED"), ("retries", ())]),
    (transition("FAILED", "SCHEDULED"), [moved("FAILED", "SCHEDULED")]),
    (transition("PENDING", "RUNNING", name="AwaitingRetry"), [moved("PENDING", "RUNNING")]),
    (transition("RUNNING", "RUNNING", name="heartbeat"), [moved("RUNNING", "RUNNING")]),
    (pull_step("git_clone", failed=True), [("infra_failures", ("git_clone",))]),
    (pull_step(failed=True, payload={}), [("infra_failures", ("",))]),
    (pull_step("git_clone"), []),
    (heartbeat(), [("heartbeats", ())]),
    (verdict(), [("zombies", ())]),
    (verdict("suspect"), [("overdue", ("heartbeat_missing",))]),
    (verdict("overdue"), [("overdue", ("heartbeat_missing",))]),
    (verdict("recovered"), []),
    (edited(verdict("recovered"), "payload", "verdict", "reason", to="heartbeat"), [("zombie_recoveries", ())]),
    (verdict("acted"), []),
    (verdict("undead"), []),
    (event("prefect.flow-run.something-of-mine", flow_run()), []),
]


@pytest.mark.parametrize(("content", "expected"), TABLE)
def test_an_event_raises(content: Json, expected: list[tuple[str, tuple[str, ...]]]) -> None:
    assert counted(content) == expected


@pytest.mark.parametrize("relations", [deployed(), []], ids=["with relations", "without"])
def test_a_counter_is_keyed_by_the_ids_that_the_event_tells(relations: list[Json]) -> None:
    (counter,) = raised("default", decode(bare(transition(related=relations))))
    expected = ABOUT if relations else Counter(Family.TRANSITIONS, "default")
    assert counter == expected._replace(labels=("PENDING", "RUNNING"))


def test_the_type_left_is_taken_from_the_intention_where_the_state_before_is_missing() -> None:
    content = transition("RUNNING", "COMPLETED")
    content["payload"]["initial_state"] = None
    assert counted(content)[0] == moved("RUNNING", "COMPLETED")


def test_beside_a_transition_all_usual_ones_are_shown_at_0() -> None:
    shown = list(initial(ABOUT._replace(labels=("PENDING", "RUNNING"))))
    once = dict.fromkeys((Family.RETRIES, Family.ZOMBIES, Family.ZOMBIE_RECOVERIES), 1)
    assert Tally(each.family for each in shown) == {Family.TRANSITIONS: 14, Family.FINISHED: 4, **once}
    assert {each.labels for each in shown} == {*USUAL_TRANSITIONS, *((state,) for state in TERMINAL_STATES), ()}
    assert {each[1:5] for each in shown} == {("default", FLOW, DEPLOYMENT, POOL)}
    assert len(set(shown)) == len(shown)


def test_of_a_source_phantoms_and_each_reason_of_quarantine_are_shown_at_0() -> None:
    shown = {(each.family, each.source, *each.labels) for each in initial_of("default")}
    quarantined = {(Family.QUARANTINED, "default", reason.value) for reason in Reason}
    assert shown == {(Family.PHANTOMS, "default"), *quarantined}


@pytest.mark.parametrize("family", [each for each in Family if each is not Family.TRANSITIONS])
def test_beside_another_counter_nothing_is_shown_at_0(family: Family) -> None:
    assert list(initial(ABOUT._replace(family=family))) == []


@pytest.mark.parametrize("state", TERMINAL_STATES)
def test_what_a_finish_raises_was_shown_at_0(state: str) -> None:
    entered, finished = raised("default", decode(bare(transition("RUNNING", state, related=deployed()))))
    assert finished in set(initial(entered))


def test_an_event_names_the_ids_in_its_counters_keys() -> None:
    event = decode(bare(transition(related=deployed("prod"))))
    queue = WORK_QUEUE.removeprefix("prefect.work-queue.")
    told = {FLOW: "sleepy", DEPLOYMENT: "sleepy-nightly", POOL: "local-pool", queue: "default"}
    assert names([event]) == {ident: (event.occurred, name) for ident, name in told.items()}


def test_of_names_the_newest_is_told_whatever_came_last() -> None:
    def named(name: str, moment: datetime) -> Event:
        flow: Any = related("flow", f"prefect.flow.{FLOW}", name=name)
        return decode(bare(transition(related=[flow], occurred=moment.isoformat())))

    early, late = named("before", NOON), named("after", NOON + timedelta(seconds=1))
    assert names([late, early, early]) == {FLOW: (late.occurred, "after")}


def test_events_that_are_alike_raise_their_counters_together() -> None:
    moved = [decode(bare(transition("PENDING", "RUNNING", related=deployed(tag)))) for tag in ("a", "b", "b")]
    ended = decode(bare(transition("RUNNING", "COMPLETED", related=deployed("a"))))
    counters = [each for event in (*moved, ended) for each in raised("default", event)]
    together = list(Counting().raised_by_all("default", [*moved, ended]))
    assert Tally(counters) == {counter: number for counter, number, _ in together}
    assert [(number, event) for _, number, event in together] == [(3, moved[-1]), (1, ended), (1, ended)]


def test_events_are_not_alike_that_differ_in_a_label_that_is_told_apart() -> None:
    moved = [decode(bare(transition("PENDING", "RUNNING", related=deployed(tag)))) for tag in ("team:a", "team:b")]
    together = Counting(more=("tag_team",)).raised_by_all("default", moved)
    assert [(counter.more, number) for counter, number, _ in together] == [
        ((("tag_team", "a"),), 1),
        ((("tag_team", "b"),), 1),
    ]


def test_an_id_without_a_name_is_not_named() -> None:
    relations: Any = [related("flow", f"prefect.flow.{FLOW}")]
    assert names([decode(bare(transition(related=relations)))]) == {}
