"""A question about runs in SQL: what a run has to meet, whatever way leads to it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import translate

import orjson

from streamer.questions import Order, RunQuery, meets
from streamer.store.engine import Connection
from streamer.store.many import joined
from streamer.timestamps import to_micros

PARTIES = {"flow": "flows", "deployment": "deployments", "work_pool": "work_pools", "work_queue": "work_queues"}
"""Columns that hold the id of something that has a name, and the fields of the question that ask for it."""

KEYS = {
    Order.CREATED: "runs.seen_at",
    Order.STARTED: "runs.started_at",
    Order.ENDED: "coalesce(runs.deleted_at, runs.ended_at)",
    Order.STATE: "runs.state_at",
}

_SIGNS = {"*": ".*", "?": "."}
_PARTS_OF_GLOB = re.compile(r"\[!?\]?[^\]]*\]|.", re.DOTALL)
_OPENING, _ESCAPED = re.compile(r"(?<!\\)\["), r"\\["
"""A bracket within brackets, which PostgreSQL takes for the start of a class."""


class Bound(dict[str, object]):
    """The parameters of a statement."""

    def one(self, value: object) -> str:
        """Return the place that stands in SQL for a value."""
        self[f"p{len(self)}"] = value
        return f":p{len(self) - 1}"

    def several(self, values: Iterable[object]) -> str:
        """Return what stands in SQL after `IN` for some texts or numbers."""
        return f"(SELECT value FROM json_each({self.one(orjson.dumps(list(values)).decode())}))"


def parties(connection: Connection, query: RunQuery) -> Mapping[str, Sequence[str]]:
    """Return by column the ids of what the question names; each text may be an id itself."""
    asked = {column: getattr(query, plural) for column, plural in PARTIES.items()}
    return {column: named(connection, texts) for column, texts in asked.items() if texts}


def named(connection: Connection, texts: Sequence[str]) -> list[str]:
    """Return the ids of what these texts name; each may be an id itself."""
    bound = Bound()
    found = connection.execute(f"SELECT id FROM names WHERE name IN {bound.several(texts)}", bound)
    ids = {*texts, *(ident for (ident,) in found)}
    if globs := [text for text in texts if is_glob(text)]:
        ids |= {ident for ident, name in connection.execute("SELECT id, name FROM names") if meets(globs, (name,))}
    return sorted(ids)


def terms(query: RunQuery, ids: Mapping[str, Sequence[str]], bound: Bound) -> Iterator[str]:
    """Yield each thing that a run has to meet."""
    yield f"{KEYS[query.order]} IS NOT NULL"
    if query.ids:
        yield f"runs.id IN (SELECT id FROM {these(query, bound)} AS asked)"
    for column, is_there in (("deleted_at", query.deleted), ("task_run", query.subflows)):
        if is_there is not None:
            yield f"runs.{column} IS {'NOT ' if is_there else ''}NULL"
    of = {**ids, "state_type": query.states, "verdict": query.verdicts, "task_run": query.task_runs}
    yield from (f"runs.{column} IN {bound.several(values)}" for column, values in of.items() if values)
    yield from _texts(query, bound)


def _texts(query: RunQuery, bound: Bound) -> Iterator[str]:
    if query.names:
        yield _text("runs.name", query.names, bound)
    if query.state_names:
        yield _text("runs.state_name", query.state_names, bound)
    if query.sources:
        yield f"runs.source IN (SELECT of.id FROM sources AS of WHERE {_text('of.name', query.sources, bound)})"
    for texts in (*((tag,) for tag in query.tags), query.any_tags):
        if texts:
            yield f"EXISTS (SELECT 1 FROM json_each(runs.tags) AS its WHERE {_text('its.value', texts, bound)})"


def these(query: RunQuery, bound: Bound) -> str:
    """Return what stands in SQL for a table of the ids asked for."""
    blob, numbers = joined(set(query.ids))
    ident = f"substr({bound.one(blob)}, 16 * CAST(value AS INTEGER) + 1, 16)"
    return f"(SELECT {ident} AS id FROM json_each({bound.one(numbers)}))"


def bounds(query: RunQuery, key: str, run: str, bound: Bound) -> Iterator[str]:
    """Yield between which times of the order, and beyond which place, a run is on the page."""
    yield from times(query, key, bound)
    if place := query.place:
        beyond, at, ident = ">" if query.oldest_first else "<", bound.one(place.at), bound.one(place.run.bytes)
        yield f"{key} {beyond}= {at}"
        yield f"({key} {beyond} {at} OR {run} {beyond} {ident})"


def times(query: RunQuery, key: str, bound: Bound) -> Iterator[str]:
    """Yield between which times of the order a run is asked for."""
    if query.since:
        yield f"{key} >= {bound.one(to_micros(query.since))}"
    if query.until:
        yield f"{key} < {bound.one(to_micros(query.until))}"


def is_glob(text: str) -> bool:
    """Tell whether a text may match others than itself."""
    return any(sign in text for sign in "*?[")


def regex_of(glob: str) -> str:
    """Return the regular expression for a glob of `fnmatch`, in words that Python and PostgreSQL read alike."""
    return "".join(map(_in_regex, _PARTS_OF_GLOB.findall(glob)))


def _in_regex(part: str) -> str:
    if part in _SIGNS:
        return _SIGNS[part]
    if len(part) == 1:
        return part if part.isalnum() or part.isspace() or not part.isascii() else f"\\{part}"
    bracket = translate(part).removeprefix("(?s:").removesuffix(r")\Z")
    if not bracket.startswith("["):
        return "." if bracket == "." else "$.^"  # of no characters: never
    return f"[{_OPENING.sub(_ESCAPED, bracket[1:-1])}]"


def _text(value: str, texts: Sequence[str], bound: Bound) -> str:
    globs = [text for text in texts if is_glob(text)]
    either = [f"matches({value}, {bound.one(regex_of(glob))})" for glob in globs if "[" in glob]
    either += [f"glob({bound.one(glob)}, {value})" for glob in globs if "[" not in glob]
    return f"({' OR '.join([f'{value} IN {bound.several(texts)}', *either])})"
