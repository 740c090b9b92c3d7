"""A sink that remembers, and fails when told to."""

from collections.abc import Callable, Sequence

from streamer.model import Record


class MemorySink:
    """Keep records in `records`; `refuse` is asked before each write and may raise `Retry`, `Reject` or anything."""

    def __init__(self, refuse: Callable[[Sequence[Record]], None] | None = None) -> None:
        self.records: list[Record] = []
        self.writes = 0
        self.opened = 0
        self.closed = 0
        self.refuse = refuse

    @property
    def seqs(self) -> list[int]:
        """Return the `seq` of each record, as delivered."""
        return [record.seq for record in self.records]

    async def open(self) -> None:
        """Count."""
        self.opened += 1

    async def write(self, records: Sequence[Record], /) -> None:
        """Keep the records, unless told to refuse them."""
        self.writes += 1
        if self.refuse:
            self.refuse(records)
        self.records.extend(records)

    async def close(self) -> None:
        """Count."""
        self.closed += 1
