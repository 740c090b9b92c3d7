"""The stdout sink keeps the contract of a sink."""

from collections.abc import Sequence

import orjson
import pytest

from schemas import decode
from streamer import sinks
from streamer.model import Record
from streamer.testing import an_event, check_sink


async def test_it_keeps_the_contract(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    printed: list[str] = []

    async def read_back() -> Sequence[str]:
        printed.extend(orjson.loads(line)["id"] for line in capsysbinary.readouterr().out.splitlines())
        return printed

    await check_sink(lambda: sinks.build("stdout", {}), read_back)


async def test_in_the_format_event_a_line_is_prefects_own_json(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    event = decode(orjson.dumps(an_event()))
    sink = sinks.build(*sinks.parse("stdout:?format=event"))
    await sink.open()
    await sink.write([Record(1, "default", event)])
    await sink.close()
    assert capsysbinary.readouterr().out == event.raw + b"\n"
