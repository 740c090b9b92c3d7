"""The whole service in this process, on a fake server: complete over whatever happens, and calm when it stops."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from starlette.responses import Response
from structlog.testing import capture_logs

from streamer import config
from streamer import health as healths
from streamer.errors import AuthenticationFailed, ConfigError, StoreError, StreamerError
from streamer.service import Service
from streamer.sinks.lines_file import whole_lines
from streamer.source import sweep
from streamer.testing import FakePrefect, an_event, until
from streamer.told import status_of
from tests.place import Place

PASSWORD = "admin:hunter2-unlikely"


@pytest.fixture
async def server() -> AsyncIterator[FakePrefect]:
    async with FakePrefect() as fake:
        yield fake


@pytest.fixture
def place(tmp_path: Path, server: FakePrefect) -> Place:
    return Place(tmp_path, server)


def counted(service: Service, name: str = "prefect_flow_run_transitions_total") -> int:
    families = service.core.metrics.exposed.collect()
    return int(sum(each.value for family in families for each in family.samples if each.name == name))


def some_events(number: int) -> list[dict[str, Any]]:
    """Return events of now; what occurred before the service's first start it holds to be history."""
    return [an_event() for _ in range(number)]


def ids_of(*events: dict[str, Any]) -> list[str]:
    return [each["id"] for each in events]


def server_time() -> datetime:
    return datetime.now(UTC)


async def get(service: Service, path: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=await service.started(), trust_env=False) as http:
        return await http.get(path)


async def failure_of(service: Service) -> StreamerError:
    """Run a service that cannot; return why, taken out of the groups around it."""

    def within(error: BaseException) -> Iterator[StreamerError]:
        if isinstance(error, StreamerError):
            yield error
        for each in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
            yield from within(each)

    with pytest.raises((StreamerError, ExceptionGroup)) as caught:
        await asyncio.wait_for(service.run(), 10)
    await service.stopped()
    return next(within(caught.value))


async def test_what_is_published_arrives_in_the_file_in_order_and_is_counted(server: FakePrefect, place: Place) -> None:
    async with place.running() as service:
        server.publish(*(events := some_events(20)))
        await place.has(*events)
        assert place.ids() == ids_of(*events)
        await until(lambda: counted(service) == 20)
        assert counted(service, "prefect_streamer_events_received_total") >= 20


async def test_what_was_missed_while_disconnected_is_swept_up(server: FakePrefect, place: Place) -> None:
    async with place.running() as service:
        before, missed, after = some_events(3)
        server.publish(before)
        server.disconnect(1012)
        server.publish(missed, live=False)
        await until(lambda: server.connections == 2)
        server.publish(after)
        await place.has(before, missed, after)
        await until(lambda: counted(service) == 3)
        assert len(place.ids()) == 3
        await until(lambda: counted(service, "prefect_streamer_events_recovered_total") >= 1)


async def test_a_restart_goes_on_without_loss_or_repeat(server: FakePrefect, place: Place) -> None:
    async with place.running():
        server.publish(*(first := some_events(5)))
        await place.has(*first)
    server.publish(*(meanwhile := some_events(60)))
    async with place.running() as service:
        await place.has(*first, *meanwhile)
        server.publish(*(last := some_events(5)))
        await place.has(*last)
        assert place.ids() == ids_of(*first, *meanwhile, *last)
        await until(lambda: counted(service) == 70)


async def test_what_happened_before_the_first_start_is_kept_but_neither_counted_nor_delivered(
    server: FakePrefect, place: Place
) -> None:
    history = an_event(occurred=server_time() - timedelta(hours=1))
    server.publish(history)
    async with place.running() as service:
        server.publish(now := an_event())
        await place.has(now)
        assert place.ids() == ids_of(now)
        await until(lambda: counted(service) == 1)
        assert service.core.log.head == 2


async def test_a_sink_that_starts_at_the_oldest_gets_history_too(server: FakePrefect, place: Place) -> None:
    server.publish(history := an_event(occurred=server_time() - timedelta(hours=1)))
    async with place.running(sink=[f"jsonl://{place.file}?start=oldest"]):
        await place.has(history)


async def test_what_is_no_event_is_kept_aside_and_counted(server: FakePrefect, place: Place) -> None:
    async with place.running() as service:
        server.send(b'{"type":"event","event":{}}')
        server.publish(good := an_event())
        await place.has(good)
        await until(lambda: counted(service, "prefect_streamer_events_quarantined_total") == 1)


async def test_a_stop_drains_what_has_arrived(server: FakePrefect, place: Place) -> None:
    async with place.running() as service:
        server.publish(*(events := some_events(2000)))
        await until(lambda: service.core.log.head > 0)
    assert place.ids() == ids_of(*events)[: len(place.ids())]
    assert len(place.ids()) == service.core.log.head > 0


async def test_a_stop_waits_for_a_sink_that_is_down_no_longer_than_the_grace(server: FakePrefect, place: Place) -> None:
    place.file.mkdir()
    async with place.running(grace=timedelta(seconds=0.2)) as service:
        server.publish(event := an_event())
        await until(lambda: service.core.log.head == 1)
        start = time.monotonic()
    assert time.monotonic() - start < 3
    place.file.rmdir()
    async with place.running():
        await place.has(event)


async def test_a_sink_that_is_down_holds_up_neither_log_nor_the_other_sinks(
    server: FakePrefect, place: Place, tmp_path: Path
) -> None:
    (tmp_path / "down.jsonl").mkdir()
    specs = [*place.settings["sink"], f"jsonl://{tmp_path}/down.jsonl"]
    async with place.running(sink=specs, grace=timedelta(seconds=0.1)) as service:
        server.publish(event := an_event())
        await place.has(event)
        behind = {specs[0]: 0, specs[1]: 1}
        await until(lambda: {each.name: each.behind for each in status_of(service.core).sinks} == behind)


async def test_a_stop_works_while_the_server_cannot_be_had(place: Place) -> None:
    service = place.service(api_url="http://127.0.0.1:9/api")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(service.run())
        await service.started()
        assert (await get(service, "/readyz")).json()["missing"][0].startswith("source default: ")
        service.stop()


async def test_a_second_service_on_the_store_is_refused_and_told_where_the_first_listens(place: Place) -> None:
    async with place.running() as service:
        refused = await failure_of(place.service())
        assert isinstance(refused, StoreError)
        assert f"which listens on {await service.started()}" in str(refused)
        assert status_of(service.core).is_ready


async def test_another_server_under_the_same_name_is_refused(place: Place) -> None:
    async with place.running():
        pass
    async with FakePrefect() as another:
        refused = await failure_of(place.service(api_url=another.api_url))
    assert isinstance(refused, StoreError)
    assert "streamer store adopt" in (refused.hint or "")


async def test_an_address_in_use_is_refused(place: Place) -> None:
    async with place.running() as service:
        address = (await service.started()).removeprefix("http://")
        refused = await failure_of(place.service(listen=address, store=f"sqlite:///{place.file.parent}/other.db"))
    assert isinstance(refused, ConfigError)
    assert "--listen" in (refused.hint or "")


async def test_wrong_credentials_end_it_before_the_first_connection(server: FakePrefect, place: Place) -> None:
    server.auth_string = PASSWORD
    refused = await failure_of(place.service(auth_string="admin:wrong"))
    assert isinstance(refused, AuthenticationFailed)
    assert "admin:wrong" not in str(refused)


async def test_readiness_tells_when_the_server_is_gone_and_when_it_is_back(server: FakePrefect, place: Place) -> None:
    async with place.running() as service:
        assert (await get(service, "/readyz")).status_code == 200
        server.upgrade_status, server.rest_failures = 503, [Response(status_code=503)] * 1000
        server.disconnect(1012)
        await until(lambda: not status_of(service.core).is_ready)
        answer = await get(service, "/readyz")
        assert answer.status_code == 503
        assert answer.json()["missing"][0].startswith("source default: ")
        assert (await get(service, "/livez")).status_code == 200
        server.upgrade_status, server.rest_failures = None, []
        await until(lambda: status_of(service.core).is_ready)
        assert (await get(service, "/readyz")).status_code == 200


async def test_credentials_that_are_refused_later_do_not_end_it(server: FakePrefect, place: Place) -> None:
    async with place.running() as service:
        server.auth_string = PASSWORD
        server.disconnect(1012)
        await until(lambda: "Invalid token" in str(status_of(service.core).missing))
        answer = await get(service, "/readyz")
        assert (answer.status_code, (await get(service, "/livez")).status_code) == (503, 200)


async def test_secrets_are_neither_logged_nor_shown(server: FakePrefect, place: Place) -> None:
    server.auth_string = PASSWORD
    settings = {"auth_string": PASSWORD, "custom_headers": {"X-Token": "t0ken-unlikely", "Authorization": PASSWORD}}
    with capture_logs() as logs:
        async with place.running(**settings) as service:
            server.disconnect(1012)
            await until(lambda: server.connections == 2)
            shown = [(await get(service, path)).text for path in ("/", "/readyz", "/metrics")]
    assert {"started", "connected", "disconnected", "stopped"} <= {entry["event"] for entry in logs}
    for secret in (PASSWORD, "hunter2-unlikely", "t0ken-unlikely"):
        assert secret not in str([logs, shown])


async def test_without_a_websocket_it_says_so_and_carries_on_by_rest_alone(
    server: FakePrefect, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "POLL_SECONDS", 0.1)
    server.upgrade_status = 404
    service = place.service()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(service.run())
        await service.started()
        await until(lambda: service.core.log.epochs)  # what occurs before that is history
        event = an_event()
        server.publish(event)
        await place.has(event)
        await until(lambda: status_of(service.core).is_ready)
        assert (await get(service, "/readyz")).json()["sources"][0]["mode"] == "rest"
        service.stop()


async def test_stream_that_is_silent_while_rest_shows_newer_events_is_opened_anew(
    server: FakePrefect, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(healths, "SILENT_SECONDS", -5)
    monkeypatch.setattr(healths, "AFTER_CONNECT", (0.0, 0.3))
    async with place.running() as service:
        server.publish(an_event(), live=False)
        await until(lambda: server.connections == 2)
        await until(lambda: counted(service, "prefect_streamer_source_disconnects_total") == 1)
        assert 'code="stale"' in (await get(service, "/metrics")).text


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_it_listens_on_ipv6_too(place: Place) -> None:
    async with place.running(listen="[::1]:0") as service:
        assert (await service.started()).startswith("http://[::1]:")
        assert (await get(service, "/livez")).is_success


async def test_sinks_are_added_changed_and_removed_without_a_restart(place: Place, tmp_path: Path) -> None:
    kept, removed, added = (tmp_path / f"{name}.jsonl" for name in ("kept", "removed", "added"))
    tables: dict[str, Any] = {
        "kept": {"type": "jsonl", "path": str(kept)},
        "removed": {"type": "jsonl", "path": str(removed)},
    }
    read_again = partial(config.only, **{**place.settings, "sink": [], "sinks": tables})
    async with place.running(read_again=read_again, sink=[], sinks=dict(tables)) as service:
        before = an_event()
        place.server.publish(before)
        await until(lambda: len(whole_lines(kept)) == len(whole_lines(removed)) == 1)
        del tables["removed"]
        tables["kept"] = {"type": "jsonl", "path": str(kept), "format": "event"}
        tables["added"] = {"type": "jsonl", "path": str(added)}
        service.reload()
        await until(lambda: {each.name for each in service.core.deliveries} == {"kept", "added"})
        after = an_event()
        place.server.publish(after)
        await until(lambda: len(whole_lines(kept)) == 2 and len(whole_lines(added)) == 1)
        assert [orjson.loads(line)["id"] for line in whole_lines(added)] == [after["id"]]
        assert orjson.loads(whole_lines(kept)[1]) == after, "the sink has its new format, and goes on where it stood"
        assert len(whole_lines(removed)) == 1
        shown = service.core.instruments.registry.get_sample_value
        assert shown("prefect_streamer_sink_up", {"sink": "removed"}) is None
        assert shown("prefect_streamer_config_last_reload_successful") == 1


@pytest.mark.parametrize("table", [{"type": "jsonl"}, {"type": "nowhere"}])
async def test_a_bad_configuration_is_refused_and_the_one_before_stays(place: Place, table: dict[str, Any]) -> None:
    tables: dict[str, Any] = {"bad": table}
    read_again = partial(config.only, **{**place.settings, "sinks": tables})
    async with place.running(read_again=read_again) as service:
        shown = service.core.instruments.registry.get_sample_value
        with capture_logs() as logged:
            service.reload()
            await until(lambda: shown("prefect_streamer_config_last_reload_successful") == 0)
        (refused,) = (each for each in logged if each["log_level"] == "error")
        assert refused["hint"]
        event = an_event()
        place.server.publish(event)
        await place.has(event)
        tables.clear()
        service.reload()
        await until(lambda: shown("prefect_streamer_config_last_reload_successful") == 1)


async def test_settings_that_need_a_restart_are_named(place: Place) -> None:
    read_again = partial(config.only, **{**place.settings, "since": "2h"})
    async with place.running(read_again=read_again) as service:
        with capture_logs() as logged:
            service.reload()
            await until(lambda: any("next start" in each["event"] for each in logged))
        (warned,) = (each for each in logged if "next start" in each["event"])
        assert warned["settings"] == ["since"]
