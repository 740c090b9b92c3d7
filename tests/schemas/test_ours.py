"""Verdicts: decoded like any event, and made here."""

from datetime import UTC, datetime

import pytest

from schemas import InvalidEvent, Reason, Verdict, decode
from schemas.ours import VerdictStatus
from tests.frames import RUN, deployed, edited, frame, verdict, without


@pytest.mark.parametrize("status", VerdictStatus)
def test_each_status_is_a_verdict(status: VerdictStatus) -> None:
    found = decode(frame(verdict(status)))
    assert isinstance(found, Verdict)
    assert (found.ruling.status, found.run) == (status, RUN)


def test_a_verdict_tells_since_when() -> None:
    found = decode(frame(verdict()))
    assert isinstance(found, Verdict)
    assert found.since == datetime(2026, 11, 21, 2, 4, 17, 10932, tzinfo=UTC)


def test_a_verdict_needs_no_more_than_status_reason_and_since() -> None:
    least = {"status": "overdue", "reason": "not_started", "since": "2026-11-21T02:04:17Z"}
    found = decode(frame(verdict("overdue", payload={"verdict": least})))
    assert isinstance(found, Verdict)
    assert (found.ruling.last_heartbeat, found.ruling.interval, found.ruling.state) == (None, None, None)


@pytest.mark.parametrize("key", ["status", "reason", "since"])
def test_a_verdict_that_lacks_a_part_is_refused(key: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        decode(frame(without(verdict(), "payload", "verdict", key)))
    assert (caught.value.reason, caught.value.detail) == (Reason.SCHEMA, f"payload.verdict.{key}: Field required")


@pytest.mark.parametrize(
    ("key", "value"), [("status", "dead"), ("since", "2026-11-21T02:04:17"), ("interval", "30"), ("state", "RUNNING")]
)
def test_a_verdict_with_a_wrong_part_is_refused(key: str, value: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        decode(frame(edited(verdict(), "payload", "verdict", key, to=value)))
    assert (caught.value.reason, caught.value.detail.partition(":")[0]) == (Reason.SCHEMA, f"payload.verdict.{key}")


def test_a_decoded_verdict_goes_round_through_raw() -> None:
    found = decode(frame(verdict(related=deployed("prod"))))
    assert decode(found.raw) == found


def test_a_verdict_made_here_goes_round_through_raw() -> None:
    original = decode(frame(verdict(related=deployed("prod"))))
    made = Verdict.model_validate(original.model_dump(by_alias=True), strict=False)
    assert decode(made.raw) == made == original
