"""Pure: an event → the counters it raises by one.

A counter is raised if and only if the event's id was new and it occurred at or after the source's epoch; the store
sees to both, in the transaction that keeps the event.
"""

from collections.abc import Iterator, Mapping

from schemas import Event, PullStep, StateType, Transition
from streamer.model import Counter, Family

USUAL_TRANSITIONS: tuple[tuple[str, str], ...] = (
    ("", "SCHEDULED"),
    ("", "PENDING"),
    ("SCHEDULED", "PENDING"),
    ("SCHEDULED", "SCHEDULED"),
    ("PENDING", "PENDING"),
    ("PENDING", "RUNNING"),
    ("PENDING", "CRASHED"),
    ("RUNNING", "COMPLETED"),
    ("RUNNING", "FAILED"),
    ("RUNNING", "CRASHED"),
    ("RUNNING", "CANCELLING"),
    ("CANCELLING", "CANCELLED"),
    ("RUNNING", "SCHEDULED"),
    ("SCHEDULED", "RUNNING"),
)
"""Shown at 0 as soon as a deployment is known: a counter born at 1 shows no `increase()`."""

TERMINAL_STATES: tuple[str, ...] = tuple(each.value for each in StateType if each.is_terminal)

AWAITING_RETRY = "AwaitingRetry"
"""Prefect's name for the SCHEDULED state between two attempts."""


def raised(source: str, event: Event) -> Iterator[Counter]:
    """Yield the counters that this event raises by one each."""
    match event:
        case Transition():
            yield from _of_transition(source, event)
        case PullStep(failed=True):
            yield _about(Family.INFRA_FAILURES, source, event, event.step or "")
        case _:
            return


def initial(counter: Counter) -> Iterator[Counter]:
    """Yield the counters to show at 0 beside this one, for the same flow, deployment and work pool."""
    if counter.family is not Family.TRANSITIONS:
        return
    for pair in USUAL_TRANSITIONS:
        yield counter._replace(labels=pair)
    for state in TERMINAL_STATES:
        yield counter._replace(family=Family.FINISHED, labels=(state,))
    yield counter._replace(family=Family.RETRIES, labels=())


def names(event: Event) -> Mapping[str, str]:
    """Return the names that an event tells of the ids in its counters' keys."""
    parties = (event.flow, event.deployment, event.work_pool)
    return {party.id: party.name for party in parties if party and party.name}


def _of_transition(source: str, event: Transition) -> Iterator[Counter]:
    yield _about(Family.TRANSITIONS, source, event, event.from_type or "", event.to_type.value)
    if event.is_finish:
        yield _about(Family.FINISHED, source, event, event.to_type.value)
    if event.to_type is StateType.SCHEDULED and event.after.name == AWAITING_RETRY:
        yield _about(Family.RETRIES, source, event)


def _about(family: Family, source: str, event: Event, *labels: str) -> Counter:
    flow, deployment, pool = event.flow, event.deployment, event.work_pool
    return Counter(
        family,
        source,
        flow.id if flow else "",
        deployment.id if deployment else "",
        pool.id if pool else "",
        tuple(str(label) for label in labels),
    )
