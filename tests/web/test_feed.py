"""The feed: what it keeps, what it leaves out, and where a viewer goes on."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from schemas import decode
from streamer.clock import SystemClock
from streamer.model import Appended, Net, Record
from streamer.testing import an_event
from streamer.web.feed import ROWS_AT_ONCE, ROWS_KEPT, Feed
from streamer.web.rows import MESSAGE_MOST
from tests import frames

STORE = "a0" * 16


def a_feed(**how: Any) -> Feed:
    return Feed(STORE, SystemClock(), **how)


def records(*events: dict[str, Any], first: int = 1) -> list[Record]:
    return [Record(seq, "default", decode(orjson.dumps(event))) for seq, event in enumerate(events, first)]


def commit(feed: Feed, new: Iterable[Record], net: Net = Net.LIVE) -> None:
    feed.committed("default", net, Appended(records=list(new)))


def told(messages: Iterable[bytes]) -> list[tuple[str | None, str, Any]]:
    """Return the id, the name and the data of server-sent events."""
    found = []
    for each in messages:
        fields = dict(line.split(": ", 1) for line in each.decode().strip().split("\n"))
        found.append((fields.get("id"), fields["event"], orjson.loads(fields["data"])))
    return found


def seqs(messages: Iterable[bytes]) -> list[int]:
    return [row["seq"] for _, event, data in told(messages) if event == "rows" for row in data["rows"]]


def test_what_came_between_two_cuts_is_one_event_whose_id_is_the_last_seq() -> None:
    feed = a_feed()
    commit(feed, records(an_event(), an_event()))
    commit(feed, records(an_event(), first=3))
    assert feed.cut()
    (chunk,) = feed.since(0)[0]
    ident, event, data = told([chunk])[0]
    assert (ident, event, [row["seq"] for row in data["rows"]]) == (f"{STORE}-3", "rows", [1, 2, 3])
    assert not feed.cut()


def test_a_transition_is_told_with_what_filters_and_links_need() -> None:
    feed, event = a_feed(), an_event(run=str(UUID(int=7)), after="FAILED")
    event["payload"]["validated_state"]["message"] = "x" * 1000
    event["related"].append({"prefect.resource.id": "prefect.tag.a:b", "prefect.resource.role": "tag"})
    commit(feed, records(event))
    feed.cut()
    (row,) = feed.rows
    assert (row.kind, row.run, row.name, row.before, row.type, row.state) == (
        "transition",
        UUID(int=7),
        "run-00000000",
        "PENDING",
        "FAILED",
        "Failed",
    )
    assert (row.flow and row.flow.name, row.deployment, row.tags) == ("etl", None, ("a:b",))
    assert row.message == "x" * MESSAGE_MOST


def test_a_verdict_is_told_with_why_and_since_when() -> None:
    feed = a_feed()
    commit(feed, records(frames.verdict("zombie")))
    feed.cut()
    (row,) = feed.rows
    assert (row.kind, row.state, row.message, row.type) == ("verdict", "zombie", "heartbeat_missing", "RUNNING")
    assert row.since == datetime(2026, 11, 21, 2, 4, 17, 10932, tzinfo=UTC)


def test_names_that_an_event_does_not_tell_are_looked_up() -> None:
    event = an_event(related=[{"prefect.resource.id": "prefect.deployment.d1", "prefect.resource.role": "deployment"}])
    feed = a_feed(names=lambda: {"d1": "nightly"})
    commit(feed, records(event))
    feed.cut()
    assert feed.rows[0].deployment is not None
    assert feed.rows[0].deployment.name == "nightly"


def test_history_and_what_is_no_transition_is_left_to_the_log() -> None:
    feed = a_feed(is_history=lambda record: record.seq == 1)
    commit(feed, records(an_event(), frames.pull_step(), an_event()))
    feed.cut()
    assert seqs(feed.since(0)[0]) == [3]


def test_of_too_much_at_once_what_goes_wrong_is_kept_and_how_much_is_left_out_is_told() -> None:
    feed = a_feed()
    commit(feed, records(an_event(after="FAILED")))
    commit(feed, records(*(an_event() for _ in range(500)), first=2))
    feed.cut()
    ((_, _, data),) = told(feed.since(0)[0])
    assert data["left_out"] == 501 - ROWS_AT_ONCE
    assert [row["seq"] for row in data["rows"]] == [1, *range(502 - ROWS_AT_ONCE + 1, 502)]


def test_a_viewer_goes_on_where_it_was_and_has_nothing_twice() -> None:
    feed = a_feed()
    for first in (1, 3, 5):
        commit(feed, records(an_event(), an_event(), first=first))
        feed.cut()
    place = feed.place(f"{STORE}-4")
    assert seqs(feed.since(place)[0]) == [5, 6]
    assert feed.since(6) == ([], 6)


@pytest.mark.parametrize(
    "ident", ["", "nonsense", f"{STORE}-", f"{STORE}-x", f"{STORE}-9", f"{'b1' * 16}-4", f"{STORE}-²"]
)
def test_an_id_of_the_future_of_another_store_or_of_nothing_begins_anew(ident: str) -> None:
    feed = a_feed()
    commit(feed, records(an_event()))
    feed.cut()
    assert feed.place(ident) is None
    assert [event for _, event, _ in told(feed.since(None)[0])] == ["reset", "rows"]


def test_whoever_is_behind_all_that_is_kept_begins_anew() -> None:
    feed = a_feed()
    commit(feed, records(an_event()))
    feed.cut()
    place = feed.place(feed.ident)
    for number in range(2 * ROWS_KEPT // ROWS_AT_ONCE):
        commit(feed, records(*(an_event() for _ in range(ROWS_AT_ONCE)), first=2 + number * ROWS_AT_ONCE))
        feed.cut()
    messages, at = feed.since(place)
    assert told(messages)[0][1] == "reset"
    assert len(seqs(messages)) <= ROWS_KEPT
    assert at == 1 + 2 * ROWS_KEPT // ROWS_AT_ONCE * ROWS_AT_ONCE
    assert feed.place(f"{STORE}-1") is None


def test_after_a_restart_it_has_what_the_log_had_and_viewers_go_on() -> None:
    feed = a_feed()
    feed.begin(records(an_event(), an_event(), first=41), beyond=40, head=43)
    assert feed.place(f"{STORE}-39") is None
    place = feed.place(f"{STORE}-42")
    commit(feed, records(an_event(), first=44))
    feed.cut()
    assert seqs(feed.since(place)[0]) == [44]


def test_it_knows_how_late_the_websocket_is() -> None:
    feed, late = a_feed(), datetime.now(UTC) - timedelta(seconds=5)
    commit(feed, records(an_event(occurred=late - timedelta(hours=1), received=late.isoformat())), Net.SWEEP)
    assert feed.lag is None
    commit(feed, records(an_event(id=str(uuid4()), received=late.isoformat())))
    assert feed.lag == pytest.approx(5, abs=1)
