"""The plan of misfortunes: seeded, complete, and never a valid event that is another."""

import orjson
import pytest
from starlette.responses import JSONResponse, Response

from streamer.testing import Faults, an_event
from streamer.testing.faults import Misfortune

MESSAGES = [orjson.dumps({"type": "event", "event": an_event()}) for _ in range(300)]
PAGE = {"events": [], "total": 5, "next_page": None}

pytestmark = pytest.mark.usefixtures("_no_waiting")


@pytest.fixture
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(_: float) -> None:
        return

    monkeypatch.setattr("streamer.testing.faults.asyncio.sleep", at_once)


def befallen(faults: Faults) -> list[list[tuple[float, bytes | int]]]:
    """Return what becomes of all messages."""
    return [faults.deliveries(message) for message in MESSAGES]


async def answered(faults: Faults, number: int = 300) -> list[bytes]:
    """Return what becomes of so many pages."""
    pages = [JSONResponse(faults.page(PAGE, itself="here")) for _ in range(number)]
    return [bytes((await faults.answer(page)).body) for page in pages]


async def test_same_seed_brings_the_same_misfortunes_and_another_does_not() -> None:
    one, same, other = Faults(1), Faults(1), Faults(2)
    assert befallen(one) == befallen(same) != befallen(other)
    assert await answered(one) == await answered(same) != await answered(other)


async def test_what_befalls_messages_does_not_depend_on_how_much_is_asked() -> None:
    asked = Faults(1)
    await answered(asked)
    assert befallen(asked) == befallen(Faults(1))


async def test_every_misfortune_happens() -> None:
    faults = Faults(1)
    befallen(faults)
    await answered(faults)
    for number in range(300):
        faults.lateness(str(number))
        faults.refusal()
    assert set(faults.happened) == set(Misfortune)


def test_message_that_is_not_as_it_was_is_no_json() -> None:
    delivered = [what for each in befallen(Faults(1)) for _, what in each if isinstance(what, bytes)]
    broken = [what for what in delivered if what not in MESSAGES]
    assert broken
    for what in broken:
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(what)


def test_message_that_is_held_back_comes_after_the_next() -> None:
    everything = [kind for kind in Misfortune if kind is not Misfortune.REORDERED]
    delivered = [what for each in befallen(Faults(1, share=0.5, spared=everything)) for _, what in each]
    assert set(delivered) >= set(MESSAGES[:-1])
    assert delivered != MESSAGES


async def test_nothing_happens_without_a_share_or_when_all_is_spared() -> None:
    for faults in (Faults(1, share=0), Faults(1, spared=tuple(Misfortune))):
        assert befallen(faults) == [[(0, message)] for message in MESSAGES]
        assert set(await answered(faults)) == {orjson.dumps(PAGE)}
        assert (faults.refusal(), faults.lateness("an id"), faults.happened.total()) == (None, 0, 0)


def test_events_that_rest_never_gets_are_told() -> None:
    faults = Faults(1)
    lost = {str(number) for number in range(300) if faults.lateness(str(number)) is None}
    assert lost == faults.lost != set()


async def test_answer_is_cut_to_what_it_began_with() -> None:
    body, every_answer = b'{"a":1}', 3  # of answers a third as many meet with a misfortune
    faults = Faults(1, share=every_answer, spared=[kind for kind in Misfortune if kind is not Misfortune.CUT])
    cut = {bytes((await faults.answer(Response(body))).body) for _ in range(200)}
    assert cut == {body[:length] for length in range(len(body) + 1)}
    assert (await faults.answer(Response(b""))).body == b""
