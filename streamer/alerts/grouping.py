"""Pure: what a rule tells apart, so that there is one alert for each."""

from enum import StrEnum

from schemas import Event
from schemas.event import Party


class Grouping(StrEnum):
    """One alert for each deployment (of a run without one its flow), flow, work pool, work queue, run, or for all."""

    DEPLOYMENT = "deployment"
    FLOW = "flow"
    WORK_POOL = "work_pool"
    WORK_QUEUE = "work_queue"
    RUN = "run"
    ALL = "all"

    def of(self, event: Event) -> str | None:
        """Return the group of an event, such as `deployment:<id>`; None for one that is about no run."""
        if event.run_id is None:
            return None
        match self:
            case Grouping.ALL:
                return "all"
            case Grouping.RUN:
                return f"run:{event.run_id}"
            case Grouping.DEPLOYMENT:
                return _of(event.deployment) or _of(event.flow) or f"run:{event.run_id}"
            case Grouping.FLOW:
                return _of(event.flow) or f"run:{event.run_id}"
            case Grouping.WORK_POOL:
                return _of(event.work_pool) or "work-pool:"
            case Grouping.WORK_QUEUE:
                return _of(event.work_queue) or "work-queue:"


def _of(party: Party | None) -> str | None:
    return f"{party.type}:{party.id}" if party else None


def name_of(group: str, event: Event) -> str:
    """Return how people call the group that an event is of, such as the deployment's name; its id if it has none."""
    kind, is_one, ident = group.partition(":")
    if not is_one:
        return group
    if kind == "run":
        return event.resource.name or ident
    party = event.parties.get(kind)
    return (party and party.name) or ident or f"without {kind.replace('-', ' ')}"
