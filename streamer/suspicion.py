"""Pure: what a run may be suspected of, when, and what verdict that leads to. Times are microseconds."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from schemas import StateType
from schemas.ours import VerdictStatus

SECOND = 1_000_000


class Reason(StrEnum):
    """Why a verdict was given."""

    HEARTBEAT_MISSING = "heartbeat_missing"
    NEVER_HEARTBEAT = "never_heartbeat"
    PENDING = "pending_too_long"
    CANCELLING = "cancelling_too_long"
    RETRY = "retry_overdue"
    SCHEDULED = "scheduled_late"
    RUNNING = "running_too_long"
    BEATS_AFTER_CRASH = "beats_after_crash"
    HEARTBEAT = "heartbeat"
    TRANSITION = "transition"

    @property
    def status(self) -> VerdictStatus:
        """Return the status that a verdict for this reason gives; only missing heartbeats make a zombie."""
        return _STATUS.get(self, VerdictStatus.OVERDUE)


_STATUS = {
    Reason.HEARTBEAT_MISSING: VerdictStatus.ZOMBIE,
    Reason.NEVER_HEARTBEAT: VerdictStatus.SUSPECT,
    Reason.BEATS_AFTER_CRASH: VerdictStatus.UNDEAD,
    Reason.HEARTBEAT: VerdictStatus.RECOVERED,
    Reason.TRANSITION: VerdictStatus.RECOVERED,
}


class Check(StrEnum):
    """What became of a suspicion; the `result` label of `prefect_streamer_zombie_checks_total`."""

    CONFIRMED = "confirmed"
    TERMINAL = "terminal"
    STATE_MOVED = "state_moved"
    ALIVE = "alive"
    API_ERROR = "api_error"
    SUPPRESSED = "suppressed_stream_down"


@dataclass(frozen=True)
class Limits:
    """How long a run may be silent, and how long in a state; None switches a rule off.

    Silent: `factor` times the interval between its beats, at least `minimum`, and `slack` for transport. The interval
    is learned; until then it is `interval`. Beats that come within half of `least` are one sent twice, or a late bunch.
    """

    factor: float | None = 3.0
    minimum: int = 90 * SECOND
    slack: int = 20 * SECOND
    interval: int = 180 * SECOND
    least: int = 30 * SECOND
    never_heartbeat: bool = True
    pending: int | None = 3600 * SECOND
    cancelling: int | None = 600 * SECOND
    retry: int | None = 600 * SECOND
    scheduled: int | None = 3600 * SECOND
    running: int | None = None

    def silence(self, interval: int | None) -> int | None:
        """Return how long a run with this interval may be silent; None if it may be for ever."""
        if self.factor is None:
            return None
        return max(self.minimum, int(self.factor * (interval or self.interval))) + self.slack


USUAL = Limits()


class Move(NamedTuple):
    """A transition as far as it matters here; `attempt` is the run count, where known."""

    at: int
    type: StateType
    name: str
    attempt: int | None = None
    flow: str = ""
    deployment: str = ""
    work_pool: str = ""
    tags: tuple[str, ...] = ()


class Suspicion(NamedTuple):
    """What is held of a run: since when it is silent or in its state, and by when it should not have been.

    `anchor` is the last sign of life, by its sender's clock if it was a beat: the same suspicion has the same.
    """

    run: UUID
    reason: Reason
    attempt: int | None
    since: int
    deadline: int
    anchor: int
    interval: int | None = None


class Standing(NamedTuple):
    """A verdict that was given, and holds until the run does something."""

    reason: Reason

    def leaves_open(self, reason: Reason) -> bool:
        """Tell whether a suspicion says more than this verdict: only that the run is a zombie does."""
        return reason is Reason.HEARTBEAT_MISSING and self.reason is not Reason.HEARTBEAT_MISSING
