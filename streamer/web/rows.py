"""Pure: what the live feed shows of a record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from schemas import StateType, Transition, Verdict
from schemas.event import Party
from streamer.model import Record
from streamer.run_view import Named

MESSAGE_MOST = 300
"""How much of a message the feed shows; the run's page has all of it."""

_WRONG = frozenset({StateType.FAILED, StateType.CRASHED})


@dataclass(frozen=True, slots=True)
class Row:
    """A transition, or a verdict: `state` is then its status, `message` its reason, and `before` and `type` the same.

    `since` is when the run fell silent or came late that a verdict is about.
    """

    seq: int
    kind: str
    at: datetime
    run: UUID
    name: str | None
    flow: Named | None
    deployment: Named | None
    tags: Sequence[str]
    before: StateType | None
    type: StateType | None
    state: str
    message: str | None
    since: datetime | None


def is_shown(record: Record) -> bool:
    """Tell whether the feed shows a record."""
    return isinstance(record.event, Transition | Verdict)


def is_wrong(record: Record) -> bool:
    """Tell whether a record that is shown says that something is wrong."""
    return not isinstance(record.event, Transition) or record.event.to_type in _WRONG


def row(record: Record, names: Mapping[str, str]) -> Row:
    """Return what is shown; `names` has the names that the event itself does not tell."""
    event = record.event
    assert isinstance(event, Transition | Verdict)
    before, after, state, message, since = _said(event)
    return Row(
        seq=record.seq,
        kind=event.kind.value,
        at=event.occurred,
        run=event.run,
        name=event.resource.name,
        flow=_named(event.flow, names),
        deployment=_named(event.deployment, names),
        tags=event.tags,
        before=before,
        type=after,
        state=state,
        message=message and message[:MESSAGE_MOST],
        since=since,
    )


def _said(
    event: Transition | Verdict,
) -> tuple[StateType | None, StateType | None, str, str | None, datetime | None]:
    if isinstance(event, Transition):
        return event.from_type, event.to_type, event.after.name, event.after.message, None
    ruling = event.ruling
    held = ruling.state.type if ruling.state else None
    return held, held, ruling.status.value, ruling.reason, ruling.since


def _named(party: Party | None, names: Mapping[str, str]) -> Named | None:
    return Named(party.id, party.name or names.get(party.id)) if party else None
