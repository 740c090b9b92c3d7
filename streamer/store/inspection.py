"""Answers to questions about runs, flows and deployments, in milliseconds where an index leads to what is asked for."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol, TypeVar

from schemas import StateType
from streamer.model import RunState
from streamer.questions import Count, DeploymentQuery, FlowQuery, Page, Place, RunQuery, Summary
from streamer.search import ANY, Condition, Search
from streamer.store import run_conditions, run_rows, run_terms, run_ways, summaries
from streamer.store.engine import Connection
from streamer.store.run_terms import PARTIES, Bound

T = TypeVar("T")


class Ask(Protocol):
    """How a question gets to the store: the work is done on a thread that has a connection."""

    def __call__(self, work: Callable[[Connection], T], /) -> Awaitable[T]:
        """Return what the work returns."""
        ...


class Inspection:
    """The questions that the store answers."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def runs(self, query: RunQuery) -> Page:
        """Return a page of runs."""
        return await self._ask(lambda connection: page(connection, query))

    async def count(self, query: RunQuery) -> Count:
        """Return how many runs all pages have together, wherever this one begins and however large it is."""
        return await self._ask(lambda connection: count(connection, query))

    async def flows(self, query: FlowQuery) -> list[Summary]:
        """Return flows, the one with the latest run first."""
        return await self._ask(lambda connection: summaries.flows(connection, query))

    async def deployments(self, query: DeploymentQuery) -> list[Summary]:
        """Return deployments, the one with the latest run first."""
        return await self._ask(lambda connection: summaries.deployments(connection, query))

    async def names(self, runs: Iterable[RunState]) -> Mapping[str, str]:
        """Return the newest names by id of all that these runs belong to."""
        return await self._ask(lambda connection: names_in(connection, runs))


def page(connection: Connection, query: RunQuery) -> Page:
    """Return a page of runs."""
    found = _found(connection, query, ANY, query.limit + 1)
    shown, rest = found[: query.limit], found[query.limit :]
    following = Place(query.order, query.oldest_first, shown[-1][0], shown[-1][1].id) if rest else None
    runs = [run for _, run in shown]
    return Page(runs, str(following) if following else None, names_in(connection, runs))


def searched(connection: Connection, search: Search) -> Page:
    """Return the runs that meet a condition."""
    runs = [run for _, run in _found(connection, search.query, search.where, search.limit, search.offset)]
    return Page(runs, names=names_in(connection, runs))


def _found(
    connection: Connection, query: RunQuery, where: Condition, limit: int, offset: int = 0
) -> list[tuple[int, RunState]]:
    bound, ids = Bound(), run_terms.parties(connection, query)
    terms = [*run_terms.terms(query, ids, bound), run_conditions.term(where, run_conditions.RUN, bound)]
    in_order = run_ways.page(connection, query, terms, list(run_ways.ways(query, ids, bound)), bound)
    wanted = f"{in_order} LIMIT {bound.one(limit)} OFFSET {bound.one(offset)}"
    return sorted(run_rows.listed(connection, wanted, bound), key=_place, reverse=not query.oldest_first)


def count(connection: Connection, query: RunQuery, where: Condition = ANY) -> Count:
    """Return how many runs there are, and how many in each type of state."""
    bound, ids = Bound(), run_terms.parties(connection, query)
    key = run_terms.KEYS[query.order]
    terms = [*run_terms.terms(query, ids, bound), *run_terms.times(query, key, bound)]
    terms.append(run_conditions.term(where, run_conditions.RUN, bound))
    rows = run_ways.matching(connection, terms, list(run_ways.ways(query, ids, bound)), bound)
    found = connection.execute(f"SELECT runs.state_type, count(*) {rows} GROUP BY 1", bound).fetchall()
    by_state = {StateType(state) if state else None: number for state, number in found}
    return Count(sum(by_state.values()), by_state)


def names_in(connection: Connection, runs: Iterable[RunState]) -> Mapping[str, str]:
    """Return the names by id of all that these runs belong to."""
    bound = Bound()
    ids = {ident for run in runs for column in PARTIES if (ident := getattr(run, column))}
    return dict(connection.execute(f"SELECT id, name FROM names WHERE id IN {bound.several(ids)}", bound).fetchall())


def _place(found: tuple[int, RunState]) -> tuple[int, bytes]:
    return found[0], found[1].id.bytes
