"""Sinks are found by entry point, ours and anybody's; what is wrong with a spec is said in a sentence with a hint."""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from streamer import sinks
from streamer.errors import ConfigError
from streamer.sinks.jsonl import JsonlSink
from streamer.testing import check_sink

THIRD_PARTY = """
from pathlib import Path
from pydantic import BaseModel


class PigeonSink:
    class Options(BaseModel):
        loft: Path
        token: str = ""

    def __init__(self, options):
        self._loft = options.loft

    @staticmethod
    def options_from(url):
        return {"loft": url.path}

    async def open(self):
        self._loft.touch()

    async def write(self, records, /):
        with self._loft.open("a") as loft:
            loft.writelines(f"{record.event.id}\\n" for record in records)

    async def close(self):
        pass
"""


WITHOUT_LIBRARIES = """
import sys
from streamer import sinks
from streamer.errors import ConfigError

sys.modules.update(dict.fromkeys(sys.argv[1:]))
for kind in sinks.installed():
    try:
        sinks.load(kind)
    except ConfigError as error:
        print(kind, error.hint)
"""
LIBRARIES = (
    "aio_pika",
    "aiomqtt",
    "apprise",
    "confluent_kafka",
    "duckdb",
    "nats",
    "psycopg",
    "redis",
    "standardwebhooks",
)


@pytest.fixture
def pigeons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a package with a sink of its own; return where its records may go."""
    bring("pigeon", THIRD_PARTY, to=tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "loft"


def bring(kind: str, code: str, *, to: Path) -> None:
    """Put a package there as pip does; its sink is `PigeonSink`."""
    (to / f"{kind}_post.py").write_text(code)
    about = to / f"{kind}_post-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {kind}-post\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[streamer.sinks]\n{kind} = {kind}_post:PigeonSink\n")


def hint_of(spec: str) -> str:
    with pytest.raises(ConfigError) as caught:
        sinks.build(*sinks.parse(spec))
    return f"{caught.value} | {caught.value.hint}"


def test_ours_are_registered_like_anybodys() -> None:
    assert {"jsonl", "stdout"} <= set(sinks.installed())


async def test_a_sink_of_another_package_works_like_ours(pigeons: Path) -> None:
    async def read_back() -> Sequence[str]:
        return await asyncio.to_thread(lambda: pigeons.read_text().split())

    assert "pigeon" in sinks.installed()
    await check_sink(lambda: sinks.build(*sinks.parse(f"pigeon://{pigeons}")), read_back)


def test_an_unknown_type_is_refused_with_those_there_are(pigeons: Path) -> None:
    said = hint_of("pidgin:there")
    assert said == f"there is no sink type 'pidgin' | there are: {', '.join(sinks.installed())}"
    assert "pigeon" in said


def test_what_is_no_spec_is_refused_with_an_example() -> None:
    assert hint_of("runs.jsonl").startswith("'runs.jsonl' is no sink | a sink is given as TYPE:…")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("jsonl:a?gzp=true", "sink jsonl: gzp: "),
        ("jsonl:a?rotate=big", "sink jsonl: rotate: "),
        ("jsonl:a?format=xml", "sink jsonl: format: "),
        ("jsonl:a?gzip=perhaps", "sink jsonl: gzip: "),
    ],
)
def test_a_wrong_option_is_refused_with_those_there_are(spec: str, said: str) -> None:
    assert hint_of(spec).startswith(said)
    assert hint_of(spec).endswith(f"| its options are: {', '.join(sorted(JsonlSink.Options.model_fields))}")


def test_a_missing_option_is_named() -> None:
    with pytest.raises(ConfigError, match="sink jsonl: path: Field required"):
        sinks.build("jsonl", {})


def test_options_that_do_not_go_together_are_refused_in_one_sentence() -> None:
    with pytest.raises(ConfigError) as caught:
        sinks.build("jsonl", {"path": "a", "template": "{{ id }}"})
    assert str(caught.value) == "sink jsonl: template is only for the format template, not for record"


def test_what_a_sink_of_ours_lacks_is_in_the_extra_that_is_named_as_its_file() -> None:
    command = [sys.executable, "-c", WITHOUT_LIBRARIES, *LIBRARIES]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    hints = dict(line.split(" ", 1) for line in said)
    assert hints.keys() == set(sinks.installed()) - {"stdout", "jsonl", "alertmanager", "alertmanagers"}
    others = {"http": "webhook", "https": "webhook", "postgresql": "postgres", "rediss": "redis", "mqtts": "mqtt"}
    extras = {**others, "amqp": "rabbitmq", "amqps": "rabbitmq"}
    assert hints == {kind: f"pip install 'prefect-streamer[{extras.get(kind, kind)}]'" for kind in hints}


def test_what_a_sink_of_another_package_lacks_is_that_packages_to_bring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring("balloon", "import no_such_gas", to=tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    said = "a sink of type balloon needs no_such_gas, which is not installed | pip install 'balloon-post'"
    assert hint_of("balloon:there") == said


@pytest.mark.parametrize("spec", ["stdout:", "jsonl:runs.jsonl", "jsonl:///var/log/runs.jsonl", "mqtt://h/a/b?qos=1"])
def test_a_spec_without_credentials_is_its_own_name(spec: str) -> None:
    assert sinks.name_of(spec) == spec


def test_a_sink_is_found_again_when_only_its_behaviour_changed() -> None:
    spec = "jsonl:///var/log/runs.jsonl?rotate=100MB&gzip=true&format=event&start=oldest"
    assert sinks.name_of(spec) == "jsonl:///var/log/runs.jsonl"


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("nats://me:pw@host:4222/S", "nats://host:4222/S"),
        ("nats://t0ken@host/S", "nats://host/S"),
        ("amqp://me:p@w@host/X", "amqp://host/X"),
        ("https://host/hook?token=abc", "https://host/hook"),
        ("https://host/hook?apiKey=abc&a=b&PASSWORD=c", "https://host/hook?a=b"),
    ],
)
def test_a_name_is_without_credentials(spec: str, name: str) -> None:
    assert sinks.name_of(spec) == name


def test_options_in_a_refusal_do_not_repeat_what_was_given(pigeons: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        sinks.build("pigeon", orjson.loads('{"token": ["hunter2"]}'))
    assert "hunter2" not in str(caught.value)
