"""What people are told: what matters first, plain, and no more than fits a phone."""

from datetime import timedelta, timezone
from uuid import uuid4

import orjson
import pytest

from schemas import Event, decode, notices
from schemas.alert import Concerned
from schemas.flow_run import State, StateType
from streamer.alert_message import digest, headline, last_lines, message, owners, plain, span
from streamer.model import Record
from streamer.surroundings import RunDetails, Surroundings
from tests import frames
from tests.incidents import SINCE, an_alert, its_end

LINK = "http://prefect.example:4200/runs/flow-run/e24e6040-3e4a-4f5e-a82f-53660eff5e35"
DETAILS = RunDetails(timedelta(seconds=192), ("02:03:46 ERROR boom",))

TOLD = f"""\
a run ended in Failed

Flow: sleepy
Deployment: sleepy-nightly
Work pool: local-pool
Run: loose-quetzal, attempt 2, took 3m 12s
State: Failed: ValueError: boom
Since: 2026-11-21 02:03:47 UTC
Rule: failed (critical)
Owner: data-team

{LINK}

Last lines of its log:
02:03:46 ERROR boom"""

OVER = f"""\
It is over: a run ended in Failed

Flow: sleepy
Deployment: sleepy-nightly
Work pool: local-pool
Run: loose-quetzal, attempt 2
State: Failed: ValueError: boom
Lasted: 12m, until 2026-11-21 02:15:47 UTC
Since: 2026-11-21 02:03:47 UTC
Occurrences: 3
Rule: failed (critical)
Owner: data-team

{LINK}"""


def made(event: frames.Json) -> Event:
    return decode(orjson.dumps(event))


def test_a_message_says_all_there_is_what_matters_first() -> None:
    assert message(an_alert(), details=DETAILS, link=LINK) == TOLD


def test_a_message_that_it_is_over_says_how_long_it_lasted_and_shows_no_log() -> None:
    told = message(its_end(occurrences=3), details=RunDetails(lines=DETAILS.lines), link=LINK)
    assert told == OVER


def test_a_headline_tells_how_bad_it_is_who_it_is_and_what_happened() -> None:
    assert headline(an_alert()) == "[critical] sleepy / sleepy-nightly: a run ended in Failed"
    assert headline(an_alert(number=1)).startswith("[critical, still] ")
    assert headline(its_end()).startswith("[resolved] ")


def test_a_headline_is_one_line_of_a_bearable_length() -> None:
    told = headline(an_alert(reason="it\nfailed " * 100))
    assert "\n" not in told
    assert 190 < len(told) <= 200


def test_a_run_that_has_not_ended_is_said_to_be_at_work() -> None:
    state = State(type=StateType.RUNNING, name="Running")
    assert "at work for 3m 12s" in message(an_alert(state=state), details=DETAILS)


def test_a_long_message_of_a_state_is_cut_and_its_colours_are_gone() -> None:
    state = State(type=StateType.FAILED, name="Failed", message="\x1b[31mboom\x1b[0m\n" * 200)
    (told,) = [line for line in message(an_alert(state=state)).splitlines() if line.startswith("State:")]
    assert told.startswith("State: Failed: boom boom")
    assert told.endswith("…")
    assert len(told) <= len("State: Failed: ") + 500


def test_several_runs_are_named_the_newest_ten() -> None:
    runs = tuple(Concerned(id=uuid4(), name=f"run-{number}") for number in range(12))
    assert "Runs: run-2, run-3, run-4, run-5, run-6, run-7, run-8, run-9, run-10, run-11, and 2 before" in message(
        an_alert(runs=runs, occurrences=12)
    )


def test_a_run_without_a_name_has_its_id() -> None:
    runs = (Concerned(id=frames.RUN), Concerned(id=frames.RUN))
    assert f"Runs: {frames.RUN}, {frames.RUN}" in message(an_alert(runs=runs))


def test_times_are_those_of_utc() -> None:
    elsewhere = SINCE.astimezone(timezone(timedelta(hours=5)))
    assert "Since: 2026-11-21 02:03:47 UTC" in message(an_alert(since=elsewhere))


def test_a_digest_names_all_alerts_and_all_their_runs() -> None:
    runs = [tuple(Concerned(id=uuid4(), name=f"run-{alert}-{number}") for number in range(50)) for alert in range(6)]
    records = [an_alert(runs=each) for each in runs] + [its_end()]
    title, body = digest(records, [LINK] * 7)
    assert title == "7 at once: 6 firing, 1 resolved"
    assert all(run.name and run.name in body for each in runs for run in each)
    assert body.count(LINK) == 7


@pytest.mark.parametrize(
    ("event", "title"),
    [
        (
            notices.test("default", "pager", uuid4(), occurred=SINCE),
            "[notice] a test of the sink pager: nothing has happened",
        ),
        (made(frames.transition(related=frames.deployed())), "[transition] sleepy / sleepy-nightly: Pending → Running"),
        (made(frames.transition(None, "SCHEDULED")), "[transition] loose-quetzal: new → Scheduled"),
        (made(frames.verdict()), "[verdict] loose-quetzal: zombie: heartbeat missing"),
        (made(frames.heartbeat()), "[heartbeat] loose-quetzal: prefect.flow-run.heartbeat"),
    ],
)
def test_what_is_no_alert_is_told_too(event: Event, title: str) -> None:
    told = Record(1, "default", event)
    assert headline(told) == title
    assert "2026-11-21 02:03:47 UTC" in message(told)
    assert digest([told], [None])[0].startswith("1 at once: 1 ")


def test_owners_are_told_once_and_in_the_same_order() -> None:
    assert owners(an_alert(tags=("owner:b", "prod", "owner:a", "owner:b")).event) == ("a", "b")


def test_the_last_lines_are_so_many_and_of_a_bearable_length() -> None:
    messages = [f"{number}\r\n\x1b]8;;http://x\x07more\x1b]8;;\x07" for number in range(30)]
    assert last_lines(messages, 3) == ("more", "29", "more")
    assert last_lines(messages, 0) == ()
    assert [len(line) for line in last_lines(["a" * 5000], 20)] == [2000]
    assert last_lines(["a" * 5000, "the end"], 20) == ("the end",)
    assert sum(map(len, last_lines(["b" * 300] * 20, 20))) == 1800


def test_plain_text_keeps_lines_and_tabs() -> None:
    assert plain("a\tb\nc\x00\x07\x1b[1;31md\x1b[0m") == "a\tb\ncd"


def test_what_moves_the_cursor_or_turns_text_around_is_left_out_however_it_is_written() -> None:
    assert plain("a\x9b31mred\x85 \u202etxet\u2069 \N{FAMILY}") == "ared txet \N{FAMILY}"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.25, "0.2s"), (12, "12s"), (192, "3m 12s"), (180, "3m"), (7380, "2h 3m"), (90_000, "1d 1h"), (86_460, "1d")],
)
def test_a_span_has_its_two_largest_units(seconds: float, told: str) -> None:
    assert span(timedelta(seconds=seconds)) == told


def test_a_link_leads_to_the_run_where_there_is_a_page() -> None:
    surroundings = Surroundings(ui={"default": "http://prefect.example:4200"})
    assert surroundings.link(an_alert()) == LINK
    assert surroundings.link(an_alert(source="other")) is None
    assert surroundings.link(Record(1, "default", notices.test("default", "s", uuid4(), occurred=SINCE))) is None
