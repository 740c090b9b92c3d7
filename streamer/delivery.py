"""One sink: its cursor, its retries, and the records it refuses.

A record is acknowledged only when the sink's `write` has returned, or the record is buried. The cursor in the store
trails by a tenth of a second at most, so that a kill repeats little and a busy sink costs few commits.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from streamer.backoff import Backoff, backoff
from streamer.batching import Batching
from streamer.errors import Reject, Retry, SinkError
from streamer.instruments import Instruments
from streamer.log import Log
from streamer.model import Cursor, Record, Sink, Sought
from streamer.redaction import Redaction
from streamer.routing import Routing, Wishes

COMMIT_EVERY_SECONDS = 0.1
CLOSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Terms:
    """What a sink is given, how much at once, how long it may take for that, and how old a record may become meanwhile.

    Without `max_age` a sink that is down has everything once it is back.
    """

    batching: Batching = field(default_factory=Batching)
    write_timeout: timedelta = timedelta(seconds=60)
    max_age: timedelta | None = None
    routing: Wishes = field(default_factory=Routing)


Attempt = Callable[[], Awaitable[None]]

logger = structlog.get_logger(__name__)
_PATIENCE = backoff(first=0.2, longest=60)


class Delivery:
    """Move records from the log to one sink, at the sink's own pace."""

    def __init__(
        self,
        name: str,
        sink: Sink,
        log: Log,
        instruments: Instruments,
        *,
        since: datetime | None = None,
        terms: Terms | None = None,
        redaction: Redaction | None = None,
        patience: Backoff = _PATIENCE,
    ) -> None:
        self.name = name
        self.acked = 0
        self.is_open = False
        self.trouble: str | None = None
        """Why the sink takes nothing, as long as it does not."""
        self._sink = sink
        self._log = log
        self._instruments = instruments
        self._since = since
        self._terms = terms or Terms()
        self._redaction = redaction or Redaction()
        self._patience = patience
        self._committed = 0
        self._dirty = asyncio.Event()
        self._acknowledged = asyncio.Event()
        self._writing: asyncio.Future[None] | None = None
        self._writing_seq = 0
        self._pending_since = 0.0
        self._turn = asyncio.Lock()
        self._moving: asyncio.Task[None] | None = None
        self._placing = asyncio.Lock()  # what is begun before a seek must not be kept after it

    async def open(self) -> None:
        """Find where the sink stands; a new one stands at the head. Do this before anything is appended."""
        self._stand_at(await self._log.store.cursor(self.name, since=self._since))
        await self.count_dead_letters()

    def _stand_at(self, cursor: Cursor) -> None:
        self.acked = self._committed = cursor.seq
        self._since = cursor.since

    async def count_dead_letters(self) -> None:
        """Show how many records the sink has refused for good."""
        self._instruments.dead_letters.labels(self.name).set(await self._log.store.dead_letters(self.name))

    async def run(self) -> None:
        """Deliver for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._commit_cursor())
            await self._retrying("open", self._timed_open)
            self.is_open = True
            while True:
                async with self._placing:
                    self._moving = tasks.create_task(self._move())
                await asyncio.wait([self._moving])  # it ends by a seek only

    async def _move(self) -> None:
        await self._see_the_last_write_through()
        while True:
            await self._log.wait(self.acked)
            head = self._log.head
            if records := await self._terms.batching.next(self._log, self.acked):
                await self._deliver(records)
            else:
                self._acknowledge(head)  # all up to there was pruned

    async def seek(self, since: datetime | None) -> Sought:
        """Go on from where a new sink would begin that starts so; what is being written now ends before."""
        async with self._placing:
            if self._moving:
                self._moving.cancel()
                await asyncio.wait([self._moving])
            async with self._turn:
                await self._see_the_last_write_through()
                self._writing = None
            await self._commit()
            sought = await self._log.store.seek(self.name, since)
            self._stand_at(sought.after)
            self._acknowledged.set()
        return sought

    async def retry(self, record: Record) -> str | None:
        """Give the sink a record again that it refused, out of turn; return why it does not take it now, if so."""
        try:
            await self.give(record)
        except SinkError as error:
            return str(error)
        self._count_records("delivered", 1)
        return None

    async def give(self, record: Record) -> None:
        """Give the sink a record out of turn; raise `Reject` or `Retry` if it does not take it."""
        if not self.is_open:
            raise Retry(self.trouble or "the sink is not open yet")
        seconds = self._terms.write_timeout.total_seconds()
        try:
            async with asyncio.timeout(seconds), self._turn:
                await self._give([record])
        except SinkError:
            raise
        except TimeoutError as error:
            raise Retry(self.trouble or f"the sink took longer than {seconds:g} s for a write") from error
        except Exception as error:
            raise Retry(f"{type(error).__name__}: {error}") from error

    def lag(self) -> int:
        """Return how far the sink is behind the log's head."""
        return max(0, self._log.head - self.acked)

    def oldest_pending(self) -> float:
        """Return when the oldest record occurred that the sink still has to take, in seconds since 1970; 0 if none."""
        return self._pending_since if self.lag() else 0.0

    async def drained(self) -> None:
        """Return when the sink has all there is."""
        while self._log.head > self.acked:
            self._acknowledged.clear()
            await self._acknowledged.wait()

    async def close(self) -> None:
        """Keep how far the sink has come, and close it. Call it after `run` was cancelled."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._see_the_last_write_through()
                await self._sink.close()
        except (TimeoutError, SinkError, OSError) as error:
            logger.warning("a sink did not close", sink=self.name, error=f"{type(error).__name__}: {error}")
        await self.commit()
        self._instruments.sink_up.labels(self.name).set(0)

    async def _see_the_last_write_through(self) -> None:
        """Acknowledge what was being written when that was cancelled, so that it is not repeated; not for ever."""
        if (writing := self._writing) is None:
            return
        await asyncio.wait([writing], timeout=CLOSE_SECONDS)
        if not writing.done():
            writing.cancel()
            await asyncio.wait([writing], timeout=CLOSE_SECONDS)
        if writing.done() and not writing.cancelled() and writing.exception() is None and self._writing is writing:
            self._acknowledge(max(self.acked, self._writing_seq))

    async def _deliver(self, records: Sequence[Record]) -> None:
        self._pending_since = records[0].event.occurred.timestamp()
        wanted = [each for each in records if self._wants(each)]
        self._count_records("filtered", len(records) - len(wanted))
        if wanted:
            await self._write(wanted)
        self._acknowledge(records[-1].seq)

    def _wants(self, record: Record) -> bool:
        is_history = self._log.is_history(record) and (self._since is None or record.event.occurred < self._since)
        return not is_history and self._terms.routing.refusal(record) is None

    async def _write(self, records: Sequence[Record]) -> None:
        left = records

        async def attempt() -> None:
            nonlocal left
            if left := self._young_enough(left):
                await self._timed_write(left)

        try:
            await self._retrying("write", attempt)
            self._count_records("delivered", len(left))
        except Reject as refusal:
            if len(left) == 1:
                await self._bury(left[0], str(refusal))
                return
            for record in left:
                await self._write([record])
                self._acknowledge(record.seq)

    def _young_enough(self, records: Sequence[Record]) -> Sequence[Record]:
        """Return the records that have not become too old; the others the sink will never have."""
        if self._terms.max_age is None:
            return records
        horizon = datetime.now(UTC) - self._terms.max_age
        young = [each for each in records if each.event.occurred >= horizon]
        if expired := len(records) - len(young):
            self._count_records("expired", expired)
            logger.warning("records became too old for a sink", sink=self.name, records=expired)
        return young

    async def _timed_open(self) -> None:
        try:
            async with asyncio.timeout(self._terms.write_timeout.total_seconds()):
                await self._sink.open()
        except TimeoutError as error:
            raise Retry("the sink could not be opened in time") from error

    async def _timed_write(self, records: Sequence[Record]) -> None:
        start = time.perf_counter()
        try:
            async with self._turn:
                self._writing, self._writing_seq = asyncio.ensure_future(self._give(records)), records[-1].seq
                try:
                    async with asyncio.timeout(self._terms.write_timeout.total_seconds()):
                        await asyncio.shield(self._writing)
                except TimeoutError:
                    await self._give_up(self._writing)
                self._writing = None
        finally:
            self._instruments.sink_duration.labels(self.name).observe(time.perf_counter() - start)

    async def _give(self, records: Sequence[Record]) -> None:
        """Let the sink have the records, without what must not leave; not while another may be giving it newer ones."""
        if not self._log.store.leads:
            raise Retry("it is not sure that we still lead")
        await self._sink.write([self._redaction.apply(each) for each in records])

    async def _give_up(self, writing: asyncio.Future[None]) -> None:
        """Cancel a write that takes too long, unless it has ended after all, and have it tried again."""
        writing.cancel()
        await asyncio.wait([writing], timeout=CLOSE_SECONDS)
        if not writing.done() or writing.cancelled():
            seconds = self._terms.write_timeout.total_seconds()
            raise Retry(f"the sink took longer than {seconds:g} s for a write")
        writing.result()

    async def _bury(self, record: Record, reason: str) -> None:
        await self._log.store.bury(self.name, record, reason)
        self._count_records("dead_lettered", 1)
        self._instruments.dead_letters.labels(self.name).inc()
        logger.warning("a sink refused a record", sink=self.name, seq=record.seq, reason=reason)

    async def _retrying(self, doing: str, attempt: Attempt) -> None:
        """Try until the sink takes it; only `Reject` comes out. An unforeseen error is treated as `Retry`."""
        async for trial in AsyncRetrying(
            retry=retry_if_exception_type(Retry),
            wait=self._patience,
            before_sleep=lambda state: self._down(doing, state),
        ):
            with trial:
                try:
                    await attempt()
                except Reject:
                    self._instruments.sink_attempts.labels(self.name, "reject").inc()
                    raise
                except Retry:
                    self._instruments.sink_attempts.labels(self.name, "retry").inc()
                    raise
                except Exception as error:
                    self._instruments.sink_attempts.labels(self.name, "retry").inc()
                    raise Retry(f"{type(error).__name__}: {error}") from error
        self._up(doing)

    def _up(self, doing: str) -> None:
        self.trouble = None
        self._instruments.sink_up.labels(self.name).set(1)
        if doing == "write":
            self._instruments.sink_attempts.labels(self.name, "ok").inc()
            self._instruments.sink_success.labels(self.name).set(time.time())

    def _down(self, doing: str, state: RetryCallState) -> None:
        self._instruments.sink_up.labels(self.name).set(0)
        self.trouble = str(state.outcome.exception()) if state.outcome else None
        if state.attempt_number == 1:
            logger.warning("a sink is down, retrying", sink=self.name, doing=doing, error=self.trouble)

    def _count_records(self, result: str, number: int) -> None:
        if number:
            self._instruments.sink_records.labels(self.name, result).inc(number)

    def _acknowledge(self, seq: int) -> None:
        self.acked = seq
        self._dirty.set()
        self._acknowledged.set()

    async def _commit_cursor(self) -> None:
        while True:
            await self._dirty.wait()
            await self.commit()
            await asyncio.sleep(COMMIT_EVERY_SECONDS)

    async def commit(self) -> None:
        """Keep in the store how far the sink has come."""
        async with self._placing:
            await self._commit()

    async def _commit(self) -> None:
        self._dirty.clear()
        if self.acked != self._committed:
            seq = self.acked
            await self._log.store.commit(self.name, seq)
            self._committed = seq
