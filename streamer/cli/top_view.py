"""Pure: how somebody looks at it: which runs and transitions, in which order, and what a key changes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from streamer.cli.top_keys import BACKSPACE, CLEAR, ENTER, ESCAPE
from streamer.cli.top_told import Told
from streamer.liveness import Status
from streamer.web.live import LiveView
from streamer.web.present import PresentRun
from streamer.web.rows import Row

RANKS = {Status.ZOMBIE.value: 0, Status.SUSPECT.value: 1, Status.OVERDUE.value: 2}
"""What a run is held to be that is worth a look before others."""

HELP = "?"


class Order(StrEnum):
    """By what runs are sorted: as the service does, or the oldest first, or by a name."""

    STATE = "state"
    AGE = "age"
    NAME = "name"
    FLOW = "flow"


_NEXT = dict(zip(Order, [*list(Order)[1:], Order.STATE], strict=True))


@dataclass(frozen=True, slots=True)
class View:
    """How somebody looks at it; `text` is words that all have to be found, and is changed while `is_typing`."""

    text: str = ""
    order: Order = Order.STATE
    only_judged: bool = False
    is_typing: bool = False
    is_paused: bool = False
    is_helping: bool = False
    is_leaving: bool = False

    def pressed(self, key: str) -> "View":
        """Return how it is looked at after a key."""
        if self.is_typing:
            return self._typed(key)
        if key not in _KEYS:
            return self
        changed = _KEYS[key](self)
        return changed if key == HELP else replace(changed, is_helping=False)

    def _typed(self, key: str) -> "View":
        if key in (ENTER, ESCAPE):
            return replace(self, is_typing=False, text=self.text if key == ENTER else "")
        if key == CLEAR:
            return replace(self, text="")
        if key == BACKSPACE:
            return replace(self, text=self.text[:-1])
        return replace(self, text=self.text + key) if len(key) == 1 and key.isprintable() else self

    @property
    def is_choosing(self) -> bool:
        """Tell whether only some runs are wanted."""
        return bool(self.text) or self.only_judged

    def runs(self, told: Told) -> list[PresentRun]:
        """Return the runs to show; those that a verdict stands of come first in any order."""
        known = told.runs if self.is_choosing else told.live.runs.items
        found = [run for run in known if self._wants(run)]
        return sorted(found, key=lambda run: (_rank(run), *_SORTED[self.order](run)))

    def _wants(self, run: PresentRun) -> bool:
        is_amiss = _rank(run) < len(RANKS)
        return (is_amiss or not self.only_judged) and _has(self.text, _words_of_run(run))

    def rows(self, live: LiveView) -> list[Row]:
        """Return the transitions and verdicts to show, the newest first."""
        return [row for row in reversed(live.rows) if _has(self.text, _words_of(row, row.run, row.message))]


_KEYS: dict[str, Callable[[View], View]] = {
    "q": lambda view: replace(view, is_leaving=True),
    "f": lambda view: replace(view, is_typing=True),
    "/": lambda view: replace(view, is_typing=True),
    "s": lambda view: replace(view, order=_NEXT[view.order]),
    "z": lambda view: replace(view, only_judged=not view.only_judged),
    "p": lambda view: replace(view, is_paused=not view.is_paused),
    " ": lambda view: replace(view, is_paused=not view.is_paused),
    HELP: lambda view: replace(view, is_helping=not view.is_helping),
    ESCAPE: lambda view: replace(view, text=""),
}

_SORTED: dict[Order, Callable[[PresentRun], tuple[object, ...]]] = {
    Order.STATE: lambda _: (),
    Order.AGE: lambda run: (run.since is None, run.since),
    Order.NAME: lambda run: (run.name or str(run.id),),
    Order.FLOW: lambda run: ((run.flow.name or run.flow.id) if run.flow else "", run.name or ""),
}


def _rank(run: PresentRun) -> int:
    """Return how soon a run is looked at: the less, the sooner."""
    return RANKS.get(run.verdict.status, len(RANKS)) if run.verdict else len(RANKS)


def _words_of_run(run: PresentRun) -> Iterable[str]:
    return _words_of(run, run.id, run.verdict and run.verdict.status)


def _words_of(what: PresentRun | Row, *more: object) -> Iterable[str]:
    named = [each.name or each.id for each in (what.flow, what.deployment) if each]
    return [str(each) for each in (what.name, *named, *what.tags, what.state, what.type, *more) if each]


def _has(text: str, words: Iterable[str]) -> bool:
    """Tell whether each word of a text is part of one of these, whatever its case."""
    there = "\n".join(words).casefold()
    return all(word in there for word in text.casefold().split())
