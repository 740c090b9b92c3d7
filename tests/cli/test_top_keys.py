"""Which keys are in what a terminal sends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.cli.top_keys import BACKSPACE, CLEAR, ENTER, ESCAPE, Keys


def pressed(*sent: bytes) -> list[str]:
    keys = Keys()
    return [key for each in sent for key in keys.within(each)] + list(keys.settled())


def test_characters_and_some_keys_have_names() -> None:
    assert pressed("qé世 ".encode()) == ["q", "é", "世", " "]
    assert pressed(b"\r\n\x7f\b\x15") == [ENTER, ENTER, BACKSPACE, BACKSPACE, CLEAR]


@pytest.mark.parametrize("sequence", [b"\x1b[A", b"\x1bOP", b"\x1b[1;5C", b"\x1b[15~", b"\x1b[<0;10;10M"])
def test_keys_that_send_a_sequence_are_passed_over_wherever_it_is_cut(sequence: bytes) -> None:
    for cut in range(len(sequence) + 1):
        assert pressed(b"a" + sequence[:cut], sequence[cut:] + b"b") == ["a", "b"]


def test_escape_is_known_once_nothing_follows_it() -> None:
    keys = Keys()
    assert list(keys.within(b"\x1b")) == []
    assert (keys.is_waiting, list(keys.settled()), keys.is_waiting) == (True, [ESCAPE], False)
    assert pressed(b"\x1bq") == [ESCAPE, "q"]
    assert pressed(b"\x1b[") == []


@given(st.lists(st.binary(max_size=6), max_size=6))
def test_whatever_is_sent_and_however_it_is_cut_the_keys_are_the_same(sent: list[bytes]) -> None:
    assert pressed(*sent) == pressed(b"".join(sent))
