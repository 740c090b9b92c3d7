"""The store's SQL in PostgreSQL's words; what is a matter of functions, the schema defines."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

_WORDS = (
    (re.compile(r"%"), "%%"),
    (re.compile(r" INDEXED BY \w+"), ""),  # what SQLite is told, PostgreSQL's statistics tell
    (re.compile(r"\bCROSS JOIN (\w+) ON\b"), r"JOIN \1 ON"),  # SQLite's way to say in which order
    (re.compile(r"\bLIKE\b"), "ILIKE"),  # SQLite's takes no notice of case
    (re.compile(r"\?(\d+)"), r"%(n\1)s"),
    (re.compile(r"\?"), "%s"),
    (re.compile(r":(\w+)"), r"%(\1)s"),
)


@lru_cache(maxsize=4096)
def statement(query: str) -> str:
    """Return a statement as PostgreSQL and its driver read it."""
    for pattern, words in _WORDS:
        query = pattern.sub(words, query)
    return query


def parameters(query: str, given: Sequence[Any] | Mapping[str, Any]) -> Sequence[Any] | Mapping[str, Any]:
    """Return the parameters as `statement` asks for them: those with numbers by name."""
    if isinstance(given, Mapping) or "?1" not in query:
        return given
    return {f"n{number}": value for number, value in enumerate(given, 1)}
