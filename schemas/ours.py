"""Events of our own, in the same envelope as Prefect's, so that one log and one way out serve both."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from pydantic import AwareDatetime

from schemas.event import Event, Kind, Wire
from schemas.flow_run import FlowRunEvent, State

VERDICT_PREFIX = "streamer.flow-run."
NOTICE_PREFIX = "streamer.notice."


class VerdictStatus(StrEnum):
    """What we hold to be true of a run."""

    SUSPECT = "suspect"
    ZOMBIE = "zombie"
    RECOVERED = "recovered"
    OVERDUE = "overdue"
    UNDEAD = "undead"
    ACTED = "acted"


class Ruling(Wire):
    """A verdict's content: `interval` in seconds; `deadline` is when the sign of life was due.

    `incident` is the run at the root of a tree of subflows: those of one process fall silent together. `action` and
    `result` tell what was done about a zombie.
    """

    status: VerdictStatus
    reason: str
    since: AwareDatetime
    last_heartbeat: AwareDatetime | None = None
    interval: float | None = None
    deadline: AwareDatetime | None = None
    state: State | None = None
    run_count: int | None = None
    incident: UUID | None = None
    action: str | None = None
    result: str | None = None


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


class NoticeAbout(StrEnum):
    """What a notice says.

    `deleted`: a run is gone from the server. `phantom`: a state was announced and then rolled back. `gap`: the server
    forgot a time before we could read it. `expired`: records were pruned before a sink had them. `reset`: most runs are
    gone from the server at once. `test`: somebody tried a sink; it is in no log.
    """

    DELETED = "deleted"
    PHANTOM = "phantom"
    GAP = "gap"
    EXPIRED = "expired"
    RESET = "reset"
    TEST = "test"


class Announcement(Wire):
    """A notice's content: the id of a phantom's `event`; the bounds of a gap; how many `records` a `sink` lacks."""

    about: NoticeAbout
    message: str
    event: UUID | None = None
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    sink: str | None = None
    records: int | None = None


class NoticePayload(Wire):
    """The payload of a notice."""

    notice: Announcement


class Notice(Event):
    """Something about a run, a source or a sink that no event tells; named `streamer.notice.<about>`."""

    kind: ClassVar[Kind] = Kind.NOTICE

    payload: NoticePayload

    @property
    def announcement(self) -> Announcement:
        """Return what is announced."""
        return self.payload.notice

    @property
    def about(self) -> NoticeAbout:
        """Return what the notice says, in a word."""
        return self.announcement.about
