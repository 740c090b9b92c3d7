"""Pure: a run as JSON, with the names of what it belongs to."""

from collections.abc import Mapping
from typing import Any

from streamer.model import RunState
from streamer.timestamps import from_micros


def as_json(run: RunState, names: Mapping[str, str]) -> dict[str, Any]:
    """Return what is known of a run as JSON-ready values; `last_heartbeat` is by its sender's clock."""

    def named(ident: str | None) -> dict[str, str | None] | None:
        return {"id": ident, "name": names.get(ident)} if ident else None

    return {
        "id": run.id,
        "name": run.name,
        "source": run.source,
        "flow": named(run.flow),
        "deployment": named(run.deployment),
        "work_pool": named(run.work_pool),
        "tags": list(run.tags),
        "run_count": run.run_count,
        "state": {"type": run.state_type, "name": run.state_name, "message": run.state_message, "at": run.state_at},
        "since": run.since,
        "started": run.started_at,
        "ended": run.ended_at,
        "last_heartbeat": from_micros(run.beats[-1].occurred) if run.beats else None,
        "verdict": run.verdict._asdict() if run.verdict else None,
    }
