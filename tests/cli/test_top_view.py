"""What keys do to how it is looked at, and what is shown then."""

from dataclasses import replace

import pytest

from schemas import StateType
from streamer.cli.top_keys import BACKSPACE, CLEAR, ENTER, ESCAPE
from streamer.cli.top_told import Told
from streamer.cli.top_view import Order, View
from tests.cli.lives import a_live, a_row, a_run, named

RUNS = (
    a_run("zulu", flow="beta", held="zombie", age=30),
    a_run("late", flow="gamma", held="overdue", age=20, type=StateType.SCHEDULED, state="Late"),
    a_run("mike", flow="beta", age=10, deployment=named("nightly"), tags=("team:data", "prod")),
    a_run("alpha", flow="alpha", age=500),
    a_run("kilo", flow="alpha", since=None, type=StateType.PENDING, state="Pending"),
)


def after(*keys: str, view: View = View()) -> View:  # noqa: B008 - it is frozen
    for key in keys:
        view = view.pressed(key)
    return view


TOLD = Told(a_live(*RUNS))


def names(view: View, told: Told = TOLD) -> list[str | None]:
    return [run.name for run in view.runs(told)]


def test_a_filter_is_typed_and_kept_or_cleared() -> None:
    typing = after("f", "e", "t", "x", BACKSPACE, "l", " ", "q")
    assert (typing.text, typing.is_typing, typing.is_leaving) == ("etl q", True, False)
    kept = after(ENTER, view=typing)
    assert (kept.text, kept.is_typing) == ("etl q", False)
    assert after(ESCAPE, view=kept).text == ""
    assert after(ESCAPE, view=typing) == View()
    assert after(CLEAR, "z", ENTER, view=typing) == View(text="z")
    assert after("/").is_typing


@pytest.mark.parametrize("key", ["z", "p", " ", "?"])
def test_what_a_key_switches_on_it_switches_off(key: str) -> None:
    assert after(key) != View()
    assert after(key, key) == View()


def test_keys_without_a_meaning_change_nothing() -> None:
    assert after("x", "\x01", ENTER, BACKSPACE, CLEAR) == View()
    assert after("f", "\x01", "\x1b").text == ""


def test_help_goes_away_with_the_next_key_that_means_something() -> None:
    assert after("?", "s") == View(order=Order.AGE)
    assert after("?", "q").is_leaving


def test_runs_are_sorted_in_turn_and_those_with_a_verdict_come_first() -> None:
    assert names(View()) == ["zulu", "late", "mike", "alpha", "kilo"]
    assert names(after("s")) == ["zulu", "late", "alpha", "mike", "kilo"]
    assert names(after("s", "s")) == ["zulu", "late", "alpha", "kilo", "mike"]
    assert names(after("s", "s", "s")) == ["zulu", "late", "alpha", "kilo", "mike"]
    assert after("s", "s", "s", "s") == View()


def test_only_what_is_amiss_may_be_shown() -> None:
    assert names(after("z")) == ["zulu", "late"]
    recovered = replace(RUNS[0].verdict, status="recovered") if RUNS[0].verdict else None
    assert names(after("z"), Told(a_live(replace(RUNS[0], verdict=recovered)))) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("MIKE", ["mike"]),
        ("beta", ["zulu", "mike"]),
        ("nightly", ["mike"]),
        ("prod", ["mike"]),
        ("team: beta", ["mike"]),
        ("pending", ["kilo"]),
        ("zombie", ["zulu"]),
        (str(RUNS[3].id)[:13], ["alpha"]),
        ("beta gamma", []),
        ("[.*", []),
        ("  ", ["zulu", "late", "mike", "alpha", "kilo"]),
    ],
)
def test_each_word_of_a_filter_has_to_be_found(text: str, found: list[str]) -> None:
    assert names(View(text=text)) == found


def test_a_filter_looks_through_more_runs_than_are_shown_without_it() -> None:
    more = (a_run("november", flow="beta"), a_run("zombie-too", held="zombie"), RUNS[0])
    told = Told(a_live(*RUNS, total=5_000), more=more)
    assert names(View(text="beta"), told) == ["zulu", "mike", "november"]
    assert names(after("z"), told) == ["zulu", "zombie-too", "late"]
    assert names(View(), told) == names(View())


def test_transitions_are_filtered_and_the_newest_is_first() -> None:
    rows = [a_row(1, "one"), a_row(2, "two", state="Failed", message="out of memory"), a_row(3, "three")]
    live = a_live(rows=rows)
    assert [row.seq for row in View().rows(live)] == [3, 2, 1]
    assert [row.seq for row in View(text="memory failed").rows(live)] == [2]
