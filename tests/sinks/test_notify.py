"""Messages by apprise, to HTTP servers that stand for the services."""

import asyncio
import io
import logging
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
from pydantic import ValidationError

from schemas import decode, notices
from schemas.alert import Concerned
from streamer import sinks
from streamer.errors import ConfigError, Reject, Retry
from streamer.model import Record, Sink
from streamer.sinks.apprise_service import Service
from streamer.sinks.notify import NotifySink
from streamer.sinks.notify_options import NotifyOptions
from streamer.surroundings import RunDetails, Surroundings
from streamer.testing import check_sink, until
from tests.frames import transition
from tests.incidents import SINCE, an_alert, its_end
from tests.services.deliveries import opened
from tests.sinks.receiver import DROP, Receiver, Reply

SECRET = "TIiajkdnlazkcOXrIdevi7FQ"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Return what the service's own log has, which shows warnings of the libraries too."""
    handler = logging.StreamHandler(text := io.StringIO())
    logging.getLogger().addHandler(handler)
    yield text
    logging.getLogger().removeHandler(handler)


def at(receiver: Receiver, schema: str = "json") -> str:
    return receiver.url.replace("http", schema, 1)


def to(url: str | None, *, surroundings: Surroundings | None = None, **options: Any) -> Sink:
    given = {"url": url, **options} if url else options
    return sinks.build("notify", given, surroundings=surroundings)


def said(receiver: Receiver) -> list[dict[str, str]]:
    return [orjson.loads(each.body) for each in receiver.requests]


def many(number: int, **said: Any) -> list[Record]:
    return [an_alert(group=f"flow:{each}", seq=each + 1, **said) for each in range(number)]


async def test_it_keeps_the_contract() -> None:
    async with Receiver() as receiver:

        async def read_back() -> Sequence[str]:
            return [found for each in said(receiver) for found in re.findall("Event: (.*)", each["message"])]

        await check_sink(lambda: to(at(receiver)), read_back)


async def test_an_alert_is_a_message_that_people_understand() -> None:
    async def details(record: Record, most_lines: int) -> RunDetails:
        return RunDetails(timedelta(seconds=192), ("02:03:46 ERROR boom <b>",) * most_lines)

    surroundings = Surroundings(ui={"default": "http://prefect.example"}, details=details)
    async with Receiver() as receiver, opened(to(at(receiver), surroundings=surroundings, logs=2)) as sink:
        await sink.write([an_alert()])
        await sink.write([its_end()])
    firing, over = said(receiver)
    assert (firing["title"], firing["type"]) == ("[critical] sleepy / sleepy-nightly: a run ended in Failed", "failure")
    assert "attempt 2, took 3m 12s" in firing["message"]
    assert f"http://prefect.example/runs/flow-run/{an_alert().event.run_id}\n" in firing["message"]
    assert firing["message"].endswith("Last lines of its log:\n02:03:46 ERROR boom <b>\n02:03:46 ERROR boom <b>")
    assert (over["title"].split()[0], over["type"]) == ("[resolved]", "success")
    assert "Lasted: 12m" in over["message"]


async def test_it_goes_out_as_a_service_of_people_wants_it() -> None:
    async with Receiver() as receiver, opened(to(at(receiver, "mmost") + "/3ccdd113474722377935511fc85d3dd4")) as sink:
        await sink.write([an_alert()])
    (told,) = said(receiver)
    assert receiver.requests[0].line == "POST /hook/hooks/3ccdd113474722377935511fc85d3dd4 HTTP/1.1"
    assert told["text"].splitlines()[0].endswith("[critical] sleepy / sleepy-nightly: a run ended in Failed")
    assert "Rule: failed (critical)" in told["text"]


async def test_many_at_once_are_one_message_that_names_them_all() -> None:
    runs = [tuple(Concerned(id=uuid4(), name=f"run-{alert}-{number}") for number in range(50)) for alert in range(10)]
    alerts = [an_alert(group=f"flow:{number}", runs=each) for number, each in enumerate(runs)]
    async with Receiver() as receiver, opened(to(at(receiver))) as sink:
        await sink.write(alerts)
        await sink.write(many(5))
    assert len(said(receiver)) == 1 + 5
    assert said(receiver)[0]["title"] == "10 at once: 10 firing"
    assert said(receiver)[0]["type"] == "failure"
    assert all(f"{run.name}" in said(receiver)[0]["message"] for each in runs for run in each)


async def test_owners_have_their_own_and_nobody_elses() -> None:
    async with AsyncExitStack() as stack:
        data, web, rest = [await stack.enter_async_context(Receiver()) for _ in range(3)]
        owners = {"data-team": at(data), "web-team": at(web)}
        async with opened(to(at(rest), owners=owners, digest=2, body="{{ tags | join(' ') }}")) as sink:
            await sink.write(
                [
                    an_alert(tags=("owner:data-team",)),
                    an_alert(tags=("owner:nobody", "prod"), group="a"),
                    an_alert(tags=("owner:web-team", "owner:data-team"), group="b"),
                    an_alert(tags=(), group="c", reason="untagged"),
                ]
            )
        assert [each["message"] for each in said(data)] == ["owner:data-team", "owner:web-team owner:data-team"]
        assert [each["message"] for each in said(web)] == ["owner:web-team owner:data-team"]
        assert [each["message"] for each in said(rest)] == ["owner:nobody prod"]


async def test_of_a_write_that_failed_what_was_taken_is_not_sent_again() -> None:
    async with Receiver() as healthy, Receiver() as sick, opened(to(None, urls=[at(healthy), at(sick)])) as sink:
        sick.answers(Reply(), Reply(503), Reply(503))
        for _ in range(2):
            with pytest.raises(Retry, match=r"JSON: .*503"):
                await sink.write(many(2))
        await sink.write(many(2))
        assert [len(healthy.requests), len(sick.requests)] == [2, 1 + 3]
        await sink.write(many(2))
        assert [len(healthy.requests), len(sick.requests)] == [4, 6]


async def test_a_write_that_was_given_up_is_not_sent_twice() -> None:
    gate = threading.Event()

    def wait() -> None:
        gate.wait()

    async with Receiver() as receiver, opened(to(at(receiver))) as sink:
        assert isinstance(sink, NotifySink)
        busy = asyncio.create_task(sink._worker.do(wait))
        given_up = asyncio.create_task(sink.write([an_alert()]))
        await until(lambda: sink._worker._jobs.qsize() == 1)
        given_up.cancel()
        again = asyncio.create_task(sink.write([an_alert()]))
        await until(lambda: sink._worker._jobs.qsize() == 2)
        gate.set()
        await asyncio.gather(busy, again)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("reply", [Reply(500), Reply(429), Reply(401), DROP])
async def test_what_a_service_does_not_take_is_tried_again_and_nothing_secret_is_said(
    reply: Reply, log: io.StringIO
) -> None:
    async with Receiver() as receiver:
        url = f"json://somebody:{SECRET}@127.0.0.1:{receiver.url.split(':')[2].split('/')[0]}/{SECRET}?-key={SECRET}"
        async with opened(to(url)) as sink:
            receiver.reply = lambda _: reply
            with pytest.raises(Retry, match="JSON: ") as caught:
                await sink.write([an_alert()])
    assert SECRET not in str(caught.value)
    assert log.getvalue() == ""
    assert len(receiver.requests) == 1


def test_what_apprise_repeats_of_a_url_is_masked() -> None:
    service = Service(f"slack://T1JJ3T3L2/A1BRTD4JD/{SECRET}/#general")
    assert service._masked(f"no https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/{SECRET}") == (
        "no https://hooks.slack.com/services/…/…/…"
    )


@pytest.mark.parametrize(
    "options",
    [
        {"url": f"nonsense://{SECRET}"},
        {"url": "slack://short"},
        {"urls": ["json://a", SECRET]},
        {"url": "json://a", "owners": {"me": SECRET}},
    ],
)
def test_a_url_that_apprise_does_not_understand_is_said_without_it(options: dict[str, Any], log: io.StringIO) -> None:
    with pytest.raises(ConfigError, match="apprise does not understand it") as caught:
        sinks.build("notify", options)
    assert SECRET not in f"{caught.value}{caught.value.hint}"
    assert log.getvalue() == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give url, urls or url_file"),
        ({"owners": {"me": "json://a"}}, "give url, urls or url_file"),
        ({"url": "json://a", "urls": ["json://b"]}, "give url, urls or url_file"),
        ({"url": "json://a", "body": "{{"}, "the template is wrong"),
        ({"url": "json://a", "digest": 0}, "digest"),
    ],
)
def test_wrong_options_are_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        sinks.build("notify", options)


def test_a_spec_is_refused_since_it_would_show_the_url() -> None:
    with pytest.raises(ConfigError, match="no spec") as caught:
        sinks.parse(f"notify:slack://T1JJ3T3L2/A1BRTD4JD/{SECRET}")
    assert SECRET not in f"{caught.value}{caught.value.hint}"


async def test_urls_in_a_file_are_read_at_each_write(tmp_path: Path) -> None:
    file = tmp_path / "urls"
    sink = to(None, url_file=str(file))
    with pytest.raises(FileNotFoundError):
        await sink.open()
    for text, complaint in (("\n", "holds no url"), (SECRET, "a url in url_file: apprise does not understand it")):
        file.write_text(text)
        with pytest.raises(Retry, match=complaint):
            await sink.open()
    async with Receiver() as one, Receiver() as other:
        for receiver in (one, other):
            file.write_text(f"{at(receiver)}\n")
            await sink.write([an_alert()])
            assert len(receiver.requests) == 1
    await sink.close()


async def test_templates_make_title_and_body_and_may_leave_nothing_to_say() -> None:
    options: dict[str, Any] = {
        "title": "{{ alert.rule }}\nfor {{ flow.name }}",
        "body": "{% if alert.status == 'firing' %}{{ headline }} {{ link }} {{ worked }} {{ lines }}{% endif %}",
    }
    async with Receiver() as receiver, opened(to(at(receiver), **options)) as sink:
        await sink.write([an_alert(), its_end()])
    (told,) = said(receiver)
    assert told["title"] == "failed for sleepy"
    assert told["message"] == "[critical] sleepy / sleepy-nightly: a run ended in Failed None None []"


async def test_a_template_that_fails_is_the_records_fault_and_nothing_was_sent() -> None:
    async with Receiver() as receiver, opened(to(at(receiver), body="{{ 1 / alert.number }}")) as sink:
        with pytest.raises(Reject, match="division by zero"):
            await sink.write([an_alert(number=1), an_alert(group="other")])
    assert receiver.requests == []


async def test_what_is_no_alert_has_words_of_its_own_whatever_the_templates() -> None:
    trial = Record(1, "default", notices.test("default", "pager", uuid4(), occurred=SINCE))
    run = Record(2, "default", decode(orjson.dumps(transition())))
    async with Receiver() as receiver, opened(to(at(receiver), body="{{ alert.reason }}")) as sink:
        await sink.write([trial, run])
    assert [each["title"] for each in said(receiver)] == [
        "[notice] a test of the sink pager: nothing has happened",
        "[transition] loose-quetzal: Pending → Running",
    ]


async def test_how_bad_it_is_becomes_the_kind_of_the_message() -> None:
    alerts = [an_alert(severity=each, group=each) for each in ("critical", "warning", "whatever")]
    async with Receiver() as receiver, opened(to(at(receiver))) as sink:
        await sink.write(alerts)
    assert [each["type"] for each in said(receiver)] == ["failure", "warning", "info"]


async def test_a_message_that_is_too_long_for_the_service_is_cut() -> None:
    reason = "it went wrong " * 3000
    async with Receiver() as receiver, opened(to(at(receiver, "mmost") + "/3ccdd113474722377935511fc85d3dd4")) as sink:
        await sink.write([an_alert(reason=reason)])
    (told,) = said(receiver)
    assert len(told["text"]) <= 4000


def test_a_url_that_is_not_understood_is_in_no_error() -> None:
    with pytest.raises(ValidationError) as refused:
        NotifyOptions.model_validate({"url": f"slackk://{SECRET}"})
    assert SECRET not in str(refused.value)
