"""Pure: a run and the next event about it → the run. Events come in any order; the shown state never goes back."""

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
    return known.but(seen_at=_earliest(known.seen_at, event.occurred), **_changes(known, event))


def _changes(run: RunState, event: Event) -> dict[str, Any]:
    if isinstance(event, Transition):
        return _moved(run, event)
    if isinstance(event, Notice):
        return {"deleted_at": event.occurred} if event.about is NoticeAbout.DELETED else {}
    if isinstance(event, Verdict):
        return _judged(run, event)
    is_late = run.state_at is not None and event.occurred < run.state_at
    return _identity(run, event, prefer_known=is_late)


def _moved(run: RunState, event: Transition) -> dict[str, Any]:
    after = event.after
    has_started = after.type is StateType.RUNNING
    start = {"started_at": _earliest(run.started_at, event.occurred)} if has_started else {}
    if not _is_newer(run, event):
        run_count = event.run_count if run.run_count is None else run.run_count
        return {**_identity(run, event, prefer_known=True), **start, "run_count": run_count}
    goes_on = run.state_at is not None and not begins(run, event)
    return {
        **_identity(run, event),
        **start,
        "verdict": run.verdict if goes_on else None,
        "lasted": run.lasted and after.type.is_terminal and not event.is_finish,
        "since": run.since if goes_on else event.occurred,
        "run_count": run.run_count if event.run_count is None else event.run_count,
        "state_id": event.id,
        "state_type": after.type,
        "state_name": after.name,
        "state_message": after.message,
        "state_at": event.occurred,
        "ended_at": event.occurred if after.type.is_terminal else None,
    }


def begins(run: RunState, event: Transition) -> bool:
    """Tell whether a newer transition begins something: another type of state, another attempt, or a wait for one."""
    is_wait = event.after.name == AWAITING_RETRY and run.state_name != AWAITING_RETRY
    is_attempt = None not in (event.run_count, run.run_count) and event.run_count != run.run_count
    return event.to_type is not run.state_type or is_wait or is_attempt


def _judged(run: RunState, event: Verdict) -> dict[str, Any]:
    """Let a verdict stand while the run is in the state that it was about."""
    ruling = event.ruling
    if ruling.status is VerdictStatus.RECOVERED:
        return {"verdict": None}
    if ruling.status is VerdictStatus.ACTED or (ruling.state and ruling.state.type is not run.state_type):
        return {}
    return {"verdict": Held(ruling.status.value, ruling.reason, event.occurred)}


def _is_newer(run: RunState, event: Transition) -> bool:
    if run.state_at is None or event.occurred != run.state_at:
        return run.state_at is None or event.occurred > run.state_at
    return event.follows is not None and event.follows == run.state_id


def _identity(run: RunState, event: Event, *, prefer_known: bool = False) -> dict[str, Any]:
    """Return the run's names and relations; an event that does not tell one leaves what was known."""
    told: dict[str, Any] = {"name": event.resource.name, "tags": event.tags}
    for role, party in event.parties.items():
        if name := _FIELDS.get(role):
            told[name] = party.id
    if prefer_known:
        return {name: getattr(run, name) or value for name, value in told.items()}
    return {name: value for name, value in told.items() if value}


_FIELDS = {name.replace("_", "-"): name for name in ("flow", "deployment", "work_pool", "work_queue", "task_run")}
"""Fields of a run by the role that related resources have."""


def _earliest(known: datetime | None, moment: datetime) -> datetime:
    return moment if known is None else min(known, moment)
