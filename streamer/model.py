"""What the rooms of this house hand each other, and the protocols they are built to. Read this first.

A source yields frames. The pipeline validates them into events and appends these to the log. The log gives them back
as records, in the order of `seq`. Observers hear of each commit; sinks are fed from the log at their own pace.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from schemas import Event, Heartbeat, InvalidEvent, StateType, Transition

ALERTS_READER = "streamer.alerts"
"""The reader that looks for alerts: it has a cursor as sinks do, but is none, and is named as none would be."""

OLDEST = datetime.min.replace(tzinfo=UTC)
"""Since when a reader wants records that wants them all."""


class Net(StrEnum):
    """The ways frames come in."""

    LIVE = "live"
    SWEEP = "sweep"
    STATES = "states"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Frame:
    """The bytes of one websocket message, or of one event from REST or a file."""

    source: str
    net: Net
    data: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """A word between frames: `reached` is called when all that went ahead of it is committed.

    With a `watermark`, all that occurred before it is known to have gone ahead; `complete` says so of the present.
    """

    source: str
    watermark: datetime | None = None
    complete: bool = False
    reached: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Dues:
    """When runs of a source should have started, as the server says, which no event tells; None if it knows no more."""

    source: str
    due: Mapping[UUID, datetime | None]


@dataclass(frozen=True, slots=True)
class Record:
    """An event with its place in the log. `seq` is ordered, not dense: never do arithmetic on it."""

    seq: int
    source: str
    event: Event


class Family(StrEnum):
    """Counters that live in the store, beside the records they count."""

    TRANSITIONS = "transitions"
    FINISHED = "finished"
    RETRIES = "retries"
    INFRA_FAILURES = "infra_failures"
    QUARANTINED = "quarantined"
    RECOVERED = "recovered"
    DUPLICATES = "duplicates"
    PHANTOMS = "phantoms"
    HEARTBEATS = "heartbeats"
    ZOMBIES = "zombies"
    OVERDUE = "overdue"
    ZOMBIE_RECOVERIES = "zombie_recoveries"
    DURATION = "duration"
    DURATION_SUM = "duration_sum"
    QUEUE_WAIT = "queue_wait"
    QUEUE_WAIT_SUM = "queue_wait_sum"
    ALERTS = "alerts"


class Counter(NamedTuple):
    """What a counter counts: keyed by ids, since names change; labels are resolved when they are shown.

    `labels` are what its family tells apart, `more` what the configuration wants told apart besides. Of histograms the
    last label is the upper bound of a bucket, and sums are in microseconds.
    """

    family: Family
    source: str
    flow: str = ""
    deployment: str = ""
    work_pool: str = ""
    labels: tuple[str, ...] = ()
    more: tuple[tuple[str, str], ...] = ()


class Measured(NamedTuple):
    """An observation of a histogram: the bucket that it fell into, of which run it is, when it ended."""

    counter: Counter
    run: UUID
    seconds: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Totals:
    """Counters with their absolute values, the newest names of the ids in their keys, and when each was raised last.

    What was `raised` just now is not told.
    """

    counts: Mapping[Counter, int] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    raised: Mapping[Counter, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourceState:
    """What the store knows of a source. `epoch` is the server's time at our first start.

    What occurred before the `horizon` is forgotten: of what comes from there nobody knows whether it was counted.
    """

    name: str
    identity: str
    epoch: datetime
    watermark: datetime | None = None
    horizon: datetime | None = None


@dataclass(frozen=True)
class Retention:
    """How long the store keeps records from when they came, and runs from when they ended; `size` is in bytes."""

    records: timedelta = timedelta(days=30)
    runs: timedelta = timedelta(days=90)
    size: int = 10_000_000_000


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a step of pruning dropped; `expired` says how many records a reader will never have."""

    records: int = 0
    runs: int = 0
    refused: int = 0
    ids: int = 0
    expired: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any((self.records, self.runs, self.refused, self.ids))


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a reader has come; of what occurred before the epoch it wants only what occurred `since` a time."""

    seq: int
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sought:
    """A reader's cursor before and after it was moved by an operator."""

    before: Cursor
    after: Cursor


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a reader has come that concludes something from records: kept with the events of what it concluded.

    `memory` is what it remembers by three keys, None where that is nothing any more; `raised` is what it counts.
    """

    reader: str
    seq: int
    memory: Mapping[tuple[str, str, str], bytes | None] = field(default_factory=dict)
    raised: Mapping[Counter, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Conclusions:
    """Events of ours that a reader makes, and its progress; `reached` is called when they are committed."""

    source: str
    events: Sequence[Event]
    progress: Progress
    reached: Callable[[], None]


class Beat(NamedTuple):
    """A heartbeat's two times in microseconds since 1970: the sender's clock and the server's."""

    occurred: int
    received: int


class Held(NamedTuple):
    """A verdict that stands: what a run is held to be, why, and since when."""

    status: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class RunState:
    """What is known of a run: the state shown is the newest by `occurred`, then by `follows`.

    `since` is when it came into this type of state and this attempt; the verdict is the one that stands, if any.
    `due` is when it should have started; `waited` and `lasted` say that how long it waited for that, and how long it
    took until its present end, was measured.
    """

    id: UUID
    source: str
    name: str | None = None
    flow: str | None = None
    deployment: str | None = None
    work_pool: str | None = None
    work_queue: str | None = None
    task_run: str | None = None
    tags: tuple[str, ...] = ()
    run_count: int | None = None
    state_id: UUID | None = None
    state_type: StateType | None = None
    state_name: str | None = None
    state_message: str | None = None
    state_at: datetime | None = None
    seen_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    deleted_at: datetime | None = None
    since: datetime | None = None
    verdict: Held | None = None
    beats: tuple[Beat, ...] = ()
    due: datetime | None = None
    waited: bool = False
    lasted: bool = False

    def but(self, **changes: Any) -> "RunState":
        """Return the same with other values, as `dataclasses.replace` does, in a tenth of its time."""
        other = object.__new__(RunState)
        other.__dict__.update(self.__dict__, **changes)
        return other


@dataclass(frozen=True, slots=True)
class Appended:
    """What a commit added: only what was new. `totals` holds the counters and names that changed.

    `examples` has for each counter that transitions raised one of them. What was `expired` occurred before the source's
    horizon, and was dropped.
    """

    records: Sequence[Record] = ()
    beats: Sequence[Heartbeat] = ()
    totals: Totals = field(default_factory=Totals)
    measured: Sequence[Measured] = ()
    examples: Mapping[Counter, Transition] = field(default_factory=dict)
    duplicates: int = 0
    expired: int = 0


class Clock(Protocol):
    """Time as an argument."""

    def now(self) -> datetime:
        """Return the time, aware."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...


Item = Frame | Mark | Dues | Conclusions

Put = Callable[[Item], Awaitable[None]]
"""Where a source puts what arrives; it waits while the pipeline is behind."""


class Source(Protocol):
    """A net: one way frames come in."""

    async def run(self, put: Put) -> None:
        """Put what arrives, for ever."""
        ...


class Store(Protocol):
    """Where the log is kept. Each method is one transaction; failures are `StoreError`."""

    @property
    def leads(self) -> bool:
        """Tell whether we are the one who writes the store, as far as that can be known without asking."""
        ...

    async def open_source(self, name: str, *, identity: str, now: datetime) -> SourceState:
        """Return the source, made with epoch `now` the first time; another identity under the name is refused."""
        ...

    async def append(
        self,
        source: str,
        events: Sequence[Event],
        *,
        net: Net,
        passed_over: Sequence[Event] = (),
        watermark: datetime | None = None,
        progress: Progress | None = None,
    ) -> Appended:
        """Keep the events whose id is new; of those passed over keep only that they were seen."""
        ...

    async def count(self, source: str, start: int, last: int) -> int:
        """Return how many events but heartbeats the server is known to have, between two times, both included."""
        ...

    async def ids(self, source: str, start: int, last: int) -> set[UUID]:
        """Return the ids that `count` counts."""
        ...

    async def absent(self, ids: Collection[UUID]) -> None:
        """Note that the server does not have these events; they are kept, and not counted in a window any more."""
        ...

    async def known(self, ids: Collection[UUID]) -> set[UUID]:
        """Return which of these ids are in the ledger."""
        ...

    async def unfinished(self, source: str) -> Mapping[UUID, StateType | None]:
        """Return the runs of a source that have not ended, as far as we know, and were not deleted."""
        ...

    async def runs(self, ids: Collection[UUID]) -> Mapping[UUID, RunState]:
        """Return what is known of these runs, by id."""
        ...

    async def newest_event(self, run: UUID) -> Event | None:
        """Return the run's newest transition that is in the log."""
        ...

    async def transitions(self, run: UUID) -> Mapping[UUID, datetime]:
        """Return the ids of a run's transitions in the log, with when they occurred, phantoms left out."""
        ...

    async def broken(self, source: str, before: datetime, limit: int) -> set[UUID]:
        """Return the runs with a break in their chain of states since before a time."""
        ...

    async def mended(self, runs: Collection[UUID], before: datetime, *, suspected: Collection[UUID] = ()) -> None:
        """Forget the breaks in these runs' chains: they were looked into, and what could be found is committed."""
        ...

    async def without_due(self, source: str, limit: int) -> set[UUID]:
        """Return runs of which nobody has learned yet when they should have started."""
        ...

    async def learn(self, dues: Dues) -> Appended:
        """Note when runs should have started; return what could be measured by it."""
        ...

    async def sources(self) -> Sequence[SourceState]:
        """Return what the store knows of each source that was ever opened."""
        ...

    async def after(self, seq: int, limit: int) -> Sequence[Record]:
        """Return at most `limit` records beyond `seq`, in order."""
        ...

    async def size(self) -> int:
        """Return how many records there are."""
        ...

    async def dead_letters(self, sink: str) -> int:
        """Return how many records a sink has refused for good."""
        ...

    async def head(self) -> int:
        """Return the newest `seq` ever given, 0 for an empty log."""
        ...

    async def cursor(self, reader: str, *, since: datetime | None = None) -> Cursor:
        """Return the reader's cursor; a new one is before what occurred since a time, or without one at the head."""
        ...

    async def remembered(self) -> Mapping[tuple[str, str, str], bytes]:
        """Return what readers have put into their progress as what they remember."""
        ...

    async def silences(self) -> Mapping[str, bytes]:
        """Return all silences by id, each as it was put here."""
        ...

    async def drop_silence(self, ident: str) -> bool:
        """Forget a silence; tell whether there was one."""
        ...

    async def commit(self, reader: str, seq: int) -> None:
        """Move the reader's cursor on to what it has acknowledged; never back."""
        ...

    async def seek(self, reader: str, since: datetime | None) -> Sought:
        """Move the reader's cursor, back too, to where a new one would be that starts so."""
        ...

    async def forget(self, reader: str) -> tuple[int, int]:
        """Drop a reader's cursor and dead letters; return how many there were of each."""
        ...

    async def bury(self, sink: str, record: Record, reason: str) -> None:
        """Keep a record that a sink refused for good."""
        ...

    async def quarantine(self, frame: Frame, error: InvalidEvent) -> Totals:
        """Keep a frame that the schemas refused, once; return the counters that changed."""
        ...

    async def totals(self) -> Totals:
        """Return all counters and names."""
        ...

    async def prune(self, keep: Retention, *, now: datetime, readers: Collection[str], ids: bool) -> Pruned:
        """Take one step of forgetting, `ids` too if told to; all is done when it dropped nothing."""
        ...

    async def compact(self) -> int:
        """Merge small pieces of the log; return how many were merged."""
        ...

    async def close(self) -> None:
        """Let go of the store."""
        ...


class Sink(Protocol):
    """A destination outside the process. Returning is the ack; raise `Retry` or `Reject` for the nack."""

    async def open(self) -> None:
        """Connect."""
        ...

    async def write(self, records: Sequence[Record], /) -> None:
        """Return when the destination has the records for good."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...


class Observer(Protocol):
    """Code of ours that is told of each commit, in line; what it raises is counted, not passed on."""

    name: str

    def committed(self, source: str, net: Net, appended: Appended) -> None:
        """Take note of what a commit added."""
        ...
