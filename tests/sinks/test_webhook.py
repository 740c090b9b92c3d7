"""The webhook sink against real HTTP servers, well-behaved and not."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
import trustme
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import Route

from schemas import decode
from streamer import sinks
from streamer.errors import ConfigError, Reject, Retry
from streamer.model import Record
from streamer.sinks.webhook import WebhookSink
from streamer.sinks.webhook_answers import Answer, refusal
from streamer.testing import an_event, check_sink, until
from streamer.testing.serving import Serving
from tests.sinks.receiver import DROP, SILENCE, Receiver, Reply

SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four.").decode()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def closing() -> AsyncIterator[list[WebhookSink]]:
    """Close what a test made."""
    sinks_made: list[WebhookSink] = []
    yield sinks_made
    for sink in sinks_made:
        await sink.close()


@pytest.fixture
def make(closing: list[WebhookSink]) -> Any:
    def made(url: str, **options: Any) -> WebhookSink:
        sink = sinks.build("webhook", {"url": url, "proxy": "none", **options})
        assert isinstance(sink, WebhookSink)
        closing.append(sink)
        return sink

    return made


def records(number: int, **changes: Any) -> list[Record]:
    return [Record(seq, "default", decode(orjson.dumps(an_event(**changes)))) for seq in range(1, number + 1)]


def ids(some: Sequence[Record]) -> list[str]:
    return [str(record.event.id) for record in some]


@pytest.mark.parametrize("batch", [False, True])
async def test_it_keeps_the_contract(batch: bool) -> None:
    found: list[str] = []

    async def take(request: StarletteRequest) -> Response:
        body = await request.json()
        found.extend(each["id"] for each in (body if batch else [body]))
        return Response(status_code=204)

    async def read_back() -> Sequence[str]:
        return found

    app = Starlette(routes=[Route("/hook", take, methods=["POST"])])
    async with Serving(app) as serving:
        spec = f"{serving.url}/hook?batch={batch}&proxy=none"
        await check_sink(lambda: sinks.build(*sinks.parse(spec)), read_back)


async def test_a_record_is_a_request_with_the_events_id(receiver: Receiver, make: Any) -> None:
    batch = records(3)
    await make(receiver.url).write(batch)
    assert [request.id for request in receiver.requests] == ids(batch)
    first = receiver.requests[0]
    assert first.line == "POST /hook HTTP/1.1"
    assert first.headers["content-type"] == "application/json"
    assert orjson.loads(first.body)["id"] == first.id
    assert receiver.connections == 1


async def test_a_batch_is_an_array_whose_id_is_the_same_at_each_try(receiver: Receiver, make: Any) -> None:
    batch, sink = records(3), make(receiver.url, batch=True)
    receiver.answers(Reply(503))
    with pytest.raises(Retry):
        await sink.write(batch)
    await sink.write(batch)
    await sink.write(batch[:2])
    first, again, other = receiver.requests
    assert [each["id"] for each in orjson.loads(again.body)] == ids(batch)
    assert first.id == again.id != other.id


@pytest.mark.parametrize("batch", [False, True])
async def test_a_signature_is_accepted_by_the_library_of_standard_webhooks(
    receiver: Receiver, make: Any, batch: bool
) -> None:
    await make(receiver.url, signing_secret=SECRET, batch=batch).write(records(2))
    for request in receiver.requests:
        request.verify(SECRET)


async def test_secrets_in_files_are_read_at_each_write(receiver: Receiver, make: Any, tmp_path: Path) -> None:
    secret, token = tmp_path / "secret", tmp_path / "token"
    sink = make(receiver.url, signing_secret_file=str(secret), token_file=str(token))
    with pytest.raises(FileNotFoundError):
        await sink.open()
    for number in (1, 2):
        secret.write_text(f"{SECRET}{number * 'AAAA'}\n")
        token.write_text(f"t0ken-{number}\n")
        await sink.write(records(1))
        receiver.requests[-1].verify(secret.read_text().strip())
        assert receiver.requests[-1].headers["authorization"] == f"Bearer t0ken-{number}"


async def test_a_token_file_that_holds_more_is_an_error_which_does_not_repeat_it(
    receiver: Receiver, make: Any, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("t0ken\nand more")
    with pytest.raises(Retry) as caught:
        await make(receiver.url, token_file=str(file)).write(records(1))
    assert "t0ken" not in str(caught.value)


async def test_credentials_in_the_url_are_a_login_and_not_in_the_request_line(receiver: Receiver, make: Any) -> None:
    await make(receiver.url.replace("//", "//me:p%40ss@")).write(records(1))
    (request,) = receiver.requests
    assert request.headers["authorization"] == "Basic " + base64.b64encode(b"me:p@ss").decode()
    assert request.headers["host"] == receiver.url.split("/")[2]


async def test_headers_of_ones_own_are_sent(receiver: Receiver, make: Any) -> None:
    await make(receiver.url, method="PUT", headers={"X-Api-Key": "k3y"}).write(records(1))
    (request,) = receiver.requests
    assert (request.line.split()[0], request.headers["x-api-key"]) == ("PUT", "k3y")


async def test_attributes_of_a_binary_cloudevent_are_headers(receiver: Receiver, make: Any) -> None:
    batch = records(1)
    await make(receiver.url, format="cloudevent-binary").write(batch)
    (request,) = receiver.requests
    assert request.headers["ce-id"] == ids(batch)[0]
    assert request.headers["ce-type"] == "io.prefect.flow-run.running"
    assert request.headers["content-type"] == "application/json"


async def test_a_batch_of_cloudevents_has_their_content_type(receiver: Receiver, make: Any) -> None:
    await make(receiver.url, format="cloudevent", batch=True).write(records(2))
    (request,) = receiver.requests
    assert request.headers["content-type"] == "application/cloudevents-batch+json"
    assert [each["specversion"] for each in json.loads(request.body)] == ["1.0", "1.0"]


async def test_what_was_taken_is_not_sent_again_when_a_later_one_failed(receiver: Receiver, make: Any) -> None:
    batch, sink = records(5), make(receiver.url)
    receiver.answers(Reply(), Reply(), Reply(500))
    with pytest.raises(Retry):
        await sink.write(batch)
    await sink.write(batch)
    asked = [request.id for request in receiver.requests]
    assert asked == [*ids(batch)[:3], *ids(batch)[2:]]
    await sink.write(batch[:1])
    assert receiver.requests[-1].id == ids(batch)[0]


async def test_a_poisoned_record_is_refused_and_those_before_it_are_not_sent_again(
    receiver: Receiver, make: Any
) -> None:
    batch, sink = records(5), make(receiver.url)
    receiver.reply = lambda request: Reply(422, body="no such flow") if request.id == ids(batch)[2] else Reply()
    with pytest.raises(Reject, match="422: no such flow"):
        await sink.write(batch)
    for record in batch[:2]:
        await sink.write([record])
    with pytest.raises(Reject):
        await sink.write([batch[2]])
    for record in batch[3:]:
        await sink.write([record])
    assert [request.id for request in receiver.requests] == [*ids(batch)[:3], *ids(batch)[2:]]


@pytest.mark.parametrize("status", [400, 402, 409, 413, 415, 422, 451])
async def test_what_is_wrong_with_the_content_is_refused(receiver: Receiver, make: Any, status: int) -> None:
    receiver.answers(Reply(status, body="because\n" + 300 * "x"))
    with pytest.raises(Reject) as caught:
        await make(receiver.url).write(records(2))
    assert str(caught.value) == f"{receiver.url.removesuffix('/hook')} answered {status}: because {192 * 'x'}"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (301, "redirects to elsewhere"),
        (401, "the credentials are not accepted"),
        (403, "the credentials are not accepted"),
        (404, "nothing takes records at this url"),
        (405, "nothing takes records at this url"),
        (408, "answered 408"),
        (410, "nothing takes records at this url"),
        (425, "answered 425"),
        (429, "answered 429"),
        (500, "answered 500"),
        (503, "answered 503"),
    ],
)
async def test_what_may_pass_or_be_mended_is_tried_again(receiver: Receiver, make: Any, status: int, said: str) -> None:
    receiver.answers(Reply(status, {"location": "https://elsewhere/secret-path"}))
    batch, sink = records(1), make(receiver.url)
    with pytest.raises(Retry, match=said) as caught:
        await sink.write(batch)
    assert "secret-path" not in str(caught.value)
    await sink.write(batch)
    assert [request.line for request in receiver.requests] == 2 * ["POST /hook HTTP/1.1"]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("0", 0.0), ("90000", 3600.0), ("soon", None), ("", None), ("-1", 0.0)],
)
async def test_the_wait_that_is_asked_for_is_handed_on(
    receiver: Receiver, make: Any, value: str, seconds: float | None
) -> None:
    receiver.answers(Reply(429, {"retry-after": value}))
    with pytest.raises(Retry) as caught:
        await make(receiver.url).write(records(1))
    assert caught.value.after == seconds


@pytest.mark.parametrize(("skew", "minutes", "seconds"), [(0, 2, 120), (50, 2, 120), (0, -5, 0), (0, 600, 3600)])
def test_a_date_to_wait_for_is_held_against_the_servers_own_clock(skew: int, minutes: int, seconds: float) -> None:
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    theirs = now + timedelta(minutes=skew)
    moments = {"date": theirs, "retry-after": theirs + timedelta(minutes=minutes)}
    headers = {name: format_datetime(moment, usegmt=True) for name, moment in moments.items()}
    error = refusal(Answer(503, headers, ""), where="https://there", now=now)
    assert isinstance(error, Retry)
    assert error.after == seconds


@pytest.mark.parametrize("reply", [DROP, SILENCE])
async def test_a_server_that_drops_or_stalls_is_tried_again(receiver: Receiver, make: Any, reply: Reply) -> None:
    batch, sink = records(2), make(receiver.url, timeout=0.2)
    receiver.answers(Reply(), reply)
    with pytest.raises(Retry, match=r"^http://127\.0\.0\.1:\d+( did not answer within 0\.2 s|: .+)$"):
        await sink.write(batch)
    await sink.write(batch)
    assert [request.id for request in receiver.requests] == [*ids(batch), ids(batch)[1]]


async def test_a_server_that_is_not_there_is_tried_again_and_found_when_it_is(make: Any) -> None:
    receiver = Receiver()
    async with receiver:
        sink = make(receiver.url)
        await sink.write(records(1))
    with pytest.raises(Retry, match=r"connect|Read|disconnected"):
        await sink.write(records(1))
    async with receiver:
        await sink.write(records(1))
    assert len(receiver.requests) == 2


async def test_a_write_that_is_cancelled_goes_on_where_it_was(receiver: Receiver, make: Any) -> None:
    batch, sink = records(3), make(receiver.url)
    receiver.answers(Reply(), SILENCE)
    writing = asyncio.create_task(sink.write(batch))
    await until(lambda: len(receiver.requests) == 2)
    writing.cancel()
    await asyncio.wait([writing])
    await sink.write(batch)
    assert [request.id for request in receiver.requests] == [*ids(batch)[:2], *ids(batch)[1:]]


async def test_an_endless_answer_is_not_read_to_its_end(receiver: Receiver, make: Any) -> None:
    receiver.answers(Reply(400, {"content-length": "100000000000"}, body=10_000 * "x"))
    with pytest.raises(Reject, match="answered 400: xxx"):
        await make(receiver.url, timeout=5).write(records(1))


async def test_cookies_are_not_kept(receiver: Receiver, make: Any) -> None:
    receiver.answers(Reply(200, {"set-cookie": "session=1; Path=/"}))
    await make(receiver.url).write(records(2))
    assert all("cookie" not in request.headers for request in receiver.requests)


async def test_an_answer_that_repeats_our_credentials_is_told_without_them(receiver: Receiver, make: Any) -> None:
    receiver.answers(Reply(400, body="what is 'Bearer t0ken-that-is-secret' with k3y-that-is-secret?"))
    sink = make(receiver.url, token="t0ken-that-is-secret", headers={"x-api-key": "k3y-that-is-secret"})
    with pytest.raises(Reject, match=r"400: what is 'Bearer …' with …\?"):
        await sink.write(records(1))


async def test_with_tls_both_sides_show_who_they_are(make: Any, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    ca, mine = tmp_path / "ca.pem", tmp_path / "mine.pem"
    authority.cert_pem.write_to_path(ca)
    authority.issue_cert("streamer").private_key_and_cert_chain_pem.write_to_path(mine)
    async with Receiver(context) as receiver:
        for options in ({}, {"ca_file": ca}):
            with pytest.raises(Retry, match=r"CERTIFICATE_VERIFY_FAILED|ReadError|disconnected|alert"):
                await make(receiver.url, **options).write(records(1))
        assert receiver.requests == []
        await make(receiver.url, ca_file=ca, cert_file=mine).write(records(1))
        assert len(receiver.requests) == 1


async def test_a_certificate_that_is_replaced_is_used_from_the_next_connection_on(make: Any, tmp_path: Path) -> None:
    authority, ca = trustme.CA(), tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(ca)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with Receiver(context) as receiver:
        sink = make(receiver.url, ca_file=ca)
        with pytest.raises(Retry, match="CERTIFICATE_VERIFY_FAILED"):
            await sink.write(records(1))
        authority.cert_pem.write_to_path(ca)
        with pytest.raises(Retry):
            await sink.write(records(1))
        await sink.write(records(1))
        assert len(receiver.requests) == 1


def test_a_spec_gives_the_url_and_in_its_query_the_options() -> None:
    assert sinks.parse("https://host:8443/a/b?batch=true&timeout=5") == (
        "https",
        {"url": "https://host:8443/a/b", "batch": "true", "timeout": "5"},
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "ftp://host/x"}, "an address starts with https://"),
        ({"url": "https:///x"}, "an address starts with https://"),
        ({"url": "https://me:hunt/er2@host"}, "an address starts with https://"),
        ({"token": "a", "token_file": "b"}, "token and token_file are given"),
        ({"signing_secret": "a"}, "it is no base64"),
        ({"signing_secret": SECRET, "signing_secret_file": "b"}, "signing_secret and signing_secret_file are given"),
        ({"url": "https://me:hunter2@host", "token": "hunter2"}, "a token and a username are given"),
        ({"headers": {"x-key": "hunter2\r\nx: y"}}, "a header holds printable ASCII only"),
        ({"headers": {"x key": "hunter2"}}, "headers.x key"),
        ({"token": "hunter2\n"}, "a header holds printable ASCII only"),
        ({"proxy": "hunter2"}, "an address starts with https://"),
        ({"method": "GET"}, "method"),
        ({"timeout": 0}, "timeout"),
        ({"batch": True, "format": "template", "template": "x"}, "a batch is an array of JSON"),
        ({"batch": True, "format": "cloudevent-binary"}, "a batch has no headers for each record"),
    ],
)
def test_what_does_not_fit_is_refused_at_start_without_repeating_a_secret(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        sinks.build("webhook", {"url": "https://host/hook", **options})
    assert said in str(caught.value)
    assert "hunt" not in str(caught.value)


async def test_a_template_that_makes_no_json_of_a_record_is_its_refusal(receiver: Receiver, make: Any) -> None:
    template = "{% if kind == 'transition' %}[{% else %}{}{% endif %}"
    sink = make(receiver.url, batch=True, format="template", template=template, content_type="application/json")
    with pytest.raises(Reject, match="makes no JSON"):
        await sink.write(records(1))


async def test_it_closes_though_it_never_opened(make: Any) -> None:
    await make("https://host/hook").close()
