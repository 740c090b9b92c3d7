"""The dashboard of a flow or a deployment."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.panels import RED, YELLOW, Panel, Query, dashboard, density, lines, number, rows
from deploy.grafana.queries import DEPLOYMENTS, FLOWS, IN_SEARCH_OF_LIFE, JOBS, OF_DEPLOYMENT, per_second, quantiles


def deployment() -> Dashboard:
    """Return the dashboard of a flow or a deployment."""
    return dashboard(
        "prefect-deployment",
        "Prefect: deployment",
        [JOBS, FLOWS, DEPLOYMENTS],
        [
            ("Now", _deployment_now()),
            ("Transitions and ends", _deployment_ends()),
            ("Times", _deployment_times()),
            ("Liveness", _deployment_liveness()),
        ],
    )


def _deployment_now() -> list[Panel]:
    last = "prefect_flow_run_last_finished_timestamp_seconds"
    return [
        number("Last success was ago", "s", Query(f'time() - max({last}{{{OF_DEPLOYMENT}, state="COMPLETED"}})')),
        number(
            "Last failure was ago",
            "s",
            Query(f'time() - max({last}{{{OF_DEPLOYMENT}, state=~"FAILED|CRASHED"}})'),
        ),
        number(
            "Failures in a row",
            "short",
            Query(f"max(prefect_flow_run_consecutive_failures{{{OF_DEPLOYMENT}}})"),
            steps=[(1, YELLOW), (3, RED)],
        ),
        number("Running", "short", Query(f'sum(prefect_flow_runs{{{OF_DEPLOYMENT}, state="RUNNING"}}) or vector(0)')),
        number(
            "Zombies",
            "short",
            Query(f'sum(prefect_flow_run_liveness{{{OF_DEPLOYMENT}, status="zombie"}}) or vector(0)'),
            steps=[(1, RED)],
        ),
        number(
            "Suspect or overdue",
            "short",
            Query(f"sum(prefect_flow_run_liveness{{{OF_DEPLOYMENT}, {IN_SEARCH_OF_LIFE}}}) or vector(0)"),
            steps=[(1, YELLOW)],
        ),
        lines(
            "Runs that have not ended, by state",
            "short",
            Query(f"sum by (state) (prefect_flow_runs{{{OF_DEPLOYMENT}}})", "{{state}}"),
            stacked=True,
        ),
        lines(
            "Age of the oldest run in a state",
            "s",
            Query(
                f"time() - min by (state) (prefect_flow_run_oldest_state_timestamp_seconds{{{OF_DEPLOYMENT}}})",
                "{{state}}",
            ),
        ),
        rows(
            "Last end in each state was ago",
            "s",
            Query(f"time() - max by (flow, deployment, state) ({last}{{{OF_DEPLOYMENT}}})"),
            width=8,
        ),
    ]


def _deployment_ends() -> list[Panel]:
    return [
        lines(
            "Transitions, over the hour before",
            "short",
            Query(
                "sum by (from_state, to_state) "
                f"(increase(prefect_flow_run_transitions_total{{{OF_DEPLOYMENT}}}[1h])) > 0",
                "{{from_state}} → {{to_state}}",
            ),
        ),
        lines(
            "Runs that ended, over the hour before",
            "short",
            Query(f"sum by (state) (increase(prefect_flow_runs_finished_total{{{OF_DEPLOYMENT}}}[1h]))", "{{state}}"),
            stacked=True,
        ),
        lines(
            "Retries and failures of infrastructure, over the hour before",
            "short",
            Query(f"sum (increase(prefect_flow_run_retries_total{{{OF_DEPLOYMENT}}}[1h]))", "retries"),
            Query(
                f"sum by (step) (increase(prefect_flow_run_infra_failures_total{{{OF_DEPLOYMENT}}}[1h]))", "{{step}}"
            ),
        ),
    ]


def _deployment_times() -> list[Panel]:
    duration = f"prefect_flow_run_duration_seconds_bucket{{{OF_DEPLOYMENT}}}"
    wait = f"prefect_flow_run_queue_wait_seconds_bucket{{{OF_DEPLOYMENT}}}"
    return [
        density("Durations", "s", Query(f"sum by (le) (increase({duration}[$__rate_interval]))", "{{le}}")),
        density("Waits in queues", "s", Query(f"sum by (le) (increase({wait}[$__rate_interval]))", "{{le}}")),
        lines(
            "Duration of the runs that ended in the hour before",
            "s",
            *quantiles(f"rate({duration}[1h])"),
            width=12,
        ),
        lines(
            "Wait in queues, of the runs that began in the hour before",
            "s",
            *quantiles(f"rate({wait}[1h])"),
            about="From when a run was due, or pending, to its first RUNNING.",
            width=12,
        ),
    ]


def _deployment_liveness() -> list[Panel]:
    return [
        lines(
            "Heartbeats",
            "cps",
            Query(per_second("prefect_flow_run_heartbeats_total", OF_DEPLOYMENT), "heartbeats"),
            about="Those that the websocket brought.",
        ),
        lines(
            "Silence of the run that is silent longest",
            "s",
            Query(
                "time() - min by (flow, deployment) "
                f"(prefect_flow_run_oldest_heartbeat_timestamp_seconds{{{OF_DEPLOYMENT}}})",
                "{{flow}} / {{deployment}}",
            ),
            about="Of the running runs that send heartbeats.",
        ),
        lines(
            "Verdicts, over the hour before",
            "short",
            Query(f"sum (increase(prefect_flow_run_zombies_total{{{OF_DEPLOYMENT}}}[1h]))", "zombie"),
            Query(f"sum by (reason) (increase(prefect_flow_run_overdue_total{{{OF_DEPLOYMENT}}}[1h]))", "{{reason}}"),
            Query(f"sum (increase(prefect_flow_run_zombie_recoveries_total{{{OF_DEPLOYMENT}}}[1h]))", "wrong"),
            about="Wrong are those zombies that beat again.",
        ),
    ]
