"""What is told of a service as it is now: by one that leads, from what it does."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from streamer import __version__
from streamer.alert_list import ListedAlert, running_alerts
from streamer.core import Core
from streamer.operating import Command, commands
from streamer.sink_list import ListedSink, running_sinks
from streamer.web.app import SinkStatus, SourceStatus, Status


@dataclass(frozen=True, slots=True)
class Told:
    """Who answers questions about the service itself, asked anew each time, and what can be done with it."""

    status: Callable[[], Status]
    sinks: Callable[[], Awaitable[Sequence[ListedSink]]]
    alerts: Callable[[], Awaitable[Sequence[ListedAlert]]]
    commands: Mapping[str, Command]


def told_by(core: Core) -> Told:
    """Return what a service tells that leads."""
    return Told(partial(status_of, core), partial(running_sinks, core), partial(_alerts, core), commands(core))


async def _alerts(core: Core) -> Sequence[ListedAlert]:
    return running_alerts(core)


def status_of(core: Core) -> Status:
    """Return what is true now, and what is missing for the service to be ready."""
    urls = core.settings.surroundings.sources
    sources = [
        SourceStatus(
            name=health.name,
            url=urls[health.name],
            mode=health.mode,
            connected=health.connected,
            caught_up=health.caught_up,
            problem=health.problem,
            watermark=health.watermark,
            missing=health.missing,
        )
        for health in core.health.values()
    ]
    behind = [SinkStatus(each.name, each.acked, each.lag()) for each in core.deliveries]
    return Status(__version__, sources, behind, core.log.head, core.store.trouble)
