"""Events of our own, in the same envelope as Prefect's, so that one log and one way out serve both."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from pydantic import AwareDatetime

from schemas.event import Kind, Wire
from schemas.flow_run import FlowRunEvent, State

VERDICT_PREFIX = "streamer.flow-run."


class VerdictStatus(StrEnum):
    """What we hold to be true of a run."""

    SUSPECT = "suspect"
    ZOMBIE = "zombie"
    RECOVERED = "recovered"
    OVERDUE = "overdue"
    UNDEAD = "undead"
    ACTED = "acted"


class Ruling(Wire):
    """A verdict's content: `interval` in seconds; `deadline` is when the sign of life was due."""

    status: VerdictStatus
    reason: str
    since: AwareDatetime
    last_heartbeat: AwareDatetime | None = None
    interval: float | None = None
    deadline: AwareDatetime | None = None
    state: State | None = None


class VerdictPayload(Wire):
    """The payload of a verdict."""

    verdict: Ruling


class Verdict(FlowRunEvent):
    """We hold a run to be dead, late, or alive again; named `streamer.flow-run.<status>`."""

    kind: ClassVar[Kind] = Kind.VERDICT

    payload: VerdictPayload

    @property
    def ruling(self) -> Ruling:
        """Return what was ruled."""
        return self.payload.verdict

    @property
    def since(self) -> datetime:
        """Return when the run fell silent or came late."""
        return self.ruling.since
