"""A format makes the message: body, content type, and attributes; options of one format are refused for another."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas import decode, to_json
from streamer import sinks
from streamer.errors import ConfigError
from streamer.model import Record
from streamer.sinks.formats import Encoder, Format, Formatted, Message, messages
from streamer.surroundings import Surroundings
from tests.frames import bare, deployed, heartbeat, transition

SOURCES = {"default": "http://prefect.example:4200/api"}


def a_record(seq: int = 7, **fields: Any) -> Record:
    return Record(seq, "default", decode(bare(transition(related=deployed("prod"), **fields))))


def encoder(**options: Any) -> Encoder:
    return Formatted.model_validate(options, context={"surroundings": Surroundings(SOURCES)}).encoder()


def message(record: Record, **options: Any) -> Message:
    (only,) = messages(encoder(**options), [record])
    return only


def refusal(**options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        sinks.build("stdout", options)
    return str(caught.value)


def test_without_a_format_the_body_is_the_record() -> None:
    record = a_record()
    assert message(record) == Message(record, to_json(7, "default", record.event), "application/json", {})


def test_formats_are_called_as_documented() -> None:
    names = ["record", "event", "cloudevent", "cloudevent-binary", "openlineage", "template"]
    assert [each.value for each in Format] == names


def test_the_format_event_is_prefects_own_json() -> None:
    record = a_record()
    assert message(record, format="event") == Message(record, record.event.raw, "application/json", {})


def test_a_structured_cloudevent_is_all_in_the_body() -> None:
    record = a_record()
    made = message(record, format="cloudevent")
    assert (made.content_type, made.attributes) == ("application/cloudevents+json", {})
    assert orjson.loads(made.body)["source"] == SOURCES["default"]


def test_a_binary_cloudevent_is_the_record_with_attributes_beside_it() -> None:
    record = a_record()
    made = message(record, format="cloudevent-binary")
    assert (made.content_type, made.body) == ("application/json", message(record).body)
    assert made.attributes["source"] == SOURCES["default"]


def test_a_sink_made_without_the_sources_writes_cloudevents_too() -> None:
    (made,) = messages(Formatted(format=Format.CLOUDEVENT_BINARY).encoder(), [a_record()])
    assert made.attributes["source"] == "urn:prefect-streamer:source:default"


def test_openlineage_tells_the_namespace_of_jobs() -> None:
    record = a_record()
    usual, ours = message(record, format="openlineage"), message(record, format="openlineage", namespace="ours")
    assert [orjson.loads(each.body)["job"]["namespace"] for each in (usual, ours)] == ["prefect", "ours"]
    assert ours.content_type == "application/json"


def test_what_a_format_has_no_word_for_is_passed_over() -> None:
    records = [Record(1, "default", decode(bare(heartbeat()))), a_record(2)]
    assert [each.record.seq for each in messages(encoder(format="openlineage"), records)] == [2]


def test_a_template_makes_the_body() -> None:
    made = message(a_record(), format="template", template="{{ flow.name }} is {{ to.name }}")
    assert made.body == b"sleepy is Running"
    assert made.content_type == "text/plain; charset=utf-8"


def test_a_template_may_say_what_it_makes() -> None:
    made = message(a_record(), format="template", template="<a/>", content_type="application/xml")
    assert made.content_type == "application/xml"


def test_a_template_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.j2").write_text("grüße an {{ flow.name }}", encoding="utf-8")
    made = message(a_record(), format="template", template_file=tmp_path / "a.j2")
    assert made.body.decode() == "grüße an sleepy"


def test_a_template_file_may_be_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.j2").write_text("here")
    assert message(a_record(), format="template", template_file="~/a.j2").body == b"here"


def test_what_renders_to_nothing_is_passed_over() -> None:
    only_failures = encoder(format="template", template="{% if to.type == 'FAILED' %}{{ flow.name }}{% endif %}\n")
    assert messages(only_failures, [a_record()]) == []


def test_a_message_is_known_by_the_events_id() -> None:
    record = a_record()
    assert message(record).id == str(record.event.id)


@pytest.mark.parametrize("other", [each for each in Format if each is not Format.TEMPLATE])
@pytest.mark.parametrize(
    ("option", "value"), [("template", "x"), ("template_file", "x"), ("content_type", "text/plain")]
)
def test_options_of_templates_are_refused_for_another_format(other: Format, option: str, value: str) -> None:
    said = refusal(format=other, **{option: value})
    assert f"{option} is only for the format template, not for {other}" in said


def test_a_namespace_is_refused_for_another_format_than_openlineage() -> None:
    assert "namespace is only for the format openlineage, not for event" in refusal(format="event", namespace="x")


@pytest.mark.parametrize("options", [{}, {"template": "x", "template_file": "x"}])
def test_the_format_template_needs_one_template(options: dict[str, str]) -> None:
    assert "the format template needs a template, or a template_file" in refusal(format="template", **options)


def test_what_is_no_template_is_refused_at_start() -> None:
    assert "the template is wrong in line 2: Unexpected end of template" in refusal(
        format="template", template="\n{% if x %}"
    )


def test_a_file_that_cannot_be_read_is_refused_at_start(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xff")
    missing, binary = tmp_path / "missing", tmp_path / "latin"
    said = refusal(format="template", template_file=missing)
    assert f"cannot read the template_file {missing}: No such file or directory" in said
    said = refusal(format="template", template_file=binary)
    assert f"cannot read the template_file {binary}: it is not UTF-8" in said


@pytest.mark.parametrize("content_type", ["", "text/plain\r\nx-evil: 1", "text/plain\n", "tëxt", " text/plain"])
def test_a_content_type_that_would_break_a_header_is_refused(content_type: str) -> None:
    assert "content_type" in refusal(format="template", template="x", content_type=content_type)
