"""What we call a CloudEvent is one: the SDK of the standard reads both modes back."""

from typing import Any
from uuid import UUID

import orjson
import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.http import HTTPMessage, from_http_event

from schemas import Event, decode, to_json
from schemas.notices import expired
from streamer.model import Record
from streamer.sinks.cloudevents import CloudEvents
from streamer.sinks.formats import Format, Formatted
from streamer.surroundings import Surroundings
from tests.frames import (
    OCCURRED,
    RUN,
    Json,
    bare,
    captured_events,
    event,
    flow_run,
    heartbeat,
    pull_step,
    transition,
    verdict,
)

REAL = {each["event"]: each for each in captured_events()}
API = "https://prefect.example/api"


def record(content: Json, source: str = "default") -> Record:
    return Record(7, source, decode(bare(content)))


def over_http(record: Record, mode: Format) -> BaseCloudEvent:
    """Return what a receiver of the SDK makes of the message that a sink would send by HTTP."""
    context = {"surroundings": Surroundings({"default": API})}
    encode = Formatted.model_validate({"format": mode}, context=context).encoder()
    message = encode(record)
    assert message
    headers = {f"ce-{name}": value for name, value in message.attributes.items()}
    return from_http_event(HTTPMessage({"content-type": message.content_type, **headers}, message.body))


def type_of(event: Event) -> str:
    return CloudEvents({}).attributes(Record(1, "default", event))["type"]


MODES = pytest.mark.parametrize("mode", [Format.CLOUDEVENT, Format.CLOUDEVENT_BINARY])


@MODES
def test_the_sdk_reads_back_what_was_meant(mode: Format) -> None:
    sent = record(transition("RUNNING", "COMPLETED"))
    got = over_http(sent, mode)
    assert got.get_attributes() == {
        "specversion": "1.0",
        "id": str(sent.event.id),
        "source": API,
        "type": "io.prefect.flow-run.completed",
        "time": OCCURRED,
        "subject": f"prefect.flow-run.{RUN}",
        "partitionkey": str(RUN),
        "datacontenttype": "application/json",
    }
    assert got.get_data() == orjson.loads(to_json(7, "default", sent.event))


@MODES
@pytest.mark.parametrize("content", REAL.values(), ids=REAL)
def test_the_sdk_reads_back_every_real_event(content: Json, mode: Format) -> None:
    sent = record(content)
    got = over_http(sent, mode)
    assert (got.get_id(), got.get_subject()) == (str(sent.event.id), sent.event.resource.id)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (transition("RUNNING", "FAILED", name="Zu spät"), "io.prefect.flow-run.failed"),
        (transition(None, "SCHEDULED"), "io.prefect.flow-run.scheduled"),
        (heartbeat(), "io.prefect.flow-run.heartbeat"),
        (pull_step(), "io.prefect.flow-run.pull-step.executed"),
        (pull_step(failed=True), "io.prefect.flow-run.pull-step.failed"),
        (verdict("zombie"), "streamer.flow-run.zombie"),
        (event("prefect.flow-run.failed", flow_run()), "io.prefect.other"),
        (event("prefect.deployment.ready", {"prefect.resource.id": "prefect.deployment.1"}), "io.prefect.other"),
    ],
)
def test_the_type_is_told_by_content(content: Json, expected: str) -> None:
    assert type_of(decode(bare(content))) == expected


def test_a_notice_has_its_own_type_and_no_run() -> None:
    notice = expired("default", "mqtt", 3, 10, occurred=OCCURRED)
    attributes = CloudEvents({}).attributes(Record(1, "default", notice))
    assert (attributes["type"], attributes["subject"]) == ("streamer.notice.expired", "streamer.sink.mqtt")
    assert "partitionkey" not in attributes


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("default", "urn:prefect-streamer:source:default"),
        ("Büro 1/a", "urn:prefect-streamer:source:B%C3%BCro%201%2Fa"),
    ],
)
def test_a_source_of_unknown_address_is_still_a_uri(source: str, expected: str) -> None:
    assert CloudEvents({}).attributes(record(transition(), source))["source"] == expected


def test_each_source_has_its_own_address() -> None:
    events = CloudEvents({"east": "http://east/api", "west": "http://west/api"})
    assert [events.attributes(record(transition(), name))["source"] for name in ("west", "east")] == [
        "http://west/api",
        "http://east/api",
    ]


def test_an_address_is_told_without_its_credentials() -> None:
    events = CloudEvents({"default": "https://me:hunter2@prefect.example:4200/api@v2"})
    assert events.attributes(record(transition()))["source"] == "https://prefect.example:4200/api@v2"


@MODES
def test_a_subject_outlives_characters_that_headers_do_not(mode: Format) -> None:
    sent = record(event("my.event", {"prefect.resource.id": 'käse "50 %"\r\nx: 1'}))
    assert over_http(sent, mode).get_subject() == 'käse "50 %"\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}x: 1'


def test_headers_are_encoded_as_the_http_binding_says() -> None:
    plain = "".join(chr(code) for code in range(0x21, 0x7F))
    headers = CloudEvents({}).headers(record(event("my.event", {"prefect.resource.id": f"{plain} ä\n"})))
    assert headers["subject"] == plain.replace("%", "%25").replace('"', "%22") + "%20%C3%A4%EF%BF%BD"


def test_usual_attributes_are_their_own_headers() -> None:
    events, sent = CloudEvents({"default": API}), record(transition())
    assert events.headers(sent) == events.attributes(sent)


def test_an_empty_subject_is_left_out() -> None:
    assert "subject" not in CloudEvents({}).attributes(record(event("my.event", {"prefect.resource.id": ""})))


def test_a_structured_event_is_one_line_with_the_records_own_json_in_it() -> None:
    sent = record(transition())
    body = CloudEvents({}).structured(sent)
    assert orjson.loads(body)["specversion"] == "1.0"
    assert to_json(7, "default", sent.event) in body
    assert b"\n" not in body


def test_time_is_in_utc_with_a_z() -> None:
    found: dict[str, Any] = CloudEvents({}).attributes(record(transition()))
    assert found["time"] == "2026-11-21T02:03:47.010932Z"
    assert UUID(found["id"])
