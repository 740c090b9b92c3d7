"""`decode`: which kind a frame is, what is kept of it in `raw`, and why and where it is refused."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid5

import pytest

from schemas import Event, Heartbeat, InvalidEvent, Kind, Other, PullStep, Reason, Transition, Verdict, decode
from schemas.decoding import MAX_FRAME_BYTES
from tests.frames import (
    CAPTURES,
    RUN,
    Json,
    bare,
    captured,
    captured_events,
    edited,
    event,
    flow_run,
    frame,
    heartbeat,
    pull_step,
    related,
    transition,
    verdict,
    without,
)

DIRECT, WORKER = CAPTURES

KINDS = {
    DIRECT: {Kind.TRANSITION: 31, Kind.HEARTBEAT: 10, Kind.OTHER: 29},
    WORKER: {Kind.TRANSITION: 38, Kind.HEARTBEAT: 14, Kind.PULL_STEP: 7, Kind.OTHER: 57},
}

PAIRS = {
    DIRECT: {
        (None, "PENDING"): 10,
        ("PENDING", "RUNNING"): 10,
        ("RUNNING", "COMPLETED"): 7,
        ("RUNNING", "FAILED"): 2,
        ("RUNNING", "SCHEDULED"): 1,
        ("SCHEDULED", "RUNNING"): 1,
    },
    WORKER: {
        (None, "SCHEDULED"): 8,
        ("SCHEDULED", "PENDING"): 7,
        ("PENDING", "PENDING"): 7,
        ("PENDING", "RUNNING"): 7,
        ("RUNNING", "COMPLETED"): 2,
        ("RUNNING", "FAILED"): 1,
        ("RUNNING", "PAUSED"): 2,
        ("PAUSED", "FAILED"): 2,
        ("RUNNING", "CANCELLING"): 1,
        ("CANCELLING", "CANCELLED"): 1,
    },
}

TYPE = ("resource", "prefect.state-type")
RESOURCE = ("resource", "prefect.resource.id")


def refusal(data: bytes | str) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as caught:
        decode(data)
    return caught.value


@pytest.mark.parametrize("capture", CAPTURES)
def test_a_capture_decodes_to_its_kinds(capture: str) -> None:
    assert Counter(decode(line).kind for line in captured(capture)) == KINDS[capture]


@pytest.mark.parametrize("capture", CAPTURES)
def test_a_capture_holds_its_transitions(capture: str) -> None:
    transitions = [each for each in map(decode, captured(capture)) if isinstance(each, Transition)]
    assert Counter((each.from_type, each.to_type) for each in transitions) == PAIRS[capture]


@pytest.mark.parametrize("capture", CAPTURES)
def test_whatever_carries_a_state_type_is_a_transition_and_nothing_else_is(capture: str) -> None:
    labelled = ["prefect.state-type" in each["resource"] for each in captured_events(capture)]
    flow_runs = [each["event"].startswith("prefect.flow-run.") for each in captured_events(capture)]
    found = [isinstance(decode(line), Transition) for line in captured(capture)]
    assert found == [label and ours for label, ours in zip(labelled, flow_runs, strict=True)]


@pytest.mark.parametrize("capture", CAPTURES)
def test_raw_of_a_captured_message_is_the_event_byte_for_byte(capture: str) -> None:
    for line in captured(capture):
        assert b'{"type":"event","event":' + decode(line).raw + b"}" == line


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (transition(), Transition),
        (heartbeat(), Heartbeat),
        (pull_step(), PullStep),
        (pull_step(failed=True), PullStep),
        (verdict(), Verdict),
        (event("prefect.flow-run.mine", flow_run()), Other),
        (event("prefect.task-run.Running", {"prefect.resource.id": "prefect.task-run.1"}), Other),
        (event("PREFECT.FLOW-RUN.Running", flow_run()), Other),
        (event("", {"prefect.resource.id": ""}), Other),
    ],
)
def test_each_kind_has_its_type(content: Json, kind: type[Event]) -> None:
    assert type(decode(frame(content))) is kind


def as_prefect_3_0(content: Json) -> Json:
    """Take away what came later: run counts, pool types, time-ordered ids, the server's stamp."""
    old = without(content, "received")
    old["resource"].pop("prefect.run-count", None)
    for entry in old["related"]:
        entry.pop("prefect.work-pool.type", None)
    for key in ("id", "follows"):
        old[key] = old[key] and str(UUID(bytes=uuid5(RUN, old[key]).bytes, version=4))
    return old


@pytest.mark.parametrize("capture", CAPTURES)
def test_frames_of_prefect_3_0_decode_to_the_same_kinds(capture: str) -> None:
    old = [decode(frame(as_prefect_3_0(each))) for each in captured_events(capture)]
    assert Counter(each.kind for each in old) == KINDS[capture]


def test_what_prefect_3_0_does_not_tell_is_none() -> None:
    old = [decode(frame(as_prefect_3_0(each))) for each in captured_events(WORKER)]
    told = {
        (each.run_count, each.received, each.work_pool and each.work_pool.work_pool_type)
        for each in old
        if isinstance(each, Transition)
    }
    assert told == {(None, None, None)}


MESSAGE: Json = {"type": "event", "event": transition(payload=transition()["payload"] | {"n": 10**30, "x": 1.5})}
EVENT: Json = MESSAGE["event"]

LAYOUTS = {
    "compact": frame(EVENT),
    "a blank after it": frame(EVENT) + b" \r\n",
    "a blank before it": b"\n " + frame(EVENT),
    "blanks between tokens": json.dumps(MESSAGE).encode(),
    "pretty": json.dumps(MESSAGE, indent=2).encode(),
    "pretty with carriage returns": json.dumps(MESSAGE, indent=2).replace("\n", "\r\n").encode(),
    "event first": bare({"event": EVENT, "type": "event"}),
    "another key in between": bare({"type": "event", "n": 1, "event": EVENT}),
    "another key at the end": bare({**MESSAGE, "n": {"m": []}}),
    "keys of the event sorted": json.dumps(MESSAGE, sort_keys=True).encode(),
    "escaped keys": frame(EVENT).replace(b'"event":{', b'"\\u0065vent":{'),
    "text": frame(EVENT).decode(),
    "bare": bare(EVENT),
    "bare and pretty": json.dumps(EVENT, indent=2).encode(),
    "bare text": bare(EVENT).decode(),
}

layouts = pytest.mark.parametrize("data", LAYOUTS.values(), ids=LAYOUTS.keys())


@layouts
def test_every_layout_decodes_to_the_same_event(data: bytes | str) -> None:
    assert decode(data) == decode(bare(EVENT))


@layouts
def test_raw_is_the_event_s_json_alone_in_every_layout(data: bytes | str) -> None:
    assert json.loads(decode(data).raw) == EVENT


@layouts
def test_raw_is_one_line_in_every_layout(data: bytes | str) -> None:
    assert len(decode(data).raw.splitlines()) == 1


@pytest.mark.parametrize("line_break", [b"\n", b"\r", b"\r\n"])
def test_raw_is_one_line_whatever_the_line_break(line_break: bytes) -> None:
    assert len(decode(bare(EVENT).replace(b',"', b"," + line_break + b'"')).raw.splitlines()) == 1


def test_a_line_break_inside_a_text_is_kept() -> None:
    content = edited(EVENT, "payload", "validated_state", "message", to="one\ntwo\r\u2028three")
    found = decode(json.dumps(content, indent=1))
    assert isinstance(found, Transition)
    assert found.after.message == "one\ntwo\r\u2028three"


ANYTHING = {"deep": [None, {"er": "é"}]}


@pytest.mark.parametrize(
    "path",
    [
        ("new",),
        ("resource", "new"),
        ("related", 0, "new"),
        ("payload", "new"),
        ("payload", "intended", "new"),
        ("payload", "initial_state", "new"),
        ("payload", "validated_state", "new"),
    ],
)
def test_unknown_fields_are_accepted_and_kept_in_raw(path: tuple[str | int, ...]) -> None:
    content = edited(transition(related=[related("flow", "prefect.flow.1")]), *path, to=ANYTHING)
    assert json.loads(decode(frame(content)).raw) == content


@pytest.mark.parametrize("original", [heartbeat(), pull_step(), verdict()])
def test_unknown_fields_are_accepted_in_every_kind(original: Json) -> None:
    content = edited(edited(original, "resource", "new", to=ANYTHING), "payload", "new", to=ANYTHING)
    assert json.loads(decode(frame(content)).raw) == content


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"\x00",
        b"nonsense",
        b"\xef\xbb\xbf" + bare(transition()),
        bare(transition()) + b"\x00",
        bare(transition()) * 2,
        bare(transition()).decode().encode("utf-16"),
        bare(transition()).replace(b"loose", b"\xff"),
        bare(transition()).replace(b"loose", b"\\ud800"),
        bare(transition()).replace(b"loose", b"a\nb"),
        frame(transition())[:-1],
        frame(transition())[:-1] + b"]",
        frame(transition()) + b"}",
        bare(transition()).decode().replace("loose", "\ud800"),
        "\ud800",
    ],
    ids=range(16),
)
def test_what_is_no_json_is_refused_as_such(data: bytes | str) -> None:
    assert refusal(data).reason is Reason.JSON


@pytest.mark.parametrize("make", [bare, frame, lambda content: json.dumps({"event": content, "type": "event"})])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_does_not_know_are_refused(make: Callable[[Json], bytes | str], number: float) -> None:
    assert refusal(make(heartbeat(payload={"x": number}))).reason is Reason.JSON


def test_a_text_may_say_nan_and_infinity() -> None:
    found = decode(frame(transition(name="NaN and Infinity")))
    assert isinstance(found, Transition)


@pytest.mark.parametrize("depth", [300, 100_000])
def test_a_frame_nested_too_deeply_is_refused(depth: int) -> None:
    data = bare(heartbeat(payload="@")).replace(b'"@"', b"[" * depth + b"]" * depth)
    assert refusal(data).reason is Reason.JSON


@pytest.mark.parametrize("data", [b"null", b"true", b"1", b'"text"', b"[]", b"[{}]"])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    found = refusal(data)
    assert (found.reason, found.detail) == (Reason.SCHEMA, "Input should be an object")


@pytest.mark.parametrize(
    "message",
    [
        {"type": "auth_success"},
        {"type": "auth_failure", "reason": "no"},
        {"type": "ping"},
        {"type": "filter", "filter": {}},
        {"type": "event"},
        {"type": "event", "event": "prefect.flow-run.Running"},
        {"event": [], "type": "event"},
        {"type": "events", "event": transition()},
        {"type": None, "event": transition()},
        {"event": transition()},
        {"type": "event", "event": {"type": "event", "event": transition()}},
    ],
)
def test_other_websocket_messages_are_refused_for_lacking_an_event_s_fields(message: Json) -> None:
    found = refusal(bare(message))
    assert (found.reason, found.detail) == (Reason.SCHEMA, "id: Field required")


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("id",), "no uuid", "id"),
        (("id",), 7, "id"),
        (("id",), None, "id"),
        (("follows",), "no uuid", "follows"),
        (("occurred",), "2026-11-21T02:03:47.010932", "occurred"),
        (("occurred",), 1_795_226_627, "occurred"),
        (("occurred",), 1_795_226_627.5, "occurred"),
        (("occurred",), None, "occurred"),
        (("occurred",), "yesterday", "occurred"),
        (("received",), "2026-11-21T02:03:47", "received"),
        (("received",), 1_795_226_627, "received"),
        (("event",), 5, "event"),
        (("resource",), [], "resource"),
        (("related",), {}, "related"),
        (("related",), None, "related"),
        (("related",), ["flow"], "related.0"),
        (("resource", "prefect.resource.name"), 5, "resource.prefect.resource.name"),
        (TYPE, "SLEEPING", "resource.prefect.state-type"),
        (TYPE, "running", "resource.prefect.state-type"),
        (TYPE, None, "resource.prefect.state-type"),
        (("resource", "prefect.state-name"), 5, "resource.prefect.state-name"),
        (("resource", "prefect.run-count"), "many", "resource.prefect.run-count"),
        (("resource", "prefect.run-count"), "-1", "resource.prefect.run-count"),
        (("resource", "prefect.run-count"), str(2**31), "resource.prefect.run-count"),
        (("resource", "prefect.run-count"), 10**30, "resource.prefect.run-count"),
        (("payload",), None, "payload"),
        (("payload", "intended"), None, "payload.intended"),
        (("payload", "intended", "to"), "SLEEPING", "payload.intended.to"),
        (("payload", "intended", "from"), "SLEEPING", "payload.intended.from"),
        (("payload", "initial_state"), "PENDING", "payload.initial_state"),
        (("payload", "initial_state", "type"), "SLEEPING", "payload.initial_state.type"),
        (("payload", "validated_state"), None, "payload.validated_state"),
        (("payload", "validated_state", "type"), "SLEEPING", "payload.validated_state.type"),
        (("payload", "validated_state", "name"), 5, "payload.validated_state.name"),
        (("payload", "validated_state", "message"), 5, "payload.validated_state.message"),
        (("payload", "validated_state", "pause_reschedule"), "maybe", "payload.validated_state.pause_reschedule"),
    ],
)
def test_a_wrong_value_is_refused_and_its_field_named(path: tuple[str, ...], value: Any, field: str) -> None:
    found = refusal(frame(edited(transition(), *path, to=value)))
    assert (found.reason, found.detail.partition(":")[0]) == (Reason.SCHEMA, field)


@pytest.mark.parametrize(
    "path",
    [
        ("id",),
        ("occurred",),
        ("event",),
        ("resource",),
        RESOURCE,
        TYPE,
        ("payload",),
        ("payload", "intended"),
        ("payload", "intended", "to"),
        ("payload", "initial_state", "type"),
        ("payload", "initial_state", "name"),
        ("payload", "validated_state"),
        ("payload", "validated_state", "type"),
        ("payload", "validated_state", "name"),
    ],
)
def test_a_missing_field_is_refused_and_named(path: tuple[str, ...]) -> None:
    found = refusal(frame(without(transition(), *path)))
    assert (found.reason, found.detail) == (Reason.SCHEMA, f"{'.'.join(path)}: Field required")


@pytest.mark.parametrize("name", ["Running", "heartbeat", "pull-step.executed"])
def test_a_label_without_a_validated_state_is_refused_whatever_the_name(name: str) -> None:
    found = refusal(frame(without(transition(name=name), "payload", "validated_state")))
    assert (found.reason, found.detail) == (Reason.SCHEMA, "payload.validated_state: Field required")


@pytest.mark.parametrize("name", ["Running", "heartbeat", "pull-step.executed"])
def test_a_validated_state_without_a_label_is_refused_whatever_the_name(name: str) -> None:
    found = refusal(frame(without(transition(name=name), *TYPE)))
    assert (found.reason, found.detail) == (Reason.SCHEMA, "resource.prefect.state-type: Field required")


def test_a_label_without_a_payload_is_refused() -> None:
    found = refusal(frame(transition(payload={})))
    assert (found.reason, found.detail) == (Reason.SCHEMA, "payload.intended: Field required")


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        (TYPE, "resource.prefect.state-type is FAILED, but payload.validated_state.type is RUNNING"),
        (("payload", "intended", "to"), "payload.intended.to is FAILED, but payload.validated_state.type is RUNNING"),
        (
            ("payload", "validated_state", "type"),
            "resource.prefect.state-type is RUNNING, but payload.validated_state.type is FAILED",
        ),
    ],
)
def test_state_types_that_disagree_are_refused(path: tuple[str, ...], detail: str) -> None:
    found = refusal(frame(edited(transition(), *path, to="FAILED")))
    assert (found.reason, found.detail) == (Reason.SCHEMA, detail)


FORGED = ["foo", "", "prefect.flow-run.", "prefect.flow-run.foo", f"prefect.task-run.{RUN}", f"{RUN}", 5, None]


@pytest.mark.parametrize("resource", FORGED)
@pytest.mark.parametrize(
    "content", [transition(), heartbeat(), pull_step(), verdict(), event("prefect.flow-run.mine", flow_run())]
)
def test_a_flow_run_event_about_something_else_is_forged(content: Json, resource: Any) -> None:
    found = refusal(frame(edited(content, *RESOURCE, to=resource)))
    assert (found.reason, found.detail.partition(":")[0]) == (Reason.FORGED, "resource.prefect.resource.id")


@pytest.mark.parametrize("suffix", ["\n", " ", "0", ".x"])
def test_a_flow_run_s_id_with_something_after_it_is_forged(suffix: str) -> None:
    content = edited(transition(), *RESOURCE, to=f"prefect.flow-run.{RUN}{suffix}")
    assert refusal(frame(content)).reason is Reason.FORGED


def test_a_frame_of_the_greatest_size_decodes() -> None:
    data = bare(heartbeat())
    assert decode(data + b" " * (MAX_FRAME_BYTES - len(data))).kind is Kind.HEARTBEAT


@pytest.mark.parametrize("read", [bytes, bytes.decode])
def test_a_frame_above_the_greatest_size_is_refused(read: Callable[[bytes], bytes | str]) -> None:
    found = refusal(read(frame(heartbeat(payload={"é": "x"})).ljust(MAX_FRAME_BYTES + 1)))
    assert (found.reason, found.detail) == (
        Reason.OVERSIZE,
        f"frame: {MAX_FRAME_BYTES + 1} bytes, more than {MAX_FRAME_BYTES}",
    )


def test_a_refusal_is_a_value_error_that_says_reason_and_detail() -> None:
    found = refusal(b"{}")
    assert isinstance(found, ValueError)
    assert str(found) == "schema: id: Field required"


@pytest.mark.parametrize("make", [bare, frame])
def test_of_a_key_given_twice_the_last_counts(make: Callable[[Json], bytes]) -> None:
    content = transition()
    data = make(content).replace(b'{"occurred"', b'{"id":"x","resource":[],"occurred"')
    assert decode(data) == decode(make(content))
