"""How long GraphQL takes over HTTP, on a large store: `python -m benchmarks.graphql 1000000`."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import httpx
from starlette.applications import Starlette

from benchmarks import big_store
from benchmarks.figure import Figure
from benchmarks.inspection import median_of, name_of_a_run
from streamer.store.sqlite import SqliteStore
from streamer.web.graphql.answering import Answering
from streamer.web.graphql.route import route
from streamer.web.problems import HANDLERS

_FIELDS = "id state start_time flow { name } transitions { name occurred }"

QUESTIONS = {
    "GraphQL by the name of a run": (f'{{ flow_run(where: {{name: {{_eq: "%s"}}}}) {{ {_FIELDS} }} }}', 50),
    "GraphQL count by name": ('{ flow_run_aggregate(where: {name: {_eq: "%s"}}) { aggregate { count } } }', 50),
    "GraphQL flow by name, and its latest run": (
        f'{{ flow(where: {{name: {{_eq: "{big_store.FLOWS[7]}"}}}}) {{ runs latest_run {{ name }} }} }}',
        None,
    ),
    "GraphQL by a part of the name": ('{ flow_run(where: {name: {_like: "%%%s%%"}}, limit: 1) { id } }', None),
    "GraphQL 1,000 runs": ("{ flow_run(limit: 1000) { id name state start_time tags flow { name } } }", None),
}


async def measure(runs: int = big_store.USUAL) -> list[Figure]:
    """Return how long questions take."""
    path = big_store.kept(runs)
    name = name_of_a_run(path)
    store = SqliteStore.open_read_only(path)
    try:
        async with _asking(store) as http:
            return [
                Figure(f"{what}, of {runs:,} runs", await median_of(partial(_asked, http, query, name)), "ms", goal)
                for what, (query, goal) in QUESTIONS.items()
            ]
    finally:
        await store.close()


@asynccontextmanager
async def _asking(store: SqliteStore) -> AsyncIterator[httpx.AsyncClient]:
    names = (await store.totals()).names
    nobody = cast("Any", None)
    answering = Answering(store.searching, store, nobody, lambda: names, {}, lambda: datetime.now(UTC))
    app = Starlette(routes=[route(answering)], exception_handlers=HANDLERS)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://streamer") as http:
        yield http


async def _asked(http: httpx.AsyncClient, query: str, name: str) -> None:
    answer = await http.post("/graphql", json={"query": query % name if "%s" in query else query})
    assert "errors" not in answer.json(), answer.text


async def _main() -> None:
    for figure in await measure(*map(int, sys.argv[1:])):
        print(figure.what, figure.shown, figure.goal_shown, figure.verdict, sep="  ")


if __name__ == "__main__":
    asyncio.run(_main())
