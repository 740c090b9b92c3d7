"""Pure: a table that has each thing on one line, whatever the width."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress

from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Column:
    """A column of so many cells, or with a `share` of what the others leave; an `extra` one only if there is room."""

    heading: str
    width: int | None = None
    share: int | None = None
    is_extra: bool = False


def table(columns: Sequence[Column], rows: Iterable[Sequence[Text]], *, is_wide: bool) -> Table:
    """Return rows below headings; each row has a text for every column."""
    is_shown = [is_wide or not column.is_extra for column in columns]
    shown = Table(box=None, expand=True, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold reverse")
    for column in compress(columns, is_shown):
        shown.add_column(Text(column.heading), width=column.width, ratio=column.share, no_wrap=True)
    for row in rows:
        shown.add_row(*compress(row, is_shown))
    return shown
