"""What may be done about a zombie, if the operator wants it: through the API, never forced, said in the log."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import orjson

from schemas.event import FLOW_RUN_PREFIX
from streamer.errors import SourceError
from streamer.source.api import Api


class Action(StrEnum):
    """What to do about a zombie."""

    REPORT = "report"
    CRASH = "crash"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Acting:
    """What is done about zombies; in a dry run it is only said. `emit` tells Prefect's own automations of them."""

    on_zombie: Action = Action.REPORT
    dry_run: bool = True
    emit: bool = False


_STATES = {
    Action.CRASH: {"type": "CRASHED", "name": "Crashed"},
    Action.CANCEL: {"type": "CANCELLING", "name": "Cancelling"},
}


async def act(api: Api, run: UUID, acting: Acting, message: str) -> str:
    """Do it, and return how it went: `ok`, `refused`, `error` or `dry_run`."""
    if acting.dry_run:
        return "dry_run"
    state = {**_STATES[acting.on_zombie], "message": message}
    try:
        answer = await api.request("POST", f"/flow_runs/{run}/set_state", json={"state": state, "force": False})
        return "ok" if orjson.loads(answer).get("status") == "ACCEPT" else "refused"
    except (SourceError, ValueError, AttributeError):
        return "error"


async def emit(api: Api, ident: UUID, run: UUID, occurred: str, verdict: object) -> None:
    """Post a verdict as an event to the server, under its own id, so that automations can react to it."""
    event = {
        "id": str(ident),
        "occurred": occurred,
        "event": "streamer.flow-run.zombie",
        "resource": {"prefect.resource.id": f"{FLOW_RUN_PREFIX}{run}"},
        "payload": {"verdict": verdict},
    }
    await api.request("POST", "/events", json=[event])
