"""What a running service answers over HTTP, put together: who is asked what, and who may ask."""

from functools import partial
from typing import Any

from starlette.applications import Starlette

from streamer import alert_list
from streamer.core import Ground
from streamer.model import RunState
from streamer.reports import Bucket, span_until
from streamer.run_server import RunServer
from streamer.showing import Showing
from streamer.told import Told
from streamer.web import control, live, openapi, operations, pages, runs, server_asked, stream
from streamer.web.app import create_app
from streamer.web.endpoints import routes
from streamer.web.graphql.answering import Answering
from streamer.web.graphql.route import route as graphql_route
from streamer.web.guard import Guard, middleware

ZOMBIES_SHOWN = 1_000


def app_of(ground: Ground, told: Told, server: RunServer, showing: Showing) -> Starlette:
    """Return the ASGI app."""
    access = ground.settings.access
    own = [ground.store.token.encode()] if ground.store.token else []
    guard = Guard(lambda: [*own, *access.tokens()], access.basics, wanted=access.is_wanted)
    questions = [
        *runs.endpoints(_about_runs(ground)),
        *server_asked.endpoints(server),
        *operations.endpoints(_about_operations(ground, told)),
        *live.endpoints(showing.live),
    ]
    return create_app(
        ground.metrics,
        told.status,
        [
            *pages.routes(showing.standing),
            stream.route(showing.stream),
            *control.routes(guard, told.commands),
            *routes(questions),
            openapi.route(questions),
            graphql_route(_about_graphql(ground, server)),
        ],
        middleware=middleware(guard, access.cors),
    )


def _about_runs(ground: Ground) -> runs.RunsAsked:
    return runs.RunsAsked(
        inspection=ground.store.inspection,
        store=ground.store,
        zombies=partial(_zombies, ground),
        names=lambda: ground.metrics.names,
        pages=ground.settings.surroundings.ui,
        now=ground.clock.now,
    )


def _about_graphql(ground: Ground, server: RunServer) -> Answering:
    return Answering(
        searching=ground.store.searching,
        store=ground.store,
        server=server,
        names=lambda: ground.metrics.names,
        pages=ground.settings.surroundings.ui,
        now=ground.clock.now,
    )


def _about_operations(ground: Ground, told: Told) -> operations.OperationsAsked:
    return operations.OperationsAsked(
        history=partial(_history, ground),
        letters=ground.store,
        sinks=told.sinks,
        alerts=told.alerts,
        silences=partial(_silences, ground),
    )


async def _zombies(ground: Ground) -> list[RunState]:
    """Return the runs that a verdict stands of."""
    return await ground.store.find_runs(judged=True, limit=ZOMBIES_SHOWN)


async def _silences(ground: Ground) -> list[dict[str, Any]]:
    return [each.as_json() for each in await alert_list.silences(ground.store, now=ground.clock.now())]


async def _history(ground: Ground, asked: operations.HistoryAsked) -> list[Bucket]:
    """Return how many runs were due in each interval, by state."""
    now = ground.clock.now()
    span = span_until(asked.until or now, since=asked.since, interval=asked.interval, flows=asked.flow)
    return await ground.store.run_history(span, now=now)
