"""What an HTTP answer means for what was sent: taken, not now, or never.

Only a 4xx that may speak of the content is `Reject`. One about the credentials (401, 403, 407), the address (404, 405,
410) or a redirect, which is not followed, would be given to every record alike: `Retry`, until somebody mends it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from streamer.errors import Reject, Retry, SinkError
from streamer.protocol import is_retryable_status, retry_after_seconds

LONGEST_WAIT_SECONDS = 3600.0
MOST_CHARACTERS = 200


class Answer(NamedTuple):
    """An answer's status, its headers by their names in lower case, and the beginning of its text."""

    status: int
    headers: Mapping[str, str]
    text: str


def refusal(answer: Answer, *, where: str, now: datetime) -> SinkError | None:
    """Return what to raise for an answer of the server at `where`; None if it took what was sent."""
    status = answer.status
    said = " ".join(answer.text.split())[:MOST_CHARACTERS]
    told = f"{where} answered {status}" + (f": {said}" if said else "")
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return Retry(f"{where} redirects to {_place_of(answer)} ({status}), which is not followed: give it the new url")
    if status in (401, 403, 407):
        return Retry(f"the credentials are not accepted: {told}")
    if status in (404, 405, 410):
        return Retry(f"nothing takes records at this url: {told}")
    if status < 400 or is_retryable_status(status):
        return Retry(told, after=_wait(answer, now))
    return Reject(told)


def _place_of(answer: Answer) -> str:
    """Return the server that a redirect points to; what follows it may be a secret."""
    try:
        return urlsplit(answer.headers.get("location", "")).hostname or "another path"
    except ValueError:
        return "nowhere"


def _wait(answer: Answer, now: datetime) -> float | None:
    """Return what `Retry-After` asks for in seconds; a date is held against the server's own clock if it tells it."""
    asked = answer.headers.get("retry-after")
    if (seconds := retry_after_seconds(asked, cap=LONGEST_WAIT_SECONDS)) is not None:
        return seconds
    if (until := _date(asked)) is None:
        return None
    wait = (until - (_date(answer.headers.get("date")) or now)).total_seconds()
    return min(max(wait, 0.0), LONGEST_WAIT_SECONDS)


def _date(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
