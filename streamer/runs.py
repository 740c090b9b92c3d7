"""Pure: a run and the next event about it → the run. Events come in any order; the shown state never goes back."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from schemas import Event, FlowRunEvent, Heartbeat, Notice, StateType, Transition
from streamer.model import Beat, RunState
from streamer.timestamps import to_micros

BEATS_KEPT = 32


def advance(run: RunState | None, source: str, event: FlowRunEvent) -> RunState:
    """Return what is known of the run after this event."""
    known = run or RunState(id=event.run, source=source)
    known = replace(known, seen_at=_earliest(known.seen_at, event.occurred))
    if isinstance(event, Heartbeat):
        return _beaten(known, event)
    if isinstance(event, Transition):
        return _moved(known, event)
    if isinstance(event, Notice):
        return replace(known, deleted_at=event.occurred)
    is_late = known.state_at is not None and event.occurred < known.state_at
    return replace(known, **_identity(known, event, prefer_known=is_late))


def _moved(run: RunState, event: Transition) -> RunState:
    if event.to_type is StateType.RUNNING:
        run = replace(run, started_at=_earliest(run.started_at, event.occurred))
    if not _is_newer(run, event):
        run_count = event.run_count if run.run_count is None else run.run_count
        return replace(run, **_identity(run, event, prefer_known=True), run_count=run_count)
    return replace(
        run,
        **_identity(run, event),
        run_count=run.run_count if event.run_count is None else event.run_count,
        state_id=event.id,
        state_type=event.to_type,
        state_name=event.after.name,
        state_message=event.after.message,
        state_at=event.occurred,
        ended_at=event.occurred if event.to_type.is_terminal else None,
    )


def _is_newer(run: RunState, event: Transition) -> bool:
    if run.state_at is None or event.occurred != run.state_at:
        return run.state_at is None or event.occurred > run.state_at
    return event.follows is not None and event.follows == run.state_id


def _beaten(run: RunState, event: Heartbeat) -> RunState:
    occurred = to_micros(event.occurred)
    received = to_micros(event.received) if event.received else occurred
    beats = tuple(sorted({*run.beats, Beat(occurred, received)}))[-BEATS_KEPT:]
    return replace(run, **_identity(run, event, prefer_known=True), beats=beats)


def _identity(run: RunState, event: Event, *, prefer_known: bool = False) -> dict[str, Any]:
    """Return the run's names and relations; an event that does not tell one leaves what was known."""
    told: dict[str, Any] = {
        "name": event.resource.name,
        "flow": event.flow.id if event.flow else None,
        "deployment": event.deployment.id if event.deployment else None,
        "work_pool": event.work_pool.id if event.work_pool else None,
        "work_queue": event.work_queue.id if event.work_queue else None,
        "task_run": event.task_run.id if event.task_run else None,
        "tags": event.tags,
    }
    known = {name: getattr(run, name) for name in told}
    first, second = (known, told) if prefer_known else (told, known)
    return {name: first[name] or second[name] for name in told}


def _earliest(known: datetime | None, moment: datetime) -> datetime:
    return moment if known is None else min(known, moment)
