"""What the store of a service holds, read when the service has ended."""

from collections import Counter

from streamer.model import Family, Record
from streamer.store.sqlite import SqliteStore
from tests.running import RunningService


async def stored(service: RunningService) -> tuple[list[Record], Counter[Family]]:
    """Return all records, and the counters summed over their labels."""
    store = SqliteStore.open(service.folder / ".streamer" / "streamer.db")
    records, counts = list(await store.after(0, 1_000_000)), (await store.totals()).counts
    await store.close()
    sums: Counter[Family] = Counter()
    for counter, value in counts.items():
        sums[counter.family] += value
    return records, sums
