"""The state that a run is in, and the ways from one to the next."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from schemas import StateType
from streamer.run_view import StateView, TaskRunState, TransitionView

_PREFIX = re.compile(r"^(?:Flow|Task) run encountered an exception:?\s*")
_TYPED = re.compile(r"^(?P<kind>[A-Za-z_][\w.]*)(?::\s*(?P<said>.*))?$", re.DOTALL)


@dataclass(frozen=True, slots=True, repr=False)
class State:
    """What a run does: the type, which is one of Prefect's nine, and the name, which may be any.

    Both are None of a run of which no state is known: then it is in none.
    """

    type: StateType | None
    name: str | None
    message: str | None = None
    timestamp: datetime | None = None

    @classmethod
    def of(cls, told: StateView | TaskRunState | TransitionView | None) -> Self:
        """Return the state that is told."""
        match told:
            case None:
                return cls(None, None)
            case StateView():
                return cls(told.type, told.name, told.message, told.at)
            case TransitionView():
                return cls(told.type, told.name, told.message, told.occurred)
        return cls(told.type, told.name, told.message, told.timestamp)

    def is_scheduled(self) -> bool:
        """Tell whether it waits for its time, or for another attempt."""
        return self.type is StateType.SCHEDULED

    def is_pending(self) -> bool:
        """Tell whether it is about to run."""
        return self.type is StateType.PENDING

    def is_running(self) -> bool:
        """Tell whether it runs."""
        return self.type is StateType.RUNNING

    def is_paused(self) -> bool:
        """Tell whether it is paused or suspended."""
        return self.type is StateType.PAUSED

    def is_cancelled(self) -> bool:
        """Tell whether it was cancelled."""
        return self.type is StateType.CANCELLED

    def is_finished(self) -> bool:
        """Tell whether it has ended, in whatever way."""
        return self.type is not None and self.type.is_terminal

    def is_successful(self) -> bool:
        """Tell whether it has ended well."""
        return self.type is StateType.COMPLETED

    def is_failed(self) -> bool:
        """Tell whether it failed; a crash is not that."""
        return self.type is StateType.FAILED

    def is_crashed(self) -> bool:
        """Tell whether what it ran on failed."""
        return self.type is StateType.CRASHED

    def __str__(self) -> str:
        name = self.name or "unknown"
        return f"{name}: {self.message}" if self.message else name

    def __repr__(self) -> str:
        return f"<{self.name}: {self.message!r}>" if self.message else f"<{self.name}>"


@dataclass(frozen=True, slots=True, repr=False)
class Transition:
    """A run entered a state; `id` is that of the state, and `before` is the state that it left, None at first.

    `duration` is how many seconds it was, or has been, in the state; None of the one that it ended in.
    """

    id: str
    timestamp: datetime
    before: State | None
    after: State
    run_count: int | None = None
    duration: float | None = None

    def __repr__(self) -> str:
        before = f"{self.before.name} → " if self.before else ""
        return f"<{self.timestamp:%Y-%m-%d %H:%M:%S} {before}{self.after.name}>"


def transitions(told: Iterable[TransitionView]) -> list[Transition]:
    """Return what is told, each with the state before it."""
    found: list[Transition] = []
    for each in told:
        before = found[-1].after if found else None
        found.append(
            Transition(str(each.id), each.occurred, before, State.of(each), each.run_count, duration=each.seconds)
        )
    return found


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run failed: what its state says, and what kind of exception that was and `said`, as far as it can be read.

    `data` describes where the exception itself was kept, if it was. It is not read: to unpickle it would run what it
    holds.
    """

    message: str
    kind: str | None = None
    said: str | None = None
    data: Any = None

    @classmethod
    def of(cls, message: str | None, data: Any = None) -> Self:
        """Read the message of a state."""
        text = message or ""
        match = _TYPED.match(_PREFIX.sub("", text)) if _PREFIX.match(text) else None
        return cls(text, match["kind"], match["said"], data) if match else cls(text, data=data)

    def __str__(self) -> str:
        return self.message
