"""The ways to the runs that a question asks for, each along an index.

SQLite does not know how many runs a tag or a flow has, so they are counted, up to `FEW`, and the way with the fewest is
taken, if it has not more. Else one that keeps the order asked for is walked until a page is full: of several, that on
which a `SAMPLE` of runs leads farthest back. If there is none, the runs are gone through in order.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import inf

from schemas import StateType
from streamer.questions import Order, RunQuery
from streamer.store.engine import Connection
from streamer.store.run_terms import KEYS, Bound, bounds, is_glob, these

FEW = 5_000
SAMPLE = 500
SIDE_BY_SIDE = 50
"""The runs of several flows are walked side by side, each flow's in order, if the flows are not more than these."""

_ENDED = tuple(state for state in StateType if state.is_terminal)
_LAST_CHARACTER = 0x10FFFF


@dataclass(frozen=True, slots=True)
class Way:
    """`table` and `where` are along an index alone; where a column of the run is needed, `join` is too.

    If it keeps an order, `by`, it does so in each of the branches, by a key. One that `repeats` may lead to a run
    twice; one that is `short` is worth all its length.
    """

    table: str
    where: str
    by: Order | None = None
    key: str = ""
    run: str = "runs.id"
    branches: Sequence[str] = ()
    join: str = ""
    repeats: bool = False
    short: bool = False


def page(connection: Connection, query: RunQuery, terms: Sequence[str], ways: Sequence[Way], bound: Bound) -> str:
    """Return a query for `at` and `id` of the runs that are asked for, in order."""
    way = _best(connection, query, ways, bound) or _all(query.order)
    if way.by is query.order:
        return _walk(query, way, terms, bound)
    within = " AND ".join([*terms, *bounds(query, KEYS[query.order], "runs.id", bound)])
    distinct = "DISTINCT" if way.repeats else ""
    return (
        f"SELECT {distinct} {KEYS[query.order]} AS at, runs.id AS id FROM {way.table} {way.join}"
        f" WHERE {way.where} AND {within} {_in_order(query)}"
    )


def matching(connection: Connection, terms: Sequence[str], ways: Sequence[Way], bound: Bound) -> str:
    """Return what selects from all runs that are asked for, each once: a FROM and a WHERE."""
    counted = [each for each in _counted(connection, ways, bound) if each[0] < FEW or not each[-1].repeats]
    way = min(counted)[-1] if counted else Way("runs", "true")
    within = " AND ".join(terms)
    if way.repeats:
        return f"FROM runs WHERE runs.id IN (SELECT {way.run} FROM {way.table} WHERE {way.where}) AND {within}"
    return f"FROM {way.table} {way.join} WHERE {way.where} AND {within}"


def _best(connection: Connection, query: RunQuery, ways: Sequence[Way], bound: Bound) -> Way | None:
    """Return the way along which the fewest runs are looked at, as far as can be told by a look at its beginning."""
    in_order = [way for way in ways if way.by is query.order]
    if len(ways) == len(in_order) == 1:
        return ways[0]
    if few := [each for each in _counted(connection, ways, bound) if each[0] < FEW]:
        return min(few)[-1]
    if short := [way for way in ways if way.short]:
        return short[0]
    return max(in_order, key=lambda way: _reach(connection, query, way, bound), default=None)


def _counted(connection: Connection, ways: Sequence[Way], bound: Bound) -> Iterator[tuple[int, int, Way]]:
    """Yield ways with how many runs are on them, as far as they are few, and where they stand."""
    for place, way in enumerate(ways):
        query = f"SELECT count(*) FROM (SELECT 1 FROM {way.table} WHERE {way.where} LIMIT {FEW}) AS found"
        yield connection.execute(query, bound).fetchone()[0], place, way


def _reach(connection: Connection, query: RunQuery, way: Way, bound: Bound) -> float:
    """Return how far some steps along this way lead: the farther, the fewer runs are on it."""
    steps = f"{_walk(query, replace(way, join=''), ['true'], bound)} LIMIT 1 OFFSET {SAMPLE}"
    found = connection.execute(steps, bound).fetchone()
    if found is None:
        return inf
    return float(found[0] if query.oldest_first else -found[0])


def _walk(query: RunQuery, way: Way, terms: Sequence[str], bound: Bound) -> str:
    within = " AND ".join([*terms, *bounds(query, way.key, way.run, bound)])
    selects = [
        f"SELECT {way.key} AS at, {way.run} AS id FROM {way.table} {way.join} WHERE {where} AND {within}"
        for where in way.branches
    ]
    return f"{' UNION '.join(selects)} {_in_order(query)}"


def _in_order(query: RunQuery) -> str:
    direction = "ASC" if query.oldest_first else "DESC"
    return f"ORDER BY 1 {direction}, 2 {direction}"


def _all(order: Order) -> Way:
    indexes = {
        Order.CREATED: "runs_seen",
        Order.STARTED: "runs_started",
        Order.ENDED: "runs_gone",
        Order.STATE: "runs_moved",
    }
    return Way(f"runs INDEXED BY {indexes[order]}", "true", by=order, key=KEYS[order], branches=["true"])


def ways(query: RunQuery, ids: Mapping[str, Sequence[str]], bound: Bound) -> Iterator[Way]:
    """Yield the ways that lead to all runs asked for."""
    if query.ids:
        yield Way(f"{these(query, bound)} AS wanted", "true", join="CROSS JOIN runs ON runs.id = wanted.id", short=True)
    if query.verdicts:
        yield Way("runs INDEXED BY runs_judged", "runs.verdict IS NOT NULL", short=True)
    if query.task_runs:
        yield Way("runs INDEXED BY runs_of_task_run", f"runs.task_run IN {bound.several(query.task_runs)}")
    if query.names and (where := _along("runs.name", query.names, bound)):
        yield Way("runs INDEXED BY runs_named", where)
    yield from _of_tags(query, bound)
    if query.deleted is False:
        yield from _of_parties(query, ids, bound)
        yield from _of_states(query, bound)


def _of_tags(query: RunQuery, bound: Bound) -> Iterator[Way]:
    for texts in (*((tag,) for tag in query.tags), query.any_tags):
        if texts and (where := _along("run_tags.tag", texts, bound)):
            is_walked = not any(map(is_glob, texts)) and len(set(texts)) <= SIDE_BY_SIDE
            yield Way(
                "run_tags",
                where,
                by=Order.CREATED if is_walked else None,
                key="run_tags.seen_at",
                run="run_tags.run",
                branches=[f"run_tags.tag = {bound.one(tag)}" for tag in set(texts)] if is_walked else (),
                join="CROSS JOIN runs ON runs.id = run_tags.run",
                repeats=len(texts) > 1 or not is_walked,
            )


def _of_parties(query: RunQuery, ids: Mapping[str, Sequence[str]], bound: Bound) -> Iterator[Way]:
    ended = query.states or (_ENDED if query.order is Order.ENDED else ())
    for column, wanted in ids.items():
        if column == "work_queue":
            continue
        yield _of(f"runs_of_{column}", {column: wanted}, Order.CREATED, bound)
        if column == "flow" and ended and all(state.is_terminal for state in ended):
            yield _of("ends_of_flow", {"flow": wanted, "state_type": ended}, Order.ENDED, bound)


def _of_states(query: RunQuery, bound: Bound) -> Iterator[Way]:
    if query.states:
        are_few = not any(state.is_terminal for state in query.states)
        yield replace(_of("runs_of_state", {"state_type": query.states}, Order.CREATED, bound), short=are_few)


def _of(index: str, keys: Mapping[str, Sequence[str]], by: Order, bound: Bound) -> Way:
    """Return the way along an index; where not too many of its keys are asked for, the order is kept for each."""
    key, there = ("runs.ended_at" if by is Order.ENDED else "runs.seen_at"), "runs.deleted_at IS NULL"
    each = list(product(*(dict.fromkeys(values) for values in keys.values())))
    is_walked = len(each) <= SIDE_BY_SIDE
    branches = [
        " AND ".join(f"runs.{column} = {bound.one(value)}" for column, value in zip(keys, values, strict=True))
        for values in (each if is_walked else ())
    ]
    where = " AND ".join(f"runs.{column} IN {bound.several(values)}" for column, values in keys.items())
    rest = f"{there} AND {key} IS NOT NULL"
    return Way(
        f"runs INDEXED BY {index}",
        f"{where} AND {rest}",
        by=by if is_walked else None,
        key=key,
        branches=[f"{branch} AND {rest}" for branch in branches],
    )


def _along(column: str, texts: Sequence[str], bound: Bound) -> str | None:
    """Return the part of an index in which all are that meet the texts; None if it is no part."""
    if not any(map(is_glob, texts)):
        return f"{column} IN {bound.several(texts)}"
    if len(texts) > 1 or not (start := _before_glob(texts[0])):
        return None
    end = _after_all(start)
    return f"{column} >= {bound.one(start)}" + (f" AND {column} < {bound.one(end)}" if end else "")


def _before_glob(text: str) -> str:
    return text[: min(text.find(sign) for sign in "*?[" if sign in text)]


def _after_all(start: str) -> str | None:
    """Return the least text above all that start so."""
    kept = start.rstrip(chr(_LAST_CHARACTER))
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if 0xD800 <= following <= 0xDFFF else following)
