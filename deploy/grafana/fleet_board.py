"""The dashboard of all flows."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.panels import GREEN, RED, YELLOW, Panel, Query, dashboard, lines, number, rows, variable
from deploy.grafana.queries import IN_SEARCH_OF_LIFE, JOBS, OF_JOB, UNFINISHED, per_second, quantiles


def fleet() -> Dashboard:
    """Return the dashboard of all flows."""
    return dashboard(
        "prefect-fleet",
        "Prefect: fleet",
        [JOBS, variable("window", "label_values(prefect_flow_run_history_runs, window)")],
        [
            ("Now", _fleet_now()),
            ("Transitions and ends", _fleet_ends()),
            ("Times", _fleet_times()),
            ("Liveness", _fleet_liveness()),
            ("Work pools and queues", _fleet_queues()),
            ("History", _fleet_history()),
        ],
    )


def _fleet_now() -> list[Panel]:
    failed, finished = (
        f"sum(deployment:prefect_flow_runs_{which}:increase1h{{{OF_JOB}}})" for which in ("failed", "finished")
    )
    return [
        number("Running", "short", Query(f'sum(prefect_flow_runs{{{OF_JOB}, state="RUNNING"}}) or vector(0)')),
        number(
            "Success, 1 h",
            "percentunit",
            Query(f"1 - {failed} / {finished}"),
            base=RED,
            steps=[(0.75, YELLOW), (0.95, GREEN)],
            about="Of the runs that ended in the last hour; cancelled ones are left out.",
        ),
        number(
            "Zombies",
            "short",
            Query(f'sum(prefect_flow_run_liveness{{{OF_JOB}, status="zombie"}}) or vector(0)'),
            steps=[(1, RED)],
        ),
        number(
            "Suspect or overdue",
            "short",
            Query(f"sum(prefect_flow_run_liveness{{{OF_JOB}, {IN_SEARCH_OF_LIFE}}}) or vector(0)"),
            steps=[(1, YELLOW)],
        ),
        number(
            "Late in queues",
            "short",
            Query(f"sum(prefect_work_queue_late_runs{{{OF_JOB}}})"),
            steps=[(1, YELLOW)],
            about="Runs that should have begun, and that no worker took.",
        ),
        number(
            "Deployments failing",
            "short",
            Query(
                f"count(max by (job, flow, deployment) (prefect_flow_run_consecutive_failures{{{OF_JOB}}}) >= 3) "
                "or vector(0)"
            ),
            steps=[(1, RED)],
            about="Whose last three runs, or more, failed or crashed.",
        ),
        lines(
            "Runs that have not ended, by state",
            "short",
            Query(f"sum by (state) (prefect_flow_runs{{{OF_JOB}}})", "{{state}}"),
            stacked=True,
            width=12,
        ),
        rows(
            "Longest in a state",
            "s",
            Query(
                "topk(20, time() - deployment_state:prefect_flow_run_oldest_state_timestamp_seconds:min"
                f"{{{OF_JOB}, {UNFINISHED}}})"
            ),
            about="How long the oldest run of a deployment has been in its state.",
        ),
    ]


def _fleet_ends() -> list[Panel]:
    return [
        lines(
            "Transitions, by the state entered",
            "cps",
            Query(per_second("prefect_flow_run_transitions_total", OF_JOB, "to_state"), "{{to_state}}"),
        ),
        lines(
            "Runs that ended, by state",
            "cps",
            Query(per_second("prefect_flow_runs_finished_total", OF_JOB, "state"), "{{state}}"),
            stacked=True,
        ),
        lines(
            "Retries and failures of infrastructure",
            "cps",
            Query(per_second("prefect_flow_run_retries_total", OF_JOB), "retries"),
            Query(per_second("prefect_flow_run_infra_failures_total", OF_JOB, "step"), "{{step}}"),
        ),
        rows(
            "Most failures, 1 h",
            "short",
            Query(f"topk(20, deployment:prefect_flow_runs_failed:increase1h{{{OF_JOB}}} > 0)"),
            about="Runs that failed or crashed, by flow and deployment.",
        ),
        rows(
            "Failures in a row",
            "short",
            Query(f"topk(20, max by (job, flow, deployment) (prefect_flow_run_consecutive_failures{{{OF_JOB}}}) > 0)"),
            about="Since the last success.",
        ),
    ]


def _fleet_times() -> list[Panel]:
    gap = f"rate(prefect_flow_run_heartbeat_gap_seconds_bucket{{{OF_JOB}}}[$__rate_interval])"
    return [
        lines(
            "Duration of the runs that ended in the hour before",
            "s",
            *quantiles(f"job_le:prefect_flow_run_duration_seconds_bucket:rate1h{{{OF_JOB}}}"),
        ),
        lines(
            "Wait in queues, of the runs that began in the hour before",
            "s",
            *quantiles(f"job_le:prefect_flow_run_queue_wait_seconds_bucket:rate1h{{{OF_JOB}}}"),
            about="From when a run was due, or pending, to its first RUNNING.",
        ),
        lines("Distance between heartbeats", "s", *quantiles(gap), about="Of one run, by the server's time."),
    ]


def _fleet_liveness() -> list[Panel]:
    return [
        lines(
            "Runs that have not ended, by what is held of them",
            "short",
            Query(f"sum by (status) (prefect_flow_run_liveness{{{OF_JOB}}})", "{{status}}"),
            stacked=True,
            width=12,
        ),
        lines(
            "Verdicts, over the hour before",
            "short",
            Query(f"sum (increase(prefect_flow_run_zombies_total{{{OF_JOB}}}[1h]))", "zombie"),
            Query(f"sum by (reason) (increase(prefect_flow_run_overdue_total{{{OF_JOB}}}[1h]))", "{{reason}}"),
            Query(f"sum (increase(prefect_flow_run_zombie_recoveries_total{{{OF_JOB}}}[1h]))", "wrong"),
            about="Wrong are those zombies that beat again.",
            width=12,
        ),
    ]


def _fleet_queues() -> list[Panel]:
    return [
        lines(
            "Late runs, by queue",
            "short",
            Query(
                f"sum by (work_pool, work_queue) (prefect_work_queue_late_runs{{{OF_JOB}}})",
                "{{work_pool}} / {{work_queue}}",
            ),
        ),
        lines(
            "Since a queue was polled",
            "s",
            Query(
                "time() - max by (work_pool, work_queue) "
                f"(prefect_work_queue_last_polled_timestamp_seconds{{{OF_JOB}}})",
                "{{work_pool}} / {{work_queue}}",
            ),
        ),
        rows(
            "Is a worker there?",
            "bool_yes_no",
            Query(f"min by (work_pool) (prefect_work_pool_ready{{{OF_JOB}}})"),
            about="By work pool.",
            width=8,
        ),
    ]


def _fleet_history() -> list[Panel]:
    window = f'{OF_JOB}, window=~"$window"'
    return [
        lines(
            "Runs, by window and state",
            "short",
            Query(f"sum by (window, state) (prefect_flow_run_history_runs{{{window}}})", "{{window}} {{state}}"),
            about="As the store has them.",
        ),
        rows(
            "95 of 100 runs took less than",
            "s",
            Query(f'topk(20, prefect_flow_run_history_run_time_seconds{{{window}, stat="p95"}})'),
            width=8,
        ),
        rows(
            "95 of 100 runs were later than due by less than",
            "s",
            Query(f'topk(20, prefect_flow_run_history_lateness_seconds{{{window}, stat="p95"}})'),
            width=8,
        ),
    ]
