"""A service with several sources: what befalls one is not in the way of the others."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from pydantic import ValidationError

from streamer import config
from streamer.errors import ConfigError
from streamer.sinks.lines_file import whole_lines
from streamer.testing import FakePrefect, an_event, until
from streamer.told import status_of
from tests.place import Place

PASSWORD = "me:a password"


@pytest.fixture
async def servers() -> AsyncIterator[tuple[FakePrefect, FakePrefect]]:
    async with FakePrefect() as north, FakePrefect(auth_string=PASSWORD) as south:
        yield north, south


def tables(north: FakePrefect, south: FakePrefect, **of_south: Any) -> dict[str, Any]:
    """Return the `[sources]` of the settings."""
    return {"north": {"api_url": north.api_url}, "south": {"api_url": south.api_url, **of_south}}


async def test_each_record_tells_its_source_and_each_source_has_its_own_credentials(
    servers: tuple[FakePrefect, FakePrefect], tmp_path: Path
) -> None:
    north, south = servers
    place = Place(tmp_path, north)
    async with place.running(sources=tables(north, south, auth_string=PASSWORD)) as service:
        await until(lambda: not status_of(service.core).missing)
        of_north, of_south = an_event(), an_event()
        north.publish(of_north)
        south.publish(of_south)
        await place.has(of_north, of_south)
        records = map(orjson.loads, whole_lines(place.file))
        assert {each["id"]: each["source"] for each in records} == {of_north["id"]: "north", of_south["id"]: "south"}
        assert {each.name: each.url for each in status_of(service.core).sources} == {
            "north": north.api_url,
            "south": south.api_url,
        }
        states = await service.core.store.sources()
        assert {each.name: each.identity for each in states} == {"north": north.api_url, "south": south.api_url}


async def test_one_whose_credentials_are_refused_is_told_and_waited_for(
    servers: tuple[FakePrefect, FakePrefect], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.ingesting.REFUSED_SECONDS", 0.05)
    north, south = servers
    place = Place(tmp_path, north)
    async with place.running(sources=tables(north, south, auth_string="me:another")) as service:
        await until(lambda: "refused our credentials" in str(status_of(service.core).missing))
        address = await service.started()
        async with httpx.AsyncClient(base_url=address, trust_env=False) as http:
            answer = await http.get("/readyz")
        assert answer.status_code == 200
        assert {each["name"]: each["missing"] is None for each in answer.json()["sources"]} == {
            "north": True,
            "south": False,
        }
        assert [each.partition(":")[0] for each in answer.json()["missing"]] == ["source south"]
        event = an_event()
        north.publish(event)
        await place.has(event)
        south.auth_string = "me:another"
        await until(lambda: not status_of(service.core).missing)


async def test_what_the_server_alone_knows_is_asked_of_the_runs_own_server(
    servers: tuple[FakePrefect, FakePrefect], tmp_path: Path
) -> None:
    north, south = servers
    place = Place(tmp_path, north)
    async with place.running(sources=tables(north, south, auth_string=PASSWORD)) as service:
        events = {"north": an_event(), "south": an_event()}
        for server, event in zip(servers, events.values(), strict=True):
            server.publish(event)
        await place.has(*events.values())
        address = await service.started()
        async with httpx.AsyncClient(base_url=address, trust_env=False) as http:
            for asked, other, event in zip(servers, reversed(servers), events.values(), strict=True):
                before = [len(asked.requests), len(other.requests)]
                run = event["resource"]["prefect.resource.id"].rpartition(".")[2]
                assert (await http.get(f"/api/runs/{run}/logs")).status_code == 200
                assert any("/logs/filter" in each for each in asked.requests[before[0] :])
                assert not any("/logs/filter" in each for each in other.requests[before[1] :])


def test_what_is_said_outside_goes_for_all_but_addresses_and_credentials() -> None:
    settings = config.only(
        api_key="a secret of the one outside",
        proxy="http://proxy:1",
        requests_per_minute=600,
        sources={
            "one": {"api_url": "http://one/api", "auth_string": PASSWORD},
            "cloud": {"api_url": "https://api.prefect.cloud/api/accounts/a/workspaces/w", "proxy": "none"},
        },
    )
    one, cloud = settings.each_source
    assert (one.source, one.proxy, one.requests_per_minute, one.api_key) == ("one", "http://proxy:1", 600, None)
    assert one.auth_string
    assert one.auth_string.get_secret_value() == PASSWORD
    assert (cloud.source, cloud.proxy, cloud.is_cloud, cloud.auth_string) == ("cloud", "none", True, None)
    assert settings.surroundings.ui["cloud"] == "https://app.prefect.cloud/account/a/workspace/w"
    assert [each.source for each in config.only(source="alone").each_source] == ["alone"]


@pytest.mark.parametrize(
    ("sources", "error"),
    [
        ({"one": {}}, "Field required"),
        ({"one": {"api_url": "one:4200"}}, "it is no http:// or https:// address"),
        ({"one": {"api_url": "http://one/api", "since": "1h"}}, "Extra inputs are not permitted"),
        (
            {"one": {"api_url": "http://one/api"}, "same": {"api_url": "http://one/api/"}},
            "its events would be there twice",
        ),
    ],
)
def test_what_is_wrong_with_the_tables_is_told(sources: dict[str, Any], error: str) -> None:
    with pytest.raises(ValidationError, match=error):
        config.only(sources=sources)


def test_one_server_on_the_command_line_and_several_in_the_file_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "streamer.toml"
    file.write_text('[sources.one]\napi_url = "http://one/api"\n')
    assert [each.api_url for each in config.load(file).each_source] == ["http://one/api"]
    with pytest.raises(ConfigError, match=r"--api-url names one server, and \[sources\] several"):
        config.load(file, api_url="http://other/api")
