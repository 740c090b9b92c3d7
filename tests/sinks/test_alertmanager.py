"""The alertmanager sink against an HTTP server that does what a test tells it; tests/services has the real one."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas import Kind, decode
from streamer import config, sinks
from streamer.errors import ConfigError, Reject, Retry
from streamer.model import Record, Sink
from streamer.sinks.alertmanager_options import AlertmanagerOptions
from streamer.surroundings import RunDetails, Surroundings
from streamer.testing import check_sink, until
from tests.frames import deployed, transition
from tests.incidents import an_alert, its_end
from tests.services.deliveries import opened
from tests.sinks.receiver import DROP, SILENCE, Receiver, Reply, Request


def to(*receivers: Receiver, surroundings: Surroundings | None = None, **options: Any) -> Sink:
    urls = [each.url for each in receivers]
    return sinks.build("alertmanager", {"urls": urls, "proxy": "none", **options}, surroundings=surroundings)


def posted(receiver: Receiver) -> list[list[dict[str, Any]]]:
    return [orjson.loads(each.body) for each in receiver.requests if each.line.startswith("POST")]


async def test_it_keeps_the_contract() -> None:
    async with Receiver() as receiver:

        async def read_back() -> Sequence[str]:
            return [alert["annotations"]["id"] for alerts in posted(receiver) for alert in alerts]

        await check_sink(lambda: to(receiver), read_back)


async def test_all_of_a_write_is_one_request() -> None:
    async with Receiver() as receiver, opened(to(receiver)) as sink:
        await sink.write([an_alert(), its_end()])
    assert [each.line for each in receiver.requests] == [
        "GET /hook/api/v2/status HTTP/1.1",
        "POST /hook/api/v2/alerts HTTP/1.1",
    ]
    ((fires, is_over),) = posted(receiver)
    assert fires["labels"] == is_over["labels"]
    assert "endsAt" not in fires
    assert (is_over["startsAt"], is_over["endsAt"]) == (
        "2026-11-21T02:03:47.010932+00:00",
        "2026-11-21T02:15:47.010932+00:00",
    )


@pytest.mark.parametrize(
    ("group", "labels"),
    [
        ("run:e24e6040-3e4a-4f5e-a82f-53660eff5e35", {"flow", "deployment", "work_pool", "work_queue", "owner"}),
        ("deployment:50ae", {"flow", "deployment", "work_pool", "work_queue", "owner"}),
        ("flow:d75a", {"flow", "owner"}),
        ("work-pool:f0d0", {"work_pool"}),
        ("work-queue:8cf4", {"work_pool", "work_queue"}),
        ("all", set()),
    ],
)
async def test_labels_are_those_that_the_group_makes_sure_of(group: str, labels: set[str]) -> None:
    async with Receiver() as receiver, opened(to(receiver)) as sink:
        await sink.write([an_alert(group=group)])
    (((alert),),) = posted(receiver)
    assert alert["labels"].keys() == {"alertname", "severity", "source", "group"} | labels
    assert alert["labels"]["group"] == group


async def test_an_incident_keeps_its_labels_whoever_it_is_about_now() -> None:
    async with Receiver() as receiver, opened(to(receiver)) as sink:
        await sink.write([an_alert()])
        await sink.write([its_end(related=deployed()[:1])])
    (begun,), (ended,) = posted(receiver)
    assert begun["labels"] == ended["labels"]
    assert "endsAt" in ended


async def test_what_fires_is_told_again_as_it_was_told_until_it_is_over() -> None:
    asked: list[Record] = []
    firing = [an_alert()]

    async def details(record: Record, most_lines: int) -> RunDetails:
        asked.append(record)
        return RunDetails(lines=("boom",) * most_lines)

    looks = 0

    def look() -> Sequence[Record]:
        nonlocal looks
        looks += 1
        return tuple(firing)

    surroundings = Surroundings(firing=look, details=details)
    async with Receiver() as receiver, opened(to(receiver, surroundings=surroundings, refresh="0.1s")) as sink:
        await sink.write(firing)
        await until(lambda: len(posted(receiver)) > 3)
        firing.clear()
        await sink.write([its_end()])
        told, looked = len(posted(receiver)), looks
        await until(lambda: looks > looked + 2)
    assert len(posted(receiver)) == told
    assert all(each == posted(receiver)[0] for each in posted(receiver)[:-1])
    assert "endsAt" in posted(receiver)[-1][0]
    assert len(asked) <= 2


async def test_a_repetition_that_fails_is_tried_again() -> None:
    surroundings = Surroundings(firing=lambda: [an_alert()])
    async with Receiver() as receiver:
        receiver.answers(Reply(), Reply(503), Reply(503))
        async with opened(to(receiver, surroundings=surroundings, refresh="0.1s")):
            await until(lambda: len(posted(receiver)) > 3)


async def test_details_are_asked_for_of_ten_alerts_at_most() -> None:
    asked: list[Record] = []

    async def details(record: Record, most_lines: int) -> RunDetails:
        asked.append(record)
        return RunDetails(lines=("boom",))

    many = [an_alert(group=f"flow:{number}") for number in range(40)]
    async with Receiver() as receiver, opened(to(receiver, surroundings=Surroundings(details=details))) as sink:
        await sink.write([*many, its_end()])
    assert asked == many[-10:]
    assert len(posted(receiver)[0]) == 41


async def test_one_of_a_cluster_that_takes_it_is_enough() -> None:
    async with AsyncExitStack() as stack:
        healthy, sick, dead = [await stack.enter_async_context(Receiver()) for _ in range(3)]
        sick.reply = lambda _: Reply(503)
        dead.reply = lambda _: DROP
        async with opened(to(sick, healthy, dead)) as sink:
            await sink.write([an_alert()])
            assert len(posted(healthy)) == len(posted(sick)) == len(posted(dead)) == 1
            healthy.reply = lambda _: Reply(400, body='"bad"')
            with pytest.raises(Retry):
                await sink.write([an_alert()])
            sick.reply = dead.reply = healthy.reply
            with pytest.raises(Reject, match='answered 400: "bad"'):
                await sink.write([an_alert()])


async def test_one_that_says_nothing_is_given_up() -> None:
    async with Receiver() as receiver, opened(to(receiver, timeout=0.2)) as sink:
        receiver.reply = lambda _: SILENCE
        with pytest.raises(Retry, match=r"did not answer within 0\.2 s"):
            await sink.write([an_alert()])


async def test_credentials_go_into_the_header_and_not_into_an_error(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0ken-of-ours\n")

    def tell(request: Request) -> Reply:
        return Reply(401, body=f"no: {request.headers['authorization']}") if "POST" in request.line else Reply()

    async with Receiver() as receiver, opened(to(receiver, token_file=str(tmp_path / "token"))) as sink:
        receiver.reply = tell
        with pytest.raises(Retry, match="the credentials are not accepted") as caught:
            await sink.write([an_alert()])
    assert receiver.requests[-1].headers["authorization"] == "Bearer t0ken-of-ours"
    assert "t0ken" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "urls"),
    [
        ("alertmanager://am:9093", ["http://am:9093"]),
        ("alertmanagers://a:9093,b:9093/prefix/", ["https://a:9093/prefix", "https://b:9093/prefix"]),
        ("alertmanager:", ["http://127.0.0.1:9093"]),
    ],
)
def test_a_spec_names_all_of_a_cluster(spec: str, urls: list[str]) -> None:
    kind, given = sinks.parse(f"{spec}?refresh=30s&logs=0")
    assert kind in ("alertmanager", "alertmanagers")
    options = AlertmanagerOptions.model_validate(given)
    assert (options.bases, options.refresh) == (urls, timedelta(seconds=30))
    assert sinks.name_of(f"{spec}?refresh=30s&logs=0") == spec


def test_credentials_in_a_spec_are_a_login() -> None:
    _, given = sinks.parse("alertmanager://me:p%40ss@a:9093,b:9093")
    assert given == {"urls": ["http://a:9093", "http://b:9093"], "username": "me", "password": "p@ss"}
    options = AlertmanagerOptions.model_validate({"urls": ["http://a", "http://me:secret@b"]})
    assert (options.username, options.bases) == ("me", ["http://a", "http://b"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "give url, or the urls"),
        ({"url": "http://a", "urls": ["http://b"]}, "give url, or the urls"),
        ({"url": "am:9093"}, "starts with https"),
        ({"url": "http://a", "labels": {"my-team": "x"}}, "labels"),
        ({"url": "http://a", "refresh": "0s"}, "refresh"),
        ({"url": "http://a", "token": "t", "username": "u"}, "only one of them"),
    ],
)
def test_wrong_options_are_said(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        sinks.build("alertmanager", options)


@pytest.mark.parametrize("kind", ["alertmanager", "alertmanagers", "notify"])
def test_a_channel_is_given_alerts_unless_it_is_told_otherwise(kind: str) -> None:
    usual, own, all_kinds = (
        config.SinkSettings.model_validate({"type": kind, "match": match}).terms("pager").routing
        for match in ({}, {"tags_any": ["owner:data-team"]}, {"kinds": list(Kind)})
    )
    run = Record(1, "default", decode(orjson.dumps(transition())))
    assert usual.refusal(an_alert()) is None
    assert own.refusal(an_alert()) is None
    assert own.refusal(an_alert(tags=())) == "match.tags_any: none"
    assert usual.refusal(run) == "match.kinds: transition"
    assert all_kinds.refusal(run) is None
    assert config.SinkSettings(type="stdout").terms("out").routing.refusal(run) is None
