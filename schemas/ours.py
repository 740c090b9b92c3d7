"""Events of our own, in the same envelope as Prefect's, so that one log and one way out serve both."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from pydantic import AwareDatetime

from schemas.event import FLOW_RUN_PREFIX, Kind, Wire
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


class NoticeAbout(StrEnum):
    """What a notice says: so far, that a run was deleted from the server."""

    DELETED = "deleted"


class Announcement(Wire):
    """A notice's content."""

    about: NoticeAbout
    message: str


class NoticePayload(Wire):
    """The payload of a notice."""

    notice: Announcement


class Notice(FlowRunEvent):
    """Something about the source that no event of its own tells; named `streamer.notice.<about>`."""

    kind: ClassVar[Kind] = Kind.NOTICE

    payload: NoticePayload

    @property
    def announcement(self) -> Announcement:
        """Return what is announced."""
        return self.payload.notice


def deleted_notice(ident: UUID, run: UUID, *, occurred: datetime) -> Notice:
    """Return the notice that a run is gone from the server; its history stays."""
    return Notice.model_validate(
        {
            "id": ident,
            "occurred": occurred,
            "event": f"{NOTICE_PREFIX}{NoticeAbout.DELETED}",
            "resource": {"prefect.resource.id": f"{FLOW_RUN_PREFIX}{run}"},
            "payload": {"notice": {"about": NoticeAbout.DELETED, "message": "the run was deleted from the server"}},
        }
    )
