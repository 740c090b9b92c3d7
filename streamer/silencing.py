"""What an operator can have done about alerts: nobody told of some for a while, and told again."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any
from uuid import uuid4

from pydantic import Field, TypeAdapter

from streamer.alert_list import silences
from streamer.alerts.silences import Silence
from streamer.core import Core
from streamer.durations import Duration
from streamer.errors import StoreError
from streamer.routing import Criteria

LASTS: TypeAdapter[timedelta] = TypeAdapter(Annotated[Duration, Field(ge=timedelta(seconds=1))])


async def silence(
    core: Core, match: Mapping[str, Any], lasts: str, comment: str = "", by: str = ""
) -> Mapping[str, Any]:
    """Tell nobody of alerts that meet these criteria for so long; return the silence."""
    now = core.clock.now()
    made = Silence(
        id=uuid4(),
        match=Criteria.model_validate(match),
        begins=now,
        ends=now + LASTS.validate_python(lasts),
        comment=comment,
        by=by,
    )
    await core.store.put_silence(str(made.id), made.model_dump_json().encode())
    await core.alerting.silence()
    return made.as_json()


async def unsilence(core: Core, silence: str) -> Mapping[str, Any]:
    """End a silence that is known by its id, or by as much of its start as tells it apart; return it."""
    known = await silences(core.store, now=core.clock.now())
    found = [each for each in known if str(each.id).startswith(silence.lower())]
    if len(found) != 1:
        what = f"{len(found)} silences have an id" if found else "no silence has an id"
        raise StoreError(f"{what} that starts with {silence!r}", "`streamer alerts silences` shows them")
    await core.store.drop_silence(str(found[0].id))
    await core.alerting.silence()
    return found[0].as_json()
