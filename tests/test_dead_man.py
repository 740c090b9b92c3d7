"""The dead man's switch is pinged while all is well and only then, and its address stays a secret."""

import asyncio
import re
import ssl
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import ValidationError
from starlette.responses import Response
from structlog.testing import capture_logs

from streamer import config, dead_man
from streamer.dead_man import DeadMan, DeadManSettings, Outcome
from streamer.errors import ConfigError
from streamer.testing import FakePrefect, until
from streamer.told import status_of
from tests.place import Place
from tests.sinks.receiver import DROP, SILENCE, Receiver, Reply

SECRET = "5b7f9d2c-unlikely"
ALERTS = (Path(__file__).parent.parent / "docs" / "alerts.md").read_text(encoding="utf-8")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


class EnoughError(Exception):
    """Raised instead of another wait."""


class Turns:
    """So many turns of the switch, without waiting between; `waits` has how long it would have waited."""

    def __init__(self, number: int) -> None:
        self.waits: list[float] = []
        self._number = number

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        if len(self.waits) == self._number:
            raise EnoughError


async def turn(
    times: int, settings: DeadManSettings, missing: Callable[[], list[str]] = list
) -> tuple[list[float], list[Any]]:
    """Let the switch turn so often; return its waits, and what it said."""
    turns = Turns(times)
    with capture_logs() as logs, pytest.raises(EnoughError):
        await DeadMan(settings, missing, sleep=turns.sleep).keep_pinging()
    return turns.waits, logs


def at(url: str, **settings: Any) -> DeadManSettings:
    return DeadManSettings(url=f"{url}/{SECRET}", **settings)


def quickly(settings: DeadManSettings) -> DeadManSettings:
    return settings.model_copy(update={"every": timedelta(milliseconds=10)})


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_a_ping_is_a_request_without_a_body(receiver: Receiver, method: str) -> None:
    _, logs = await turn(1, at(receiver.url, method=method))
    (request,) = receiver.requests
    assert (request.line, request.body) == (f"{method} /hook/{SECRET} HTTP/1.1", b"")
    assert [each["event"] for each in logs] == [Outcome.PINGED]


async def test_pings_are_an_interval_apart_however_long_they_take(receiver: Receiver) -> None:
    waits, _ = await turn(3, at(receiver.url, every="1h"))
    assert len(receiver.requests) == 3
    assert all(3590 < wait < 3600 for wait in waits)


async def test_what_is_missing_keeps_the_ping_back_and_is_told_once_and_then_it_is_pinged_at_once(
    receiver: Receiver,
) -> None:
    missing = iter([[], ["REST"], ["REST", "store"], []])
    waits, logs = await turn(4, at(receiver.url), lambda: next(missing))
    assert len(receiver.requests) == 2
    assert waits[1:3] == [dead_man.LOOK_SECONDS] * 2
    assert [each["event"] for each in logs] == [Outcome.PINGED, Outcome.WITHHELD, Outcome.PINGED]
    assert logs[1]["missing"] == ["REST"]


async def test_what_is_missing_at_the_start_is_not_told(receiver: Receiver) -> None:
    assert (await turn(2, at(receiver.url), lambda: ["not yet connected"]))[1] == []
    assert receiver.requests == []


async def test_failures_are_told_once_until_it_works_again(receiver: Receiver) -> None:
    receiver.answers(Reply(503), DROP, Reply(404), Reply(200), Reply(200))
    _, logs = await turn(5, at(receiver.url))
    assert [(each["log_level"], each["event"]) for each in logs] == [
        ("warning", Outcome.FAILED),
        ("info", Outcome.PINGED),
    ]
    assert logs[0]["error"] == "it answered 503"


async def test_a_redirect_is_followed(receiver: Receiver) -> None:
    receiver.answers(Reply(302, {"location": "/elsewhere"}))
    _, logs = await turn(1, at(receiver.url))
    assert [each.line.split()[1] for each in receiver.requests] == [f"/hook/{SECRET}", "/elsewhere"]
    assert [each["event"] for each in logs] == [Outcome.PINGED]


async def test_an_answer_that_does_not_come_is_given_up(receiver: Receiver) -> None:
    receiver.answers(SILENCE)
    _, logs = await turn(2, at(receiver.url, timeout="0.1s"))
    assert [each.get("error") for each in logs] == ["it did not answer within 0.1 s", None]


async def test_a_redirect_in_circles_ends(receiver: Receiver) -> None:
    receiver.reply = lambda _: Reply(302, {"location": f"/{SECRET}"})
    _, logs = await turn(1, at(receiver.url))
    assert [each["error"] for each in logs] == ["TooManyRedirects"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://127.0.0.1:99999", "http://[::ffff:0:0]:9"])
async def test_an_address_where_nobody_is_ends_nothing(url: str) -> None:
    _, logs = await turn(2, at(url))
    assert [each["event"] for each in logs] == [Outcome.FAILED]
    assert SECRET not in str(logs)


async def test_the_file_of_the_address_is_read_at_each_ping(receiver: Receiver, tmp_path: Path) -> None:
    file = tmp_path / "url"
    contents = iter([None, "no address, " + SECRET, f"{receiver.url}\n", f"{receiver.url}/new"])

    def replaced() -> list[str]:
        if content := next(contents):
            file.write_text(content)
        return []

    _, logs = await turn(4, DeadManSettings(url_file=file), replaced)
    assert [each.line.split()[1] for each in receiver.requests] == ["/hook", "/hook/new"]
    assert [each["event"] for each in logs] == [Outcome.FAILED, Outcome.PINGED]
    assert "No such file" in logs[0]["error"]
    assert SECRET not in str(logs)


async def test_without_an_address_there_is_nothing_to_do() -> None:
    await asyncio.wait_for(DeadMan(DeadManSettings(), list).keep_pinging(), 5)


@contextmanager
def certified(folder: Path, name: str) -> Iterator[tuple[ssl.SSLContext, Path]]:
    """Yield the server's side of TLS with a certificate of this name, and the file of who signed it."""
    authority, server = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(server)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    yield server, folder / "ca.pem"


async def test_a_certificate_is_checked_with_the_systems_authorities_or_with_those_given(tmp_path: Path) -> None:
    with certified(tmp_path, "127.0.0.1") as (tls, ca_file):
        async with Receiver(tls) as receiver:
            _, refused = await turn(1, at(receiver.url))
            _, trusted = await turn(1, at(receiver.url, ca_file=ca_file))
    assert "certificate verify failed" in refused[0]["error"]
    assert [each["event"] for each in trusted] == [Outcome.PINGED]


async def test_a_certificate_of_another_host_is_refused_without_a_word_of_ours(tmp_path: Path) -> None:
    with certified(tmp_path, "another.example") as (tls, ca_file):
        async with Receiver(tls) as receiver:
            _, logs = await turn(1, at(receiver.url, ca_file=ca_file))
    assert "certificate verify failed" in logs[0]["error"]
    assert "127.0.0.1" not in str(logs)


async def test_certificates_that_cannot_be_used_are_refused_at_the_start(receiver: Receiver) -> None:
    with pytest.raises(ConfigError, match=r"missing\.pem"):
        await DeadMan(at(receiver.url, ca_file="missing.pem"), list).keep_pinging()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'url = "ftp://host/{SECRET}"', "dead_man.url: an address starts with https://"),
        (f'url = "https://host:{SECRET}/"', "dead_man.url: an address starts with https://"),
        (f'url = "https://host/{SECRET}"\nurl_file = "f"', "dead_man: url and url_file are given"),
        (f'uri = "https://host/{SECRET}"', "dead_man.uri is no setting (did you mean url?)"),
        ('every = "4s"', "dead_man.every: "),
        ('method = "PUT"', "dead_man.method: "),
        ('timeout = "0s"', "dead_man.timeout: "),
    ],
)
def test_what_makes_no_sense_is_refused_without_repeating_the_address(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "streamer.toml"
    file.write_text(f"[dead_man]\n{text}")
    with pytest.raises(ConfigError) as caught:
        config.load(file)
    assert str(caught.value).startswith(said)
    assert SECRET not in f"{caught.value} {caught.value.hint}"


def test_the_address_is_not_shown() -> None:
    settings = config.only(dead_man={"url": f"https://host/{SECRET}"})
    for shown in (repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert SECRET not in shown


def test_the_address_may_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMER_DEAD_MAN__URL", "https://host/from-there")
    assert str(config.load().dead_man.address()) == "https://host/from-there"


def test_an_address_in_a_validation_error_of_the_settings_alone_is_not_shown() -> None:
    with pytest.raises(ValidationError) as caught:
        DeadManSettings.model_validate({"url": f"ftp://host/{SECRET}"})
    assert SECRET not in str(caught.value)


def test_the_page_shows_every_option_with_its_default() -> None:
    section = ALERTS.split("\n## Dead man's switch\n", 1)[1].split("\n## ", 1)[0]
    documented = tomllib.loads(section.split("```toml\n", 1)[1].split("```", 1)[0])["dead_man"]
    settings = config.only(dead_man=documented).dead_man
    assert settings == DeadManSettings(url=documented["url"])
    for name in DeadManSettings.model_fields:
        assert re.search(rf"\b{name}\b", section), name


async def test_a_service_pings_while_it_is_connected_and_again_when_it_is_back(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_man, "LOOK_SECONDS", 0.01)
    async with FakePrefect() as server:
        place = Place(tmp_path, server)
        with capture_logs() as logs:
            async with place.running(dead_man=quickly(at(receiver.url))) as service:
                await until(lambda: len(receiver.requests) > 2)
                server.upgrade_status, server.rest_failures = 503, [Response(status_code=503)] * 1000
                server.disconnect(1012)
                await until(lambda: Outcome.WITHHELD in [each["event"] for each in logs])
                pinged, asked = len(receiver.requests), len(server.requests)
                await until(lambda: len(server.requests) > asked)
                assert not status_of(service.core).is_ready
                assert len(receiver.requests) == pinged
                server.upgrade_status, server.rest_failures = None, []
                expected = [Outcome.PINGED, Outcome.WITHHELD, Outcome.PINGED]
                await until(lambda: expected == [each["event"] for each in logs if each["event"] in list(Outcome)])
                assert len(receiver.requests) > pinged
    assert SECRET not in str(logs)
