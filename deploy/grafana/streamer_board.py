"""The dashboard of the streamer itself."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.panels import RED, YELLOW, Panel, Query, dashboard, lines, number, rows, yes_or_no
from deploy.grafana.queries import INSTANCES, JOBS, OF_INSTANCE, per_second, quantiles


def streamer() -> Dashboard:
    """Return the dashboard of the streamer itself."""
    return dashboard(
        "prefect-streamer",
        "Prefect: streamer",
        [JOBS, INSTANCES],
        [
            ("Now", _streamer_now()),
            ("Stream", _streamer_stream()),
            ("Completeness", _streamer_completeness()),
            ("REST, log and store", _streamer_store()),
            ("Sinks", _streamer_sinks()),
            ("Itself", _streamer_itself()),
        ],
    )


def _streamer_now() -> list[Panel]:
    of = OF_INSTANCE
    return [
        yes_or_no("Connected", Query(f"min(prefect_streamer_source_connected{{{of}}})")),
        yes_or_no("Caught up", Query(f"min(prefect_streamer_source_caught_up{{{of}}})")),
        yes_or_no("Store can be written", Query(f"min(prefect_streamer_store_writable{{{of}}})")),
        yes_or_no("Sinks take records", Query(f"min(prefect_streamer_sink_up{{{of}}})")),
        number(
            "Complete but for the last",
            "s",
            Query(f"time() - min(prefect_streamer_watermark_timestamp_seconds{{{of}}})"),
            steps=[(300, YELLOW), (900, RED)],
            about="All that happened before is known to be in the log.",
        ),
        number(
            "Dead letters",
            "short",
            Query(f"sum(prefect_streamer_dead_letters{{{of}}})"),
            steps=[(1, YELLOW)],
            about="Records that sinks refused for good.",
        ),
    ]


def _streamer_stream() -> list[Panel]:
    of, buckets = OF_INSTANCE, f"rate(prefect_streamer_event_lag_seconds_bucket{{{OF_INSTANCE}}}[$__rate_interval])"
    skew = f"rate(prefect_streamer_event_skew_seconds_bucket{{{OF_INSTANCE}}}[$__rate_interval])"
    return [
        lines(
            "Events received, by net and kind",
            "cps",
            Query(per_second("prefect_streamer_events_received_total", of, "net", "kind"), "{{net}} {{kind}}"),
        ),
        lines(
            "Lag of live events",
            "s",
            *quantiles(buckets),
            about="From reception by Prefect to our commit, by two clocks.",
        ),
        lines("From occurrence to reception by Prefect", "s", *quantiles(skew)),
        lines(
            "Since the newest event of a kind",
            "s",
            Query(
                f"time() - max by (source, kind) (prefect_streamer_last_event_timestamp_seconds{{{of}}})",
                "{{source}} {{kind}}",
            ),
        ),
        lines(
            "Attempts to connect, over the hour before",
            "short",
            Query(
                f"sum by (source, result) (increase(prefect_streamer_source_connections_total{{{of}}}[1h]))",
                "{{source}} {{result}}",
            ),
        ),
        lines(
            "Websockets that closed, over the hour before",
            "short",
            Query(
                f"sum by (source, code) (increase(prefect_streamer_source_disconnects_total{{{of}}}[1h]))",
                "{{source}} {{code}}",
            ),
        ),
    ]


def _streamer_completeness() -> list[Panel]:
    of = OF_INSTANCE
    return [
        lines(
            "Recovered events, by net",
            "cps",
            Query(per_second("prefect_streamer_events_recovered_total", of, "net"), "{{net}}"),
            about="What the websocket did not bring.",
        ),
        lines(
            "Share of recovered events, over half an hour",
            "percentunit",
            Query(f"source:prefect_streamer_events_recovered:ratio_increase30m{{{of}}}", "{{instance}} {{source}}"),
            about="Heartbeats are left out. High after an outage, and that is right.",
        ),
        lines(
            "Events that came again, or too late to tell",
            "cps",
            Query(per_second("prefect_streamer_events_duplicate_total", of, "net"), "again by {{net}}"),
            Query(per_second("prefect_streamer_events_expired_total", of, "net"), "too old by {{net}}"),
        ),
        lines(
            "Windows compared with the server",
            "cps",
            Query(per_second("prefect_streamer_audit_windows_total", of, "result"), "{{result}}"),
        ),
        lines(
            "Refused frames and events rolled back, over the hour before",
            "short",
            Query(
                f"sum by (reason) (increase(prefect_streamer_events_quarantined_total{{{of}}}[1h]))",
                "refused: {{reason}}",
            ),
            Query(f"sum (increase(prefect_streamer_phantom_events_total{{{of}}}[1h]))", "rolled back"),
        ),
        lines(
            "Suspicions of liveness, by what became of them, over the hour before",
            "short",
            Query(f"sum by (result) (increase(prefect_streamer_zombie_checks_total{{{of}}}[1h]))", "{{result}}"),
            Query(
                f"sum by (action, result) (increase(prefect_streamer_zombie_actions_total{{{of}}}[1h]))",
                "{{action}}: {{result}}",
            ),
        ),
    ]


def _streamer_store() -> list[Panel]:
    of = OF_INSTANCE
    duration = f"rate(prefect_streamer_api_request_duration_seconds_bucket{{{of}}}[$__rate_interval])"
    return [
        lines(
            "Requests to REST, by answer",
            "reqps",
            Query(per_second("prefect_streamer_api_requests_total", of, "endpoint", "code"), "{{endpoint}} {{code}}"),
        ),
        lines("Time to an answer of REST", "s", *quantiles(duration)),
        lines("Runs followed", "short", Query(f"prefect_streamer_tracked_runs{{{of}}}", "{{instance}} {{source}}")),
        lines("Head of the log", "short", Query(f"prefect_streamer_log_head{{{of}}}", "{{instance}}")),
        lines("Records in the log", "short", Query(f"prefect_streamer_log_records{{{of}}}", "{{instance}}")),
        lines("Store", "bytes", Query(f"prefect_streamer_store_bytes{{{of}}}", "{{instance}}")),
    ]


def _streamer_sinks() -> list[Panel]:
    of = OF_INSTANCE
    write = f"rate(prefect_streamer_sink_write_duration_seconds_bucket{{{of}}}[$__rate_interval])"
    pending = f"prefect_streamer_sink_oldest_pending_timestamp_seconds{{{of}}}"
    return [
        lines(
            "Records a sink is done with",
            "cps",
            Query(per_second("prefect_streamer_sink_records_total", of, "sink", "result"), "{{sink}} {{result}}"),
        ),
        lines("Records behind the head", "short", Query(f"prefect_streamer_sink_lag_records{{{of}}}", "{{sink}}")),
        lines(
            "Age of the oldest record that waits",
            "s",
            Query(f"(time() - {pending}) * ({pending} > bool 0)", "{{sink}}"),
            about="0 when none waits.",
        ),
        lines(
            "Writes, by how they ended",
            "cps",
            Query(per_second("prefect_streamer_sink_attempts_total", of, "sink", "result"), "{{sink}} {{result}}"),
        ),
        lines(
            "Time of a write, 95 of 100 less than",
            "s",
            Query(f"histogram_quantile(0.95, sum by (sink, le) ({write}))", "{{sink}}"),
        ),
        lines(
            "Since the last write that a sink took",
            "s",
            Query(f"time() - prefect_streamer_sink_last_success_timestamp_seconds{{{of}}}", "{{sink}}"),
        ),
        lines("Dead letters", "short", Query(f"prefect_streamer_dead_letters{{{of}}}", "{{sink}}"), width=24),
    ]


def _streamer_itself() -> list[Panel]:
    of = OF_INSTANCE
    return [
        rows(
            "Series folded into “other”",
            "short",
            Query(f"prefect_streamer_series_limited_total{{{of}}} > 0"),
            about="Label sets beyond `series_limit`, since the start of the process.",
            width=6,
        ),
        lines(
            "Errors of observers, over the hour before",
            "short",
            Query(f"sum by (observer) (increase(prefect_streamer_observer_errors_total{{{of}}}[1h]))", "{{observer}}"),
            width=6,
        ),
        lines(
            "Since work pools and queues were read",
            "s",
            Query(f"time() - (prefect_streamer_inventory_last_success_timestamp_seconds{{{of}}} > 0)", "{{instance}}"),
            width=6,
        ),
        rows("What is running", "short", Query(f"prefect_streamer_build_info{{{of}}}"), width=6),
    ]
