"""Wait for what must become true, not for a time to pass."""

import asyncio
import inspect
import time
from collections.abc import Callable


async def until(condition: Callable[[], object], *, seconds: float = 30.0) -> None:
    """Return once the condition, plain or async, holds; raise `TimeoutError` when it did not in time."""
    deadline = time.monotonic() + seconds
    while not await _value(condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not true after {seconds} s")
        await asyncio.sleep(0.005)


async def _value(result: object) -> object:
    return await result if inspect.isawaitable(result) else result
