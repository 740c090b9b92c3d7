"""What an operator can ask and have done: by the running service if there is one, or else by this process."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import orjson

from streamer import silencing, sink_orders
from streamer.alert_list import silences, stored_alerts
from streamer.config import Settings
from streamer.core import Core, open_core, open_store
from streamer.deliveries import sinks_of
from streamer.errors import ConfigError, StoreError
from streamer.model import Mark
from streamer.sink_list import SinkState, never_started, stored_sinks
from streamer.sink_trial import tried_here
from streamer.store.lock import RunningService

Answer = Mapping[str, Any]
Command = Callable[..., Awaitable[Answer]]

ACT_SECONDS = 300.0


def commands(core: Core) -> dict[str, Command]:
    """Return by name what can be done with this service."""
    return {name: partial(command, core) for name, command in COMMANDS.items()}


async def act(settings: Settings, name: str, **arguments: Any) -> Answer:
    """Have it done, and return the answer."""
    if service := settings.place.service():
        return await _ask(service, "POST", f"/api/control/{name}", json=arguments)
    without_sinks = settings.model_copy(update={"sinks": {}, "sink": [], "routes": []})
    async with open_core(without_sinks, open_store(settings)) as core:
        moving = asyncio.create_task(core.pipeline().run())
        try:
            return await commands(core)[name](**arguments)
        finally:
            core.intake.close()
            await moving


async def answer_of_service(settings: Settings, path: str) -> Answer | None:
    """Return what the running service answers to a question; None if none runs on the store."""
    service = settings.place.service()
    return await _ask(service, "GET", path) if service else None


async def listed_sinks(settings: Settings) -> list[dict[str, Any]]:
    """Return all sinks as JSON has them: as the running service has them, or as its store and settings tell."""
    if answer := await answer_of_service(settings, "/api/sinks"):
        return list(answer["sinks"])
    wanted = sinks_of(settings)
    if not settings.place.is_there():
        return _as_json(never_started(wanted))
    store = settings.place.open_read_only()
    try:
        return _as_json(await stored_sinks(store, wanted))
    finally:
        await store.close()


async def listed_alerts(settings: Settings) -> list[dict[str, Any]]:
    """Return what fires as JSON has it: as the running service has it, or as its store tells."""
    if answer := await answer_of_service(settings, "/api/alerts"):
        return list(answer["alerts"])
    store = settings.place.open_read_only()
    try:
        return _as_json(await stored_alerts(store, settings, now=datetime.now(UTC)))
    finally:
        await store.close()


async def listed_silences(settings: Settings) -> list[dict[str, Any]]:
    """Return the silences that have not ended as JSON has them."""
    if answer := await answer_of_service(settings, "/api/alerts/silences"):
        return list(answer["silences"])
    store = settings.place.open_read_only()
    try:
        return [each.as_json() for each in await silences(store, now=datetime.now(UTC))]
    finally:
        await store.close()


def _as_json(listed: Sequence[object]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = orjson.loads(orjson.dumps(listed, option=orjson.OPT_UTC_Z))
    return found


async def try_sink(settings: Settings, name: str) -> Answer:
    """Give a sink a marked record: by the service that has it open, or by opening it here."""
    found = next((each for each in await listed_sinks(settings) if each["name"] == name), None)
    if found and found["state"] in (SinkState.OPENING, SinkState.UP, SinkState.DOWN):
        return await act(settings, "sinks/test", sink=name)
    wanted = sinks_of(settings)
    if name not in wanted:
        raise ConfigError(f"no sink {name!r} is configured", hint=f"there are: {', '.join(wanted) or 'none'}")
    place = (found and found["acked"]) or 0
    return await tried_here(settings, name, wanted[name], place=place, now=datetime.now(UTC))


async def _ask(service: RunningService, method: str, path: str, **content: Any) -> Answer:
    headers = {"Authorization": f"Bearer {service.token}"}
    async with httpx.AsyncClient(base_url=service.address, trust_env=False, timeout=ACT_SECONDS) as http:
        try:
            response = await http.request(method, path, headers=headers, **content)
            answer: Answer = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise StoreError(f"the service at {service.address} does not answer: {error}") from error
    if not response.is_success:
        raise StoreError(f"the service at {service.address} refused: {answer.get('detail')}", answer.get("hint"))
    return answer


async def _retry_refused(core: Core, keys: list[str]) -> Answer:
    """Validate frames in quarantine again; those that are valid now enter the log like any other."""
    frames = [frame for key in keys if (frame := await core.store.refused_frame(key))]
    for frame in frames:
        await core.intake.put(frame)
        reached = asyncio.Event()
        await core.intake.put(Mark(frame.source, reached=reached.set))
        await reached.wait()
    left = [key for key in keys if await core.store.refused_frame(key)]
    return {"retried": len(frames), "accepted": len(frames) - len(left)}


COMMANDS: Mapping[str, Command] = {
    "quarantine/retry": _retry_refused,
    "dead-letters/retry": sink_orders.retry_buried,
    "dead-letters/drop": sink_orders.drop_buried,
    "sinks/seek": sink_orders.seek,
    "sinks/forget": sink_orders.forget,
    "sinks/test": sink_orders.test,
    "alerts/silence": silencing.silence,
    "alerts/unsilence": silencing.unsilence,
}
