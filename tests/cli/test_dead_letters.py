"""`streamer dead-letters` and what stands behind it: what a sink refused is looked at, given again, or dropped."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from streamer import sinks
from streamer.cli import app
from streamer.errors import Reject, StreamerError
from streamer.model import Record
from streamer.service import Service
from streamer.testing import FakePrefect, MemorySink, an_event, until
from tests.place import Place

SINK = {"sink": [], "sinks": {"picky": {"type": "stdout"}}}


class Picky:
    """A sink that refuses failures, until it has learned."""

    def __init__(self) -> None:
        self.sink = MemorySink(self.refuse)
        self.has_learned = False

    def refuse(self, records: Sequence[Record]) -> None:
        if not self.has_learned and any(b"FAILED" in each.event.raw for each in records):
            raise Reject("[no failures], please")

    @property
    def ids(self) -> list[str]:
        return [str(each.event.id) for each in self.sink.records]


@pytest.fixture
def picky(monkeypatch: pytest.MonkeyPatch) -> Picky:
    picky = Picky()
    monkeypatch.setattr(sinks, "build", lambda *_, **__: picky.sink)
    monkeypatch.setenv("COLUMNS", "200")
    return picky


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with FakePrefect() as server:
        yield Place(tmp_path, server)


@asynccontextmanager
async def refused(place: Place) -> AsyncIterator[tuple[Service, list[str]]]:
    """Run a service whose sink has taken one event and refused two; yield the ids, the refused last."""
    async with place.running(**SINK) as service:
        events = [an_event(), an_event(after="FAILED"), an_event(after="FAILED")]
        place.server.publish(*events)
        await until(lambda: _buried(service, 2))
        yield service, [each["id"] for each in events]


async def _buried(service: Service, number: int) -> bool:
    return len(await service.core.store.buried()) == number


async def dead_letters(service: Service, *arguments: str) -> Result:
    whole = ["dead-letters", *arguments, "--store", f"sqlite:///{service.core.settings.store_path}"]
    return await asyncio.to_thread(CliRunner().invoke, app, whole)


def shown(service: Service) -> float | None:
    registry = service.core.instruments.registry
    return registry.get_sample_value("prefect_streamer_dead_letters", {"sink": "picky"})


async def test_list_tells_what_was_refused_and_why(place: Place, picky: Picky) -> None:
    async with refused(place) as (service, _):
        listed = (await dead_letters(service, "list")).output
        assert listed.count("[no failures], please") == 2
        assert "there are no dead letters" in (await dead_letters(service, "list", "another")).output


async def test_show_prints_the_record(place: Place, picky: Picky) -> None:
    async with refused(place) as (service, ids):
        seq = min(each.seq for each in await service.core.store.buried("picky"))
        record = orjson.loads((await dead_letters(service, "show", "picky", str(seq))).stdout)
        assert (record["seq"], record["id"], record["to"]["type"]) == (seq, ids[1], "FAILED")


async def test_what_the_sink_takes_now_is_a_dead_letter_no_more(place: Place, picky: Picky) -> None:
    async with refused(place) as (service, ids):
        picky.has_learned = True
        assert (await dead_letters(service, "retry", "picky", "--all")).output == "picky took 2 of 2\n"
        assert picky.ids == ids
        assert (await service.core.store.buried(), shown(service)) == ([], 0)


async def test_what_it_still_refuses_stays(place: Place, picky: Picky) -> None:
    async with refused(place) as (service, ids):
        seq = str((await service.core.store.buried())[0].seq)
        assert (await dead_letters(service, "retry", "picky", seq)).output == "picky took 0 of 1\n"
        assert (picky.ids, shown(service)) == (ids[:1], 2)


async def test_what_is_dropped_is_forgotten(place: Place, picky: Picky) -> None:
    async with refused(place) as (service, _):
        first, second = sorted(each.seq for each in await service.core.store.buried())
        assert (await dead_letters(service, "drop", "picky", str(first))).output == "dropped 1\n"
        assert [each.seq for each in await service.core.store.buried()] == [second]
        assert shown(service) == 1


@pytest.mark.parametrize(
    "arguments", ["show picky 99", "retry picky", "retry picky 1 --all", "retry picky 99", "retry nobody --all"]
)
async def test_what_names_no_dead_letter_is_a_clear_error(place: Place, picky: Picky, arguments: str) -> None:
    async with refused(place) as (service, _):
        result = await dead_letters(service, *arguments.split())
        assert isinstance(result.exception, StreamerError)
        assert result.exception.hint


async def test_without_a_service_nothing_can_be_given_again_but_dropped(place: Place, picky: Picky) -> None:
    async with refused(place) as (service, _):
        pass
    result = await dead_letters(service, "retry", "picky", "--all")
    assert isinstance(result.exception, StreamerError)
    assert "streamer run" in (result.exception.hint or "")
    assert (await dead_letters(service, "drop", "picky", "--all")).output == "dropped 2\n"
