"""A record as a row of a table: the same columns wherever records are put to be asked by SQL."""

from datetime import datetime
from typing import NamedTuple, Self
from uuid import UUID

from schemas import Party, State, Transition, Verdict
from streamer.sinks.formats import Message


class Row(NamedTuple):
    """One record: what is asked for most in columns, all of it in `record`."""

    id: UUID
    seq: int
    source: str
    kind: str
    event: str
    occurred: datetime
    received: datetime | None
    flow_run_id: UUID | None
    flow_run_name: str | None
    flow: str | None
    deployment: str | None
    work_pool: str | None
    work_queue: str | None
    from_type: str | None
    from_name: str | None
    to_type: str | None
    to_name: str | None
    run_count: int | None
    tags: list[str]
    record: str

    @classmethod
    def of(cls, message: Message) -> Self:
        """Return the row of a message; its body, in whatever format, is the `record`."""
        seq, source, event = message.record.seq, message.record.source, message.record.event
        return cls(
            id=event.id,
            seq=seq,
            source=source,
            kind=event.kind.value,
            event=event.name,
            occurred=event.occurred,
            received=event.received,
            flow_run_id=event.run_id,
            flow_run_name=event.resource.name if event.run_id else None,
            flow=_name(event.flow),
            deployment=_name(event.deployment),
            work_pool=_name(event.work_pool),
            work_queue=_name(event.work_queue),
            from_type=_type(event.before) if isinstance(event, Transition) else None,
            from_name=_name(event.before) if isinstance(event, Transition) else None,
            to_type=_type(event.after) if isinstance(event, Transition) else None,
            to_name=_name(event.after) if isinstance(event, Transition) else None,
            run_count=_run_count(message),
            tags=list(event.tags),
            record=message.body.decode(),
        )


def _name(named: Party | State | None) -> str | None:
    return named.name if named else None


def _type(state: State | None) -> str | None:
    return state.type.value if state else None


def _run_count(message: Message) -> int | None:
    match message.record.event:
        case Transition() as transition:
            return transition.run_count
        case Verdict() as verdict:
            return verdict.ruling.run_count
        case _:
            return None
