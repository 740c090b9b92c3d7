"""Silences: nobody is told of alerts that meet some criteria, until a time."""

from uuid import UUID

from pydantic import AwareDatetime

from streamer.alerts.facts import Kept
from streamer.model import Record
from streamer.routing import Criteria


class Silence(Kept):
    """Why nobody is told of what meets `match`, from when to when, and who said so."""

    id: UUID
    match: Criteria
    begins: AwareDatetime
    ends: AwareDatetime
    comment: str = ""
    by: str = ""

    def covers(self, record: Record) -> bool:
        """Tell whether an alert is one of those that nobody is told of, at the time at which it occurred."""
        return self.begins <= record.event.occurred < self.ends and self.match.unmet(record) is None
