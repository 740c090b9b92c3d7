"""What this process measures of itself: families F and G of the catalogue, as far as they start at 0 with it.

Counters that must survive a restart are not here: they live in the store, and `metrics.py` shows them.
"""

from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from streamer.suspicion import Check

disable_created_metrics()  # type: ignore[no-untyped-call]  # the text format would show each counter twice

_LAG_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
_GAP_BUCKETS = (1, 5, 15, 29, 31, 45, 60, 90, 120, 179, 185, 240, 360, 540, 900, 3600)
_WRITE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Instruments:
    """The meters of one service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._of_sources()
        self._of_the_log_and_sinks()
        self._of_liveness()

    def _of_sources(self) -> None:
        counter, gauge, histogram = self._counter, self._gauge, self._histogram
        self.connected = gauge("source_connected", "1 while the websocket is open.", "source")
        self.caught_up = gauge("source_caught_up", "1 while nothing is known to be missing.", "source")
        self.connections = counter(
            "source_connections_total", "Attempts to open the websocket, by how they ended.", "source", "result"
        )
        self.disconnects = counter(
            "source_disconnects_total", "Websockets that were open and closed, by close code.", "source", "code"
        )
        self.received = counter("events_received_total", "Valid events that came in.", "source", "net", "kind")
        self.expired = counter(
            "events_expired_total",
            "Events from before the horizon: too old to tell whether we had them.",
            "source",
            "net",
        )
        self.lag = histogram(
            "event_lag_seconds", "From reception by Prefect to our commit, live events.", _LAG_BUCKETS, "source"
        )
        self.skew = histogram(
            "event_skew_seconds", "From occurrence to reception by Prefect, never below 0.", _LAG_BUCKETS, "source"
        )
        self.last_event = gauge(
            "last_event_timestamp_seconds", "When the newest event of a kind occurred.", "source", "kind"
        )
        self.watermark = gauge(
            "watermark_timestamp_seconds", "All that occurred before is known to be in the log.", "source"
        )
        self.audits = counter("audit_windows_total", "Windows compared with the server.", "source", "result")
        self.api_requests = counter("api_requests_total", "Requests to the server's REST API.", "endpoint", "code")
        self.api_duration = histogram(
            "api_request_duration_seconds",
            "Time to an answer of the server's REST API.",
            _WRITE_BUCKETS,
            "endpoint",
            "code",
        )
        self.series_limited = counter(
            "series_limited_total", "Label sets that were folded into `other` by the series limit.", "metric"
        )
        self.reloaded = self._gauge(
            "config_last_reload_successful", "1 unless the configuration was refused when it was last read."
        )
        self.reloaded.set(1)
        self.observer_errors = counter("observer_errors_total", "Errors raised by an observer.", "observer")

    def _of_liveness(self) -> None:
        self.heartbeat_gap = Histogram(
            "prefect_flow_run_heartbeat_gap_seconds",
            "Distance between the beats of a run.",
            buckets=_GAP_BUCKETS,
            registry=self.registry,
        )
        self.zombie_checks = self._counter("zombie_checks_total", "Suspicions, by what became of them.", "result")
        for check in Check:
            self.zombie_checks.labels(check)
        self.zombie_actions = self._counter("zombie_actions_total", "What was done about zombies.", "action", "result")

    def _of_the_log_and_sinks(self) -> None:
        counter, gauge, histogram = self._counter, self._gauge, self._histogram
        self.log_head = gauge("log_head", "The newest seq in the log.")
        self.log_records = gauge("log_records", "Records in the log.")
        self.store_bytes = gauge("store_bytes", "What the store takes on the disk.")
        self.leader = gauge("leader", "1 while this service writes its store; 0 while it stands by for another.")
        self.store_writable = gauge("store_writable", "0 while the store cannot be written, such as on a full disk.")
        self.sink_lag = gauge("sink_lag_records", "From the sink's last acknowledged seq to the head.", "sink")
        self.sink_pending = gauge(
            "sink_oldest_pending_timestamp_seconds",
            "When the oldest record a sink still has to take occurred; 0: none.",
            "sink",
        )
        self.dead_letters = gauge("dead_letters", "Records that a sink refused for good.", "sink")
        self.sink_records = counter("sink_records_total", "Records a sink is done with.", "sink", "result")
        self.sink_attempts = counter("sink_attempts_total", "Writes to a sink, by how they ended.", "sink", "result")
        self.sink_duration = histogram(
            "sink_write_duration_seconds", "Time a sink takes for a write.", _WRITE_BUCKETS, "sink"
        )
        self.sink_up = gauge("sink_up", "1 while the sink takes records.", "sink")
        self.sink_success = gauge("sink_last_success_timestamp_seconds", "When a sink last took records.", "sink")
        self.pushes = counter("push_total", "Pushes of all metrics, by how they ended.", "push", "result")
        self.push_success = gauge("push_last_success_timestamp_seconds", "When a push last succeeded.", "push")

    def forget_sink(self, sink: str) -> None:
        """Show no gauges any more of a sink that was removed."""
        for gauge in (self.sink_lag, self.sink_pending, self.dead_letters, self.sink_up, self.sink_success):
            with suppress(KeyError):  # it was never set
                gauge.remove(sink)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"prefect_streamer_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"prefect_streamer_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"prefect_streamer_{name}", text, labels, buckets=buckets, registry=self.registry)
