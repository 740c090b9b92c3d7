"""The counters and histograms that live in the store, as the catalogue names them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily

from streamer.model import Family

SOURCE = ("source",)


class Shown(NamedTuple):
    """How a family is shown: its name, what it says, and its labels besides what it is `of`: None is a run."""

    name: str
    text: str
    labels: tuple[str, ...] = ()
    of: tuple[str, ...] | None = None
    state_name: bool = False


COUNTERS: dict[Family, Shown] = {
    Family.TRANSITIONS: Shown(
        "prefect_flow_run_transitions",
        "State transitions of flow runs, by state type; from_state is empty for a run's first.",
        ("from_state", "to_state"),
        state_name=True,
    ),
    Family.FINISHED: Shown(
        "prefect_flow_runs_finished",
        "Flow runs that ended: entries into a terminal state from one that is not.",
        ("state",),
        state_name=True,
    ),
    Family.RETRIES: Shown("prefect_flow_run_retries", "Flow runs that went into AwaitingRetry."),
    Family.INFRA_FAILURES: Shown(
        "prefect_flow_run_infra_failures",
        "Pull steps that failed on a worker, and runs that crashed before they ran (step infrastructure).",
        ("step",),
    ),
    Family.HEARTBEATS: Shown(
        "prefect_flow_run_heartbeats", "Heartbeats of flow runs; a lower bound, since only the websocket brings them."
    ),
    Family.ZOMBIES: Shown(
        "prefect_flow_run_zombies", "Runs found dead: their heartbeats stopped, and the server confirmed it."
    ),
    Family.OVERDUE: Shown(
        "prefect_flow_run_overdue",
        "Runs found too long in a state, or without heartbeats although their flow's other runs send some.",
        ("reason",),
    ),
    Family.ZOMBIE_RECOVERIES: Shown(
        "prefect_flow_run_zombie_recoveries", "Runs that beat again after they were found dead: our false alarms."
    ),
    Family.QUARANTINED: Shown(
        "prefect_streamer_events_quarantined", "Frames that are no valid event, kept aside.", ("reason",), SOURCE
    ),
    Family.RECOVERED: Shown(
        "prefect_streamer_events_recovered", "Events that the websocket did not bring.", ("net",), SOURCE
    ),
    Family.DUPLICATES: Shown("prefect_streamer_events_duplicate", "Events that were there already.", ("net",), SOURCE),
    Family.PHANTOMS: Shown(
        "prefect_streamer_phantom_events",
        "State changes that were announced, and then rolled back by the server.",
        of=SOURCE,
    ),
    Family.ALERTS: Shown(
        "prefect_streamer_alerts", "What became of alerts, and of further signs of the same.", ("rule", "action"), ()
    ),
}

HISTOGRAMS: dict[Family, Shown] = {
    Family.DURATION: Shown(
        "prefect_flow_run_duration_seconds", "From when a run first ran until it ended, by how it ended.", ("state",)
    ),
    Family.QUEUE_WAIT: Shown(
        "prefect_flow_run_queue_wait_seconds", "From when a run was due until it first ran; early is 0."
    ),
}


def gauge(name: str, text: str, labels: Sequence[str], values: Mapping[tuple[str, ...], float]) -> GaugeMetricFamily:
    """Return a gauge with these values by labels."""
    metric = GaugeMetricFamily(name, text, labels=labels)
    for each, value in values.items():
        metric.add_metric(each, value)
    return metric
