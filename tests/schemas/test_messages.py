"""What we say to `/events/out`."""

from datetime import UTC, datetime

import orjson
import pytest

from schemas.messages import EVENT_MESSAGE_START, auth_message, filter_message, flow_run_filter
from tests.frames import CAPTURES, captured

NOW = datetime(2026, 11, 21, 2, 3, 47, 10932, tzinfo=UTC)


@pytest.mark.parametrize("token", ["secret", None])
def test_the_first_message_is_the_token(token: str | None) -> None:
    assert orjson.loads(auth_message(token)) == {"type": "auth", "token": token}


def test_the_second_message_asks_for_flow_run_events_from_now_to_the_far_future_without_backfill() -> None:
    assert orjson.loads(filter_message(NOW)) == {
        "type": "filter",
        "backfill": False,
        "filter": {
            "event": {"prefix": ["prefect.flow-run."]},
            "occurred": {"since": "2026-11-21T02:03:47.010932+00:00", "until": "2027-11-21T02:03:47.010932+00:00"},
        },
    }


def test_a_filter_may_leave_names_out() -> None:
    asked = flow_run_filter({}, exclude_name=["prefect.flow-run.heartbeat"])
    assert asked["event"] == {"prefix": ["prefect.flow-run."], "exclude_name": ["prefect.flow-run.heartbeat"]}


@pytest.mark.parametrize("capture", CAPTURES)
def test_every_captured_message_begins_as_expected(capture: str) -> None:
    assert all(line.startswith(EVENT_MESSAGE_START) for line in captured(capture))
