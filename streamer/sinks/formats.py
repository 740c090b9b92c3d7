"""How a record is written for a destination."""

from enum import StrEnum

from schemas import to_json
from streamer.model import Record


class Format(StrEnum):
    """`record` is ours (schemas/json/record.json), `event` is Prefect's own JSON."""

    RECORD = "record"
    EVENT = "event"


def encode(record: Record, form: Format) -> bytes:
    """Return the record as one line of JSON, without a line break."""
    if form is Format.EVENT:
        return record.event.raw
    return to_json(record.seq, record.source, record.event)
