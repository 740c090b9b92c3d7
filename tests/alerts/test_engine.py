"""Every kind of rule: when it fires, when it is over, and what is said of it meanwhile."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError

from schemas import Alert, Event, decode, notices
from schemas.ours import VerdictStatus
from streamer.alerts.engine import Action, Engine
from streamer.alerts.facts import Group, Key
from streamer.alerts.silences import Silence
from streamer.model import Record
from streamer.redaction import Redaction
from streamer.routing import Criteria, Routing
from tests.alerts.stories import Said, alerts, at, judged, moved, rule, run_id, told

FAILED = "a run entered the state Failed"


def engine(on: str, **fields: Any) -> Engine:
    return Engine({"rule": rule(on, **fields)})


def actions(some: Engine) -> dict[str, int]:
    return {action: number for (_, _, action), number in some.changes().actions.items()}


def test_a_failure_fires_until_a_run_of_the_deployment_completes() -> None:
    story = [moved(1, "a", "FAILED"), moved(2, "b", "FAILED"), moved(5, "c", "COMPLETED"), moved(9, "d", "COMPLETED")]
    assert told(engine("transition"), story, until=60) == [Said(1, "firing", FAILED, 1), Said(5, "resolved", FAILED, 2)]


def test_500_failures_are_one_alert_and_its_end_and_each_deployment_has_its_own() -> None:
    story = [moved(number / 500, f"a{number}", "FAILED") for number in range(500)]
    story += [moved(2, name, "FAILED", deployment=name) for name in ("hourly", "daily", "weekly")]
    story += [moved(3, "well", "COMPLETED")]
    said = told(engine("transition"), story, until=60)
    assert [(each.minute, each.status, each.occurrences) for each in said] == [
        (0, "firing", 1),
        *[(2, "firing", 1)] * 3,
        (3, "resolved", 500),
    ]


def test_a_run_that_is_tried_again_by_itself_is_no_failure() -> None:
    waiting = moved(1, "a", "SCHEDULED")
    story = [waiting, moved(2, "a", "RUNNING", before="SCHEDULED"), moved(3, "a", "COMPLETED")]
    for on, fields in (("transition", {}), ("failures", {"count": 1})):
        assert told(engine(on, **fields), story, until=60) == []


def test_a_manual_retry_that_completes_is_the_end() -> None:
    story = [moved(1, "a", "FAILED"), moved(5, "a", "SCHEDULED", before="FAILED"), moved(9, "a", "COMPLETED")]
    assert told(engine("transition"), story, until=60) == [Said(1, "firing", FAILED, 1), Said(9, "resolved", FAILED, 1)]


def test_what_fires_and_what_ends_it_can_be_said() -> None:
    late = engine("transition", match={"states": ["SCHEDULED"]}, resolve={"states": ["RUNNING"]}, group="run")
    story = [moved(1, "a", "SCHEDULED"), moved(2, "b", "RUNNING"), moved(3, "a", "RUNNING")]
    assert [(each.minute, each.status) for each in told(late, story, until=60)] == [(1, "firing"), (3, "resolved")]


def test_what_fires_cannot_be_what_ends_it() -> None:
    with pytest.raises(ValidationError, match="what fires cannot be what ends it"):
        rule("transition", match={"states": ["COMPLETED", "FAILED"]})
    rule("transition", match={"states": ["COMPLETED"]}, resolve={"states": ["RUNNING"]})


def test_a_rule_looks_only_at_what_it_matches() -> None:
    mine = engine("transition", match={"deployments": ["night*"]}, exclude={"deployments": ["nightly-old"]})
    story = [moved(1, "a", "FAILED", deployment="nightly-old"), moved(2, "b", "FAILED", deployment="hourly")]
    assert told(mine, story, until=60) == []
    assert len(told(mine, [moved(3, "c", "FAILED")], until=60)) == 1


def test_a_completion_that_is_older_than_the_failure_does_not_end_it() -> None:
    story = [moved(5, "a", "FAILED"), moved(4, "b", "COMPLETED")]
    assert [each.status for each in told(engine("transition"), story, until=60)] == ["firing"]


def test_a_failure_that_is_heard_of_after_all_was_well_is_not_told() -> None:
    story = [moved(5, "a", "COMPLETED"), moved(4, "b", "FAILED")]
    for on, fields in (("transition", {}), ("failures", {"count": 1})):
        assert told(engine(on, **fields), story, until=60) == []


def test_without_another_occurrence_it_ends_after_a_time() -> None:
    story = [moved(1, "a", "FAILED"), moved(20, "b", "FAILED")]
    said = told(engine("transition", resolve_after="30m"), story, until=120)
    assert said == [Said(1, "firing", FAILED, 1), Said(50, "resolved", FAILED, 2)]


def test_it_is_repeated_while_it_goes_on() -> None:
    story = [moved(1, "a", "FAILED"), moved(30, "b", "FAILED"), moved(130, "c", "COMPLETED")]
    repeated = list(alerts(engine("transition", repeat="1h"), story, until=600))
    assert [(each.situation.number, each.situation.occurrences) for each in repeated[:-1]] == [(0, 1), (1, 2), (2, 2)]
    assert [each.occurred for each in repeated] == [at(1), at(61), at(121), at(130)]
    assert len({each.id for each in repeated}) == 4
    assert {each.situation.incident for each in repeated} == {repeated[0].situation.incident}


def test_an_alert_belongs_to_what_its_newest_run_belongs_to() -> None:
    (first,) = alerts(engine("transition", severity="critical"), [moved(1, "a", "FAILED")], until=2)
    assert (first.run, first.resource.name) == (run_id("a"), "a")
    assert first.deployment
    assert first.deployment.name == "nightly"
    assert first.situation.group == f"deployment:{first.deployment.id}"
    assert first.situation.severity == "critical"
    assert first.situation.state
    assert (first.situation.state.type, first.situation.run_count) == ("FAILED", 1)
    assert decode(first.raw) == first


def test_the_same_story_has_the_same_ids() -> None:
    story = [moved(1, "a", "FAILED"), moved(5, "c", "COMPLETED")]
    once, again = ([each.id for each in alerts(engine("transition"), story, until=60)] for _ in range(2))
    assert once == again


def test_failures_one_after_the_other_fire_at_their_number_until_one_completes() -> None:
    story = [moved(1, "a", "FAILED"), moved(2, "b", "COMPLETED")]
    story += [moved(minute, f"c{minute}", "CRASHED") for minute in (3, 4, 5, 6)]
    story += [moved(7, "d", "CANCELLED"), moved(9, "e", "COMPLETED"), moved(10, "f", "FAILED")]
    said = told(engine("failures", count=3), story, until=60)
    reason = "3 runs failed one after the other"
    assert said == [Said(5, "firing", reason, 1), Said(9, "resolved", reason.replace("3", "4"), 2)]


def test_failures_within_a_time_fire_until_the_time_has_passed() -> None:
    story = [moved(minute, f"a{minute}", "FAILED") for minute in (0, 15, 18, 20, 21)] + [moved(22, "b", "COMPLETED")]
    said = told(engine("failures", count=3, within="10m"), story, until=60)
    reason = "3 runs failed within 10m"
    assert said == [Said(20, "firing", reason, 1), Said(28, "resolved", reason, 2)]


def test_a_share_of_failures_fires_until_it_is_smaller() -> None:
    story = [moved(minute, f"a{minute}", "COMPLETED") for minute in range(8)]
    story += [moved(8 + minute, f"b{minute}", "FAILED") for minute in range(3)]
    story += [moved(11 + minute, f"c{minute}", "COMPLETED") for minute in range(6)]
    said = told(engine("failure_rate", percent=20, within="1h"), story, until=20)
    assert said == [
        Said(9, "firing", "2 of 10 runs failed within 1h, which is 20%", 1),
        Said(15, "resolved", "3 of 11 runs failed within 1h, which is 27%", 2),
    ]


def test_a_share_of_failures_is_over_when_too_few_runs_ended_lately() -> None:
    story = [moved(minute, f"a{minute}", "FAILED") for minute in range(10)]
    first, last = told(engine("failure_rate", percent=50, within="1h"), story, until=600)
    assert (first.minute, first.status, last.status) == (9, "firing", "resolved")
    assert 60 <= last.minute <= 62 + 2, "an hour after the first, as exact as a thirtieth of it"


def test_no_success_for_a_time_fires_until_there_is_one() -> None:
    story = [
        moved(0, "a", "PENDING"),
        moved(30, "b", "COMPLETED"),
        moved(60, "c", "FAILED"),
        moved(200, "d", "COMPLETED"),
    ]
    said = told(engine("no_success", within="1h"), story, until=220)
    reason = "no run has completed for 1h"
    assert said == [Said(90, "firing", reason, 1), Said(200, "resolved", reason, 1)]


def test_no_success_counts_from_the_first_run_that_is_seen_and_is_given_up_at_last() -> None:
    said = told(engine("no_success", within="1h", forget="1d"), [moved(5, "a", "FAILED")], until=10_000)
    assert [(each.minute, each.status) for each in said] == [(65, "firing"), (5 + 24 * 60, "resolved")]


def test_a_state_that_is_held_too_long_fires_until_the_last_run_leaves_it() -> None:
    story = [moved(0, "a", "PENDING"), moved(5, "b", "PENDING"), moved(10, "c", "PENDING"), moved(12, "c", "RUNNING")]
    story += [moved(40, "a", "RUNNING"), moved(50, "b", "RUNNING")]
    said = list(alerts(engine("held", states=["PENDING"], longer="30m"), story, until=120))
    assert [(each.occurred, each.situation.status) for each in said] == [(at(30), "firing"), (at(50), "resolved")]
    assert said[0].run == run_id("a")
    assert said[0].situation.reason == "a run is PENDING for longer than 30m"
    assert [run.name for run in said[1].situation.runs] == ["a", "b"]


def test_a_state_under_another_name_is_still_held() -> None:
    story = [moved(0, "a", "RUNNING"), moved(20, "a", "RUNNING")]
    assert told(engine("held", states=["RUNNING"], longer="30m"), story, until=60)[0].minute == 30


def test_a_run_that_is_not_in_the_state_after_all_is_forgotten() -> None:
    held = engine("held", states=["PENDING"], longer="30m")
    held.take(Record(1, "default", moved(0, "a", "PENDING")))
    ((key, runs),) = held.suspects(at(30)).items()
    held.forget(key, runs)
    held.pass_time(at(60))
    assert not held.changes().alerts


def test_a_deleted_run_is_not_held_any_more() -> None:
    story: list[Event] = [moved(0, "a", "PENDING")]
    gone = notices.deleted("default", run_id("a"), occurred=at(40))
    said = list(alerts(engine("held", states=["PENDING"], longer="30m"), [*story, gone], until=60))
    assert [(each.occurred, each.situation.status) for each in said] == [(at(30), "firing"), (at(40), "resolved")]
    assert said[1].deployment


def test_a_verdict_fires_until_each_run_it_stands_of_is_well() -> None:
    running = moved(0, "a", "RUNNING")
    story: list[Event] = [running]
    story += [judged(5, name, VerdictStatus.ZOMBIE, like=running) for name in ("a", "b", "c")]
    story += [judged(6, "a", VerdictStatus.RECOVERED, like=running), moved(7, "b", "CRASHED")]
    story += [moved(4, "c", "RUNNING"), moved(9, "c", "COMPLETED")]
    said = told(engine("verdict"), story, until=60)
    reason = "a run is held to be zombie: heartbeat_missing"
    assert said == [Said(5, "firing", reason, 1), Said(9, "resolved", reason, 3)]


def test_which_verdicts_are_told_can_be_said() -> None:
    running = moved(0, "a", "RUNNING")
    story = [judged(5, "a", VerdictStatus.SUSPECT, like=running)]
    assert told(engine("verdict"), story, until=60) == []
    assert len(told(engine("verdict", verdicts=["suspect"]), story, until=60)) == 1


@pytest.mark.parametrize(
    ("group", "alerts"),
    [("deployment", 2), ("flow", 1), ("run", 3), ("all", 1), ("work_pool", 1), ("work_queue", 1)],
)
def test_there_is_one_alert_for_each_group(group: str, alerts: int) -> None:
    story = [moved(1, "a", "FAILED"), moved(2, "b", "FAILED"), moved(3, "c", "FAILED", deployment="hourly")]
    assert len(told(engine("transition", group=group), story, until=5)) == alerts


def test_in_quiet_times_nothing_is_said_until_they_end() -> None:
    quiet = engine("transition", quiet=["11:00-13:00"])
    assert told(quiet, [moved(1, "a", "FAILED"), moved(9, "b", "FAILED")], until=120) == [Said(60, "firing", FAILED, 2)]


def test_what_begins_and_ends_in_quiet_times_is_never_said() -> None:
    quiet = engine("transition", quiet=["Sat-Sun"])
    assert told(quiet, [moved(1, "a", "FAILED"), moved(9, "b", "COMPLETED")], until=10_000) == []


def test_an_end_is_said_at_any_time() -> None:
    quiet = engine("transition", quiet=["12:30-13:00"])
    said = told(quiet, [moved(1, "a", "FAILED"), moved(40, "b", "COMPLETED")], until=120)
    assert [each.minute for each in said] == [1, 40]


def a_silence(match: Criteria, *, ends: float) -> Silence:
    return Silence(id=uuid4(), match=match, begins=at(0), ends=at(ends))


def test_what_is_silenced_is_said_when_the_silence_ends_if_it_still_goes_on() -> None:
    some = engine("transition")
    some.silence([a_silence(Criteria(alerts=("ru*",)), ends=30)], at(0))
    story = [moved(1, "a", "FAILED"), moved(2, "x", "FAILED", deployment="hourly"), moved(9, "b", "COMPLETED")]
    assert told(some, story, until=60) == [Said(30, "firing", FAILED, 1)]


def test_a_silence_is_of_what_it_matches_only() -> None:
    some = engine("transition")
    some.silence([a_silence(Criteria(deployments=("nightly",)), ends=30)], at(0))
    story = [moved(1, "a", "FAILED"), moved(2, "x", "FAILED", deployment="hourly")]
    assert [each.minute for each in told(some, story, until=60)] == [2, 30]


def test_a_silence_that_is_lifted_lets_out_what_it_held_back() -> None:
    some = engine("transition")
    some.silence([a_silence(Criteria(severities=("warning",)), ends=30)], at(0))
    assert told(some, [moved(1, "a", "FAILED")], until=5) == []
    some.silence([], at(5))
    assert told(some, [], until=6) == [Said(5, "firing", FAILED, 1)]


def test_a_repetition_is_held_back_too() -> None:
    some = engine("transition", repeat="10m")
    some.take(Record(1, "default", moved(1, "a", "FAILED")))
    some.silence([a_silence(Criteria(), ends=30)], at(2))
    some.pass_time(at(35))
    assert [alert.occurred for _, alert in some.changes().alerts] == [at(1), at(30)]


def test_what_was_done_is_counted() -> None:
    story = [moved(1, "a", "FAILED"), moved(2, "b", "FAILED"), moved(3, "c", "FAILED"), moved(5, "d", "COMPLETED")]
    some = engine("transition")
    for seq, event in enumerate(story):
        some.take(Record(seq, "default", event))
    assert actions(some) == {Action.FIRED: 1, Action.DEDUPLICATED: 2, Action.RESOLVED: 1}
    quiet = engine("transition", quiet=["Sat"])
    for seq, event in enumerate(story):
        quiet.take(Record(seq, "default", event))
    assert actions(quiet) == {Action.SILENCED: 1, Action.DEDUPLICATED: 2}


def restored(some: Engine) -> Engine:
    """Return an engine that knows what the store would have kept."""
    kept = {key: group.model_dump_json() for key, group in some.changes().groups.items() if group}
    return Engine(some.rules, {Key(*key): Group.model_validate_json(body) for key, body in kept.items()})


STORIES: list[tuple[str, dict[str, Any]]] = [
    ("transition", {"repeat": "10m", "resolve_after": "1h"}),
    ("failures", {"count": 2}),
    ("failures", {"count": 2, "within": "20m"}),
    ("failure_rate", {"percent": 30, "within": "1h", "least": 2}),
    ("no_success", {"within": "15m"}),
    ("held", {"states": ["PENDING"], "longer": "5m"}),
    ("verdict", {}),
    ("transition", {"quiet": ["12:00-12:07", "12:30-12:45"]}),
]


@pytest.mark.parametrize(("on", "fields"), STORIES)
def test_a_restart_after_any_record_neither_repeats_nor_forgets(on: str, fields: dict[str, Any]) -> None:
    running = moved(0, "z", "RUNNING")
    story = [running, moved(1, "a", "FAILED"), moved(2, "p", "PENDING"), moved(3, "b", "FAILED")]
    story += [judged(4, "z", VerdictStatus.ZOMBIE, like=running), moved(9, "p", "RUNNING"), moved(10, "c", "FAILED")]
    story += [
        moved(20, "z", "COMPLETED"),
        moved(33, "d", "CRASHED"),
        moved(34, "e", "FAILED"),
        moved(80, "f", "FAILED"),
    ]
    at_once = told(engine(on, **fields), story, until=200)
    some, piecemeal = engine(on, **fields), []
    for event in story:
        some.pass_time(event.occurred)
        some.take(Record(1, "default", event))
        changes, before = some.changes(), dict(some._groups)
        piecemeal += [alert for _, alert in changes.alerts]
        kept = {key: group.model_dump_json() for key, group in before.items()}
        some = Engine(some.rules, {key: Group.model_validate_json(body) for key, body in kept.items()})
    some.pass_time(at(200))
    piecemeal += [alert for _, alert in some.changes().alerts]
    assert at_once
    assert [(each.occurred, each.situation.status) for each in piecemeal] == [
        (at(each.minute), each.status) for each in at_once
    ]


def test_what_changed_is_all_there_is_to_keep() -> None:
    some = engine("transition")
    some.take(Record(1, "default", moved(1, "a", "FAILED")))
    again = restored(some)
    assert told(again, [moved(5, "b", "COMPLETED")], until=6) == [Said(5, "resolved", FAILED, 1)]


def test_a_rule_that_is_no_more_ends_what_it_found() -> None:
    some = engine("transition")
    some.take(Record(1, "default", moved(1, "a", "FAILED")))
    kept = {key: group for key, group in some.changes().groups.items() if group}
    without = Engine({}, kept)
    without.forget_old(at(5))
    changes = without.changes()
    assert [alert.situation.status for _, alert in changes.alerts] == ["resolved"]
    assert list(changes.groups.values()) == [None]


def test_groups_of_which_there_is_nothing_to_remember_are_forgotten_after_a_day() -> None:
    some = engine("transition", group="run")
    for number, state in enumerate(("FAILED", "COMPLETED")):
        some.take(Record(number, "default", moved(number, state, state)))
    some.forget_old(at(0) + timedelta(days=2))
    assert [group is None for group in some.changes().groups.values()] == [False, True]


def test_what_was_said_last_of_what_goes_on_is_known() -> None:
    some = engine("transition", repeat="10m")
    said = list(alerts(some, [moved(1, "a", "FAILED")], until=12))
    ((source, newest),) = some.announced()
    assert source == "default"
    assert newest.id == said[-1].id


def test_a_rule_that_is_adjusted_goes_on_and_one_that_looks_for_something_else_begins_anew() -> None:
    story = [moved(1, "a", "FAILED")]
    adjusted, another = engine("failures", count=1), engine("failures", count=1)
    for some in (adjusted, another):
        assert told(some, story, until=2) == [Said(1, "firing", "a run failed", 1)]
    adjusted.change({"rule": rule("failures", count=2, repeat="10m", severity="critical")}, at(5))
    said = list(alerts(adjusted, [moved(14, "b", "COMPLETED")], until=20))
    assert [(each.occurred, each.situation.status) for each in said] == [(at(11), "firing"), (at(14), "resolved")]
    assert {each.situation.severity for each in said} == {"warning"}, "who was told that it began is told the rest"
    another.change({"rule": rule("failures", count=1, match={"flows": ["etl"]})}, at(5))
    assert told(another, [moved(14, "b", "COMPLETED")], until=20) == [Said(5, "resolved", "a run failed", 1)]


def test_a_silence_holds_back_what_occurred_before_it_and_is_heard_of_after() -> None:
    some = engine("transition")
    some.silence([Silence(id=uuid4(), match=Criteria(), begins=at(5), ends=at(30))], at(5))
    assert told(some, [moved(1, "a", "FAILED")], until=60) == [Said(30, "firing", FAILED, 1)]


@pytest.mark.parametrize(
    ("criteria", "refusal"),
    [
        ({"kinds": ["alert"]}, None),
        ({"alerts": ["ru*"], "severities": ["critical"], "deployments": ["nightly"]}, None),
        ({"states": ["FAILED"], "min_run_count": 1}, None),
        ({"alerts": ["other"]}, "match.alerts: rule"),
        ({"severities": ["warning"]}, "match.severities: critical"),
        ({"verdicts": ["zombie"]}, "match.verdicts: none"),
    ],
)
def test_sinks_are_given_alerts_by_rule_severity_and_whom_they_are_about(
    criteria: dict[str, Any], refusal: str | None
) -> None:
    (alert,) = alerts(engine("transition", severity="critical"), [moved(1, "a", "FAILED")], until=2)
    assert Routing.model_validate({"match": criteria}).refusal(Record(1, "default", alert)) == refusal


def test_verdicts_can_be_told_apart_by_their_status() -> None:
    record = Record(1, "default", judged(1, "a", VerdictStatus.ZOMBIE, like=moved(0, "a", "RUNNING")))
    assert Routing.model_validate({"match": {"verdicts": ["zombie"]}}).refusal(record) is None
    refusal = Routing.model_validate({"match": {"verdicts": ["overdue"]}}).refusal(record)
    assert refusal == "match.verdicts: zombie"


def test_of_an_alert_what_must_not_leave_is_taken_out() -> None:
    (alert,) = alerts(engine("transition"), [moved(1, "secret-a", "FAILED", message="token=abc")], until=2)
    record = Record(1, "default", alert)
    masked = Redaction.model_validate({"mask": [r"token=\w+", "secret"]}).apply(record).event
    assert isinstance(masked, Alert)
    assert masked.situation.state
    assert (masked.situation.state.message, masked.situation.runs[0].name) == ("***", "***-a")
    assert masked.situation.model_dump(exclude={"runs", "state"}) == alert.situation.model_dump(
        exclude={"runs", "state"}
    )
    dropped = Redaction.model_validate({"drop": ["message", "run_name", "payload"]}).apply(record).event
    assert isinstance(dropped, Alert)
    assert dropped.situation.state
    assert (dropped.situation.state.message, dropped.situation.runs[0].name, dropped.resource.name) == (None,) * 3
    cut = Redaction.model_validate({"max_message": 5}).apply(record).event
    assert isinstance(cut, Alert)
    assert cut.situation.state
    assert cut.situation.state.message == "toke…"


@pytest.mark.parametrize("criterion", [{"severities": ["critical"]}, {"states": ["FAILED"]}, {"min_run_count": 2}])
def test_what_a_rule_cannot_ask_of_runs_is_refused(criterion: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=f"match.{next(iter(criterion))} is for"):
        rule("no_success", within="1h", match=criterion)
