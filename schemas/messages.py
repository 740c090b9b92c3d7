"""The messages of Prefect's `/events/out` websocket, and the one filter we send (prefect.md 1, 5-8, 37)."""

from datetime import datetime, timedelta
from typing import Any

import orjson

from schemas.event import FLOW_RUN_PREFIX

EVENT_MESSAGE_START = b'{"type":"event","event":'
"""How every event message of a Prefect server begins (Starlette's compact JSON, `type` first)."""

FAR_FUTURE = timedelta(days=365)
"""Added to now for `occurred.until`: without it the server takes now, and no live event passes."""


def auth_message(token: str | None) -> bytes:
    """Return the first message of a conversation; a server without authentication takes a null token."""
    return orjson.dumps({"type": "auth", "token": token})


def filter_message(now: datetime) -> bytes:
    """Return the second message: every flow-run event from `now` on, without the server's lossy backfill."""
    occurred = {"since": now.isoformat(), "until": (now + FAR_FUTURE).isoformat()}
    return orjson.dumps({"type": "filter", "filter": flow_run_filter(occurred), "backfill": False})


def flow_run_filter(occurred: dict[str, str], **name: list[str]) -> dict[str, Any]:
    """Return the least filter: richer ones are refused by older servers, or differ between websocket and REST."""
    return {"event": {"prefix": [FLOW_RUN_PREFIX], **name}, "occurred": occurred}
