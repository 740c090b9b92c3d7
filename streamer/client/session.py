"""A provider, seen through a namespace: what all objects of a client share."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from streamer.client.providers import Provider
from streamer.questions import PAGE_MOST, RunQuery
from streamer.run_view import RunView

FRESH_SECONDS = 1.0
"""How old what is known of a run may be before it is asked for again."""

FIRST_PAGE = 100
"""Later pages are larger: whoever wants more than one may want all."""


class Sessioned(Protocol):
    """A client, or what belongs to one."""

    @property
    def session(self) -> "Session":
        """Return what all objects of the client share."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a run, and since when: seconds of a clock that never goes back."""

    run: RunView
    at: float


class Session:
    """Asks for runs in the namespace that there is at the time of asking: a tag, or None for all."""

    def __init__(self, provider: Provider, namespace: Callable[[], str | None]) -> None:
        self.provider = provider
        self._namespace = namespace

    @property
    def session(self) -> "Session":
        """Return itself."""
        return self

    @property
    def namespace(self) -> str | None:
        """Return the tag that runs must have to be seen; None if they need not."""
        return self._namespace()

    def is_inside(self, run: RunView) -> bool:
        """Tell whether a run is in the namespace."""
        return self.namespace is None or self.namespace in run.tags

    def inside(self, query: RunQuery) -> RunQuery:
        """Return the question for what is in the namespace besides; a tag that looks like a glob is one text only."""
        tag = self.namespace
        return query.model_copy(update={"tags": (*query.tags, literally(tag))}) if tag else query

    def everywhere(self, query: RunQuery) -> Iterator[Known]:
        """Yield all runs that are asked for, in whatever namespace, page by page."""
        query = query.model_copy(update={"limit": min(query.limit, FIRST_PAGE)})
        while True:
            page = self.provider.runs(query)
            now = time.monotonic()
            for run in page.items:
                yield Known(run, now)
            if page.next is None:
                return
            query = query.model_copy(update={"after": page.next, "limit": PAGE_MOST})

    def runs(self, query: RunQuery) -> Iterator[Known]:
        """Yield all runs in the namespace that are asked for, page by page."""
        return self.everywhere(self.inside(query))

    def first(self, query: RunQuery) -> Known | None:
        """Return the first of the runs in the namespace that are asked for."""
        return next(self.runs(query.model_copy(update={"limit": 1})), None)

    def count(self, query: RunQuery) -> int:
        """Return how many runs in the namespace are asked for."""
        return self.provider.count(self.inside(query)).total

    def by_id(self, run: UUID) -> Known | None:
        """Return what is known of a run, in whatever namespace, deleted or not."""
        return next(self.everywhere(RunQuery(ids=(run,), deleted=None, limit=1)), None)

    def fresh(self, known: Known) -> Known:
        """Return what is known of a run now; what was known last, if it has been forgotten."""
        if time.monotonic() - known.at < FRESH_SECONDS:
            return known
        return self.by_id(known.run.id) or known


def literally(text: str) -> str:
    """Return the glob that nothing matches but this text."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in text)
