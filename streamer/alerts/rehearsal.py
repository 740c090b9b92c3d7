"""Pure: what rules would have said of events, had they been there."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from uuid import UUID

from schemas import Alert, Heartbeat
from streamer.alerts.engine import Engine
from streamer.alerts.rule import Rule
from streamer.model import Record


def rehearsed(rules: Mapping[str, Rule], records: Iterable[Record], *, beyond: timedelta) -> list[Alert]:
    """Return the alerts in order. Time passes by when the events occurred, and so long beyond the last of them."""
    engine, seen, last = Engine(rules), set[UUID](), None
    for record in records:
        if record.event.id in seen or isinstance(record.event, Heartbeat):
            continue
        seen.add(record.event.id)
        engine.pass_time(record.event.occurred)
        engine.take(record)
        last = max(last or record.event.occurred, record.event.occurred)
    if last:
        engine.pass_time(last + beyond)
    return [alert for _, alert in engine.changes().alerts]
