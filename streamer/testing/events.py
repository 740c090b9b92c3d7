"""Flow-run events as a Prefect server would send them."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4


def an_event(
    *,
    run: str | None = None,
    before: str | None = "PENDING",
    after: str = "RUNNING",
    occurred: datetime | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Return a transition between two state types; `changes` replaces whole fields, such as `id`."""
    run, moment = run or str(uuid4()), (occurred or datetime.now(UTC)).isoformat()
    return {
        "occurred": moment,
        "event": f"prefect.flow-run.{after.capitalize()}",
        "resource": {
            "prefect.resource.id": f"prefect.flow-run.{run}",
            "prefect.resource.name": f"run-{run[:8]}",
            "prefect.run-count": "1",
            "prefect.state-message": "",
            "prefect.state-name": after.capitalize(),
            "prefect.state-timestamp": moment,
            "prefect.state-type": after,
        },
        "related": [
            {
                "prefect.resource.id": "prefect.flow.00000000-0000-4000-8000-00000000f104",
                "prefect.resource.role": "flow",
                "prefect.resource.name": "etl",
            }
        ],
        "payload": {
            "intended": {"from": before, "to": after},
            "initial_state": {"type": before, "name": before.capitalize()} if before else None,
            "validated_state": {"type": after, "name": after.capitalize()},
        },
        "id": str(uuid4()),
        "follows": None,
        "received": moment,
        **changes,
    }
