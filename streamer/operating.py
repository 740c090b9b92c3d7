"""What an operator can have done: by the running service if there is one, or else by this process on the store."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import httpx

from streamer.config import Settings
from streamer.core import Core, open_core
from streamer.errors import StoreError
from streamer.model import Mark
from streamer.store.lock import RunningService, running_service

Answer = Mapping[str, Any]
Command = Callable[..., Awaitable[Answer]]

ACT_SECONDS = 300.0


def commands(core: Core) -> dict[str, Command]:
    """Return by name what can be done with this service."""
    return {name: partial(command, core) for name, command in _COMMANDS.items()}


async def act(settings: Settings, name: str, **arguments: Any) -> Answer:
    """Have it done, and return the answer."""
    if service := running_service(settings.store_path):
        return await _ask(service, name, arguments)
    async with open_core(settings.model_copy(update={"sinks": {}, "sink": []})) as core:
        moving = asyncio.create_task(core.pipeline().run())
        try:
            return await commands(core)[name](**arguments)
        finally:
            core.intake.close()
            await moving


async def _ask(service: RunningService, name: str, arguments: Mapping[str, Any]) -> Answer:
    headers = {"Authorization": f"Bearer {service.token}"}
    async with httpx.AsyncClient(base_url=service.address, trust_env=False, timeout=ACT_SECONDS) as http:
        try:
            response = await http.post(f"/api/control/{name}", json=arguments, headers=headers)
            answer: Answer = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise StoreError(f"the service at {service.address} does not answer: {error}") from error
    if not response.is_success:
        raise StoreError(f"the service at {service.address} refused: {answer.get('error')}", answer.get("hint"))
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


async def _retry_buried(core: Core, sink: str, seqs: list[int]) -> Answer:
    """Give a sink again what it refused; what it does not take has the newest reason."""
    delivery = next((each for each in core.deliveries if each.name == sink), None)
    if delivery is None:
        hint = "a running service that has the sink is needed: `streamer run`"
        raise StoreError(f"no sink {sink!r} runs here", hint)
    delivered = []
    for record in await core.store.buried_records(sink, seqs):
        if reason := await delivery.retry(record):
            await core.store.bury(sink, record, reason)
        else:
            delivered.append(record.seq)
            await core.store.exhume(sink, [record.seq])
    await delivery.count_dead_letters()
    return {"retried": len(seqs), "delivered": len(delivered)}


async def _drop_buried(core: Core, sink: str, seqs: list[int]) -> Answer:
    """Forget what a sink refused."""
    dropped = await core.store.exhume(sink, seqs)
    for delivery in core.deliveries:
        await delivery.count_dead_letters()
    return {"dropped": dropped}


_COMMANDS: Mapping[str, Command] = {
    "quarantine/retry": _retry_refused,
    "dead-letters/retry": _retry_buried,
    "dead-letters/drop": _drop_buried,
}
