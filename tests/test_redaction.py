"""What is to be redacted is nowhere in the event that leaves; all else is as it was."""

import re
from copy import deepcopy
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas import Event, InvalidEvent, PullStep, Transition, decode, downstream
from schemas.notices import deleted
from schemas.record import RecordBody
from streamer.model import Record
from streamer.redaction import Redaction
from tests.frames import (
    OCCURRED,
    RUN,
    Json,
    bare,
    captured_events,
    deployed,
    edited,
    event,
    flow_run,
    heartbeat,
    pull_step,
    related,
    tag,
    transition,
    verdict,
    without,
)

SECRET = "hunter2"
EVERYTHING = r"[\s\S]+"
REAL: list[Json] = [
    *{each["event"]: each for each in captured_events()}.values(),
    transition("RUNNING", "FAILED", related=deployed("prod", "a.b:c"), name="Not good"),
    transition(None, "SCHEDULED"),
    heartbeat(related=deployed()),
    pull_step(failed=True),
    verdict(related=deployed("prod")),
    orjson.loads(deleted("default", RUN, occurred=OCCURRED).raw),
]


def record(content: Json | bytes) -> Record:
    return Record(7, "default", decode(content if isinstance(content, bytes) else bare(content)))


def redacted(content: Json | bytes, **options: Any) -> Event:
    return Redaction.model_validate(options).apply(record(content)).event


def tree_of(event: Event) -> Json:
    tree: Json = orjson.loads(event.raw)
    return tree


def failed(message: str, **fields: Any) -> Json:
    """Return a failure as Prefect tells it, with its message as a label and in the payload."""
    content = transition("RUNNING", "FAILED", **fields)
    content["resource"]["prefect.state-message"] = message
    content["payload"]["validated_state"]["message"] = message
    return content


def test_nothing_is_redacted_unless_asked_for() -> None:
    given = record(orjson.dumps(failed(f"password={SECRET}", related=deployed("prod")), option=orjson.OPT_INDENT_2))
    assert Redaction().is_off
    assert Redaction().apply(given) is given


@pytest.mark.parametrize("options", [{"mask": ["x"]}, {"drop": ["tags"]}, {"max_message": 9}])
def test_any_option_is_redaction(options: Json) -> None:
    assert not Redaction.model_validate(options).is_off


@pytest.mark.parametrize("content", REAL, ids=lambda content: content["event"])
def test_a_record_with_nothing_to_redact_is_the_same_object(content: Json) -> None:
    given = record(content)
    assert Redaction.model_validate({"mask": [SECRET], "max_message": 10_000}).apply(given) is given


def test_seq_and_source_stay() -> None:
    given = record(failed(SECRET))
    made = Redaction.model_validate({"mask": [SECRET]}).apply(given)
    assert (made.seq, made.source) == (given.seq, given.source)
    assert made != given


def test_a_message_is_masked_as_label_and_in_both_states() -> None:
    content = failed(f"no login as {SECRET}!")
    content["payload"]["initial_state"]["message"] = SECRET
    event = redacted(content, mask=[SECRET])
    assert isinstance(event, Transition)
    assert event.resource.state_message == event.after.message == "no login as ***!"
    assert event.before
    assert event.before.message == "***"


def test_each_pattern_masks_each_of_its_matches_and_no_more() -> None:
    event = redacted(failed("token=abc token=def key 12345 1234"), mask=[r"token=\w+", r"\d{5}"])
    assert isinstance(event, Transition)
    assert event.after.message == "*** *** key *** 1234"


def test_a_pattern_that_matches_nothing_at_all_inserts_nothing() -> None:
    event = redacted(failed("abbc"), mask=["b*"])
    assert isinstance(event, Transition)
    assert event.after.message == "a***c"


def test_tags_are_masked_but_for_what_makes_them_tags() -> None:
    event = redacted(transition(related=[tag(f"key:{SECRET}.x"), tag("prod")]), mask=[SECRET, "prefect"])
    assert event.tags == ("key:***.x", "prod")
    assert [each.id for each in event.related] == ["prefect.tag.key:***.x", "prefect.tag.prod"]


def test_a_tag_of_no_usual_form_is_masked_whole() -> None:
    odd = related("tag", SECRET)
    assert redacted(transition(related=[odd]), mask=[SECRET]).tags == ("***",)


def test_names_are_masked() -> None:
    content = transition(related=deployed())
    content["resource"]["prefect.resource.name"] = f"run-{SECRET}"
    content["related"][0]["prefect.resource.name"] = f"flow-{SECRET}"
    event = redacted(content, mask=[SECRET])
    assert event.resource.name == "run-***"
    assert event.flow
    assert event.flow.name == "flow-***"


def test_a_states_name_is_masked_in_the_events_name_as_well() -> None:
    event = redacted(transition(name=f"Waits for {SECRET}"), mask=[SECRET])
    assert isinstance(event, Transition)
    assert (event.name, event.after.name) == ("prefect.flow-run.Waits for ***", "Waits for ***")


def test_labels_we_do_not_know_are_masked() -> None:
    content = transition()
    content["resource"]["my.label"] = SECRET
    content["resource"][f"my.{SECRET}"] = "x"
    assert SECRET.encode() not in redacted(content, mask=[SECRET]).raw


def test_payloads_are_masked_at_any_depth_keys_included() -> None:
    content = pull_step()
    content["payload"]["inputs"] = {"url": f"https://me:{SECRET}@git", "more": [{SECRET: [SECRET, 1, None, True]}]}
    event = redacted(content, mask=[SECRET])
    assert tree_of(event)["payload"]["inputs"] == {
        "url": "https://me:***@git",
        "more": [{"***": ["***", 1, None, True]}],
    }
    assert isinstance(event, PullStep)
    assert event.step == "git_clone"


def test_of_labels_the_text_is_masked_and_the_names_of_those_we_read_stay() -> None:
    content = transition(related=[related("work-pool", "prefect.work-pool.1", **{"prefect.work-pool.type": "process"})])
    content["resource"]["prefect.version"] = "3.8.8"
    tree = tree_of(redacted(content, mask=[EVERYTHING]))
    assert tree["resource"] == {
        "prefect.resource.id": f"prefect.flow-run.{RUN}",
        "prefect.resource.name": "***",
        "prefect.run-count": "1",
        "prefect.state-message": "",
        "prefect.state-name": "***",
        "prefect.state-timestamp": OCCURRED.isoformat(),
        "prefect.state-type": "RUNNING",
        "prefect.version": "***",
    }
    assert tree["related"] == [
        {
            "prefect.resource.id": "prefect.work-pool.1",
            "prefect.resource.role": "work-pool",
            "prefect.work-pool.type": "***",
        }
    ]


def test_of_a_state_the_name_and_the_message_are_masked() -> None:
    content = failed("no disk")
    content["payload"]["validated_state"]["pause_reschedule"] = "true"
    state = tree_of(redacted(content, mask=[EVERYTHING]))["payload"]["validated_state"]
    assert state == {"type": "FAILED", "name": "***", "message": "***", "pause_reschedule": "true"}


def test_of_a_verdict_the_states_text_and_the_result_are_masked() -> None:
    ruling = {
        "status": "acted",
        "reason": "heartbeat_missing",
        "since": "2026-11-21T02:04:17.010932Z",
        "last_heartbeat": "2026-11-21T02:03:47.010932Z",
        "interval": 30.0,
        "deadline": "2026-11-21T02:05:32.010932Z",
        "state": {"type": "RUNNING", "name": "Running", "message": "slow"},
        "run_count": 2,
        "incident": str(RUN),
        "action": "crash",
        "result": "refused: no such run",
    }
    masked = tree_of(redacted(verdict(payload={"verdict": ruling}), mask=[EVERYTHING]))["payload"]["verdict"]
    assert masked == {**ruling, "state": {"type": "RUNNING", "name": "***", "message": "***"}, "result": "***"}


def test_of_a_notice_the_text_and_the_sinks_name_are_masked() -> None:
    announcement = {
        "about": "expired",
        "message": "records were pruned",
        "event": str(RUN),
        "start": "2026-11-21T02:04:17.010932Z",
        "end": "2026-11-21T02:05:17.010932Z",
        "sink": "https://host/hook",
        "records": 3,
    }
    content = event("streamer.notice.expired", flow_run(), payload={"notice": announcement})
    masked = tree_of(redacted(content, mask=[EVERYTHING]))["payload"]["notice"]
    assert masked == {**announcement, "message": "***", "sink": "***"}


def test_a_pull_steps_name_is_masked_where_it_stands() -> None:
    event = redacted(pull_step("git_clone"), mask=[r"\w+"])
    assert isinstance(event, PullStep)
    assert event.step == "***"


def test_what_a_repeated_key_hides_does_not_leave() -> None:
    data = bare(transition()).replace(b'"payload":', f'"payload":"{SECRET}","payload":'.encode(), 1)
    assert SECRET.encode() in decode(data).raw
    assert SECRET.encode() not in redacted(data, mask=[SECRET]).raw


def test_escapes_do_not_hide_a_secret() -> None:
    data = bare(failed(SECRET)).replace(SECRET.encode(), b"\\u0068unter2")
    event = redacted(data, mask=[SECRET])
    assert isinstance(event, Transition)
    assert event.after.message == "***"


def everything(shown: Json) -> Json:
    """Return what must never change, whatever the patterns."""
    return {
        "ids": [shown["id"], shown["follows"], *_values(shown, "prefect.resource.id")],
        "times": [shown["occurred"], shown["received"], *_values(shown, "prefect.state-timestamp")],
        "roles": _values(shown, "prefect.resource.role"),
        "types": _values(shown, "type"),
        "labels": [_values(shown, "prefect.state-type"), _values(shown, "prefect.run-count")],
        "intended": _values(shown, "intended"),
        "others": [_values(shown, key) for key in ("status", "reason", "since", "deadline", "interval", "about")],
    }


def _values(tree: Any, key: str) -> list[Any]:
    if isinstance(tree, list):
        return [value for each in tree for value in _values(each, key)]
    if not isinstance(tree, dict):
        return []
    if tree.get("prefect.resource.role") == "tag" and key == "prefect.resource.id":
        return []
    here = [tree[key]] if key in tree else []
    return here + [value for each in tree.values() for value in _values(each, key)]


OURS = [each for each in REAL if each["event"].startswith(("prefect.flow-run.", "streamer."))]


@pytest.mark.parametrize("content", OURS, ids=lambda content: content["event"])
def test_a_pattern_that_matches_everything_leaves_ids_times_types_and_roles(content: Json) -> None:
    before, after = record(content).event, redacted(content, mask=[EVERYTHING, "."])
    assert everything(tree_of(after)) == everything(tree_of(before))
    assert (type(after), after.run_id, after.occurred) == (type(before), before.run_id, before.occurred)
    if not isinstance(before, Transition):
        assert after.name == before.name


def test_a_dropped_message_is_nowhere() -> None:
    content = failed(SECRET)
    content["payload"]["initial_state"]["message"] = SECRET
    event = redacted(content, drop=["message"])
    assert isinstance(event, Transition)
    assert event.after.message is event.resource.state_message is None
    assert SECRET.encode() not in event.raw


def test_a_dropped_message_is_in_no_verdict() -> None:
    content = edited(verdict(), "payload", "verdict", "state", "message", to=SECRET)
    assert SECRET.encode() not in redacted(content, drop=["message"]).raw


def test_dropped_tags_are_gone_and_nothing_else() -> None:
    event = redacted(transition(related=deployed("prod", "dev")), drop=["tags"])
    assert event.tags == ()
    assert event.related == decode(bare(transition(related=deployed()))).related


def test_a_dropped_creator_is_gone() -> None:
    creator = related("creator", "prefect.deployment.1", name="nightly")
    event = redacted(transition(related=[creator, tag("prod")]), drop=["creator"])
    assert (event.creator, event.tags) == (None, ("prod",))


def test_a_dropped_run_name_is_gone_wherever_it_stands() -> None:
    named = event("prefect.worker.x", {"prefect.resource.id": "w"}, related=[{**flow_run(), **related("r", "x")}])
    named["related"][0]["prefect.resource.id"] = flow_run()["prefect.resource.id"]
    for content in (transition(related=deployed()), named):
        made = redacted(content, drop=["run_name"])
        assert b"loose-quetzal" not in made.raw
    flow = redacted(transition(related=deployed()), drop=["run_name"]).flow
    assert flow
    assert flow.name == "sleepy"


def test_a_dropped_payload_leaves_a_pull_steps_name() -> None:
    assert tree_of(redacted(pull_step(), drop=["payload"]))["payload"] == {"step_name": "git_clone"}
    assert tree_of(redacted(without(pull_step(), "payload", "step_name"), drop=["payload"]))["payload"] == {}
    assert tree_of(redacted(event("my.event", flow_run(), payload=[1]), drop=["payload"]))["payload"] == {}


@pytest.mark.parametrize("content", [transition(), verdict(), orjson.loads(deleted("a", RUN, occurred=OCCURRED).raw)])
def test_the_payload_of_what_lives_by_it_is_not_dropped(content: Json) -> None:
    given = record(content)
    assert Redaction.model_validate({"drop": ["payload"]}).apply(given) is given


@pytest.mark.parametrize(("length", "expected"), [(20, "0123456789"), (10, "0123456789"), (9, "01234567…"), (1, "…")])
def test_a_long_message_is_cut_with_an_ellipsis(length: int, expected: str) -> None:
    content = failed("0123456789")
    content["payload"]["initial_state"]["message"] = "0123456789"
    event = redacted(content, max_message=length)
    assert isinstance(event, Transition)
    assert event.before
    assert {event.resource.state_message, event.after.message, event.before.message} == {expected}


@pytest.mark.parametrize("payload", [None, "x", ["x"], {"verdict": "x"}, {"initial_state": "x"}])
@pytest.mark.parametrize("options", [{"drop": ["message"]}, {"max_message": 1}])
def test_a_payload_of_any_shape_is_left_as_it_is(payload: Any, options: Json) -> None:
    given = record(event("my.event", flow_run(), payload=payload))
    assert Redaction.model_validate(options).apply(given) is given


def test_a_message_that_is_no_text_is_not_cut() -> None:
    given = record(event("my.event", flow_run(), payload={"initial_state": {"message": ["x", "y"]}}))
    assert Redaction(max_message=1).apply(given) is given


def test_a_message_is_masked_before_it_is_cut() -> None:
    event = redacted(failed(f"is {SECRET} it"), mask=[SECRET], max_message=6)
    assert isinstance(event, Transition)
    assert event.after.message == "is **…"


@pytest.mark.parametrize("pattern", ["(", "[a-", "(?P<x>a)(?P<x>b)"])
def test_what_is_no_regular_expression_is_refused_by_its_name(pattern: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(f"{pattern!r} is no regular expression: ")):
        Redaction.model_validate({"mask": ["fine", pattern]})


@pytest.mark.parametrize("options", [{"drop": ["id"]}, {"max_message": 0}, {"mask": [1]}, {"masks": ["x"]}])
def test_what_is_no_redaction_is_refused(options: Json) -> None:
    with pytest.raises(ValidationError):
        Redaction.model_validate(options)


def test_an_event_that_grows_beyond_a_frame_is_still_an_event() -> None:
    event = redacted(failed("x" * 1_000_000), mask=["x"])
    assert len(event.raw) > 4 * 1024 * 1024


@pytest.mark.parametrize("number", ["1e999", "123456789012345678901234567890", "1.10"])
def test_numbers_of_any_size_outlive_redaction(number: str) -> None:
    data = bare(event("my.event", flow_run(), payload="@")).replace(b'"@"', f'["{SECRET}",{number}]'.encode())
    event_ = redacted(data, mask=[SECRET])
    expected = None if number == "1e999" else float(number)
    assert tree_of(event_)["payload"] == ["***", expected]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
hidden = st.builds(lambda before, after: f"{before}{SECRET}{after}", texts, texts)


NO_TEXT = {
    *("id", "resource.id", "resource.role", "follows", "event", "incident"),
    *("occurred", "received", "state-timestamp", "since", "last_heartbeat", "deadline", "start", "end"),
    *("type", "state-type", "from", "to", "run-count", "pause_reschedule", "status", "reason", "action", "about"),
}


def _text_places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all texts that are free: not those of ids, times, types and roles."""
    if isinstance(tree, str):
        return [] if str(path[-1]).removeprefix("prefect.") in NO_TEXT else [path]
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [place for key, each in items for place in _text_places(each, (*path, key))]


@st.composite
def with_secrets(draw: st.DrawFn) -> Json:
    """Draw a real event with a secret in some of its texts, its tags, and in fields that nobody knows."""
    content = deepcopy(draw(st.sampled_from(OURS)))
    for place in _text_places(content):
        if draw(st.booleans()):
            content = edited(content, *place, to=draw(hidden))
    content["related"].append(tag(draw(hidden)))
    content[draw(st.sampled_from(["new", SECRET]))] = [draw(hidden), {draw(hidden): draw(hidden)}]
    content["resource"][f"x.{draw(hidden)}"] = draw(hidden)
    return content


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(with_secrets(), st.sets(st.sampled_from(["tags", "message", "run_name", "creator", "payload"])))
def test_no_secret_survives_and_the_event_is_what_it_was(content: Json, drop: set[str]) -> None:
    before, after = record(content).event, redacted(content, mask=[SECRET], drop=drop, max_message=5)
    assert SECRET.encode() not in after.raw
    assert SECRET.encode() not in orjson.dumps(downstream(7, "default", after))
    assert (type(after), after.id, after.run_id) == (type(before), before.id, before.run_id)
    if isinstance(before, Transition) and isinstance(after, Transition):
        assert (after.from_type, after.to_type, after.run_count) == (before.from_type, before.to_type, before.run_count)
    RecordBody.model_validate_json(orjson.dumps(downstream(7, "default", after)))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(REAL), st.text(max_size=3).map(re.escape) | st.sampled_from([".", r"\w+", "[a-z]", "^", "$|a"]))
def test_whatever_is_masked_an_event_stays_one(content: Json, pattern: str) -> None:
    try:
        after = redacted(content, mask=[pattern])
    except InvalidEvent as error:
        raise AssertionError(str(error)) from error
    assert type(after) is type(record(content).event)
