"""Questions as parameters: what is written is read as it was, and what is none is refused with its field."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from schemas import StateType
from streamer.questions import FlowQuery, Order, RunQuery
from streamer.web import parameters
from streamer.web.problems import Refusal

texts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=3)
moments = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]))


@st.composite
def queries(draw: st.DrawFn) -> RunQuery:
    return RunQuery(
        ids=draw(st.lists(st.uuids(), max_size=2)),
        names=draw(texts),
        tags=draw(texts),
        states=draw(st.lists(st.sampled_from(StateType), max_size=2)),
        subflows=draw(st.none() | st.booleans()),
        deleted=draw(st.none() | st.booleans()),
        since=draw(st.none() | moments),
        order=draw(st.sampled_from(Order)),
        oldest_first=draw(st.booleans()),
        limit=draw(st.integers(1, 1_000)),
    )


def read(query: str) -> RunQuery:
    return parameters.read(RunQuery, QueryParams(query), {})


@given(queries())
def test_what_is_written_is_read_as_it_was(query: RunQuery) -> None:
    assert read(str(QueryParams(parameters.written(query)))) == query


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("names=a&names=b", ("a", "b")),
        ("names=a,b", ("a", "b")),
        ("names=a,b&names=c", ("a", "b", "c")),
        ('names="a,b",c', ("a,b", "c")),
        ('names="a ""b"""', ('a "b"',)),
        ('names=a"b', ('a"b',)),
        ("names=", ("",)),
        ("names=,a", ("", "a")),
        ("names=a%0Ab", None),
        ('names="a', None),
    ],
)
def test_a_list_is_repeated_or_separated_as_in_csv(query: str, names: tuple[str, ...] | None) -> None:
    if names is None:
        with pytest.raises(Refusal, match="names: it is no list"):
            read(query)
    else:
        assert read(query).names == names


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False), ("any", None)])
def test_yes_or_no_may_be_left_open(text: str, value: bool | None) -> None:
    assert (read(f"deleted={text}").deleted, read(f"subflows={text}").subflows) == (value, value)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=1&limit=2", "limit"),
        ("limit=many", "limit"),
        ("since=2026-11-21T12:00:00", "since"),
        ("states=DONE", "states"),
        ("ids=1", "ids"),
        ("oldest_first=any", "oldest_first"),
        ("order=any", "order"),
        ("stats=FAILED", "stats"),
        ("names=" + "x" * 1_001, "names"),
    ],
)
def test_what_is_no_question_is_refused_with_its_field(query: str, field: str) -> None:
    with pytest.raises(Refusal, match=f"^{field}: ") as caught:
        read(query)
    assert (caught.value.status, caught.value.field) == (400, field)


@pytest.mark.parametrize("query", ["after=x", "after=any", "after=ü"])
def test_what_is_no_cursor_is_refused(query: str) -> None:
    with pytest.raises(Refusal, match="it is no cursor"):
        read(query)


def test_what_is_refused_is_not_repeated() -> None:
    with pytest.raises(Refusal) as caught:
        read("limit=hunter2-unlikely")
    assert "hunter2" not in caught.value.detail


def test_the_path_is_stronger_than_the_query() -> None:
    ident = UUID(int=1)
    asked: Any = parameters.read(FlowQuery, QueryParams("names=a"), {"names": ("b",)})
    assert asked.names == ("b",)
    assert parameters.read(RunQuery, QueryParams("ids=x"), {"ids": (ident,)}).ids == (ident,)


def test_a_time_is_read_in_its_own_zone() -> None:
    assert read("since=2026-11-21T12:00:00%2B02:00").since == datetime(2026, 11, 21, 10, tzinfo=UTC)
