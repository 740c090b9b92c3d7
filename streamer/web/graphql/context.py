"""What lasts as long as one question of GraphQL: what it asks for many times is looked up at once."""

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from strawberry.dataloader import DataLoader

from streamer.model import Record
from streamer.questions import Summary
from streamer.search import Condition, Kind
from streamer.web.graphql.answering import Answering

AT_ONCE = 500


class Context:
    """One question."""

    def __init__(self, answering: Answering) -> None:
        self.answering = answering
        self.histories: DataLoader[UUID, Sequence[Record]] = DataLoader(self._histories, max_batch_size=AT_ONCE)
        self.counts: DataLoader[Condition, int] = DataLoader(self._counts)
        self._summaries: dict[Kind, DataLoader[str, Summary | None]] = {}

    def summaries(self, kind: Kind) -> DataLoader[str, Summary | None]:
        """Return what looks up flows or deployments by id."""
        return self._summaries.setdefault(kind, DataLoader(partial(self._looked_up, kind), max_batch_size=AT_ONCE))

    async def _looked_up(self, kind: Kind, ids: list[str]) -> list[Summary | None]:
        found = {each.id: each for each in await self.answering.searching.summaries(kind, ids)}
        return [found.get(ident) for ident in ids]

    async def _histories(self, runs: list[UUID]) -> list[Sequence[Record]]:
        found = await self.answering.searching.histories(runs)
        return [found[run] for run in runs]

    async def _counts(self, conditions: list[Condition]) -> list[int]:
        return [(await self.answering.searching.count_where(each)).total for each in conditions]
