"""How things look at a prompt: a line of text, or a small table of HTML with everything escaped."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from html import escape


def table(title: str, rows: Mapping[str, object]) -> str:
    """Return a table of HTML with a row for each name and value; what is None is left out."""
    cells = (
        f"<tr><th>{_html(name)}</th><td>{_html(value)}</td></tr>" for name, value in rows.items() if value is not None
    )
    return f"<table><caption>{_html(title)}</caption>{''.join(cells)}</table>"


def public(names: Iterable[str]) -> list[str]:
    """Return the names that are worth completing."""
    return sorted(name for name in names if not name.startswith("_"))


def in_words(value: object) -> str:
    """Return a value as a person would read it."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.1f} s"
    if isinstance(value, frozenset):
        return ", ".join(sorted(map(str, value)))
    return str(value)


def _html(value: object) -> str:
    return escape(in_words(value))
