"""Pure: what a sink may ask about, beyond the record that it is given. A sink's options get it when it is built."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from streamer.model import Record


@dataclass(frozen=True, slots=True)
class RunDetails:
    """What no event tells of a run: how long it has been at work, and the last lines of its log, oldest first."""

    worked: timedelta | None = None
    lines: tuple[str, ...] = ()


NO_DETAILS = RunDetails()


async def _unknown(record: Record, most_lines: int) -> RunDetails:  # noqa: ARG001 - what is asked does not matter
    return NO_DETAILS


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The addresses of the sources' APIs and pages by name, the alerts that are announced and not over, and more.

    `details` asks about the run of a record, for so many lines of its log; it takes no longer than a person would wait,
    and never fails.
    """

    sources: Mapping[str, str] = field(default_factory=dict)
    ui: Mapping[str, str] = field(default_factory=dict)
    firing: Callable[[], Sequence[Record]] = tuple
    details: Callable[[Record, int], Awaitable[RunDetails]] = _unknown

    def link(self, record: Record) -> str | None:
        """Return the address of the page about a record's run; None if there is no run, or no page."""
        run, ui = record.event.run_id, self.ui.get(record.source)
        return f"{ui}/runs/flow-run/{run}" if run and ui else None
