"""What Prometheus sees: the store's counters by name, exact, bounded, in formats that parse, under documented names."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import prometheus_client
import pytest
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample

from schemas import Event, StateType, Transition, decode
from streamer.counting import TERMINAL_STATES, USUAL_TRANSITIONS
from streamer.instruments import Instruments
from streamer.inventory import Deployment, Inventory, WorkPool, WorkQueue
from streamer.liveness import Tracker
from streamer.metrics.counters import Metrics
from streamer.model import Appended, Counter, Family, Net, Record, Totals
from streamer.reports import Outcome, Statistics, Window
from streamer.suspicion import Move
from streamer.testing import an_event
from streamer.timestamps import to_micros
from tests.clock import NOON, Clock
from tests.gauges import AllMetrics
from tests.stores import open_store

pytestmark = pytest.mark.either_store

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
TRANSITIONS = "prefect_flow_run_transitions_total"
PARTIES = "flow deployment work_pool"

CATALOGUE = {
    # A. transitions and outcomes
    "prefect_flow_run_transitions_total": ("counter", f"{PARTIES} from_state to_state"),
    "prefect_flow_runs_finished_total": ("counter", f"{PARTIES} state"),
    "prefect_flow_run_retries_total": ("counter", PARTIES),
    "prefect_flow_run_infra_failures_total": ("counter", f"{PARTIES} step"),
    "prefect_flow_run_duration_seconds": ("histogram", f"{PARTIES} state"),
    "prefect_flow_run_queue_wait_seconds": ("histogram", PARTIES),
    # B. now
    "prefect_flow_runs": ("gauge", f"{PARTIES} state"),
    "prefect_flow_run_oldest_state_timestamp_seconds": ("gauge", f"{PARTIES} state"),
    "prefect_flow_run_last_finished_timestamp_seconds": ("gauge", f"{PARTIES} state"),
    "prefect_flow_run_consecutive_failures": ("gauge", PARTIES),
    # C. liveness
    "prefect_flow_run_heartbeats_total": ("counter", PARTIES),
    "prefect_flow_run_heartbeat_gap_seconds": ("histogram", ""),
    "prefect_flow_run_liveness": ("gauge", f"{PARTIES} status"),
    "prefect_flow_run_oldest_heartbeat_timestamp_seconds": ("gauge", PARTIES),
    "prefect_flow_run_zombies_total": ("counter", PARTIES),
    "prefect_flow_run_overdue_total": ("counter", f"{PARTIES} reason"),
    "prefect_flow_run_zombie_recoveries_total": ("counter", PARTIES),
    "prefect_streamer_zombie_checks_total": ("counter", "result"),
    "prefect_streamer_zombie_actions_total": ("counter", "action result"),
    "prefect_streamer_tracked_runs": ("gauge", "source"),
    # D. history windows
    "prefect_flow_run_history_runs": ("gauge", "window flow state"),
    "prefect_flow_run_history_run_time_seconds": ("gauge", "window flow stat"),
    "prefect_flow_run_history_lateness_seconds": ("gauge", "window flow stat"),
    # E. inventory
    "prefect_flows": ("gauge", ""),
    "prefect_deployments": ("gauge", ""),
    "prefect_work_pools": ("gauge", ""),
    "prefect_work_queues": ("gauge", ""),
    "prefect_deployment_info": ("gauge", "flow deployment work_pool work_queue status"),
    "prefect_deployment_paused": ("gauge", "flow deployment work_pool work_queue"),
    "prefect_work_pool_info": ("gauge", "work_pool type"),
    "prefect_work_pool_ready": ("gauge", "work_pool"),
    "prefect_work_queue_late_runs": ("gauge", "work_pool work_queue"),
    "prefect_work_queue_last_polled_timestamp_seconds": ("gauge", "work_pool work_queue"),
    "prefect_streamer_inventory_last_success_timestamp_seconds": ("gauge", ""),
    # F. source and stream
    "prefect_streamer_build_info": ("gauge", "version python"),
    "prefect_streamer_source_connected": ("gauge", "source"),
    "prefect_streamer_source_caught_up": ("gauge", "source"),
    "prefect_streamer_source_connections_total": ("counter", "source result"),
    "prefect_streamer_source_disconnects_total": ("counter", "source code"),
    "prefect_streamer_events_received_total": ("counter", "source net kind"),
    "prefect_streamer_events_duplicate_total": ("counter", "source net"),
    "prefect_streamer_events_recovered_total": ("counter", "source net"),
    "prefect_streamer_events_expired_total": ("counter", "source net"),
    "prefect_streamer_events_quarantined_total": ("counter", "source reason"),
    "prefect_streamer_phantom_events_total": ("counter", "source"),
    "prefect_streamer_audit_windows_total": ("counter", "source result"),
    "prefect_streamer_event_lag_seconds": ("histogram", "source"),
    "prefect_streamer_event_skew_seconds": ("histogram", "source"),
    "prefect_streamer_last_event_timestamp_seconds": ("gauge", "source kind"),
    "prefect_streamer_watermark_timestamp_seconds": ("gauge", "source"),
    "prefect_streamer_log_head": ("gauge", ""),
    "prefect_streamer_log_records": ("gauge", ""),
    "prefect_streamer_store_bytes": ("gauge", ""),
    "prefect_streamer_store_writable": ("gauge", ""),
    "prefect_streamer_leader": ("gauge", ""),
    "prefect_streamer_series_limited_total": ("counter", "metric"),
    "prefect_streamer_api_requests_total": ("counter", "endpoint code"),
    "prefect_streamer_api_request_duration_seconds": ("histogram", "endpoint code"),
    "prefect_streamer_observer_errors_total": ("counter", "observer"),
    "prefect_streamer_config_last_reload_successful": ("gauge", ""),
    # G. sinks
    "prefect_streamer_sink_records_total": ("counter", "sink result"),
    "prefect_streamer_sink_attempts_total": ("counter", "sink result"),
    "prefect_streamer_sink_write_duration_seconds": ("histogram", "sink"),
    "prefect_streamer_sink_lag_records": ("gauge", "sink"),
    "prefect_streamer_sink_oldest_pending_timestamp_seconds": ("gauge", "sink"),
    "prefect_streamer_dead_letters": ("gauge", "sink"),
    "prefect_streamer_alerts_total": ("counter", "rule action"),
    "prefect_streamer_sink_up": ("gauge", "sink"),
    "prefect_streamer_sink_last_success_timestamp_seconds": ("gauge", "sink"),
    "prefect_streamer_push_total": ("counter", "push result"),
    "prefect_streamer_push_last_success_timestamp_seconds": ("gauge", "push"),
}


def showing(counts: dict[Counter, int] | None = None, names: dict[str, str] | None = None, **choices: Any) -> Metrics:
    totals = Totals(counts or {}, names or {})
    return AllMetrics(Clock(), totals, trackers={"default": watched()}, **choices).counters


def watched() -> Tracker:
    """Return a tracker of one run that beats."""
    tracker, run, at = Tracker(), uuid4(), to_micros(NOON)
    tracker.moved(run, Move(at, StateType.RUNNING, "Running"))
    tracker.beat(run, at, at, at)
    return tracker


def moved(flow: str, deployment: str = "", before: str = "PENDING", after: str = "RUNNING") -> Counter:
    return Counter(Family.TRANSITIONS, "default", flow, deployment, "", (before, after))


def samples(metrics: Metrics, name: str) -> list[Sample]:
    return [each for family in metrics.exposed.collect() for each in family.samples if each.name == name]


def by_labels(metrics: Metrics, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """Return the values above 0, by these labels."""
    found = samples(metrics, name)
    return {tuple(each.labels[label] for label in labels): each.value for each in found if each.value}


def an_event_of(**changes: Any) -> Event:
    return decode(orjson.dumps(an_event(**changes)))


def commit(metrics: Metrics, *events: Event, net: Net = Net.LIVE, counts: Iterable[Counter] = ()) -> None:
    records = [Record(seq, "default", event) for seq, event in enumerate(events, 1)]
    examples = {counter: event for counter in counts for event in events if isinstance(event, Transition)}
    metrics.committed("default", net, Appended(records, totals=Totals(dict.fromkeys(counts, 1)), examples=examples))


def openmetrics(body: bytes) -> list[Metric]:
    return list(parse_openmetrics(body.decode()))  # type: ignore[no-untyped-call]  # the library's parser has no types


def types(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and type of each family in an exposition, as the parser for the old format names them."""
    for family in parse_text(text):
        yield family.name + ("_total" if family.type == "counter" else ""), family.type


async def test_counters_mirror_the_stores_totals_before_and_after_a_restart(tmp_path: Path) -> None:
    store, metrics = open_store(tmp_path / "store.db"), showing()
    await store.open_source("default", identity="http://host/api", now=NOON)
    pairs = [("SCHEDULED", "PENDING"), ("PENDING", "RUNNING"), ("RUNNING", "COMPLETED"), ("PENDING", "RUNNING")]
    for before, after in pairs:
        event = an_event_of(before=before, after=after, occurred=NOON)
        metrics.committed("default", Net.LIVE, await store.append("default", [event, event], net=Net.LIVE))
    restarted = Metrics(Instruments(), await store.totals(), Clock())
    await store.close()
    for each in (metrics, restarted):
        assert by_labels(each, TRANSITIONS, "flow", "from_state", "to_state") == {
            ("etl", "SCHEDULED", "PENDING"): 1,
            ("etl", "PENDING", "RUNNING"): 2,
            ("etl", "RUNNING", "COMPLETED"): 1,
        }
        assert by_labels(each, "prefect_flow_runs_finished_total", "state") == {("COMPLETED",): 1}


def test_a_total_is_taken_as_it_is_not_added() -> None:
    counter = moved("f1")
    metrics = showing({counter: 5}, {"f1": "etl"})
    for value in (6, 6, 9):
        metrics.committed("default", Net.LIVE, Appended(totals=Totals({counter: value})))
    assert by_labels(metrics, TRANSITIONS, "flow") == {("etl",): 9}


def test_the_usual_pairs_of_a_deployment_are_at_0_as_soon_as_it_is_known() -> None:
    metrics = showing({moved("f1", "d1"): 1}, {"f1": "etl", "d1": "nightly"})
    pairs = {(each.labels["from_state"], each.labels["to_state"]) for each in samples(metrics, TRANSITIONS)}
    assert pairs == set(USUAL_TRANSITIONS)
    finished = samples(metrics, "prefect_flow_runs_finished_total")
    assert {each.labels["state"] for each in finished} == set(TERMINAL_STATES)
    (retries,) = samples(metrics, "prefect_flow_run_retries_total")
    assert (retries.labels["deployment"], retries.value) == ("nightly", 0)


def test_two_deployments_of_one_name_are_one_series() -> None:
    metrics = showing({moved("f1", "d1"): 2, moved("f1", "d2"): 3}, {"f1": "etl", "d1": "nightly", "d2": "nightly"})
    assert by_labels(metrics, TRANSITIONS, "flow", "deployment") == {("etl", "nightly"): 5}
    assert len(samples(metrics, TRANSITIONS)) == len(USUAL_TRANSITIONS)


def test_a_renamed_deployment_keeps_one_series() -> None:
    metrics = showing({moved("f1", "d1"): 2}, {"f1": "etl", "d1": "nightly"})
    metrics.committed("default", Net.LIVE, Appended(totals=Totals({moved("f1", "d1"): 3}, {"d1": "hourly"})))
    assert by_labels(metrics, TRANSITIONS, "deployment") == {("hourly",): 3}


def test_what_has_no_name_or_is_not_there_has_an_empty_label() -> None:
    metrics = showing({moved("f1"): 1})
    assert by_labels(metrics, TRANSITIONS, *PARTIES.split()) == {("", "", ""): 1}


def test_series_beyond_the_limit_are_folded_into_other_and_counted() -> None:
    counts = {moved(flow, f"of {flow}"): value for flow, value in (("f1", 1), ("f2", 10), ("f3", 100))}
    metrics = showing(counts, {each: each for each in ("f1", "f2", "f3")}, series_limit=len(USUAL_TRANSITIONS))
    for _ in range(2):  # a second scrape counts none of them again
        assert by_labels(metrics, TRANSITIONS, *PARTIES.split()) == {("f1", "", ""): 1, ("other",) * 3: 110}
    limited = by_labels(metrics, "prefect_streamer_series_limited_total", "metric")
    assert limited["prefect_flow_run_transitions",] == 2 * len(USUAL_TRANSITIONS)


def test_a_limit_loses_nothing() -> None:
    counts = {moved(f"f{number}"): number for number in range(1, 50)}
    metrics = showing(counts, {f"f{number}": f"f{number}" for number in range(50)}, series_limit=20)
    assert sum(by_labels(metrics, TRANSITIONS, "flow", "from_state", "to_state").values()) == sum(range(50))


def test_exemplars_hold_the_runs_id_and_are_in_openmetrics_only() -> None:
    metrics, run = showing(names={"f1": "etl"}), "e24e6040-3e4a-4f5e-a82f-53660eff5e35"
    event = an_event_of(run=run, occurred=NOON)
    assert event.flow
    commit(metrics, event, counts=[moved(event.flow.id)])
    families = openmetrics(metrics.exposition(OPENMETRICS)[0])
    (found,) = [each.exemplar for family in families for each in family.samples if each.exemplar]
    assert (found.labels, found.value, float(found.timestamp or 0)) == ({"flow_run_id": run}, 1, NOON.timestamp())
    assert run not in metrics.exposition("text/plain")[0].decode()


@pytest.mark.parametrize("accept", ["", "*/*", "text/plain;version=0.0.4", "text/html"])
def test_the_text_format_parses(accept: str) -> None:
    metrics = showing({moved('a "quoted"\\\nname'): 1}, {'a "quoted"\\\nname': 'a "quoted"\\\nname'})
    body, content_type = metrics.exposition(accept)
    assert content_type.startswith("text/plain; version=")
    values = [each for family in parse_text(body.decode()) for each in family.samples if each.name == TRANSITIONS]
    assert {each.labels["flow"] for each in values} == {'a "quoted"\\\nname'}


def test_openmetrics_parses_and_ends() -> None:
    body, content_type = showing({moved("f1"): 1}).exposition(OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text; version=1")
    assert len(openmetrics(body)) == len(CATALOGUE)
    assert body.endswith(b"# EOF\n")


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS])
def test_no_series_tells_when_it_was_created(accept: str) -> None:
    metrics = showing({moved("f1"): 1})
    commit(metrics, an_event_of())
    assert b"_created" not in metrics.exposition(accept)[0]


def test_names_and_types_are_those_of_the_catalogue() -> None:
    shown = dict(types(showing().exposition("text/plain")[0].decode()))
    assert shown == {name: kind for name, (kind, _) in CATALOGUE.items()}


async def test_labels_are_those_of_the_catalogue() -> None:
    shown = AllMetrics(Clock(), Totals(one_of_each()), trackers={"default": watched()}, outcomes=[END])
    for meter in vars(shown.instruments).values():
        if isinstance(meter, prometheus_client.Counter | prometheus_client.Gauge | prometheus_client.Histogram):
            (family,) = meter.describe()
            labels = CATALOGUE[family.name + ("_total" if family.type == "counter" else "")][1]
            if labels:
                meter.labels(**dict.fromkeys(labels.split(), "x"))  # raises unless it has exactly these
    await shown.windows.refresh(OneOfEach(), NOON)
    shown.inventory.take("default", INVENTORY)
    for name, (kind, labels) in CATALOGUE.items():
        found = samples(shown.counters, name if kind != "histogram" else f"{name}_count")
        assert {frozenset(each.labels) for each in found} == {frozenset(labels.split())}, name


def one_of_each() -> dict[Counter, int]:
    """Return a counter of each family."""
    plain = {Family.PHANTOMS, Family.HEARTBEATS, Family.ZOMBIES, Family.ZOMBIE_RECOVERIES, Family.RETRIES}
    times = {
        Counter(Family.DURATION, "default", labels=("COMPLETED", "5.0")): 1,
        Counter(Family.DURATION_SUM, "default", labels=("COMPLETED",)): 3_000_000,
        Counter(Family.QUEUE_WAIT, "default", labels=("5.0",)): 1,
        Counter(Family.QUEUE_WAIT_SUM, "default"): 3_000_000,
    }
    labelled = set(Family) - plain - {Family.TRANSITIONS, Family.ALERTS} - {each.family for each in times}
    return {
        moved("f1"): 1,
        **{Counter(family, "default", labels=("x",)): 1 for family in labelled},
        **{Counter(family, "default"): 1 for family in plain},
        Counter(Family.ALERTS, "default", labels=("x", "fired")): 1,
        **times,
    }


class OneOfEach:
    """A store that has seen one run."""

    async def window(self, since: datetime, *, now: datetime) -> Window:
        took = Statistics(1, 1, 1, (now - since).total_seconds())
        return Window({("f1", "COMPLETED"): 1}, {"f1": took}, {"f1": took})


END = Outcome(("default", "f1", "d1", ""), "FAILED", NOON, 1)

INVENTORY = Inventory(
    at=NOON,
    flows=["etl"],
    deployments=[Deployment("nightly", "etl", "pool", "default", "READY", False, True, "", ())],
    work_pools=[WorkPool("pool", "process", "READY", False)],
    work_queues=[WorkQueue("q1", "default", "pool", "READY", False, 1, NOON)],
)


@pytest.mark.parametrize(("received", "lag"), [(-5, 5.0), (0, 0.0), (60, 0.0)])
def test_lag_is_from_reception_to_our_commit_and_never_negative(received: int, lag: float) -> None:
    metrics = showing()
    commit(metrics, an_event_of(received=(NOON + timedelta(seconds=received)).isoformat()))
    assert [each.value for each in samples(metrics, "prefect_streamer_event_lag_seconds_sum")] == [lag]
    assert [each.value for each in samples(metrics, "prefect_streamer_event_lag_seconds_count")] == [1]


@pytest.mark.parametrize(("received", "skew"), [(2, 2.0), (0, 0.0), (-60, 0.0)])
def test_skew_is_from_occurrence_to_reception_and_never_negative(received: int, skew: float) -> None:
    metrics = showing()
    moment = (NOON + timedelta(seconds=received)).astimezone().isoformat()
    commit(metrics, an_event_of(occurred=NOON, received=moment))
    assert [each.value for each in samples(metrics, "prefect_streamer_event_skew_seconds_sum")] == [skew]


def test_only_live_events_have_a_lag() -> None:
    metrics = showing()
    commit(metrics, an_event_of(occurred=NOON), net=Net.SWEEP)
    commit(metrics, an_event_of(occurred=NOON, received=None))
    assert samples(metrics, "prefect_streamer_event_lag_seconds_count") == []


def test_the_time_of_the_newest_event_does_not_go_back_when_older_ones_are_swept() -> None:
    metrics = showing()
    commit(metrics, an_event_of(occurred=NOON))
    commit(metrics, an_event_of(occurred=NOON - timedelta(hours=1)), net=Net.SWEEP)
    newest = by_labels(metrics, "prefect_streamer_last_event_timestamp_seconds", "kind")
    assert newest == {("transition",): NOON.timestamp()}


def test_heartbeats_are_timed_too() -> None:
    metrics, run = showing(), UUID("e24e6040-3e4a-4f5e-a82f-53660eff5e35")
    labels = {"prefect.resource.id": f"prefect.flow-run.{run}"}
    changes = {"event": "prefect.flow-run.heartbeat", "resource": labels, "payload": {}}
    beat: Any = an_event_of(occurred=NOON, **changes)
    metrics.committed("default", Net.LIVE, Appended(beats=[beat]))
    newest = by_labels(metrics, "prefect_streamer_last_event_timestamp_seconds", "kind")
    assert newest == {("heartbeat",): NOON.timestamp()}
