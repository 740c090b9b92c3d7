"""`/api/sinks`, `/api/dead-letters`, `/api/quarantine`, `/api/alerts`, `/api/history`: questions of operators."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Protocol

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, WithJsonSchema

from schemas import to_json
from schemas.record import RecordBody
from streamer.durations import Duration
from streamer.model import Record
from streamer.questions import Texts
from streamer.reports import Bucket
from streamer.web.endpoints import Endpoint, Nothing
from streamer.web.problems import Refusal

SHOWN = 100
SHOWN_MOST = 10_000

Limit = Annotated[int, Field(ge=1, le=SHOWN_MOST)]

Span = Annotated[
    Duration, WithJsonSchema({"type": "string", "examples": ["15m", "24h", "7d"], "description": "such as 90s or 7d"})
]


class HistoryAsked(BaseModel):
    """Since how long before an end, or now, in intervals how long, and the runs of which flows; at most 500."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    since: Span = timedelta(hours=24)
    until: AwareDatetime | None = None
    interval: Span = timedelta(hours=1)
    flow: Texts = ()


class LettersAsked(BaseModel):
    """Of which sink, if not of all, and how many."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sink: str | None = None
    limit: Limit = SHOWN


class LetterAsked(BaseModel):
    """Of which sink, and which record."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sink: str
    seq: Annotated[int, Field(ge=0, lt=2**63)]


class RefusedAsked(BaseModel):
    """The beginning of a frame's key, and how many."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str = ""
    limit: Limit = SHOWN


@dataclass(frozen=True, slots=True)
class SinkView:
    """A sink, how far it has come and is behind, and how it is; `trouble` says why it is down."""

    name: str
    type: str | None
    acked: int | None
    behind: int
    oldest_pending: datetime | None
    dead_letters: int
    state: str
    trouble: str | None


@dataclass(frozen=True, slots=True)
class SinksView:
    """The sinks that are configured, and those that only the store knows."""

    sinks: list[SinkView]


@dataclass(frozen=True, slots=True)
class LetterView:
    """A record that a sink refused for good, without its body; `size` is in bytes."""

    sink: str
    seq: int
    source: str
    reason: str
    buried: datetime
    size: int


@dataclass(frozen=True, slots=True)
class LettersView:
    """Records that sinks refused for good, newest first, and how many there are."""

    total: int
    dead_letters: list[LetterView]


@dataclass(frozen=True, slots=True)
class RefusedView:
    """A frame that the schemas refused, without its body; `key` is the event's id or a digest, `size` in bytes."""

    key: str
    source: str
    net: str
    reason: str
    detail: str
    arrived: datetime
    size: int


@dataclass(frozen=True, slots=True)
class QuarantineView:
    """Frames that the schemas refused, newest first, and how many there are."""

    total: int
    quarantine: list[RefusedView]


@dataclass(frozen=True, slots=True)
class AlertRunView:
    """The newest run that an alert is about."""

    id: str
    name: str | None
    link: str | None


@dataclass(frozen=True, slots=True)
class AlertView:
    """Something that goes wrong: `name` is how people call the `group`; nothing is said of it while it is silenced."""

    incident: str
    rule: str
    severity: str
    source: str
    group: str
    name: str
    reason: str
    since: datetime
    last: datetime
    occurrences: int
    run: AlertRunView
    announced: int
    announced_at: datetime | None
    silenced_until: datetime | None
    quiet_until: datetime | None


@dataclass(frozen=True, slots=True)
class AlertsView:
    """What fires, the newest first."""

    alerts: list[AlertView]


@dataclass(frozen=True, slots=True)
class SilencesView:
    """The silences that have not ended."""

    silences: list[dict[str, Any]]


class History(Protocol):
    """The answer to a question about history; what cannot be asked is a `ValueError`."""

    async def __call__(self, asked: HistoryAsked, /) -> Sequence[Bucket]:
        """Return the buckets."""
        ...


class Letters(Protocol):
    """What was refused: records by sinks, and frames by the schemas."""

    async def buried(self, sink: str | None = None, *, limit: int | None = None) -> Sequence[object]:
        """Return what one sink, or any, has refused, newest first."""
        ...

    async def buried_records(self, sink: str, seqs: Sequence[int]) -> Sequence[Record]:
        """Return these of the records that a sink has refused."""
        ...

    async def dead_letters(self, sink: str | None = None) -> int:
        """Return how many records one sink, or any, has refused."""
        ...

    async def refused(self, prefix: str = "") -> Sequence[object]:
        """Return what is in quarantine, newest first: all, or what has a key that starts so."""
        ...


Listed = Callable[[], Awaitable[Sequence[object]]]


@dataclass(frozen=True, slots=True)
class OperationsAsked:
    """Who answers questions of operators; each is asked anew at each request."""

    history: History
    letters: Letters
    sinks: Listed
    alerts: Listed
    silences: Listed

    async def told_history(self, asked: HistoryAsked) -> Sequence[Bucket]:
        """Return the buckets of history."""
        try:
            return await self.history(asked)
        except ValueError as error:
            raise Refusal(400, str(error), field="interval") from None

    async def told_sinks(self, _: Nothing) -> dict[str, object]:
        """Return all sinks."""
        return {"sinks": await self.sinks()}

    async def told_letters(self, asked: LettersAsked) -> dict[str, object]:
        """Return dead letters, and how many there are."""
        buried = await self.letters.buried(asked.sink, limit=asked.limit)
        return {"total": await self.letters.dead_letters(asked.sink), "dead_letters": buried}

    async def told_letter(self, asked: LetterAsked) -> orjson.Fragment:
        """Return the record that is a dead letter."""
        for record in await self.letters.buried_records(asked.sink, [asked.seq]):
            return orjson.Fragment(to_json(record.seq, record.source, record.event))
        raise Refusal(404, f"{asked.sink} has no dead letter {asked.seq}", field="seq")

    async def told_quarantine(self, asked: RefusedAsked) -> dict[str, object]:
        """Return what is in quarantine, and how much there is."""
        refused = await self.letters.refused(asked.key)
        return {"total": len(refused), "quarantine": refused[: asked.limit]}

    async def told_alerts(self, _: Nothing) -> dict[str, object]:
        """Return what fires."""
        return {"alerts": await self.alerts()}

    async def told_silences(self, _: Nothing) -> dict[str, object]:
        """Return the silences."""
        return {"silences": await self.silences()}


def endpoints(asked: OperationsAsked) -> list[Endpoint[Any]]:
    """Return the questions of operators."""
    return [
        Endpoint(
            "/api/history",
            "Runs that were due in each interval by state, as Prefect's own history has them",
            HistoryAsked,
            list[Bucket],
            asked.told_history,
        ),
        Endpoint("/api/sinks", "The sinks", Nothing, SinksView, asked.told_sinks),
        Endpoint(
            "/api/dead-letters", "Records that sinks refused for good", LettersAsked, LettersView, asked.told_letters
        ),
        Endpoint(
            "/api/dead-letters/{sink:path}/{seq:int}",
            "A record that a sink refused for good",
            LetterAsked,
            RecordBody,
            asked.told_letter,
            (404,),
        ),
        Endpoint(
            "/api/quarantine", "Frames that the schemas refused", RefusedAsked, QuarantineView, asked.told_quarantine
        ),
        Endpoint("/api/alerts", "What fires", Nothing, AlertsView, asked.told_alerts),
        Endpoint("/api/alerts/silences", "The silences that last", Nothing, SilencesView, asked.told_silences),
    ]
