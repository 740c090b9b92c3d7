"""What a server has besides runs: flows, deployments, work pools and work queues, as they were when last read."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


class Deployment(NamedTuple):
    """A deployment; what is not there is the empty string."""

    name: str
    flow: str
    work_pool: str
    work_queue: str
    status: str
    paused: bool
    is_scheduled: bool
    path: str
    tags: Sequence[str]


class WorkPool(NamedTuple):
    """A work pool; `is_ready` is None where no status is told, as of push pools."""

    name: str
    type: str
    status: str
    paused: bool

    @property
    def is_ready(self) -> bool | None:
        """Tell whether some worker polls it."""
        return self.status == "READY" if self.status else None


class WorkQueue(NamedTuple):
    """A work queue and its pool's name."""

    id: str
    name: str
    work_pool: str
    status: str
    paused: bool
    priority: int
    last_polled: datetime | None


@dataclass(frozen=True)
class Inventory:
    """All of it at one time."""

    at: datetime | None = None
    flows: Sequence[str] = ()
    deployments: Sequence[Deployment] = ()
    work_pools: Sequence[WorkPool] = ()
    work_queues: Sequence[WorkQueue] = ()

    @classmethod
    def together(cls, parts: Iterable["Inventory"]) -> "Inventory":
        """Return what there is in all parts, as old as the oldest of them."""
        parts = list(parts)
        return cls(
            at=min((each.at for each in parts if each.at), default=None),
            flows=[flow for each in parts for flow in each.flows],
            deployments=[deployment for each in parts for deployment in each.deployments],
            work_pools=[pool for each in parts for pool in each.work_pools],
            work_queues=[queue for each in parts for queue in each.work_queues],
        )


Taken = Callable[[str, Inventory], None]
"""Who is told when that of a source was read anew."""
