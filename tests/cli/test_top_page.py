"""The page as lines: it fits any size, says what is wrong first, and nothing in a name commands the terminal."""

import re
from dataclasses import replace
from datetime import timedelta
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from schemas import StateType
from streamer.cli.top_page import HELP, Page, script_of, shares
from streamer.cli.top_script import Script
from streamer.cli.top_told import Told
from streamer.cli.top_view import Order, View
from streamer.web.live import LiveView
from streamer.web.standing import Level, Point
from tests.cli.lives import NOW, WELL, a_live, a_row, a_run, a_sink, an_alert, before

EVIL = "\x1b]0;title\x07\x1b[2J\x9b2Jna\rme\u202e\n[bold red]x[/] 世界 🚀"
STYLE = re.compile(r"\x1b\[[0-9;]*m")

WRONG = replace(
    WELL,
    level=Level.WRONG,
    sentence="Not all is well: sink jsonl takes nothing: no space left, and 1 more.",
    points=(Point(Level.WRONG, "sink jsonl takes nothing: no space left"), Point(Level.ATTENTION, "1 run is a zombie")),
)
BEATS = [before(seconds) for seconds in (130, 100, 70, 40)]
BUSY = a_live(
    a_run("dead", held="zombie", beats=BEATS, interval=30.0),
    *(a_run(f"run-{number}", tags=("prod",)) for number in range(29)),
    rows=[a_row(seq, f"row-{seq}", state="Failed", type=StateType.FAILED, message="boom") for seq in range(50)],
    sinks=[a_sink("jsonl", state="down", behind=12_345, trouble="no space left", dead_letters=3), a_sink("other")],
    alerts=[an_alert("failures"), an_alert("hushed", silenced_until=NOW)],
    standing=WRONG,
    total=812,
)

USUAL = View()


def page(
    live: LiveView = BUSY,
    view: View = USUAL,
    *,
    width: int = 80,
    height: int = 24,
    trouble: str = "",
    **how: object,
) -> list[str]:
    console = Console(file=StringIO(), width=width, height=height, force_terminal=True, color_system="256")
    script = Script(**how)  # type: ignore[arg-type]
    return Page(console, Told(live, trouble=trouble), view, NOW, script).lines()


def text(*args: object, **how: object) -> str:
    return "\n".join(STYLE.sub("", line) for line in page(*args, **how))  # type: ignore[arg-type]


def test_a_small_terminal_shows_what_is_wrong_and_something_of_everything() -> None:
    shown = text()
    assert shown.startswith(
        "Not all is well: sink jsonl takes nothing: no space left, and 1 more.\n1 run is a zombie\n"
    )
    assert "812 runs ████████████████ 812 running 1 zombie" in shown
    for words in ("RUNS 6 of 812", "etl / dead", "zombie for 2m", "ALERTS", "critical: failures", "12,345", "NEWEST"):
        assert words in shown, words
    assert shown.index("row-49") < shown.index("row-48")
    assert shown.endswith("? help")


@given(st.integers(1, 250), st.integers(1, 70), st.booleans(), st.booleans())
def test_it_fits_any_size(width: int, height: int, is_ascii: bool, is_helping: bool) -> None:
    lines = page(width=width, height=height, view=View(is_helping=is_helping), is_ascii=is_ascii)
    assert len(lines) == height
    assert max(cell_len(STYLE.sub("", line)) for line in lines) <= width


@pytest.mark.parametrize("live", [a_live(), BUSY], ids=["nothing", "busy"])
def test_a_snapshot_has_all_that_is_told(live: LiveView) -> None:
    console = Console(file=(out := StringIO()), width=200)
    for part in Page(console, Told(live), View(), NOW, Script()).snapshot(20):
        console.print(part)
    assert out.getvalue().count("etl / run-") == max(0, len(live.runs.items) - 1)
    assert out.getvalue().count("etl / row-") == min(20, len(live.rows))


def test_where_there_is_nothing_it_says_so() -> None:
    shown = text(a_live())
    assert "All is well: connected.\nlive · lag 0.2s · complete up to 4s ago\n0 runs" in shown
    assert "no run is under way" in shown
    assert "nothing yet" in shown
    assert "SINKS" not in shown
    assert "ALERTS" not in shown
    assert "none is such" in text(view=View(text="nowhere"))


def test_it_says_how_it_is_looked_at() -> None:
    shown = text(view=View(text="run", order=Order.AGE, only_judged=True, is_paused=True), width=200)
    assert "RUNS, only zombies, suspects, overdue, among 30 of 812, by age" in shown
    assert shown.startswith("PAUSED. Not all is well")
    assert "filter: run (Esc clears it)" in shown
    assert "filter: run_   (Enter keeps it" in text(view=View(text="run", is_typing=True))
    assert HELP in re.sub(" +\n", "\n", text(view=View(is_helping=True)))


def test_trouble_with_the_service_is_said_before_anything_else() -> None:
    shown = page(a_live(), trouble="the service at http://x does not answer")
    assert shown[0].startswith("\x1b[1;31mNothing new is heard: the service at http://x does not answer. What")


@pytest.mark.parametrize("is_ascii", [True, False])
def test_free_text_cannot_command_the_terminal(is_ascii: bool) -> None:
    run = a_run(EVIL, flow=EVIL, tags=(EVIL,), state=EVIL)
    held = a_run(EVIL, held="zombie")
    live = a_live(
        run,
        replace(held, verdict=held.verdict and replace(held.verdict, reason=EVIL)),
        rows=[a_row(1, EVIL, message=EVIL, state=EVIL), a_row(2, kind="verdict", state=EVIL, message=EVIL)],
        sinks=[a_sink(EVIL, state=EVIL, trouble=EVIL)],
        alerts=[an_alert(EVIL, name=EVIL, reason=EVIL, severity=EVIL)],
        standing=replace(WRONG, sentence=EVIL, points=(Point(Level.WRONG, EVIL),) * 2),
    )
    for view in (View(), View(text=EVIL, is_typing=True)):
        shown = "".join(STYLE.sub("", line) for line in page(live, view, width=300, is_ascii=is_ascii, trouble=EVIL))
        assert shown.isprintable()
        assert shown.isascii() or not is_ascii
        assert "[bold red]x[/]" in shown


def test_what_a_terminal_can_show_is_found_out() -> None:
    def file(encoding: str) -> TextIOWrapper:
        return TextIOWrapper(BytesIO(), encoding=encoding)

    assert script_of(Console(file=file("utf-8"), color_system="256", force_terminal=True)) == Script()
    assert script_of(Console(file=file("ascii"), color_system="256", force_terminal=True)).is_ascii
    assert script_of(Console(file=file("utf-8")), "C").is_ascii
    assert not script_of(Console(file=file("utf-8")), "C.UTF-8").is_ascii
    assert not script_of(Console(file=file("utf-8"), color_system="256", no_color=True)).has_colours
    assert not script_of(Console(file=file("utf-8"))).has_colours


def test_a_bar_shows_shares_and_leaves_out_nothing_that_is_there() -> None:
    by_state = {"RUNNING": 1, "SCHEDULED": 9_000, "PENDING": 1}
    assert Script(has_colours=False).bar(by_state, 10).plain == "RPSSSSSSSS"
    assert Script().bar(by_state, 10).plain == "█" * 10
    assert Script().bar({}, 10).plain == ""


def test_beats_show_how_long_it_was_from_one_to_the_next_and_how_long_there_is_none() -> None:
    script, beats = Script(), [before(seconds) for seconds in (95, 65, 35, 5)]
    assert script.beats(beats, 30.0, NOW, 10).plain == "▃▃▃▁"
    assert script.beats(beats, 30.0, NOW, 2).plain == "▃▁"
    assert script.beats(beats, None, NOW + timedelta(minutes=5), 10).plain == "▃▃▃█"
    assert Script(is_ascii=True).beats(beats, 30.0, NOW, 10).plain == "---_"
    assert script.beats([], None, NOW, 10).plain == ""
    assert script.beats(beats[:1], None, before(200), 10).plain == "▁"


@given(st.lists(st.integers(0, 40), max_size=5), st.integers(-3, 60))
def test_room_is_shared_out_fairly(wanted: list[int], room: int) -> None:
    given_out = shares(wanted, room)
    assert sum(given_out) <= max(room, 0)
    assert all(got <= lines for got, lines in zip(given_out, wanted, strict=True))
    if room >= sum(wanted) + 2:
        assert given_out == wanted
    elif room >= 2 * len(wanted):
        assert sum(given_out) == min(room, sum(wanted))
