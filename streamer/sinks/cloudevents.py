"""CloudEvents 1.0: the attributes of a record, and both together as one JSON object.

What a type is made of is told by content, so that no event of a user's can pass for a transition.
"""

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

import orjson

from schemas import Event, Heartbeat, Notice, PullStep, Transition, Verdict, to_json
from schemas.event import FLOW_RUN_PREFIX
from schemas.ours import NOTICE_PREFIX, VERDICT_PREFIX
from streamer.model import Record

STRUCTURED = "application/cloudevents+json"
_OF_RUNS = f"io.{FLOW_RUN_PREFIX}"
_HEADER_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
"""What the HTTP binding (3.1.3.2) leaves as it is in a header."""


class CloudEvents:
    """Write records as CloudEvents; `sources` are the addresses of the sources' APIs by name."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = {name: _without_login(url) for name, url in sources.items()}

    def attributes(self, record: Record) -> dict[str, str]:
        """Return the context attributes; `subject` and `partitionkey` only where there is one."""
        event = record.event
        found = {
            "specversion": "1.0",
            "id": str(event.id),
            "source": self._sources.get(record.source)
            or f"urn:prefect-streamer:source:{quote(record.source, safe='')}",
            "type": type_of(event),
            "time": orjson.dumps(event.occurred, option=orjson.OPT_UTC_Z)[1:-1].decode(),
            "subject": _printable(event.resource.id),
            "partitionkey": str(event.run_id or ""),
        }
        return {name: value for name, value in found.items() if value}

    def headers(self, record: Record) -> dict[str, str]:
        """Return the attributes for a protocol's headers, percent-encoded as the HTTP binding asks for."""
        return {name: quote(value, safe=_HEADER_SAFE) for name, value in self.attributes(record).items()}

    def structured(self, record: Record) -> bytes:
        """Return attributes and record as one JSON object on one line."""
        data = orjson.Fragment(to_json(record.seq, record.source, record.event))
        return orjson.dumps({**self.attributes(record), "datacontenttype": "application/json", "data": data})


def type_of(event: Event) -> str:
    """Return the `type`: of a transition `io.prefect.flow-run.<state type in lower case>`."""
    match event:
        case Transition():
            return f"{_OF_RUNS}{event.to_type.value.lower()}"
        case Heartbeat():
            return f"{_OF_RUNS}heartbeat"
        case PullStep():
            return f"{_OF_RUNS}pull-step.{'failed' if event.failed else 'executed'}"
        case Verdict():
            return f"{VERDICT_PREFIX}{event.ruling.status}"
        case Notice():
            return f"{NOTICE_PREFIX}{event.about}"
        case _:
            return "io.prefect.other"


def _without_login(url: str) -> str:
    """Return an address that may be shown: without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _printable(text: str) -> str:
    """Return the text without the control and non-characters that CloudEvents forbids."""
    return (
        text
        if text.isprintable()
        else "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
    )
