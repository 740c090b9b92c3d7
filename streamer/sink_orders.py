"""What an operator can have done with sinks, and with what they refused."""

from collections.abc import Mapping
from typing import Any

from streamer.core import Core
from streamer.delivery import Delivery
from streamer.errors import StoreError
from streamer.sink_trial import marked, tried
from streamer.starts import read_since

Answer = Mapping[str, Any]


async def retry_buried(core: Core, sink: str, seqs: list[int]) -> Answer:
    """Give a sink again what it refused; what it does not take has the newest reason."""
    delivery, delivered = _required_delivery(core, sink), []
    for record in await core.store.buried_records(sink, seqs):
        if reason := await delivery.retry(record):
            await core.store.bury(sink, record, reason)
        else:
            delivered.append(record.seq)
            await core.store.exhume(sink, [record.seq])
    await delivery.count_dead_letters()
    return {"retried": len(seqs), "delivered": len(delivered)}


async def drop_buried(core: Core, sink: str, seqs: list[int]) -> Answer:
    """Forget what a sink refused."""
    dropped = await core.store.exhume(sink, seqs)
    for delivery in core.deliveries:
        await delivery.count_dead_letters()
    return {"dropped": dropped}


async def seek(core: Core, sink: str, to: str) -> Answer:
    """Move a sink to another place in the log, back too."""
    since, delivery = read_since(to, now=core.clock.now()), _delivery(core, sink)
    sought = await (delivery.seek(since) if delivery else core.store.seek(sink, since))
    low, high = sorted((sought.before.seq, sought.after.seq))
    return {"before": sought.before.seq, "after": sought.after.seq, "records": await core.store.between(low, high)}


async def forget(core: Core, sink: str) -> Answer:
    """Drop what the store keeps of a sink that is configured no more."""
    if _delivery(core, sink):
        hint = "take it out of the configuration first, and have that read again: SIGHUP, or a restart"
        raise StoreError(f"the sink {sink!r} is configured", hint)
    cursors, letters = await core.store.forget(sink)
    if not cursors + letters:
        raise StoreError(f"the store knows no sink {sink!r}", "`streamer sinks list` shows those there are")
    return {"dead_letters": letters}


async def test(core: Core, sink: str) -> Answer:
    """Give a sink a marked record out of turn."""
    delivery = _required_delivery(core, sink)
    record = marked(core.settings.source_names[0], sink, place=delivery.acked, now=core.clock.now())
    settings = core.sinks.settings.get(sink)
    return await tried(record, delivery.give, settings.options if settings else {})


def _delivery(core: Core, sink: str) -> Delivery | None:
    return next((each for each in core.deliveries if each.name == sink), None)


def _required_delivery(core: Core, sink: str) -> Delivery:
    if delivery := _delivery(core, sink):
        return delivery
    hint = "a running service that has the sink is needed: `streamer run`"
    raise StoreError(f"no sink {sink!r} runs here", hint)
