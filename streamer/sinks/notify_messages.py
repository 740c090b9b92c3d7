"""Messages to people: of one alert as the templates have it, or of many as one."""

from collections.abc import Sequence
from typing import NamedTuple

from apprise import NotifyType

from streamer.alert_message import headline, is_over, message, situation_of
from streamer.model import Record
from streamer.sinks.notify_options import Templates
from streamer.surroundings import RunDetails

_KINDS = {"critical": NotifyType.FAILURE, "error": NotifyType.FAILURE, "warning": NotifyType.WARNING}
_BY_STRESS = (NotifyType.FAILURE, NotifyType.WARNING, NotifyType.INFO, NotifyType.SUCCESS)


class Post(NamedTuple):
    """A message to be, and the ids of the events that it tells of."""

    url: str
    ids: tuple[str, ...]
    title: str
    body: str
    kind: NotifyType


def single(url: str, record: Record, details: RunDetails, *, link: str | None, templates: Templates) -> Post | None:
    """Return the message of one record, None if the template leaves nothing to say; it is for alerts only."""
    title, text = headline(record), message(record, details=details, link=link)
    post = Post(url, (str(record.event.id),), title, text, _kind(record))
    if situation_of(record) is None:
        return post
    worked = details.worked.total_seconds() if details.worked is not None else None
    more = {"headline": title, "message": text, "link": link, "lines": list(details.lines), "worked": worked}
    body = templates.body.render(record, more)
    made = (templates.title.render(record, more) or b"").decode()
    return post._replace(title=" ".join(made.split()), body=body.decode()) if body else None


def several(url: str, records: Sequence[Record], told: tuple[str, str]) -> Post:
    """Return the one message of many records."""
    kinds = {_kind(each) for each in records}
    worst = next(each for each in _BY_STRESS if each in kinds)
    return Post(url, tuple(str(each.event.id) for each in records), *told, worst)


def _kind(record: Record) -> NotifyType:
    situation = situation_of(record)
    if is_over(record):
        return NotifyType.SUCCESS
    return _KINDS.get(situation.severity.lower(), NotifyType.INFO) if situation else NotifyType.INFO
