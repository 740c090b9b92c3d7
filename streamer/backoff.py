"""How long to wait before the next try: growing, capped and jittered, or as long as the other side asked for."""

from collections.abc import Callable

from tenacity import RetryCallState, wait_exponential, wait_random

Backoff = Callable[[RetryCallState], float]


def backoff(*, first: float, longest: float) -> Backoff:
    """Return a wait for tenacity, in seconds; an error that has an `after` is taken at its word."""
    growing = wait_exponential(multiplier=first, max=longest) + wait_random(0, first)

    def wait(state: RetryCallState) -> float:
        asked: float | None = getattr(state.outcome.exception(), "after", None) if state.outcome else None
        return growing(state) if asked is None else asked

    return wait
