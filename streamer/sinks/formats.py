"""How a record is written for a destination: its body, and what goes beside it in the protocol's headers."""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, NamedTuple

from pydantic import ConfigDict, PrivateAttr, StringConstraints, model_validator

from schemas import to_json
from streamer.model import Record
from streamer.sinks import openlineage
from streamer.sinks.cloudevents import STRUCTURED, CloudEvents
from streamer.sinks.surrounded import Surrounded
from streamer.sinks.templates import Template

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Format(StrEnum):
    """`record` is ours (schemas/json/record.json), `event` is Prefect's own JSON.

    `cloudevent` is one JSON object, data and attributes; of `cloudevent-binary` the attributes go into headers.
    """

    RECORD = "record"
    EVENT = "event"
    CLOUDEVENT = "cloudevent"
    CLOUDEVENT_BINARY = "cloudevent-binary"
    OPENLINEAGE = "openlineage"
    TEMPLATE = "template"


class Message(NamedTuple):
    """A record as it goes out. `attributes` belong into the protocol's headers, as far as it has some."""

    record: Record
    body: bytes
    content_type: str = JSON
    attributes: Mapping[str, str] = _NOTHING

    @property
    def id(self) -> str:
        """Return the event's id: the same at every delivery, so that a consumer can tell a repetition."""
        return str(self.record.event.id)


Encoder = Callable[[Record], Message | None]
"""None for a record that the format has no word for: it is passed over, and counts as delivered."""

HeaderText = Annotated[str, StringConstraints(pattern=r"^[!-~]([ -~]*[!-~])?$")]

_ONLY_WITH = {
    "namespace": Format.OPENLINEAGE,
    "template": Format.TEMPLATE,
    "template_file": Format.TEMPLATE,
    "content_type": Format.TEMPLATE,
}


class Formatted(Surrounded):
    """Options of a sink that writes records in a format.

    `namespace` is that of the jobs in `openlineage`; `template` or `template_file`, read once, and `content_type` are
    for the format `template`.
    """

    model_config = ConfigDict(extra="forbid")

    format: Format = Format.RECORD
    namespace: str | None = None
    template: str | None = None
    template_file: Path | None = None
    content_type: HeaderText | None = None
    _template: Template | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _fits_its_format(self) -> "Formatted":
        for option, wanted in _ONLY_WITH.items():
            if getattr(self, option) is not None and self.format is not wanted:
                raise ValueError(f"{option} is only for the format {wanted}, not for {self.format}")
        if self.format is Format.TEMPLATE:
            self._template = Template(self._text())
        return self

    def _text(self) -> str:
        if (self.template is None) == (self.template_file is None):
            raise ValueError("the format template needs a template, or a template_file")
        if self.template is not None:
            return self.template
        assert self.template_file
        path = self.template_file.expanduser()
        try:
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise ValueError(f"cannot read the template_file {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"cannot read the template_file {path}: it is not UTF-8") from error

    def encoder(self) -> Encoder:
        """Return what turns a record into a message."""
        match self.format:
            case Format.RECORD:
                return as_record
            case Format.EVENT:
                return as_event
            case Format.CLOUDEVENT:
                return _structured(CloudEvents(self.surroundings.sources))
            case Format.CLOUDEVENT_BINARY:
                return _binary(CloudEvents(self.surroundings.sources))
            case Format.OPENLINEAGE:
                return _as_run_event(openlineage.NAMESPACE if self.namespace is None else self.namespace)
            case Format.TEMPLATE:
                assert self._template
                return _rendered(self._template, self.content_type or TEXT)


def messages(encoder: Encoder, records: Iterable[Record]) -> list[Message]:
    """Return what goes out of these records, in their order."""
    return [message for message in map(encoder, records) if message]


def as_record(record: Record) -> Message:
    """Return the record as our own JSON, on one line."""
    return Message(record, to_json(record.seq, record.source, record.event))


def as_event(record: Record) -> Message:
    """Return the event as Prefect's own JSON, on one line."""
    return Message(record, record.event.raw)


def _structured(events: CloudEvents) -> Encoder:
    return lambda record: Message(record, events.structured(record), STRUCTURED)


def _binary(events: CloudEvents) -> Encoder:
    return lambda record: as_record(record)._replace(attributes=events.headers(record))


def _as_run_event(namespace: str) -> Encoder:
    def encode(record: Record) -> Message | None:
        body = openlineage.run_event(record, namespace)
        return Message(record, body) if body else None

    return encode


def _rendered(template: Template, content_type: str) -> Encoder:
    def encode(record: Record) -> Message | None:
        body = template.render(record)
        return Message(record, body, content_type) if body else None

    return encode
