"""`streamer alerts`: what fires, and who is not told, by a running service and without one; rules that change."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from typer.testing import CliRunner, Result

from streamer import config
from streamer.cli import app
from streamer.errors import ConfigError, StoreError
from streamer.service import Service
from streamer.sinks.lines_file import whole_lines
from streamer.testing import FakePrefect, an_event, until
from tests.place import Place

RULES: dict[str, Any] = {
    "failed": {"on": "transition", "severity": "critical"},
    "stale": {"on": "no_success", "within": "1h", "match": {"deployments": ["nightly"]}},
}
REASON = "a run entered the state Failed"


def toml(rules: dict[str, Any]) -> str:
    """Return the rules as tables of a configuration."""
    rows = {name: [f"{key} = {_as_toml(value)}" for key, value in each.items()] for name, each in rules.items()}
    return "".join(f"[alerts.{name}]\n" + "\n".join(lines) + "\n" for name, lines in rows.items())


def _as_toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_as_toml(each)}" for key, each in value.items()) + " }"
    return orjson.dumps(value).decode()


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["alerts", *arguments], input=stdin)


async def streamer(*arguments: str) -> Result:
    return await asyncio.to_thread(run, *arguments)


def refused(result: Result) -> ConfigError | StoreError:
    assert isinstance(result.exception, ConfigError | StoreError), result.output
    assert result.exception.hint
    return result.exception


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    """Return a place whose configuration has the rules, and a sink that has all records."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "250")
    (tmp_path / "streamer.toml").write_text(f'store = "sqlite:///{tmp_path}/streamer.db"\n{toml(RULES)}')
    async with FakePrefect() as server:
        place = Place(tmp_path, server)
        place.settings |= {"alerts": RULES}
        yield place


def heard(place: Place) -> list[str]:
    """Return the alerts that the sink has been given."""
    records = [orjson.loads(line) for line in whole_lines(place.file)] if place.file.exists() else []
    return [f"{each['alert']['rule']} {each['alert']['status']}" for each in records if each["kind"] == "alert"]


def entered(state: str) -> dict[str, Any]:
    """Return that another run of the flow entered a state."""
    return an_event(before="RUNNING", after=state)


async def listed(what: str = "list") -> list[dict[str, Any]]:
    result = await streamer(what, "--json")
    assert result.exception is None, result.output
    (found,) = orjson.loads(result.stdout).values()
    return list(found)


async def asked(service: Service, path: str) -> Any:
    async with httpx.AsyncClient(base_url=await service.started(), trust_env=False) as http:
        return (await http.get(path)).raise_for_status().json()


async def test_list_shows_what_fires_while_a_service_runs_and_when_it_is_stopped(place: Place) -> None:
    async with place.running() as service:
        assert (await streamer("list")).stdout == "nothing fires\n"
        events = [entered("FAILED"), entered("FAILED")]
        place.server.publish(*events)
        await until(lambda: heard(place) == ["failed firing"])
        (alert,) = found = await listed()
        assert (await asked(service, "/api/alerts")) == {"alerts": found}
    assert (alert["rule"], alert["severity"], alert["name"], alert["reason"]) == ("failed", "critical", "etl", REASON)
    assert (alert["occurrences"], alert["announced"]) == (2, 1)
    assert alert["since"] == events[0]["occurred"].replace("+00:00", "Z")
    resource = events[1]["resource"]
    ident = resource["prefect.resource.id"].removeprefix("prefect.flow-run.")
    link = f"{place.server.api_url.removesuffix('/api')}/runs/flow-run/{ident}"
    assert alert["run"] == {"id": ident, "name": resource["prefect.resource.name"], "link": link}
    (stopped,) = await listed()
    assert {**stopped, "run": None} == {**alert, "run": None}, "only the link is the configuration's"
    row = (await streamer("list")).stdout.splitlines()[1]
    assert all(each in row for each in ("failed", "critical", "etl", REASON, " 2 ", "at 20", alert["run"]["name"]))


async def test_a_name_neither_colours_nor_clears_the_terminal(place: Place) -> None:
    async with place.running():
        event = entered("FAILED")
        event["resource"]["prefect.resource.name"] = "[red]loose\x1b[2J\x1b]0;mine\x07\nquetzal"
        place.server.publish(event)
        await until(lambda: heard(place) == ["failed firing"])
        heading, row = (await streamer("list")).stdout.splitlines()
    assert row.rstrip().endswith("[red]loose quetzal")
    assert len(heading) <= len(row)


async def test_what_is_silenced_is_told_once_the_silence_is_lifted(place: Place) -> None:
    async with place.running():
        made = await streamer("silence", "--for", "2h", "--flow", "et*", "--severity", "crit*", "--comment", "we know")
        assert re.match(r"[0-9a-f]{8}: nobody is told of flows et\*, severities crit\* until 20", made.output)
        place.server.publish(entered("FAILED"), last := entered("FAILED"))
        await place.has(last)
        await until(_fires)
        (alert,) = await listed()
        (silence,) = await listed("silences")
        assert (alert["announced"], alert["silenced_until"]) == (0, silence["ends"])
        assert f"silenced until {silence['ends'][:10]}" in (await streamer("list")).stdout
        assert heard(place) == []
        lifted = await streamer("unsilence", silence["id"][:6])
        assert lifted.output == f"{silence['id'][:8]} of flows et*, severities crit* has ended\n"
        await until(lambda: heard(place) == ["failed firing"])
        assert await listed("silences") == []
        place.server.publish(entered("COMPLETED"))
        await until(lambda: heard(place) == ["failed firing", "failed resolved"])


async def _fires() -> bool:
    return bool(await listed())


async def test_a_silence_is_of_what_it_matches_only(place: Place) -> None:
    async with place.running():
        await streamer("silence", "--for", "2h", "--alert", "stale", "--tag", "x", "--deployment", "*")
        place.server.publish(entered("FAILED"))
        await until(lambda: heard(place) == ["failed firing"])


async def test_without_a_service_silences_are_put_into_its_store(place: Place) -> None:
    async with place.running():
        pass
    assert (await streamer("silence", "--for", "1d", "--all")).exit_code == 0
    assert (await streamer("silence", "--for", "1h", "--alert", "stale", "--alert", "old")).exit_code == 0
    first, second = await listed("silences")
    assert (first["match"], second["match"]) == ({"alerts": ["stale", "old"]}, {})
    shown = (await streamer("silences")).stdout.splitlines()
    assert [line.split()[0] for line in shown] == ["id", first["id"][:8], second["id"][:8]]
    assert "alerts stale or old" in shown[1]
    async with place.running() as service:
        assert (await asked(service, "/api/alerts/silences")) == {"silences": [first, second]}
        place.server.publish(last := entered("FAILED"))
        await place.has(last)
        await until(_fires)
    assert heard(place) == []
    assert (await streamer("unsilence", second["id"])).exit_code == 0
    async with place.running():
        await until(lambda: heard(place) == ["failed firing"], seconds=20)


async def test_who_silenced_and_why_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    await streamer("silence", "--for", "90m", "--all", "--comment", "the move")
    (silence,) = await listed("silences")
    assert (silence["by"], silence["comment"]) == ("ada", "the move")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--for", "2h"), "say which alerts"),
        (("--for", "2h", "--all", "--flow", "etl"), "say which alerts"),
        (("--for", "soon", "--all"), "'soon' is no such duration"),
        (("--for", "0s", "--all"), "'0s' is no such duration"),
    ],
)
async def test_what_is_no_silence_is_refused(place: Place, options: tuple[str, ...], sentence: str) -> None:
    assert sentence in str(refused(await streamer("silence", *options)))


async def test_a_silence_that_is_not_told_apart_is_not_lifted(place: Place) -> None:
    async with place.running():
        assert "no silence has an id" in str(refused(await streamer("unsilence", "abc")))
        for _ in range(2):
            await streamer("silence", "--for", "1h", "--all")
        assert "2 silences have an id" in str(refused(await streamer("unsilence", "")))
        assert len(await listed("silences")) == 2


async def test_who_has_not_the_token_silences_nothing(place: Place) -> None:
    async with place.running() as service, httpx.AsyncClient(trust_env=False) as http:
        url = f"{await service.started()}/api/control/alerts/silence"
        asked_for = {"match": {}, "lasts": "2h"}
        assert (await http.post(url, json=asked_for)).status_code == 403
        token = {"Authorization": f"Bearer {service.core.store.token}"}
        assert (await http.post(url, json={"match": {"flow": ["x"]}, "lasts": "2h"}, headers=token)).status_code == 400
        assert await listed("silences") == []
        assert (await http.post(url, json=asked_for, headers=token)).json()["match"] == {}
        assert len(await listed("silences")) == 1


async def test_a_store_that_is_not_there_is_said(place: Place) -> None:
    for what in ("list", "silences"):
        assert "there is no store" in str(refused(await streamer(what)))


async def test_rules_are_taken_over_when_the_configuration_is_read_again(place: Place) -> None:
    rules: dict[str, Any] = {}

    def read_again() -> config.Settings:
        return config.only(**{**place.settings, "alerts": dict(rules)})

    async with place.running(alerts={}, read_again=read_again) as service:
        place.server.publish(early := entered("FAILED"))
        await place.has(early)
        rules["failed"] = {"on": "failures", "count": 2}
        service.reload()
        await until(lambda: _counted(service, "failed") == 0.0)
        place.server.publish(entered("FAILED"))
        await until(_fires_not_but_remembers(service, 1))
        rules["failed"] = {"on": "failures", "count": 2, "severity": "page"}
        rules["any"] = {"on": "transition"}
        service.reload()
        await until(lambda: len(service.core.alerting.engine.rules) == 2)
        place.server.publish(entered("CRASHED"))
        await until(lambda: sorted(heard(place)) == ["any firing", "failed firing"])
        assert {each["severity"] for each in await listed()} == {"page", "warning"}
        del rules["failed"]
        service.reload()
        await until(lambda: heard(place)[2:] == ["failed resolved"])
        rules.clear()
        service.reload()
        await until(lambda: heard(place)[3:] == ["any resolved"])
        assert await listed() == []
        place.server.publish(last := entered("FAILED"))
        await place.has(last)
        rules["again"] = {"on": "transition"}
        service.reload()
        await until(lambda: _counted(service, "again") == 0.0)
        place.server.publish(entered("COMPLETED"), entered("FAILED"))
        await until(lambda: heard(place)[4:] == ["again firing"])
        assert (await listed())[0]["occurrences"] == 1


def _fires_not_but_remembers(service: Service, failures: int) -> Any:
    def remembers() -> bool:
        groups = service.core.alerting.engine._groups.values()
        return [group.facts.failures for group in groups if not group.incident] == [failures]

    return remembers


def _counted(service: Service, rule: str) -> float | None:
    (metric,) = (each for each in service.core.metrics.collect() if each.name == "prefect_streamer_alerts")
    return next((each.value for each in metric.samples if each.labels["rule"] == rule), None)


async def test_routes_to_sinks_do_not_keep_a_silence_from_the_store(place: Place, tmp_path: Path) -> None:
    with (tmp_path / "streamer.toml").open("a") as file:
        file.write('[[routes]]\nsinks = ["out"]\n[sinks.out]\ntype = "stdout"\n')
    assert (await streamer("silence", "--for", "1h", "--all")).exception is None
