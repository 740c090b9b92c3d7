"""Where to start is written as people would write it; what cannot be meant is refused with the forms there are."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter

from streamer.errors import ConfigError
from streamer.model import OLDEST
from streamer.starts import Start, read_since

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("head", None),
        ("oldest", OLDEST),
        ("2h", NOW - timedelta(hours=2)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-11-21T02:00:00Z", NOW - timedelta(hours=10)),
        ("2026-11-21T04:00:00.5+02:00", NOW - timedelta(hours=10) + timedelta(seconds=0.5)),
    ],
)
def test_a_start_is_a_place_a_while_ago_or_a_time(text: str, since: datetime | None) -> None:
    assert read_since(text, now=NOW) == since


@pytest.mark.parametrize(
    "text", ["", "now", "2", "-2h", "99999w", "2026-11-21", "2026-11-21T02:00:00", "2026-02-30T00:00:00Z", "12:00"]
)
def test_what_is_no_start_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no place in the log") as refusal:
        read_since(text, now=NOW)
    assert "write head, oldest, a duration such as 2h" in (refusal.value.hint or "")


@pytest.mark.parametrize("value", [True, 5, None, ["head"], datetime(2026, 1, 1)])  # noqa: DTZ001 - that is the point
def test_of_toml_only_text_and_times_with_an_offset_are_starts(value: object) -> None:
    with pytest.raises(ValueError, match="no place in the log"):
        TypeAdapter(Start).validate_python(value)
    assert TypeAdapter(Start).validate_python(NOW) == NOW
