"""Verdicts as we make them; the id follows from what is ruled, so that ruling it again adds nothing."""

from datetime import datetime
from uuid import UUID, uuid5

import orjson

from schemas.event import FLOW_RUN_PREFIX, Event
from schemas.ours import VERDICT_PREFIX, Ruling

_NAMESPACE = UUID("9a2d5c1e-3f7b-4a61-8c0d-2e4b6f801357")


def verdict(source: str, run: UUID, ruling: Ruling, *, anchor: int, occurred: datetime, newest: Event | None) -> bytes:
    """Return the JSON of a verdict about a run; it belongs to what the run's newest event says it belongs to.

    `anchor` is the last sign of life: the same ruling about the same attempt with the same anchor is the same verdict.
    """
    of = f"{source} {run} {ruling.run_count} {ruling.status} {ruling.reason} {anchor}"
    told = orjson.loads(newest.raw) if newest else {"resource": {}, "related": []}
    labels = ("prefect.resource.name", "prefect.run-count")
    return orjson.dumps(
        {
            "id": uuid5(_NAMESPACE, of),
            "occurred": occurred,
            "received": None,
            "event": f"{VERDICT_PREFIX}{ruling.status}",
            "resource": {
                "prefect.resource.id": f"{FLOW_RUN_PREFIX}{run}",
                **{label: told["resource"][label] for label in labels if label in told["resource"]},
            },
            "related": told["related"],
            "payload": {"verdict": ruling.model_dump(mode="json")},
            "follows": None,
        }
    )
