"""Pure: what a person is told of an alert or another record, as plain text that reads well on a phone."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from schemas import Alert, Event, Notice, Transition, Verdict
from schemas.alert import AlertStatus, Concerned, Situation
from schemas.flow_run import State
from streamer.model import Record
from streamer.surroundings import NO_DETAILS, RunDetails

MOST_OF_A_STATE_MESSAGE = 500
MOST_OF_A_TITLE = 200
MOST_OF_A_LOG = 2_000
"""Characters."""
RUNS_NAMED = 10

OWNER = "owner:"

_INVISIBLE = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # a title of the terminal, or a link
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours and movements
    r"|\x1b[@-_]"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
    r"|[\u202a-\u202e\u2066-\u2069]"  # what has text read in another direction
)


def plain(text: str) -> str:
    """Return the text without what colours a terminal, and other characters that nobody sees."""
    return _INVISIBLE.sub("", text)


def cut(text: str, length: int) -> str:
    """Return the beginning of the text, with a mark if there was more."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def last_lines(messages: Iterable[str], most: int) -> tuple[str, ...]:
    """Return so many of the last lines of these messages, which may have several, or what of them is not too much."""
    lines = [line.rstrip() for message in messages for line in plain(message).splitlines() if line.strip()]
    kept: list[str] = []
    room = MOST_OF_A_LOG
    for line in reversed(lines[-most:] if most else []):
        if len(line) >= room:
            kept += [cut(line, room)] if not kept else []
            break
        kept.append(line)
        room -= len(line) + 1
    return tuple(reversed(kept))


def owners(event: Event) -> tuple[str, ...]:
    """Return whom an event's run belongs to: the values of its tags `owner:…`, in alphabetical order."""
    return tuple(sorted({tag.removeprefix(OWNER) for tag in event.tags if tag.startswith(OWNER)}))


def situation_of(record: Record) -> Situation | None:
    """Return what an alert says; None of a record that is none."""
    return record.event.situation if isinstance(record.event, Alert) else None


def is_over(record: Record) -> bool:
    """Tell whether the record is an alert which says that something is over."""
    situation = situation_of(record)
    return situation is not None and situation.status is AlertStatus.RESOLVED


def headline(record: Record) -> str:
    """Return one line: how bad it is, whom it is about, and what happened."""
    about = " / ".join(_place(record.event))
    text = f"[{_stress(record)}] {about}: {_what(record)}" if about else f"[{_stress(record)}] {_what(record)}"
    return cut(" ".join(plain(text).split()), MOST_OF_A_TITLE)


def message(record: Record, *, details: RunDetails = NO_DETAILS, link: str | None = None) -> str:
    """Return all there is to say, what matters first."""
    parts = [_what(record), "\n".join(_facts(record, details)), link or ""]
    if details.lines and not is_over(record):
        parts.append("\n".join(("Last lines of its log:", *details.lines)))
    return plain("\n\n".join(filter(None, parts)))


def digest(records: Sequence[Record], links: Sequence[str | None]) -> tuple[str, str]:
    """Return the headline and the text of one message about many records: all of them, with all their runs."""
    counts = [f"{number} {word}" for word, number in _counted(records).items()]
    lines = [f"{headline(record)}{_runs_of(record)}" for record in records]
    body = [f"{line}\n{link}" if link else line for line, link in zip(lines, links, strict=True)]
    return f"{len(records)} at once: {', '.join(counts)}", plain("\n\n".join(body))


def span(time: timedelta) -> str:
    """Return how long it is in its two largest units, such as `3m 12s`."""
    seconds = max(0.0, time.total_seconds())
    if seconds < 10:
        return f"{seconds:.1f}s"
    left, parts = round(seconds), list[str]()
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        number, left = divmod(left, length)
        parts += [f"{number}{unit}"] if number or parts else []
    return " ".join(part for part in parts[:2] if not part.startswith("0"))


def _stress(record: Record) -> str:
    situation = situation_of(record)
    if situation is None:
        return record.event.kind
    if situation.status is AlertStatus.RESOLVED:
        return "resolved"
    return f"{situation.severity}, still" if situation.number else situation.severity


def _what(record: Record) -> str:
    match record.event:
        case Alert() as event:
            over = event.situation.status is AlertStatus.RESOLVED
            return f"It is over: {event.situation.reason}" if over else event.situation.reason
        case Notice() as event:
            return event.announcement.message
        case Verdict() as event:
            return f"{event.ruling.status}: {event.ruling.reason.replace('_', ' ')}"
        case Transition() as event:
            return f"{event.before.name if event.before else 'new'} → {event.after.name}"
    return record.event.name


def _place(event: Event) -> Iterator[str]:
    """Yield the names of flow and deployment, or what else it is about."""
    named = [each.name or each.id for each in (event.flow, event.deployment) if each]
    yield from named or filter(None, [event.resource.name])


def _facts(record: Record, details: RunDetails) -> Iterator[str]:
    event, situation = record.event, situation_of(record)
    for word, party in (("Flow", event.flow), ("Deployment", event.deployment), ("Work pool", event.work_pool)):
        if party:
            yield f"{word}: {party.name or party.id}"
    if event.run_id:
        yield f"Run: {event.resource.name or event.run_id}{_attempt(event)}{_work(event, details)}"
    if state := _state(event):
        said = cut(" ".join(plain(state.message or "").split()), MOST_OF_A_STATE_MESSAGE)
        yield f"State: {state.name}" + (f": {said}" if said else "")
    if situation:
        yield from _history(situation)
    else:
        yield f"At: {_time(event.occurred)}"
        yield f"Event: {event.id}"
    if owned := owners(event):
        yield f"Owner: {', '.join(owned)}"


def _history(situation: Situation) -> Iterator[str]:
    if situation.until:
        yield f"Lasted: {span(situation.until - situation.since)}, until {_time(situation.until)}"
    yield f"Since: {_time(situation.since)}"
    if situation.occurrences > 1:
        yield f"Occurrences: {situation.occurrences}"
    if len(situation.runs) > 1:
        newest = situation.runs[-RUNS_NAMED:]
        more = len(situation.runs) - len(newest)
        yield f"Runs: {_names(newest)}" + (f", and {more} before" if more else "")
    yield f"Rule: {situation.rule} ({situation.severity})"


def _runs_of(record: Record) -> str:
    situation = situation_of(record)
    if situation and situation.runs:
        return f"\nRuns: {_names(situation.runs)}"
    return f"\nRun: {record.event.resource.name or record.event.run_id}" if record.event.run_id else ""


def _names(runs: Iterable[Concerned]) -> str:
    return ", ".join(each.name or str(each.id) for each in runs)


def _attempt(event: Event) -> str:
    count = _run_count(event)
    return f", attempt {count}" if count else ""


def _run_count(event: Event) -> int | None:
    match event:
        case Alert():
            return event.situation.run_count
        case Verdict():
            return event.ruling.run_count
        case Transition():
            return event.run_count
    return None


def _work(event: Event, details: RunDetails) -> str:
    if details.worked is None:
        return ""
    state = _state(event)
    return f", {'took' if state and state.type.is_terminal else 'at work for'} {span(details.worked)}"


def _state(event: Event) -> State | None:
    match event:
        case Alert():
            return event.situation.state
        case Verdict():
            return event.ruling.state
        case Transition():
            return event.after
    return None


def _counted(records: Iterable[Record]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for record in records:
        situation = situation_of(record)
        word = situation.status if situation else record.event.kind
        counts[word] = counts.get(word, 0) + 1
    return counts


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
