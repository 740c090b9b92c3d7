"""Answers to questions that are conditions: no index may be of use for them, so none may take long."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

from streamer.model import Record
from streamer.questions import Count, Page, Summary
from streamer.search import Condition, Kind, Search
from streamer.store import history, inspection, summaries
from streamer.store.engine import Connection
from streamer.store.inspection import Ask

SECONDS = 5.0

T = TypeVar("T")


class Searching:
    """The questions that the store answers, or gives up."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def search(self, search: Search) -> Page:
        """Return the runs that meet a condition."""
        return await self._within(lambda connection: inspection.searched(connection, search))

    async def count_where(self, where: Condition) -> Count:
        """Return how many runs meet a condition."""
        return await self._within(lambda connection: inspection.count(connection, Search(where).query, where))

    async def parties(self, kind: Kind, where: Condition) -> list[Summary]:
        """Return the flows or deployments that meet a condition, the one with the latest run first."""
        return await self._within(lambda connection: summaries.where(connection, kind, where))

    async def summaries(self, kind: Kind, ids: Sequence[str]) -> list[Summary]:
        """Return the flows or deployments that have these ids, the one with the latest run first."""
        return await self._within(lambda connection: summaries.these(connection, kind, ids))

    async def histories(self, runs: Sequence[UUID]) -> Mapping[UUID, list[Record]]:
        """Return the records of each of these runs, phantoms left out, in the order in which they came."""
        return await self._within(lambda connection: history.records_of(connection, runs))

    async def _within(self, work: Callable[[Connection], T]) -> T:
        def in_time(connection: Connection) -> T:
            with connection.at_most(SECONDS):
                return work(connection)

        return await self._ask(in_time)
