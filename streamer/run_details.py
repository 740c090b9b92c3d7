"""Pure: what only the Prefect server can tell of runs, as it does; what it tells besides is left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class StateDetails:
    """What no event tells of a state: `data` is how its result is described."""

    id: UUID
    data: Any = None


@dataclass(frozen=True, slots=True)
class RunDetails:
    """What no event tells of a run."""

    id: UUID
    parameters: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] | None = None
    flow_version: str | None = None
    deployment_id: UUID | None = None
    deployment_version: str | None = None
    updated: datetime | None = None
    state: StateDetails | None = None


@dataclass(frozen=True, slots=True)
class ArtifactView:
    """What a run or one of its tasks left behind to be looked at."""

    id: UUID
    created: datetime
    updated: datetime
    key: str | None = None
    type: str | None = None
    description: str | None = None
    data: Any = None
    task_run_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class TaskRunDetails:
    """The run that a task run belongs to."""

    flow_run_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class DeploymentDetails:
    """What no event tells of a deployment."""

    id: UUID
    name: str
    entrypoint: str | None = None
    version: str | None = None
