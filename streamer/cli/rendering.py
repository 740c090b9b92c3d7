"""A record as a line of colour."""

from contextlib import suppress
from datetime import datetime

from rich.text import Text

from schemas import Alert, Event, Notice, PullStep, StateType, Transition, Verdict
from schemas.alert import AlertStatus

COLOURS = {
    StateType.SCHEDULED: "yellow",
    StateType.PENDING: "bright_black",
    StateType.RUNNING: "blue",
    StateType.COMPLETED: "green",
    StateType.FAILED: "red",
    StateType.CRASHED: "bold red",
    StateType.CANCELLED: "magenta",
    StateType.CANCELLING: "magenta",
    StateType.PAUSED: "cyan",
}
_LONGEST_MESSAGE = 100


def line(event: Event) -> Text:
    """Return time, state, flow and run, and the message if the state has one."""
    text = Text(_time(event.occurred), style="dim", no_wrap=True, overflow="ellipsis")
    text.append("  ")
    text.append_text(_what(event))
    flow = event.flow.name if event.flow else None
    text.append(f"  {flow or '-'} / {event.resource.name or event.resource.id}", style="default")
    if isinstance(event, Transition) and event.after.message:
        message = " ".join(event.after.message.split())[:_LONGEST_MESSAGE]
        text.append(f"  {message}", style="dim")
    return text


def _time(moment: datetime) -> str:
    with suppress(OverflowError):  # a time at the edge of the calendar has no local one
        moment = moment.astimezone()
    return moment.strftime("%H:%M:%S.%f")[:-3]


def _what(event: Event) -> Text:
    match event:
        case Transition():
            before = event.before.name if event.before else "·"
            moved = Text(f"{before:>16} → ", style="dim")
            return moved.append(f"{event.after.name:<16}", style=COLOURS[event.to_type])
        case Verdict():
            return Text(f"{'verdict':>16} → {event.ruling.status:<16}", style="bold red")
        case Alert():
            told = event.situation
            colour = "bold red" if told.status is AlertStatus.FIRING else "bold green"
            return Text(f"{told.rule:>16} → {told.status:<16}", style=colour)
        case Notice():
            return Text(f"{'notice':>16} → {event.announcement.about:<16}", style="yellow")
        case PullStep():
            return Text(f"{'pull step':>16} → {event.step or '':<16}", style="red" if event.failed else "dim")
        case _:
            return Text(f"{event.kind:>16} · {event.name:<16}", style="dim")
