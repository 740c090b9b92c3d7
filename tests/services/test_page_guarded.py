"""The live page of a service that not everybody may ask, and what it lets be done by whoever has the token."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from streamer.service import Service
from streamer.testing import FakePrefect, an_event
from tests.place import Place
from tests.services.browser import Browser, Tab
from tests.sinks.receiver import Receiver, Reply

pytestmark = [pytest.mark.services, pytest.mark.timeout(60)]

ACCESS = {"token": "token-of-the-operators", "username": "ops", "password": "hunter2"}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with FakePrefect() as server:
        yield Place(tmp_path, server)


async def address(service: Service) -> str:
    """Return where the service is, with name and password."""
    return (await service.started()).replace("http://", "http://ops:hunter2@")


async def test_name_and_password_open_the_page_and_its_stream(place: Place, browser: Browser) -> None:
    async with place.running(access=ACCESS) as service, browser.tab() as tab:
        await tab.go(await address(service))
        event = an_event()
        place.server.publish(event)
        run = event["resource"]["prefect.resource.id"].removeprefix("prefect.flow-run.")
        await tab.shows(f"document.querySelector(`.runs a[href$='{run}']`)")
        await tab.value(f"document.querySelector(`.runs a[href$='{run}']`).click()")
        await tab.shows("document.querySelector('.states li')")
        assert tab.complaints == []


async def test_whoever_has_the_token_has_dead_letters_retried(
    place: Place, browser: Browser, receiver: Receiver
) -> None:
    receiver.answers(*[Reply(400)] * 3)
    sinks = {"hook": {"type": "webhook", "url": receiver.url}}
    async with place.running(sinks=sinks, access=ACCESS) as service, browser.tab() as tab:
        place.server.publish(an_event(), an_event())
        await tab.go(await address(service))
        letters = "document.querySelector(`.sinks a[href$='sink=hook']`)"
        await tab.shows(f"{letters}?.innerText === '2'")
        await tab.value(f"{letters}.click()")
        await tab.shows("document.querySelectorAll('.letters tbody tr').length === 2")
        assert "400" in await tab.value("document.querySelector('td.message').innerText")
        await order(tab, "wrong")
        await tab.shows("document.querySelector('.result').innerText.startsWith('That was not done:')")
        await order(tab, ACCESS["token"])
        await tab.shows("document.querySelector('.result').innerText === 'The sink has taken 2 of 2.'")
        await tab.shows("document.querySelector('.letters > .note').innerText === 'There are none.'")
        assert await tab.value("localStorage.length") == await tab.value("document.cookie.length") == 0
        assert [each for each in tab.complaints if "401" not in each] == []


async def order(tab: Tab, token: str) -> None:
    """Give the token, and have all retried."""
    await tab.value("document.getElementById('token').focus(), document.getElementById('token').select()")
    await tab.call("Input.insertText", text=token)
    await tab.press("Enter")
