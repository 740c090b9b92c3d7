"""How a record is written for a destination: its body, and what goes beside it in the protocol's headers."""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, PrivateAttr

from schemas import to_json
from streamer.model import Record

JSON = "application/json"
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Format(StrEnum):
    """`record` is ours (schemas/json/record.json), `event` is Prefect's own JSON."""

    RECORD = "record"
    EVENT = "event"


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


class Formatted(BaseModel):
    """Options of a sink that writes records in a format."""

    model_config = ConfigDict(extra="forbid")

    format: Format = Format.RECORD
    _sources: Mapping[str, str] = PrivateAttr(default_factory=dict)

    def model_post_init(self, context: Any, /) -> None:
        """Take the API's address of each source by name from the validation's context."""
        self._sources = (context or {}).get("sources", {})

    def encoder(self) -> Encoder:
        """Return what turns a record into a message."""
        return _ENCODERS[self.format]


def messages(encoder: Encoder, records: Iterable[Record]) -> list[Message]:
    """Return what goes out of these records, in their order."""
    return [message for message in map(encoder, records) if message]


def as_record(record: Record) -> Message:
    """Return the record as our own JSON, on one line."""
    return Message(record, to_json(record.seq, record.source, record.event))


def as_event(record: Record) -> Message:
    """Return the event as Prefect's own JSON, on one line."""
    return Message(record, record.event.raw)


_ENCODERS: Mapping[Format, Encoder] = {Format.RECORD: as_record, Format.EVENT: as_event}
