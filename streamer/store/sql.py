"""The store, whatever database it is in: one writer thread, readers beside it.

A write is a function sent to the writer thread, and one transaction; it is on the disk when it returns.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections import Counter as Tally
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import orjson
import structlog

from schemas import Event, InvalidEvent, StateType
from streamer.counting import Counting
from streamer.errors import StoreError
from streamer.model import (
    Appended,
    Counter,
    Cursor,
    Dues,
    Family,
    Frame,
    Net,
    Progress,
    Pruned,
    Record,
    Retention,
    RunState,
    Sought,
    SourceState,
    Totals,
)
from streamer.reports import Bucket, Lately, Oddities, Outcome, Span, Window
from streamer.store import (
    activity,
    alerts,
    appending,
    chains,
    cursors,
    dead_letters,
    history,
    ledger,
    pruning,
    quarantine,
    reports,
    run_rows,
    segments,
)
from streamer.store.appending import Batch
from streamer.store.cursors import Reader
from streamer.store.dead_letters import DeadLetter
from streamer.store.engine import Connection
from streamer.store.inspection import Inspection
from streamer.store.quarantine import Refused
from streamer.store.searching import Searching
from streamer.timestamps import from_micros, to_micros

RETRY_SECONDS = 1.0

READERS = ("inspect", "search", "report", "read")
"""Threads that read. What a person asks may take long, what is searched for without an index longer, and reports have
their time, too: deliveries wait for none of these."""

WRITER = "write"

T = TypeVar("T")

logger = structlog.get_logger(__name__)


class SqlStore(ABC):
    """The `Store` on an SQL database: subclasses know how to reach it. Writes are done one after the other."""

    def __init__(self, counting: Counting | None = None) -> None:
        self._counting = counting or Counting()
        self._threads = {doing: ThreadPoolExecutor(1, f"store-{doing}") for doing in (*READERS, WRITER)}
        self._sources: dict[str, int] = {}
        self.inspection = Inspection(partial(self._read, thread="inspect"))
        self.searching = Searching(partial(self._read, thread="search"))
        self.trouble: str | None = None
        """What keeps the store from being written, as long as it does."""
        self._hurry = asyncio.Event()
        self._hurry.set()

    @property
    @abstractmethod
    def token(self) -> str:
        """Return what proves that a command comes from somebody who may write the store."""

    @property
    @abstractmethod
    def leads(self) -> bool:
        """Tell whether we are the one who writes the store, as far as that can be known without asking."""

    async def hold(self) -> None:
        """Return never; raise `LeaseError` once another writes the store."""
        await asyncio.get_running_loop().create_future()

    @abstractmethod
    def bytes_on_disk(self) -> int:
        """Return how many bytes the store takes on the disk."""

    @abstractmethod
    def _transact(self, work: Callable[[Connection], T]) -> T:
        """Do the work in one transaction, which is on the disk when this returns."""

    @abstractmethod
    def _ask(self, work: Callable[[Connection], T], thread: str) -> T:
        """Do work that only reads, on one of the threads for `READERS`."""

    @abstractmethod
    def _let_go(self, thread: str) -> None:
        """Close what this thread has open."""

    async def open_source(self, name: str, *, identity: str, now: datetime) -> SourceState:
        """Return the source, made with epoch `now` the first time; another identity under the name is refused."""

        def work(connection: Connection) -> tuple[int, SourceState]:
            connection.execute(
                "INSERT INTO sources (name, identity, epoch) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (name, identity, to_micros(now)),
            )
            return _source(connection, name)

        number, state = await self._write(work)
        if state.identity != identity:
            raise StoreError(
                f"in this store, the source {name!r} is {state.identity}, not {identity}",
                hint="give the other server its own --store; if it is the same one under a new address,"
                f" run `streamer store adopt {identity}`",
            )
        self._sources[name] = number
        return state

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
        """Keep the events whose id is new, with all that follows from them."""
        batch = Batch(events, net, passed_over, watermark, progress)
        return await self._write(
            lambda connection: appending.append(connection, *_source(connection, source), batch, self._counting)
        )

    async def remembered(self) -> Mapping[tuple[str, str, str], bytes]:
        """Return what readers have put into their progress as what they remember."""
        return await self._read(alerts.remembered)

    async def silences(self) -> Mapping[str, bytes]:
        """Return all silences by id, each as it was put here."""
        return await self._read(alerts.silences)

    async def put_silence(self, ident: str, body: bytes) -> None:
        """Keep a silence."""
        await self._write(lambda connection: alerts.put_silence(connection, ident, body))

    async def drop_silence(self, ident: str) -> bool:
        """Forget a silence; tell whether there was one."""
        return await self._write(lambda connection: alerts.drop_silence(connection, ident))

    async def without_due(self, source: str, limit: int) -> set[UUID]:
        """Return runs of which nobody has learned yet when they should have started."""
        number = self._sources[source]
        return await self._read(lambda connection: run_rows.without_due(connection, number, limit))

    async def learn(self, dues: Dues) -> Appended:
        """Note when runs should have started; return what could be measured by it."""
        return await self._write(
            lambda connection: appending.learn(connection, _source(connection, dues.source)[1], dues, self._counting)
        )

    async def known(self, ids: Collection[UUID]) -> set[UUID]:
        """Return which of these ids are in the ledger."""
        return await self._read(lambda connection: ledger.known(connection, ids))

    async def unfinished(self, source: str) -> Mapping[UUID, StateType | None]:
        """Return the runs of a source that have not ended, as far as we know, and were not deleted."""
        number = self._sources[source]
        return await self._read(lambda connection: run_rows.unfinished(connection, number))

    async def runs(self, ids: Collection[UUID]) -> Mapping[UUID, RunState]:
        """Return what is known of these runs, by id."""
        return await self._read(lambda connection: run_rows.load(connection, ids))

    async def run(self, run: UUID) -> RunState | None:
        """Return what is known of a run."""
        return (await self.runs([run])).get(run)

    async def history(self, run: UUID) -> list[Record]:
        """Return the run's records that are in the log, phantoms left out, in the order in which they came."""
        return await self._read(lambda connection: history.records(connection, run))

    async def find_runs(self, *, judged: bool = False, limit: int = 50) -> list[RunState]:
        """Return the runs whose state is the newest, newest first; only those a verdict stands of if so asked."""
        return await self._read(lambda connection: run_rows.newest(connection, judged=judged, limit=limit))

    async def outcomes(self, since: datetime) -> list[Outcome]:
        """Return how runs ended that did since a time and have not gone on, by what they belong to and by state."""
        return await self._read(lambda connection: reports.outcomes(connection, since), "report")

    async def run_history(self, span: Span, *, now: datetime) -> list[Bucket]:
        """Return the runs that were due in each of some buckets of time, by state."""
        return await self._read(lambda connection: reports.history(connection, span, now=now), "report")

    async def window(self, since: datetime, *, now: datetime) -> Window:
        """Return what runs have done since a time, in sum."""
        return await self._read(lambda connection: reports.window(connection, since, now=now), "report")

    async def identity(self) -> str:
        """Return what no other store is called."""
        return await self._read(activity.identity)

    async def lately(self, since: datetime) -> Lately:
        """Return what has happened since a time, by minute."""
        return await self._read(lambda connection: activity.lately(connection, since), "report")

    async def oddities(self) -> Oddities:
        """Return how much did not go the usual way."""
        return await self._read(activity.oddities, "report")

    async def late_runs(self) -> Mapping[str, int]:
        """Return how many runs are late by the id of their work queue, those without one under the empty string."""
        return await self._read(reports.late_runs, "report")

    async def unfinished_runs(self) -> list[RunState]:
        """Return the runs that have not ended."""
        return await self._read(run_rows.present, "report")

    async def ended_runs(self, since: datetime, *, failed: bool = False, each: int | None = None) -> list[RunState]:
        """Return the runs that ended after a time, newest first; only the failed, only so many of each deployment."""
        return await self._read(
            lambda connection: run_rows.ended(connection, to_micros(since), failed=failed, each=each), "report"
        )

    async def newest_event(self, run: UUID) -> Event | None:
        """Return the run's newest transition that is in the log."""
        return await self._read(lambda connection: history.newest_transition(connection, run))

    async def transitions(self, run: UUID) -> Mapping[UUID, datetime]:
        """Return the ids of a run's transitions in the log, with when they occurred, phantoms left out."""
        return await self._read(lambda connection: history.transitions(connection, run))

    async def broken(self, source: str, before: datetime, limit: int) -> set[UUID]:
        """Return the runs with a break in their chain of states since before a time."""
        number = self._sources[source]
        return await self._read(lambda connection: chains.broken(connection, number, to_micros(before), limit))

    async def mended(self, runs: Collection[UUID], before: datetime, *, suspected: Collection[UUID] = ()) -> None:
        """Forget the breaks in these runs' chains: they were looked into, and what could be found is committed."""
        await self._write(lambda connection: chains.mended(connection, runs, to_micros(before), suspected))

    async def sources(self) -> list[SourceState]:
        """Return what the store knows of each source that was ever opened."""
        return await self._read(
            lambda connection: [
                _source_state(*row[1:]) for row in connection.execute(f"SELECT {_SOURCE} FROM sources ORDER BY id")
            ]
        )

    async def after(self, seq: int, limit: int) -> Sequence[Record]:
        """Return at most `limit` records beyond `seq`, in order."""
        return await self._read(lambda connection: segments.read(connection, beyond=seq, limit=limit))

    async def head(self) -> int:
        """Return the newest `seq` ever given, 0 for an empty log."""
        return await self._read(lambda connection: connection.newest_seq())

    async def cursor(self, reader: str, *, since: datetime | None = None) -> Cursor:
        """Return the reader's cursor; a new one is before what occurred since a time, or without one at the head."""

        def work(connection: Connection) -> Cursor:
            if (found := cursors.find(connection, reader)) is None:
                cursors.put(connection, reader, found := cursors.begun(connection, since))
            return found

        return await self._write(work)

    async def commit(self, reader: str, seq: int) -> None:
        """Move the reader's cursor on to what it has acknowledged; never back."""
        await self._write(lambda connection: cursors.commit(connection, reader, seq))

    async def seek(self, reader: str, since: datetime | None) -> Sought:
        """Move the reader's cursor, back too, to where a new one would be that starts so."""

        def work(connection: Connection) -> Sought:
            if (before := cursors.find(connection, reader)) is None:
                hint = "`streamer sinks list` shows those there are; a new sink starts where its `start` says"
                raise StoreError(f"the store knows no sink {reader!r}", hint)
            cursors.put(connection, reader, after := cursors.begun(connection, since))
            return Sought(before, after)

        return await self._write(work)

    async def between(self, low: int, high: int) -> int:
        """Return how many records are beyond one `seq`, up to another."""
        return await self._read(lambda connection: cursors.between(connection, low, high), "report")

    async def pending_since(self, seq: int) -> datetime | None:
        """Return when the next record beyond a `seq` occurred; None if there is none."""
        return await self._read(lambda connection: cursors.pending_since(connection, seq))

    async def readers(self) -> list[Reader]:
        """Return all readers that have a cursor or dead letters, by name."""
        return await self._read(cursors.readers, "report")

    async def forget(self, reader: str) -> tuple[int, int]:
        """Drop a reader's cursor and dead letters; return how many there were of each."""
        return await self._write(lambda connection: cursors.forget(connection, reader))

    async def bury(self, sink: str, record: Record, reason: str) -> None:
        """Keep a record that a sink refused for good."""
        now = time.time_ns() // 1000
        await self._write(lambda connection: dead_letters.bury(connection, sink, record, reason, now=now))

    async def buried(self, sink: str | None = None, *, limit: int | None = None) -> list[DeadLetter]:
        """Return what one sink, or any, has refused for good, newest first."""
        return await self._read(lambda connection: dead_letters.listed(connection, sink, limit=limit))

    async def buried_seqs(self, sink: str) -> list[int]:
        """Return the numbers of the records that a sink has refused, in order."""
        return await self._read(lambda connection: dead_letters.seqs(connection, sink))

    async def buried_records(self, sink: str, seqs: Sequence[int]) -> list[Record]:
        """Return these of the records that a sink has refused, in order."""
        return await self._read(lambda connection: dead_letters.records(connection, sink, seqs))

    async def exhume(self, sink: str, seqs: Collection[int]) -> int:
        """Forget that a sink refused these; return how many there were."""
        return await self._write(lambda connection: dead_letters.drop(connection, sink, seqs))

    async def quarantine(self, frame: Frame, error: InvalidEvent) -> Totals:
        """Keep a frame that the schemas refused, once; return the counters that changed."""

        def work(connection: Connection) -> Totals:
            new = quarantine.keep(connection, frame, error, now=time.time_ns() // 1000)
            if frame.source in self._sources and (entry := quarantine.ledger_entry(frame.data)):
                ledger.admit(connection, self._sources[frame.source], [entry], frame.net)
            raised = Tally({Counter(Family.QUARANTINED, frame.source, labels=(error.reason,)): new})
            return Totals(appending.raise_counters(connection, raised))

        return await self._write(work)

    async def refused(self, prefix: str = "") -> list[Refused]:
        """Return what is in quarantine, newest first: all, or what has a key that starts so."""
        return await self._read(lambda connection: quarantine.listed(connection, prefix))

    async def refused_frame(self, key: str) -> Frame | None:
        """Return a refused frame as it came, cut to a megabyte; None if it is not there any more."""
        return await self._read(lambda connection: quarantine.frame(connection, key))

    async def count(self, source: str, start: int, last: int) -> int:
        """Return how many events but heartbeats the server is known to have, between two times, both included."""
        number = self._sources[source]
        return await self._read(lambda connection: ledger.count(connection, number, start, last))

    async def ids(self, source: str, start: int, last: int) -> set[UUID]:
        """Return the ids that `count` counts."""
        number = self._sources[source]
        return await self._read(lambda connection: ledger.ids(connection, number, start, last))

    async def absent(self, ids: Collection[UUID]) -> None:
        """Note that the server does not have these events; they are kept, and not counted in a window any more."""
        await self._write(lambda connection: ledger.absent(connection, ids))

    async def totals(self) -> Totals:
        """Return all counters and names."""

        def work(connection: Connection) -> Totals:
            rows = {_counter(row): row for row in connection.execute("SELECT * FROM counters ORDER BY rowid")}
            counts = {counter: row[7] for counter, row in rows.items()}
            raised = {counter: from_micros(row[8]) for counter, row in rows.items()}
            return Totals(counts, dict(connection.execute("SELECT id, name FROM names")), raised)

        return await self._read(work)

    async def size(self) -> int:
        """Return how many records there are."""
        return await self._read(lambda connection: _one(connection, "SELECT count(*) FROM records"))

    async def dead_letters(self, sink: str | None = None) -> int:
        """Return how many records a sink, or any, has refused for good."""
        return await self._read(lambda connection: dead_letters.count(connection, sink))

    async def prune(self, keep: Retention, *, now: datetime, readers: Collection[str], ids: bool) -> Pruned:
        """Take one step of forgetting, `ids` too if told to; all is done when it dropped nothing."""

        return await self._write(lambda connection: pruning.prune(connection, keep, now=now, readers=readers, ids=ids))

    async def compact(self) -> int:
        """Merge small pieces of the log; return how many were merged."""
        return await self._write(segments.merge)

    async def close(self) -> None:
        """Finish what was sent, and let go of the database, the writer last."""
        for doing, thread in self._threads.items():
            await asyncio.get_running_loop().run_in_executor(thread, self._let_go, doing)
            thread.shutdown()

    def be_patient(self, patient: bool) -> None:
        """Outlast a disk that is full or failing, or else let its errors out, as is usual."""
        if patient:
            self._hurry.clear()
        else:
            self._hurry.set()

    async def _write(self, work: Callable[[Connection], T]) -> T:
        return await self._outlasting(partial(self._transact, work), WRITER)

    async def _read(self, work: Callable[[Connection], T], thread: str = "read") -> T:
        return await self._outlasting(partial(self._ask, work, thread), thread)

    async def _outlasting(self, run: Callable[[], T], thread: str) -> T:
        """Do it, and if need be and we are patient, again until the disk lets us; nothing was half-written before."""
        while True:
            try:
                done = await asyncio.get_running_loop().run_in_executor(self._threads[thread], run)
            except StoreError as error:
                if not error.may_pass or self._hurry.is_set():
                    raise
                await self._wait_a_moment(error)
            else:
                if self.trouble and thread == "write":
                    logger.warning("the store can be written again")
                    self.trouble = None
                return done

    async def _wait_a_moment(self, error: StoreError) -> None:
        if self.trouble is None:
            logger.error("waiting for the disk", error=str(error), hint=error.hint)
        self.trouble = str(error)
        with suppress(TimeoutError):
            async with asyncio.timeout(RETRY_SECONDS):
                await self._hurry.wait()


def _source(connection: Connection, name: str) -> tuple[int, SourceState]:
    row = connection.execute(f"SELECT {_SOURCE} FROM sources WHERE name = ?", (name,)).fetchone()
    return row[0], _source_state(*row[1:])


_SOURCE = "id, name, identity, epoch, watermark, horizon"


def _source_state(name: str, identity: str, epoch: int, *moments: int | None) -> SourceState:
    watermark, horizon = (None if each is None else from_micros(each) for each in moments)
    return SourceState(name, identity, from_micros(epoch), watermark, horizon)


def _one(connection: Connection, query: str) -> int:
    number: int = connection.execute(query).fetchone()[0]
    return number


def _counter(row: tuple[Any, ...]) -> Counter:
    family, source, flow, deployment, work_pool, labels, more, *_ = row
    pairs = tuple((name, value) for name, value in orjson.loads(more))
    return Counter(Family(family), source, flow, deployment, work_pool, tuple(orjson.loads(labels)), pairs)
