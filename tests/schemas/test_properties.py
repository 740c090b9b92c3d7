"""Whatever the bytes: `decode` raises nothing but `InvalidEvent`, and what it lets through is sound."""

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import Event, InvalidEvent, Reason, decode, downstream
from schemas.record import RecordBody
from tests.frames import (
    Json,
    bare,
    captured_events,
    deployed,
    edited,
    frame,
    heartbeat,
    pull_step,
    transition,
    verdict,
    without,
)

Path = tuple[str | int, ...]
Layout = Callable[[Json], bytes]

quick = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])

CAPTURED = {each["event"]: each for each in captured_events()}
REAL: list[Json] = [
    *(each for name, each in CAPTURED.items() if name.startswith("prefect.flow-run.")),
    CAPTURED["prefect.task-run.Running"],
    CAPTURED["prefect.worker.executed-flow-run"],
    transition(related=deployed("prod", "a.b:c")),
    transition(None, "SCHEDULED"),
    heartbeat(related=deployed()),
    pull_step(failed=True),
    verdict(related=deployed()),
]

KEYS = ["id", "event", "resource", "related", "payload", "occurred", "follows", "type", "prefect.state-type"]
WORDS = ["RUNNING", "FAILED", "prefect.flow-run.heartbeat", "prefect.flow-run.", "\x00", "NaN", "1", "\ud800"]


def message_with_event_last(content: Json) -> bytes:
    return json.dumps({"type": "event", "n": 1, "event": content}).encode()


def message_with_event_first(content: Json) -> bytes:
    return json.dumps({"event": content, "type": "event"}, indent=1).encode()


def bare_with_escapes(content: Json) -> bytes:
    """Write an event so that lone surrogates are escaped instead of refused by the encoder."""
    return json.dumps(content, separators=(",", ":")).encode()


def compact_with_escapes(content: Json) -> bytes:
    return bare_with_escapes({"type": "event", "event": content})


LAYOUTS: list[Layout] = [
    bare_with_escapes,
    compact_with_escapes,
    message_with_event_last,
    message_with_event_first,
]

events = st.sampled_from(REAL)
layouts = st.sampled_from(LAYOUTS)
texts = st.text(max_size=12) | st.text(st.characters(categories=["Cs", "Cc", "Nd"]), max_size=3)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-9, 9),
    st.integers(-(10**40), 10**40),
    st.floats(),
    texts,
    st.sampled_from(WORDS),
)
keys = st.sampled_from(KEYS) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=8,
)


@st.composite
def edited_events(draw: st.DrawFn) -> Json:
    """Draw a real event with values replaced, added or taken away at random places."""
    content = draw(events)
    for _ in range(draw(st.integers(1, 2))):
        match draw(st.sampled_from(["replace", "remove", "add", "add"])):
            case "replace" if content:
                content = edited(content, *draw(st.sampled_from(paths(content))), to=draw(values))
            case "remove" if content:
                content = without(content, *draw(st.sampled_from(paths(content))))
            case _:
                content = edited(content, *draw(st.sampled_from(objects(content))), draw(keys), to=draw(values))
    return content


@st.composite
def edited_frames(draw: st.DrawFn) -> bytes:
    """Draw an edited event in one of the layouts."""
    return draw(layouts)(draw(edited_events()))


@st.composite
def doubled_keys(draw: st.DrawFn) -> bytes:
    """Draw a real event in which a key comes twice, with another value first or last."""
    content, key = draw(events), draw(st.sampled_from(KEYS))
    value = draw(values | events.map(lambda other: other.get(key)))
    data, pair = bare_with_escapes(content), bare_with_escapes({key: value})
    doubled = draw(st.sampled_from([pair[:-1] + b"," + data[1:], data[:-1] + b"," + pair[1:]]))
    return draw(st.sampled_from([doubled, b'{"type":"event","event":' + doubled + b"}"]))


@st.composite
def damaged_frames(draw: st.DrawFn) -> bytes:
    """Draw a real frame with a byte flipped, a part cut out, spliced in from another frame, or written over."""
    data: bytes = draw(st.sampled_from([bare, frame]))(draw(events))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = start + draw(st.integers(0, 3) | st.integers(0, 400))
        other = frame(draw(events))[start:end]
        flipped = bytes(byte ^ 1 << draw(st.integers(0, 7)) for byte in data[start : start + 1])
        noise = draw(st.binary(max_size=4) | st.sampled_from([b"\x00", b"\\ud800", b"NaN", b"1e999", b'"', b"}"]))
        damage = [(flipped, start + 1), (b"", end), (other, end), (other, start), (noise, start), (noise, end)]
        replacement, resume = draw(st.sampled_from(damage))
        data = data[:start] + replacement + data[resume:]
    return data


@st.composite
def deep_frames(draw: st.DrawFn) -> bytes:
    """Draw a real frame with a payload nested up to far beyond any parser's limit."""
    depth = draw(st.integers(1, 400) | st.just(100_000))
    opening, closing = draw(st.sampled_from([(b"[", b"]"), (b'{"a":', b"}")]))
    data = draw(layouts)(edited(draw(events), "payload", to="@"))
    return data.replace(b'"@"', opening * depth + b"1" + closing * depth)


MUTATED = {"edited": edited_frames(), "doubled": doubled_keys(), "damaged": damaged_frames(), "deep": deep_frames()}

mutated = pytest.mark.parametrize("frames", MUTATED.values(), ids=MUTATED.keys())


def paths(tree: Any, start: Path = ()) -> list[Path]:
    """Return the path of every value below the tree."""
    steps = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path for step, value in steps for path in ((*start, step), *paths(value, (*start, step)))]


def objects(tree: Any, start: Path = ()) -> list[Path]:
    """Return the path of every object in a tree, its root included."""
    if not isinstance(tree, dict):
        return []
    return [start, *(path for step, value in tree.items() for path in objects(value, (*start, step)))]


def attempt(data: bytes | str) -> Event | Reason:
    """Return the event, or the reason why it is refused; let all else through."""
    try:
        return decode(data)
    except InvalidEvent as refusal:
        return refusal.reason


@quick
@given(st.binary(max_size=300))
def test_random_bytes_are_no_event(data: bytes) -> None:
    assert isinstance(attempt(data), Reason)


@quick
@given(texts)
def test_random_text_is_no_event(data: str) -> None:
    assert isinstance(attempt(data), Reason)


@quick
@given(values)
def test_random_json_is_no_event(value: Any) -> None:
    assert isinstance(attempt(json.dumps(value)), Reason)


@quick
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, values)), layouts)
def test_random_json_with_an_event_s_keys_is_decoded_or_refused(content: Json, layout: Layout) -> None:
    attempt(layout(content))


@mutated
@quick
@given(data=st.data())
def test_a_mutated_frame_is_decoded_or_refused(frames: st.SearchStrategy[bytes], data: st.DataObject) -> None:
    attempt(data.draw(frames))


@mutated
@quick
@given(data=st.data())
def test_raw_decodes_to_the_same_event(frames: st.SearchStrategy[bytes], data: st.DataObject) -> None:
    found = attempt(data.draw(frames))
    if isinstance(found, Event):
        again = decode(found.raw)
        assert (type(again), again, again.raw) == (type(found), found, found.raw)


@mutated
@quick
@given(data=st.data())
def test_raw_is_one_line_of_json_that_others_read_alike(frames: st.SearchStrategy[bytes], data: st.DataObject) -> None:
    found = attempt(data.draw(frames))
    if isinstance(found, Event):
        (line,) = found.raw.splitlines()
        assert [read(line)["event"] for read in (json.loads, orjson.loads)] == [found.name] * 2


@mutated
@quick
@given(data=st.data())
def test_the_record_of_whatever_decodes_can_be_written_and_is_as_described(
    frames: st.SearchStrategy[bytes], data: st.DataObject
) -> None:
    found = attempt(data.draw(frames))
    if isinstance(found, Event):
        body = RecordBody.model_validate_json(orjson.dumps(downstream(1, "default", found)))
        assert (body.id, body.kind, body.occurred) == (found.id, found.kind, found.occurred)


@quick
@given(edited_events())
def test_an_event_is_the_same_or_refused_alike_in_every_layout(content: Json) -> None:
    first, *others = [attempt(layout(content)) for layout in LAYOUTS]
    assert others == [first] * len(others)
