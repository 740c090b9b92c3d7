"""What the rooms of this house hand each other, and the protocols they are built to. Read this first.

A source yields frames. The pipeline validates them into events and appends these to the log. The log gives them back
as records, in the order of `seq`. Observers hear of each commit; sinks are fed from the log at their own pace.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol
from uuid import UUID

from schemas import Event, Heartbeat, InvalidEvent, StateType


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


class Counter(NamedTuple):
    """What a counter counts: keyed by ids, since names change; labels are resolved when they are shown."""

    family: Family
    source: str
    flow: str = ""
    deployment: str = ""
    work_pool: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Totals:
    """Counters with their absolute values, and the newest names of the ids in their keys."""

    counts: Mapping[Counter, int] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Appended:
    """What a commit added: only what was new. `totals` holds the counters and names that changed."""

    records: Sequence[Record] = ()
    beats: Sequence[Heartbeat] = ()
    totals: Totals = field(default_factory=Totals)
    duplicates: int = 0


@dataclass(frozen=True, slots=True)
class SourceState:
    """What the store knows of a source. `epoch` is the server's time at our first start."""

    name: str
    identity: str
    epoch: datetime
    watermark: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a reader has come; `oldest` tells that it also wants what occurred before the epoch."""

    seq: int
    oldest: bool = False


class Beat(NamedTuple):
    """A heartbeat's two times in microseconds since 1970: the sender's clock and the server's."""

    occurred: int
    received: int


@dataclass(frozen=True, slots=True)
class RunState:
    """What is known of a run: the state shown is the newest by `occurred`, then by `follows`."""

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
    beats: tuple[Beat, ...] = ()


class Clock(Protocol):
    """Time as an argument."""

    def now(self) -> datetime:
        """Return the time, aware."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...


Put = Callable[[Frame | Mark], Awaitable[None]]
"""Where a source puts what arrives; it waits while the pipeline is behind."""


class Source(Protocol):
    """A net: one way frames come in."""

    async def run(self, put: Put) -> None:
        """Put what arrives, for ever."""
        ...


class Store(Protocol):
    """Where the log is kept. Each method is one transaction; failures are `StoreError`."""

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

    async def unfinished(self, source: str) -> Mapping[UUID, StateType]:
        """Return the runs of a source that have not ended, as far as we know, and were not deleted."""
        ...

    async def holes(self, source: str, before: datetime, limit: int) -> Mapping[UUID, UUID]:
        """Return what transitions from before a time follow but we do not have, with the run it is missing from."""
        ...

    async def forget_holes(self, looked_into: Collection[UUID]) -> None:
        """Forget these holes: they were looked into, and what could be found is committed."""
        ...

    async def epochs(self) -> Mapping[str, datetime]:
        """Return the epoch of each source that was ever opened."""
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

    async def cursor(self, reader: str, *, oldest: bool = False) -> Cursor:
        """Return the reader's cursor; a new reader's stands at the head, or before the oldest record."""
        ...

    async def commit(self, reader: str, seq: int) -> None:
        """Move the reader's cursor to what it has acknowledged."""
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
