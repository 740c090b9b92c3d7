"""When the last run ended, and how many have failed since one completed, by what labels say."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry

from streamer.metrics.labels import Labels
from streamer.metrics.outcomes import Outcomes
from streamer.reports import Outcome

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NAMES = {"f1": "etl", "d1": "nightly", "d2": "nightly", "d3": "hourly"}
FINISHED = "prefect_flow_run_last_finished_timestamp_seconds"
FAILURES = "prefect_flow_run_consecutive_failures"


class Told:
    """A store that has these outcomes, and notes since when they were wanted."""

    def __init__(self, *outcomes: Outcome) -> None:
        self._outcomes = outcomes
        self.since: datetime | None = None

    async def outcomes(self, since: datetime) -> Sequence[Outcome]:
        self.since = since
        return self._outcomes


def ended(second: float, state: str = "FAILED", deployment: str = "d1", failures: int = 0) -> Outcome:
    return Outcome(("default", "f1", deployment, ""), state, NOON + timedelta(seconds=second), failures)


def series(outcomes: Sequence[Outcome], name: str, *labels: str) -> dict[tuple[str, ...], float]:
    registry = CollectorRegistry()
    Outcomes(Labels(NAMES, labels), registry, outcomes)
    found = (each for family in registry.collect() for each in family.samples if each.name == name)
    return {tuple(each.labels.values()): each.value for each in found}


def test_the_last_end_in_each_state_is_shown_the_newest_of_deployments_of_one_name() -> None:
    found = [ended(9), ended(4, deployment="d2"), ended(7, "COMPLETED"), ended(5, deployment="d3")]
    at = NOON.timestamp()
    assert series(found, FINISHED, "deployment") == {
        ("nightly", "FAILED"): at + 9,
        ("nightly", "COMPLETED"): at + 7,
        ("hourly", "FAILED"): at + 5,
    }


def test_failures_of_deployments_of_one_name_are_summed_and_others_are_not() -> None:
    found = [ended(1, failures=2), ended(2, "CRASHED", failures=1), ended(3, deployment="d2", failures=10)]
    found += [ended(4, "COMPLETED", deployment="d3")]
    assert series(found, FAILURES, "deployment") == {("nightly",): 13, ("hourly",): 0}


def test_labels_are_those_that_are_chosen() -> None:
    assert series([ended(1, failures=1)], FAILURES, "source", "flow", "state_name") == {("default", "etl"): 1}


async def test_what_is_shown_is_what_the_store_said_last() -> None:
    registry = CollectorRegistry()
    outcomes, store = Outcomes(Labels(NAMES, ("flow",)), registry), Told(ended(1, failures=3))
    await outcomes.refresh(store, NOON)
    assert store.since == NOON
    assert registry.get_sample_value(FAILURES, {"flow": "etl"}) == 3
    await outcomes.refresh(Told(), NOON)
    assert registry.get_sample_value(FAILURES, {"flow": "etl"}) is None
