"""Pure: a run and the next event about it → the run. Events come in any order; the shown state never goes back."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from schemas import Alert, Event, Heartbeat, Notice, Other, StateType, Transition, Verdict
from schemas.ours import NoticeAbout, VerdictStatus
from streamer.model import Held, RunState

AWAITING_RETRY = "AwaitingRetry"
"""Prefect's name for the SCHEDULED state between two attempts."""


def about_run(event: Event) -> UUID | None:
    """Return the run that the event changes; None for heartbeats, kept elsewhere, for alerts, and what is not ours."""
    return None if type(event) in (Alert, Event, Heartbeat, Other) else event.run_id


def continues(run: RunState | None, event: Transition) -> bool:
    """Tell whether a transition starts from the state that is shown, or is too old to say.

    If it does not, events are missing, or the shown state was rolled back, or both are on their way.
    """
    if run is None or run.state_id is None or run.state_at is None or event.occurred <= run.state_at:
        return True
    if event.follows:
        return event.follows == run.state_id
    return event.before is not None and (event.before.type, event.before.name) == (run.state_type, run.state_name)


def advance(run: RunState | None, source: str, event: Event) -> RunState:
    """Return what is known of the run after this event, which is about it."""
    assert event.run_id is not None
    known = run or RunState(id=event.run_id, source=source)
    known = replace(known, seen_at=_earliest(known.seen_at, event.occurred))
    if isinstance(event, Transition):
        return _moved(known, event)
    if isinstance(event, Notice):
        return replace(known, deleted_at=event.occurred) if event.about is NoticeAbout.DELETED else known
    if isinstance(event, Verdict):
        return _judged(known, event)
    is_late = known.state_at is not None and event.occurred < known.state_at
    return replace(known, **_identity(known, event, prefer_known=is_late))


def _moved(run: RunState, event: Transition) -> RunState:
    if event.to_type is StateType.RUNNING:
        run = replace(run, started_at=_earliest(run.started_at, event.occurred))
    if not _is_newer(run, event):
        run_count = event.run_count if run.run_count is None else run.run_count
        return replace(run, **_identity(run, event, prefer_known=True), run_count=run_count)
    goes_on = run.state_at is not None and not begins(run, event)
    return replace(
        run,
        **_identity(run, event),
        verdict=run.verdict if goes_on else None,
        lasted=run.lasted and event.to_type.is_terminal and not event.is_finish,
        since=run.since if goes_on else event.occurred,
        run_count=run.run_count if event.run_count is None else event.run_count,
        state_id=event.id,
        state_type=event.to_type,
        state_name=event.after.name,
        state_message=event.after.message,
        state_at=event.occurred,
        ended_at=event.occurred if event.to_type.is_terminal else None,
    )


def begins(run: RunState, event: Transition) -> bool:
    """Tell whether a newer transition begins something: another type of state, another attempt, or a wait for one."""
    is_wait = event.after.name == AWAITING_RETRY and run.state_name != AWAITING_RETRY
    is_attempt = None not in (event.run_count, run.run_count) and event.run_count != run.run_count
    return event.to_type is not run.state_type or is_wait or is_attempt


def _judged(run: RunState, event: Verdict) -> RunState:
    """Let a verdict stand while the run is in the state that it was about."""
    ruling = event.ruling
    if ruling.status is VerdictStatus.RECOVERED:
        return replace(run, verdict=None)
    if ruling.status is VerdictStatus.ACTED or (ruling.state and ruling.state.type is not run.state_type):
        return run
    return replace(run, verdict=Held(ruling.status.value, ruling.reason, event.occurred))


def _is_newer(run: RunState, event: Transition) -> bool:
    if run.state_at is None or event.occurred != run.state_at:
        return run.state_at is None or event.occurred > run.state_at
    return event.follows is not None and event.follows == run.state_id


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
