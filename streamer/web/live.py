"""`/api/live`: all that the live page shows, as JSON."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from streamer.web.activity import ActivityView
from streamer.web.endpoints import Endpoint, Nothing
from streamer.web.operations import AlertView
from streamer.web.present import PresentView
from streamer.web.rows import Row
from streamer.web.sink_rates import SinkNow
from streamer.web.standing import StandingView


@dataclass(frozen=True, slots=True)
class LiveView:
    """How things stand, the runs that have not ended, the last hour, the sinks, what fires, and the newest rows.

    `id` says where `/api/events` goes on: give it as `after`.
    """

    id: str
    standing: StandingView
    runs: PresentView
    activity: ActivityView
    sinks: Sequence[SinkNow]
    alerts: Sequence[AlertView]
    rows: Sequence[Row]


def endpoints(ask: Callable[[Nothing], Awaitable[object]]) -> list[Endpoint[Any]]:
    """Return the question."""
    return [Endpoint("/api/live", "What the live page shows", Nothing, LiveView, ask)]
