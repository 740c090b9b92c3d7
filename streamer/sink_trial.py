"""One marked record to a sink, and what the sink says to it: the record is in no log, and no cursor moves."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import uuid4

from schemas import notices
from streamer import sinks
from streamer.config import Settings, SinkSettings
from streamer.delivery import CLOSE_SECONDS
from streamer.errors import Reject, Retry, SinkError
from streamer.model import Record

Give = Callable[[Record], Awaitable[None]]


def marked(source: str, sink: str, *, place: int, now: datetime) -> Record:
    """Return a record that says it is a test; its `seq` is where the sink stands."""
    return Record(place, source, notices.test(source, sink, uuid4(), occurred=now))


async def tried(record: Record, give: Give, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what became of the record: `delivered`, `refused` for good, or `failed` for now, and why.

    With `passed_over`, the sink took it, but its format is of transitions only: nothing was sent.
    """
    start = time.perf_counter()
    outcome, reason = "delivered", None
    if options.get("format") == "openlineage":
        outcome, reason = "passed_over", "its format, openlineage, tells of transitions only"
    try:
        await give(record)
    except Reject as refusal:
        outcome, reason = "refused", str(refusal)
    except Retry as failure:
        outcome, reason = "failed", str(failure)
    seconds = time.perf_counter() - start
    return {"outcome": outcome, "reason": reason, "seconds": seconds, "id": str(record.event.id)}


async def tried_here(
    settings: Settings, name: str, sink: SinkSettings, *, place: int, now: datetime
) -> Mapping[str, Any]:
    """Open a sink that no service has open, give it a marked record, and close it."""
    built = sinks.build(sink.type, sink.options, surroundings=settings.surroundings)

    async def give(record: Record) -> None:
        try:
            async with asyncio.timeout(sink.write_timeout.total_seconds()):
                await built.open()
                await built.write([settings.redact.apply(record)])
        except SinkError:
            raise
        except TimeoutError as error:
            raise Retry(f"the sink took longer than {sink.write_timeout.total_seconds():g} s") from error
        except Exception as error:
            raise Retry(f"{type(error).__name__}: {error}") from error

    try:
        return await tried(marked(settings.source_names[0], name, place=place, now=now), give, sink.options)
    finally:
        with suppress(TimeoutError, SinkError, OSError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await built.close()
