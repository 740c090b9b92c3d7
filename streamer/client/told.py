"""What only the Prefect server can tell of runs, as types; what it tells besides is left out."""

from typing import Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Told(BaseModel):
    """Something the server tells."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ToldState(Told):
    """What no event tells of a state: `data` is how its result is described."""

    id: UUID
    data: Any = None


class ToldRun(Told):
    """What no event tells of a flow run."""

    id: UUID
    parameters: dict[str, Any] = Field(default_factory=dict)
    context: dict[str, Any] | None = None
    flow_version: str | None = None
    deployment_id: UUID | None = None
    deployment_version: str | None = None
    updated: AwareDatetime | None = None
    state: ToldState | None = None


class ToldArtifact(Told):
    """What a run left behind to be looked at."""

    id: UUID
    key: str | None = None
    type: str | None = None
    description: str | None = None
    data: Any = None
    created: AwareDatetime
    updated: AwareDatetime
    task_run_id: UUID | None = None


class ToldDeployment(Told):
    """What no event tells of a deployment."""

    id: UUID
    name: str
    entrypoint: str | None = None
    version: str | None = None
