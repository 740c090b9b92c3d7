"""What a running service answers over HTTP, put together: who is asked what, and who may ask."""

from functools import partial
from typing import Any

from starlette.applications import Starlette

from streamer import __version__, alert_list
from streamer.core import Core
from streamer.model import RunState
from streamer.operating import commands
from streamer.reports import Bucket, span_until
from streamer.run_server import RunServer
from streamer.showing import Showing
from streamer.sink_list import running_sinks
from streamer.web import control, live, openapi, operations, pages, runs, server_asked, stream
from streamer.web.app import SinkStatus, SourceStatus, Status, create_app
from streamer.web.endpoints import routes
from streamer.web.graphql.answering import Answering
from streamer.web.graphql.route import route as graphql_route
from streamer.web.guard import Guard, middleware

ZOMBIES_SHOWN = 1_000


def app_of(core: Core, server: RunServer, showing: Showing) -> Starlette:
    """Return the ASGI app."""
    access = core.settings.access
    guard = Guard(lambda: [core.store.token.encode(), *access.tokens()], access.basics, wanted=access.is_wanted)
    questions = [
        *runs.endpoints(_about_runs(core)),
        *server_asked.endpoints(server),
        *operations.endpoints(_about_operations(core)),
        *live.endpoints(showing.live),
    ]
    return create_app(
        core.metrics,
        partial(status_of, core),
        [
            *pages.routes(showing.standing),
            stream.route(showing.stream),
            *control.routes(guard, commands(core)),
            *routes(questions),
            openapi.route(questions),
            graphql_route(_about_graphql(core, server)),
        ],
        middleware=middleware(guard, access.cors),
    )


def _about_runs(core: Core) -> runs.RunsAsked:
    return runs.RunsAsked(
        inspection=core.store.inspection,
        store=core.store,
        zombies=partial(_zombies, core),
        names=lambda: core.metrics.names,
        pages=core.settings.surroundings.ui,
        now=core.clock.now,
    )


def _about_graphql(core: Core, server: RunServer) -> Answering:
    return Answering(
        searching=core.store.searching,
        store=core.store,
        server=server,
        names=lambda: core.metrics.names,
        pages=core.settings.surroundings.ui,
        now=core.clock.now,
    )


def _about_operations(core: Core) -> operations.OperationsAsked:
    return operations.OperationsAsked(
        history=partial(_history, core),
        letters=core.store,
        sinks=partial(running_sinks, core),
        alerts=partial(_alerts, core),
        silences=partial(_silences, core),
    )


async def _zombies(core: Core) -> list[RunState]:
    """Return the runs that a verdict stands of."""
    return await core.store.find_runs(judged=True, limit=ZOMBIES_SHOWN)


async def _alerts(core: Core) -> list[alert_list.ListedAlert]:
    return alert_list.running_alerts(core)


async def _silences(core: Core) -> list[dict[str, Any]]:
    return [each.as_json() for each in await alert_list.silences(core.store, now=core.clock.now())]


async def _history(core: Core, asked: operations.HistoryAsked) -> list[Bucket]:
    """Return how many runs were due in each interval, by state."""
    now = core.clock.now()
    span = span_until(asked.until or now, since=asked.since, interval=asked.interval, flows=asked.flow)
    return await core.store.run_history(span, now=now)


def status_of(core: Core) -> Status:
    """Return what is true now, and what is missing for the service to be ready."""
    sources = [
        SourceStatus(
            name=health.name,
            url=core.settings.api_url,
            mode=health.mode,
            connected=health.connected,
            caught_up=health.caught_up,
            problem=health.problem,
            watermark=health.watermark,
        )
        for health in core.health.values()
    ]
    missing = [f"source {each.name}: {each.missing}" for each in core.health.values() if each.missing]
    missing += [core.store.trouble] if core.store.trouble else []
    behind = [SinkStatus(each.name, each.acked, each.lag()) for each in core.deliveries]
    return Status(__version__, sources, behind, core.log.head, missing or ([] if sources else ["no source yet"]))
