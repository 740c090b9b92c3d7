"""`docs/sinks.md` and the code say the same."""

import re
import tomllib
from datetime import UTC, date, datetime
from importlib.metadata import entry_points
from pathlib import Path

import duckdb
import orjson
import pytest

from schemas import decode
from streamer import config, sinks
from streamer.errors import Reject, Retry
from streamer.model import Record
from streamer.sinks.postgres_table import MIGRATIONS
from streamer.sinks.rows import Row
from streamer.sinks.webhook_answers import Answer, refusal
from streamer.testing import an_event
from tests.services.deliveries import made, opened

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
REFERENCE = (Path(__file__).parents[2] / "docs/sinks.md").read_text()
INTRODUCTION, *_ = REFERENCE.split("\n## ")
SECTIONS: dict[str, str] = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", REFERENCE, re.MULTILINE | re.DOTALL))


def rows(text: str) -> list[list[str]]:
    """Return the cells of the one table in a text, its head and ruler left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def block(section: str, language: str) -> str:
    return SECTIONS[section].split(f"```{language}\n")[1].split("```")[0]


def test_each_sink_of_ours_has_a_section_and_a_row() -> None:
    modules = (entry.module for entry in entry_points(group="streamer.sinks"))
    ours = {module.removeprefix("streamer.sinks.") for module in modules if module.startswith("streamer.sinks.")}
    assert set(SECTIONS) == ours
    assert {row[0] for row in rows(INTRODUCTION)} == {f"[`{name}`](#{name})" for name in ours}


@pytest.mark.parametrize("section", [name for name, text in SECTIONS.items() if "```toml" in text])
def test_documented_sinks_are_valid(section: str) -> None:
    for each in config.only(**tomllib.loads(block(section, "toml"))).sinks.values():
        assert each.type == section
        sinks.build(each.type, each.options)


@pytest.mark.parametrize(("answers", "meaning"), rows(SECTIONS["webhook"]))
def test_answers_to_a_webhook_mean_what_is_documented(answers: str, meaning: str) -> None:
    expected = {"taken": type(None), "a dead letter": Reject}.get(meaning.split(";")[0], Retry)
    statuses = [int(each.replace("xx", "03")) for each in re.findall(r"\b\d(?:\d\d|xx)", answers)]
    assert statuses
    for status in statuses if "other" not in answers else [400, 402, 413, 422, 451]:
        error = refusal(Answer(status, {"retry-after": "86400"}, ""), where="there", now=NOON)
        assert type(error) is expected, status
        if "an hour" in meaning:
            assert getattr(error, "after", None) == 3600


def test_columns_of_the_table_are_as_documented() -> None:
    documented = [(name, kind.strip("`")) for names, kind, _ in rows(SECTIONS["postgres"]) for name in named(names)]
    made_of = re.findall(r"^ {8}(\w+) ([\w\[\]]+)", "".join(MIGRATIONS), re.MULTILINE)
    assert documented == made_of
    assert [name for name, _ in documented] == list(Row._fields)


def named(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


async def test_documented_query_of_parquet_files_answers(tmp_path: Path) -> None:
    failed = decode(orjson.dumps(an_event(occurred=NOON, after="FAILED")))
    completed = decode(orjson.dumps(an_event(occurred=NOON, after="COMPLETED")))
    async with opened(made(f"parquet://{tmp_path}")) as sink:
        await sink.write([Record(seq, "default", event) for seq, event in enumerate((failed, completed), 1)])
    query = block("parquet", "sql").replace("'folder/", f"'{tmp_path}/")
    with duckdb.connect(":memory:") as database:
        assert database.execute(query).fetchall() == [(date(2026, 11, 21), "etl", 1)]
