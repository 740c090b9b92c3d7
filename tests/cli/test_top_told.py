"""How server-sent events bring up to date what a service has told."""

from datetime import timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from streamer.cli.top_told import LIVE, ROWS_KEPT, Message, Messages, Told
from streamer.web.feed import message
from streamer.web.rows import Row
from tests.cli.lives import NOW, WELL, a_live, a_row, a_run, a_sink, an_alert

TOLD = Told(a_live(a_run(), rows=[a_row(1)]))


def after(event: str, data: object, *, told: Told = TOLD) -> Told:
    (only,) = Messages().within(message(event, data))
    return told.after(only, NOW)


def seqs(told: Told) -> list[int]:
    return [row.seq for row in told.live.rows]


@given(st.lists(st.integers(0, 200), max_size=5))
def test_messages_are_found_however_the_bytes_are_cut(cuts: list[int]) -> None:
    name = "line\u2028separated\x85\r\nand\x0b broken: world"
    sent = b"retry: 2000\n\n:\n\n" + message("rows", [name], ident="s-1") + b":\n\n" + message("runs", name)
    places = sorted({min(cut, len(sent)) for cut in cuts})
    chunks = [sent[start:end] for start, end in zip([0, *places], [*places, len(sent)], strict=True)]
    finder = Messages()
    found = [each for chunk in chunks for each in finder.within(chunk)]
    assert [(each.event, each.id, orjson.loads(each.data)) for each in found] == [
        ("rows", "s-1", [name]),
        ("runs", None, name),
    ]


@pytest.mark.parametrize(
    ("topic", "new"),
    [
        ("standing", WELL),
        ("runs", a_live(a_run("other")).runs),
        ("sinks", [a_sink("s")]),
        ("alerts", [an_alert("r")]),
        ("activity", a_live().activity),
    ],
)
def test_a_topic_takes_the_place_of_what_was_told_before(topic: str, new: object) -> None:
    now = after(topic, new).live
    assert orjson.dumps(getattr(now, topic)) == orjson.dumps(new)
    assert now.rows == TOLD.live.rows


def test_rows_are_added_and_the_oldest_go() -> None:
    added = after("rows", {"rows": [a_row(2), a_row(3)], "left_out": 1})
    assert seqs(added) == [1, 2, 3]
    many: list[Row] = [a_row(seq) for seq in range(4, 4 + ROWS_KEPT)]
    assert seqs(after("rows", {"rows": many}, told=added)) == [row.seq for row in many]


def test_a_reset_begins_anew_and_tells_the_time() -> None:
    told = after("reset", {"now": NOW + timedelta(seconds=90)})
    assert (told.live.rows, told.ahead) == ([], timedelta(seconds=90))
    assert told.live.runs == TOLD.live.runs


def test_what_is_new_in_a_later_version_changes_nothing() -> None:
    assert after("weather", {"sun": True}) == TOLD
    told = orjson.dumps(TOLD.live)
    assert orjson.dumps(LIVE.validate_json(orjson.dumps({**orjson.loads(told), "weather": 1}))) == told


def test_what_is_not_understood_is_an_error() -> None:
    with pytest.raises(ValidationError):
        TOLD.after(Message("runs", b'{"total": "many"}'), NOW)
