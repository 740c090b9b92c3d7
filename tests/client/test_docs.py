"""The walkthrough in the documentation is a session that took place."""

import doctest
from pathlib import Path

import pytest

from streamer import client as inspecting
from tests.client.world import World

PAGE = Path(__file__).parents[2] / "docs" / "client.md"
OPTIONS = doctest.ELLIPSIS | doctest.REPORT_NDIFF


README = PAGE.parents[1] / "README.md"


def test_the_example_in_the_readme_runs(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STREAMER_STORE", world.store)
    monkeypatch.setenv("STREAMER_API_URL", world.api_url)
    example = README.read_text(encoding="utf-8").split("### From Python", 1)[1].split("```python\n", 1)[1]
    exec(example.split("```", 1)[0], {})
    told = ["FlowRun('etl/crimson-fox', Completed) 3", "etl/amber-owl 0:00:01 Flow run encountered an exception: "]
    assert capsys.readouterr().out.startswith("\n".join(told))


def test_the_walkthrough_is_true(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMER_STORE", world.store)
    monkeypatch.setenv("STREAMER_API_URL", world.api_url)
    inspecting.default_metadata()
    text = PAGE.read_text(encoding="utf-8").replace("```", "")
    session = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    told: list[str] = []
    doctest.DocTestRunner(optionflags=OPTIONS).run(session, out=told.append)
    assert "".join(told) == ""
    assert len(session.examples) > 40
