"""The newest transitions and verdicts, encoded once for everybody who watches.

What has come is cut into a chunk a few times a second. The newest chunks are kept; whoever is behind all of them has
missed some, and begins anew with what there is.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter

import orjson

from streamer.model import Appended, Clock, Net, Record
from streamer.web.rows import Row, is_shown, is_wrong, row

ROWS_KEPT = 300
ROWS_AT_ONCE = 60
"""The most rows of a chunk: nobody reads faster. What goes well is left out first, and how many are is told."""


def message(event: str, data: object, *, ident: str | None = None) -> bytes:
    """Return a server-sent event; its data is JSON on one line."""
    head = f"id: {ident}\n" if ident else ""
    body = orjson.dumps(data, option=orjson.OPT_UTC_Z)
    return b"%bevent: %b\ndata: %b\n\n" % (head.encode(), event.encode(), body)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows that came one after the other: the `seq` of the last, and the event to send."""

    seq: int
    rows: tuple[Row, ...]
    message: bytes


class Feed:
    """An observer that remembers what came last; `store` is what the log's store is called in the ids of events."""

    name = "feed"

    def __init__(
        self,
        store: str,
        clock: Clock,
        *,
        names: Callable[[], Mapping[str, str]] = dict,
        is_history: Callable[[Record], bool] = lambda _: False,
    ) -> None:
        self.lag: float | None = None
        """By how many seconds the newest event came late that the websocket brought."""
        self._store = store
        self._clock = clock
        self._names = names
        self._is_history = is_history
        self._chunks: deque[Chunk] = deque()
        self._floor = self._head = 0
        self._wrong: deque[Record] = deque(maxlen=ROWS_AT_ONCE)
        self._usual: deque[Record] = deque(maxlen=ROWS_AT_ONCE)
        self._came = 0
        self._newest = 0

    def begin(self, records: Iterable[Record], *, beyond: int, head: int) -> None:
        """Begin with what was in the log before: of these records, all there are beyond a `seq`."""
        self._floor, self._head = beyond, head
        self._take(records)
        self.cut()

    def committed(self, _source: str, net: Net, appended: Appended) -> None:
        """Take note of what a commit added."""
        if net is Net.LIVE and appended.records and (received := appended.records[-1].event.received):
            self.lag = max(0.0, (self._clock.now() - received).total_seconds())
        self._take(appended.records)

    def _take(self, records: Iterable[Record]) -> None:
        for record in records:
            if is_shown(record) and not self._is_history(record):
                (self._wrong if is_wrong(record) else self._usual).append(record)
                self._came += 1
                self._newest = record.seq

    def cut(self) -> bool:
        """Make a chunk of what has come since the last; tell whether anything has."""
        if not self._came:
            return False
        room = ROWS_AT_ONCE - len(self._wrong)
        usual = list(self._usual)[-room:] if room else []
        shown, names = sorted([*self._wrong, *usual], key=attrgetter("seq")), self._names()
        self._keep(tuple(row(each, names) for each in shown), left_out=self._came - len(shown))
        self._wrong.clear()
        self._usual.clear()
        self._came = 0
        return True

    def _keep(self, rows: tuple[Row, ...], *, left_out: int) -> None:
        self._head = self._newest
        told = message("rows", {"rows": rows, "left_out": left_out}, ident=self.ident)
        self._chunks.append(Chunk(self._head, rows, told))
        kept = sum(len(each.rows) for each in self._chunks)
        while kept > ROWS_KEPT and len(self._chunks) > 1:
            oldest = self._chunks.popleft()
            self._floor = oldest.seq
            kept -= len(oldest.rows)

    @property
    def ident(self) -> str:
        """Return the id of the newest chunk."""
        return f"{self._store}-{self._head}"

    @property
    def rows(self) -> list[Row]:
        """Return the rows that are kept, oldest first."""
        return [each for chunk in self._chunks for each in chunk.rows]

    def place(self, ident: str) -> int | None:
        """Return the `seq` that an id tells; None if it is of another store, of the future, or what follows is gone."""
        store, _, seq = ident.rpartition("-")
        known = store == self._store and seq.isascii() and seq.isdigit() and len(seq) < 20
        return int(seq) if known and self._floor <= int(seq) <= self._head else None

    def since(self, seq: int | None) -> tuple[list[bytes], int]:
        """Return the events beyond a `seq`, and the place after them; if some of them are gone, a reset comes first."""
        if seq is None or seq < self._floor:
            beginning = message("reset", {"now": self._clock.now()}, ident=f"{self._store}-{self._floor}")
            return [beginning, *(each.message for each in self._chunks)], self._head
        return [each.message for each in self._chunks if each.seq > seq], self._head
