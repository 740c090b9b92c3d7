"""`statsd` — DogStatsD, such as Datadog's agent, or any statsd server that reads its tags.

An agent adds up what it is sent, so counters go as what was counted since the push before; gauges as they are. Of a
histogram go `.count`, `.sum`, and `.bucket` by its upper bound `le`, cumulative as in Prometheus; all as counters.

A process's first push tells what was counted since its start: a restart sends no total again, and what a kill left
unsent stays unsent. Nobody acknowledges a datagram; where the system says that one cannot be delivered, its push is
repeated with what has come since.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

from datadog.dogstatsd.base import DogStatsd
from pydantic import BaseModel, ConfigDict, Field

from streamer.errors import Retry
from streamer.push.library_log import overheard
from streamer.push.points import Distribution, Gauge, Snapshot, Sum, Total, Value, earlier

SEND_SECONDS = 1.0
NEVER_SECONDS = 10**9

Send = Callable[[str, float, list[str]], None]


class StatsdExporter:
    """Send all series to an agent: gauges as they are, totals as what was added."""

    spacing: ClassVar[float] = 0.0

    class Options(BaseModel):
        """`host` and `port`, or a unix `socket`; `prefix` of the names; `tags` for all, such as `env:prod`."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        host: str | None = None
        port: int | None = Field(None, gt=0, le=65535)
        socket: Path | None = None
        prefix: str | None = None
        tags: list[str] = Field(default_factory=list)

    def __init__(self, options: Options) -> None:
        self._options = options

    def push(self, now: Snapshot, before: Snapshot) -> None:
        """Send what there is to say, many lines a datagram; raise `Retry` at the first that cannot be sent."""
        past = earlier(now, before)
        with overheard("datadog.dogstatsd") as said:
            client = self._client()
            try:
                for series, value in now.values.items():
                    tags = [f"{name}:{text}" for name, text in series.labels if text]
                    for send, name, number, more in _lines(client, series.name, value, past.get(series)):
                        send(name, number, tags + more)
                    _require(not client.packets_dropped, said.last)
                _require(client.flush(), said.last)
            finally:
                client.close_socket()

    def close(self) -> None:
        """Do nothing: each push has a socket of its own, and so finds an agent that has moved."""

    def _client(self) -> DogStatsd:
        options = self._options
        return DogStatsd(
            host=options.host,
            port=options.port,
            socket_path=str(options.socket) if options.socket else None,
            namespace=options.prefix,
            constant_tags=options.tags,
            socket_timeout=SEND_SECONDS,
            disable_buffering=False,
            flush_interval=0,  # no thread for it: a push flushes itself
            telemetry_min_flush_interval=NEVER_SECONDS,  # it counts what was dropped, but does not send it
            track_instance=False,
        )


def _lines(
    client: DogStatsd, name: str, value: Value, past: Total | None
) -> Iterator[tuple[Send, str, float, list[str]]]:
    """Yield how to send, name, number and further tags; what has not grown is not sent."""
    match value, past:
        case Gauge(number), _:
            yield client.gauge, name, number, []
        case Sum(total), Sum(was) if total != was:
            yield client.count, name, total - was, []
        case Distribution(), Distribution() if value.count != past.count:
            yield client.count, f"{name}.count", value.count - past.count, []
            yield client.count, f"{name}.sum", value.sum - past.sum, []
            for (bound, upto), (_, was) in zip(value.cumulative, past.cumulative, strict=True):
                if upto != was:
                    yield client.count, f"{name}.bucket", upto - was, [f"le:{bound}"]


def _require(sent: bool, reason: str) -> None:
    if not sent:
        raise Retry(reason or "a datagram could not be sent")
