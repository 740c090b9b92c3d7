"""Silences: nobody is told of alerts that meet some criteria, until a time."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime

from streamer.alerts.facts import Kept
from streamer.model import Record
from streamer.routing import Criteria


class Silence(Kept):
    """Why nobody is told of what meets `match` until it `ends`, who said so, and when."""

    id: UUID
    match: Criteria
    begins: AwareDatetime
    ends: AwareDatetime
    comment: str = ""
    by: str = ""

    def covers(self, record: Record) -> bool:
        """Tell whether an alert is one of those that nobody is told of, at the time at which it occurred.

        What occurred before somebody said so, but is heard of now, is.
        """
        return record.event.occurred < self.ends and self.match.unmet(record) is None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-ready values, of its criteria those that ask for something."""
        match = self.match.model_dump(mode="json", exclude_defaults=True)
        return {**self.model_dump(mode="json"), "match": match}


def silenced_until(silences: Iterable[Silence], record: Record) -> datetime | None:
    """Return when the last of the silences ends that an alert meets; None if it meets none."""
    return max((each.ends for each in silences if each.covers(record)), default=None)
