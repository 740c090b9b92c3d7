"""The exported JSON Schema: current, valid, and true of what was captured."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # ships no types

from schemas import decode
from schemas.export import FOLDER, exported, write
from tests.frames import (
    CAPTURES,
    Json,
    captured,
    edited,
    event,
    flow_run,
    frame,
    heartbeat,
    pull_step,
    transition,
    verdict,
    without,
)
from tests.schemas.test_record import record

FILES = [
    "record.json",
    "transition.json",
    "heartbeat.json",
    "pull_step.json",
    "other.json",
    "verdict.json",
    "notice.json",
    "alert.json",
]

EACH = [transition(), heartbeat(), pull_step(), verdict(), event("prefect.flow-run.mine", flow_run())]


def complaints(content: Json, name: str) -> list[str]:
    """Return what the schema of that name has against the content."""
    schema = json.loads((FOLDER / name).read_bytes())
    return [error.message for error in Draft202012Validator(schema).iter_errors(content)]


def test_there_is_a_schema_of_the_record_and_of_each_kind() -> None:
    assert list(exported()) == FILES


def test_the_written_schemas_are_current() -> None:
    written = {path.name: path.read_bytes() for path in FOLDER.glob("*.json")}
    assert written == exported(), "run: python -m schemas.export"


def test_writing_fills_a_folder(tmp_path: Path) -> None:
    write(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == exported()


@pytest.mark.parametrize("name", FILES)
def test_a_schema_file_is_pretty_sorted_and_ends_its_last_line(name: str) -> None:
    content = exported()[name].decode()
    assert content == json.dumps(json.loads(content), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", FILES)
def test_a_schema_is_a_valid_one(name: str) -> None:
    Draft202012Validator.check_schema(json.loads(exported()[name]))


@pytest.mark.parametrize("capture", CAPTURES)
def test_every_captured_event_is_valid_under_the_schema_of_its_kind(capture: str) -> None:
    events = [decode(line) for line in captured(capture)]
    assert [complaints(json.loads(each.raw), f"{each.kind}.json") for each in events] == [[] for _ in events]


@pytest.mark.parametrize("capture", CAPTURES)
def test_the_record_of_every_captured_event_is_valid(capture: str) -> None:
    events = [json.loads(line)["event"] for line in captured(capture)]
    assert [complaints(record(each), "record.json") for each in events] == [[] for _ in events]


@pytest.mark.parametrize("content", EACH)
def test_each_kind_is_valid_under_its_schema(content: Json) -> None:
    assert complaints(content, f"{decode(frame(content)).kind}.json") == []


@pytest.mark.parametrize("content", EACH)
def test_an_event_made_here_is_valid_under_its_schema(content: Json) -> None:
    original = decode(frame(content))
    made = type(original).model_validate(original.model_dump(by_alias=True), strict=False)
    assert complaints(json.loads(made.raw), f"{made.kind}.json") == []


@pytest.mark.parametrize("content", EACH)
def test_the_record_of_each_kind_is_valid(content: Json) -> None:
    assert complaints(record(content), "record.json") == []


@pytest.mark.parametrize(
    "content",
    [
        without(transition(), "id"),
        without(transition(), "payload", "validated_state"),
        edited(transition(), "resource", "prefect.state-type", to="SLEEPING"),
        edited(transition(), "resource", "prefect.resource.id", to="foo"),
        edited(transition(), "resource", "prefect.run-count", to="many"),
        edited(transition(), "occurred", to=1_795_226_627),
    ],
)
def test_what_decode_refuses_the_schema_refuses(content: Json) -> None:
    assert len(complaints(content, "transition.json")) == 1


@pytest.mark.parametrize("key", ["seq", "kind", "flow_run", "tags"])
def test_a_record_that_lacks_a_key_is_not_valid(key: str) -> None:
    assert complaints(without(record(transition()), key), "record.json") == [f"'{key}' is a required property"]
