"""The sinks there are: those that are configured, and those that the store still knows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import structlog

from streamer.config import SinkSettings
from streamer.core import Core
from streamer.delivery import Delivery
from streamer.store.cursors import Reader
from streamer.store.sql import SqlStore

logger = structlog.get_logger(__name__)


class SinkState(StrEnum):
    """How a sink is: `new` has never started, `stopped` has no service, `removed` is configured no more.

    What is `elsewhere` is delivered to by another replica, which leads.
    """

    NEW = "new"
    STOPPED = "stopped"
    OPENING = "opening"
    UP = "up"
    DOWN = "down"
    REMOVED = "removed"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class ListedSink:
    """A sink, how far it has come and is behind, and how it is; `trouble` says why it is down."""

    name: str
    type: str | None
    acked: int | None
    behind: int
    oldest_pending: datetime | None
    dead_letters: int
    state: SinkState
    trouble: str | None = None


async def running_sinks(core: Core) -> list[ListedSink]:
    """Return the sinks of a service, and those that only its store knows."""
    return [*[await _running(core, each) for each in list(core.deliveries)], *await removed_sinks(core)]


async def removed_sinks(core: Core) -> list[ListedSink]:
    """Return those that the store knows, but that are not configured any more."""
    return list(_removed(await core.store.readers(), core.sinks.settings, core.log.head))


async def stored_sinks(
    store: SqlStore, wanted: Mapping[str, SinkSettings], *, state: SinkState = SinkState.STOPPED
) -> list[ListedSink]:
    """Return the sinks of a service with this configuration as its store tells, and those that only the store knows."""
    head, readers = await store.head(), await store.readers()
    known = {each.name: each for each in readers}
    configured = (_stored(name, each, known.get(name), head, state) for name, each in wanted.items())
    return [*configured, *_removed(readers, wanted, head)]


def never_started(wanted: Mapping[str, SinkSettings]) -> list[ListedSink]:
    """Return the sinks that are configured where there is no store yet."""
    return [_stored(name, each, None, 0, SinkState.NEW) for name, each in wanted.items()]


async def say_which_were_removed(core: Core) -> None:
    """Log each sink that the store still knows, though it is not configured any more: was it renamed?"""
    for each in await removed_sinks(core):
        logger.warning(
            "a sink is not configured any more, and what it did not have is not kept for it",
            sink=each.name,
            behind=each.behind,
            dead_letters=each.dead_letters,
            hint=forgetting(each.name),
        )


def forgetting(name: str) -> str:
    """Return the command that has the store forget a sink."""
    return f"streamer sinks forget '{name}'"


async def _running(core: Core, delivery: Delivery) -> ListedSink:
    settings = core.sinks.settings.get(delivery.name)
    return ListedSink(
        delivery.name,
        settings.type if settings else None,
        delivery.acked,
        delivery.lag(),
        await core.store.pending_since(delivery.acked),
        await core.store.dead_letters(delivery.name),
        _state(delivery),
        delivery.trouble,
    )


def _state(delivery: Delivery) -> SinkState:
    if delivery.trouble:
        return SinkState.DOWN
    return SinkState.UP if delivery.is_open else SinkState.OPENING


def _stored(name: str, settings: SinkSettings, reader: Reader | None, head: int, state: SinkState) -> ListedSink:
    if reader is None or reader.acked is None:
        letters = reader.dead_letters if reader else 0
        return ListedSink(name, settings.type, None, 0, None, letters, SinkState.NEW)
    return _of_reader(reader, settings.type, head, state)


def _removed(readers: Sequence[Reader], wanted: Mapping[str, SinkSettings], head: int) -> Iterator[ListedSink]:
    return (_of_reader(each, None, head, SinkState.REMOVED) for each in readers if each.name not in wanted)


def _of_reader(reader: Reader, kind: str | None, head: int, state: SinkState) -> ListedSink:
    behind = 0 if reader.acked is None else max(0, head - reader.acked)
    return ListedSink(reader.name, kind, reader.acked, behind, reader.oldest_pending, reader.dead_letters, state)
