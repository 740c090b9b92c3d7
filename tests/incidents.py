"""Alerts as the engine makes them; what a test does not name is likely."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from schemas import decode
from schemas.alert import AlertStatus, Concerned, Situation, about, alert, incident_id
from schemas.flow_run import State, StateType
from streamer.model import Record
from tests import frames

SINCE = frames.OCCURRED
GROUP = "deployment:50ae0e78-c098-4b7e-bb27-67a780e0ff72"
REASON = "a run ended in Failed"


def an_alert(
    *,
    tags: tuple[str, ...] = ("owner:data-team",),
    run: UUID = frames.RUN,
    occurred: datetime = SINCE,
    source: str = "default",
    seq: int = 1,
    related: list[frames.Json] | None = None,
    **said: Any,
) -> Record:
    """Return the record of an alert about a run; `said` are fields of its situation."""
    belongs = related if related is not None else frames.deployed(*tags)
    whom = about(decode(orjson.dumps(frames.transition(run=run, occurred=occurred, related=belongs))))
    rule, group = said.get("rule", "failed"), said.get("group", GROUP)
    usual = {
        "status": AlertStatus.FIRING,
        "rule": rule,
        "severity": "critical",
        "incident": incident_id(source, rule, group, said.get("since", SINCE)),
        "group": group,
        "reason": REASON,
        "since": SINCE,
        "runs": (Concerned(id=run, name="loose-quetzal"),),
        "state": State(type=StateType.FAILED, name="Failed", message="ValueError: boom"),
        "run_count": 2,
    }
    return Record(seq, source, alert(Situation(**{**usual, **said}), whom, occurred=occurred))


def its_end(after: timedelta = timedelta(minutes=12), **said: Any) -> Record:
    """Return the record that the alert of the same arguments is over."""
    until = said.get("since", SINCE) + after
    return an_alert(occurred=until, **{"status": AlertStatus.RESOLVED, "until": until, "seq": 2, **said})
