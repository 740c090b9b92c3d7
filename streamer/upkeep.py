"""What the store needs now and then: small pieces of the log merged, old ones dropped, and who misses them told."""

import asyncio
from collections import Counter

import structlog

from schemas import notices
from streamer.core import Core
from streamer.model import ALERTS_READER, Frame, Net

EVERY_SECONDS = 60.0

logger = structlog.get_logger(__name__)


async def keep_up(core: Core) -> None:
    """Look after the store, for ever."""
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        await core.store.compact()
        await prune(core)


async def prune(core: Core) -> None:
    """Drop what the retention lets go of, a step at a time; ids only while nothing is missing that might be read."""
    keep = core.settings.retention.as_retention()
    readers = [delivery.name for delivery in core.deliveries]
    readers += [ALERTS_READER] if core.alerting.is_needed else []
    for delivery in core.deliveries:
        await delivery.commit()
    is_present = all(each.caught_up for each in core.health.values())
    missed: Counter[str] = Counter()
    while pruned := await core.log.prune(keep, now=core.clock.now(), readers=readers, ids=is_present):
        missed.update(pruned.expired)
        await asyncio.sleep(0)  # let appends come between
    for delivery in core.deliveries:
        await delivery.count_dead_letters()
    for sink, records in missed.items():
        await _tell(core, sink, records)


async def _tell(core: Core, sink: str, records: int) -> None:
    """Say that a sink will never have so many records."""
    core.instruments.sink_records.labels(sink, "expired").inc(records)
    logger.error(
        "records were pruned before a sink had them: the store is at its size limit", sink=sink, records=records
    )
    source = core.settings.source_names[0]
    reached = (await core.store.cursor(sink)).seq
    notice = notices.expired(source, sink, records, reached, occurred=core.clock.now())
    await core.intake.put(Frame(source, Net.STATES, notice.raw))
