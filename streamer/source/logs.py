"""What the server's REST tells of the log of a run."""

from datetime import datetime
from logging import getLevelName
from uuid import UUID

from streamer.source.api import Api
from streamer.source.runs_api import Json, objects


async def last_messages(api: Api, run: UUID, most: int) -> list[str]:
    """Return the last messages of a run and its tasks, oldest first, each with its time and level."""
    wanted = {"flow_run_id": {"any_": [str(run)]}}
    body = {"logs": wanted, "sort": "TIMESTAMP_DESC", "limit": most, "offset": 0}
    return [_line(each) for each in reversed(objects(await api.request("POST", "/logs/filter", json=body)))]


def _line(entry: Json) -> str:
    moment = datetime.fromisoformat(entry["timestamp"])
    return f"{moment:%H:%M:%S} {getLevelName(entry['level'])} {entry['message']}"
