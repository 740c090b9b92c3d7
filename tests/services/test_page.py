"""The live page in a real browser, of a service on a real Prefect server."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from streamer.demo.server import PrefectServer
from streamer.testing import until
from tests import patient
from tests.running import RunningService, running
from tests.services.browser import Browser, Tab
from tests.services.real_runs import RealRuns

pytestmark = [pytest.mark.services, pytest.mark.timeout(120)]

SEEN_WITHIN = 2.0
LIMITS = {"factor": 1.5, "minimum": "3s", "slack": "1s", "interval": "2s", "least": "1s"}
WIDE, TABLET, PHONE = (1440, 1000), (900, 1100), (390, 844)

EVIL = "<img src=x onerror='window.harmed=1'>"
WORSE = "<script>window.harmed=1</script>"

CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with PrefectServer(tmp_path_factory.mktemp("prefect-of-page")) as server:
        yield server


@pytest.fixture(scope="module")
def service(prefect: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("service-of-page")
    with running(folder, prefect.api_url, STREAMER_LIVENESS=json.dumps(LIMITS)) as service:
        yield service


@pytest.fixture
async def runs(prefect: PrefectServer) -> AsyncIterator[RealRuns]:
    async with RealRuns(prefect.api_url) as made:
        yield made


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
async def tab(service: RunningService, browser: Browser) -> AsyncIterator[Tab]:
    """Return a tab; whatever is done in it, nothing complains, and nobody but the service is asked."""
    async with browser.tab() as opened:
        yield opened
        assert opened.complaints == []
        assert {urlsplit(url).netloc for url in opened.requests} == {urlsplit(service.address).netloc}


def item(run: str, within: str = ".runs") -> str:
    """Return the JavaScript of what is shown of a run in a list."""
    return f"document.querySelector(`{within} a[href$='/runs/{run}']`)?.closest('li')"


async def is_seen(tab: Tab, expression: str) -> None:
    await tab.shows(expression, seconds=SEEN_WITHIN)


async def test_a_run_is_seen_as_it_starts_beats_and_fails(tab: Tab, service: RunningService, runs: RealRuns) -> None:
    await tab.go(service.address)
    run = await runs.running("loose-quetzal", "prod")
    await is_seen(tab, f"{item(run)}?.innerText.includes('Running')")
    await is_seen(tab, f"{item(run, '.feed')}?.innerText.includes('loose-quetzal')")
    await runs.beat(run)
    await is_seen(tab, f"{item(run)}.querySelector('.beats').dataset.freshness === 'fresh'")
    assert await tab.value(f"{item(run)}.querySelector('.strokes').getAttribute('d')")
    await runs.enter(run, "FAILED", message="no figures for the 3rd quarter")
    await is_seen(tab, f"!{item(run)}")
    await is_seen(tab, f"{item(run, '.feed')}.innerText.includes('no figures for the 3rd quarter')")
    await is_seen(tab, "/[1-9]\\d* failed/.test(document.querySelector('.transitions .readout').innerText)")


async def test_a_zombie_is_on_top_and_all_is_not_well_until_it_has_ended(
    tab: Tab, service: RunningService, runs: RealRuns
) -> None:
    await tab.go(service.address)
    run = await runs.running("silent-heron")
    for _ in range(3):
        await runs.beat(run)
        await asyncio.sleep(1.1)  # beats that come at once count as one
    living = await runs.pending("waiting-wren")
    async with patient.async_client(base_url=service.address) as http:

        async def is_named() -> bool:
            return run in (await http.get("/api/zombies")).text

        await until(is_named)
    await is_seen(tab, f"{item(run)}.querySelector('.why').innerText.startsWith('ZOMBIE its heartbeats stopped, said')")
    assert await tab.value(f"document.querySelector('.runs li') === {item(run)}")
    await is_seen(tab, "document.getElementById('sentence').innerText.includes('zombie')")
    assert await tab.value("document.title.startsWith('●')")
    await runs.enter(run, "CRASHED")
    await runs.enter(living, "CANCELLED")
    await is_seen(tab, "document.getElementById('sentence').innerText.startsWith('All is well')")


async def test_filters_are_in_the_address_and_hold_for_runs_and_feed(
    tab: Tab, service: RunningService, runs: RealRuns
) -> None:
    wanted, other = await runs.running("amber-otter", "blue"), await runs.running("quiet-vole", "red")
    await tab.go(f"{service.address}/?tag=blue")
    await is_seen(tab, f"{item(wanted)} && {item(wanted, '.feed')}")
    assert not await tab.value(f"Boolean({item(other)} || {item(other, '.feed')})")
    await tab.value("document.querySelector('[name=tag]').focus(), document.querySelector('[name=tag]').select()")
    await tab.call("Input.insertText", text="red")
    await is_seen(tab, f"{item(other)} && !{item(wanted)} && {item(other, '.feed')} && !{item(wanted, '.feed')}")
    assert await tab.value("location.search") == "?tag=red"
    for name, text in (("flow", "etl"), ("deployment", "etl-*"), ("state", "RUNNING"), ("text", "amber")):
        await tab.go(f"{service.address}/?{name}={text}")
        await is_seen(tab, f"{item(wanted)} && {item(wanted, '.feed')}")
    await tab.go(f"{service.address}/?flow=another")
    await is_seen(tab, "document.querySelector('.runs-now .note').innerText === 'No such run is under way.'")
    await runs.enter(wanted, "COMPLETED")
    await runs.enter(other, "COMPLETED")


async def test_a_paused_feed_stands_still_and_says_how_much_is_new(
    tab: Tab, service: RunningService, runs: RealRuns
) -> None:
    await tab.go(service.address)
    await tab.shows("document.querySelector('.feed-rows li, .feed .note:not(:empty)')")
    await tab.value("document.querySelector('.feed button').click()")
    run = await runs.pending("bold-newt")
    await is_seen(tab, "document.querySelector('.feed button').innerText.match(/Go on \\([1-9]/)")
    assert not await tab.value(f"Boolean({item(run, '.feed')})")
    await tab.value("document.querySelector('.feed button').click()")
    await is_seen(tab, item(run, ".feed"))
    await runs.enter(run, "CANCELLED")


async def test_a_run_and_its_deployment_have_pages_to_link_to(
    tab: Tab, service: RunningService, runs: RealRuns
) -> None:
    run = await runs.running("sage-heron", "prod")
    await runs.say(run, "3 rows dropped")
    await tab.go(service.address)
    await tab.shows(item(run))
    await tab.value(f"{item(run)}.querySelector('a').click()")
    await tab.shows("document.querySelector('h1').innerText === 'sage-heron'")
    assert await tab.value("location.pathname") == f"/runs/{run}"
    assert await tab.value("document.activeElement.id") == "main"
    await tab.shows("document.querySelector('.lines')?.innerText.includes('3 rows dropped')")
    await runs.enter(run, "COMPLETED", name="All Good (warn)")
    await is_seen(tab, "document.querySelector('.title .state').innerText === 'All Good (warn)'")
    states = "[...document.querySelectorAll('.states .state')].map((each) => each.innerText).join()"
    assert await tab.value(states) == "Pending,Running,All Good (warn)"
    assert await tab.value("document.querySelectorAll('.bar rect').length") == 3
    assert (await tab.value("document.querySelector('.facts a[rel]').href")).endswith(f"/runs/flow-run/{run}")
    await tab.go(f"{service.address}/deployments/{runs.deployment}")
    await tab.shows("document.querySelector('h1').innerText === 'etl-nightly'")
    await tab.shows(f"document.querySelector(`.strip li[data-state=COMPLETED] a[href$='{run}']`)")
    assert "Success, last 7 days" in await tab.value("document.querySelector('.facts').innerText")
    await tab.value("history.back()")
    await tab.shows("document.querySelector('h1')?.innerText === 'sage-heron'")


async def test_what_does_not_exist_is_said(tab: Tab, service: RunningService) -> None:
    await tab.go(f"{service.address}/runs/e3e70682-c209-4cac-a29f-6fbed82c07cd")
    await tab.shows("document.querySelector('.problem').innerText.startsWith('This run cannot be shown: no run e3e')")
    assert all("404" in each or "502" in each for each in tab.complaints), "the browser names answers that are no 200"
    tab.complaints.clear()


async def test_markup_in_names_messages_and_tags_is_text(tab: Tab, service: RunningService, runs: RealRuns) -> None:
    run = await runs.running(f"{EVIL}{WORSE}", EVIL, WORSE)
    await runs.say(run, EVIL + WORSE)
    await tab.go(service.address)
    await is_seen(tab, f"{item(run)}?.innerText.includes({json.dumps(EVIL + WORSE)})")
    await runs.enter(run, "FAILED", name=EVIL, message=WORSE)
    await is_seen(tab, f"{item(run, '.feed')}?.innerText.includes({json.dumps(WORSE)})")
    await tab.go(f"{service.address}/runs/{run}")
    await tab.shows(f"document.querySelector('.lines').innerText.includes({json.dumps(EVIL + WORSE)})")
    await tab.go(f"{service.address}/?tag={EVIL}&text={WORSE}")
    await tab.go(f"{service.address}/deployments/{runs.deployment}")
    await tab.shows("document.querySelector('tbody tr')")
    assert await tab.value("document.querySelectorAll('main img, main script').length") == 0
    assert await tab.value("window.harmed") is None


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, TABLET, PHONE])
async def test_it_is_readable_in_both_themes_at_any_width(
    tab: Tab, service: RunningService, runs: RealRuns, theme: str, size: tuple[int, int]
) -> None:
    run = await runs.running("a-rather-long-name-" * 6, "some-tag-" * 9)
    await tab.is_sized(*size)
    await tab.prefers(color_scheme=theme)
    for address in ("", f"runs/{run}", f"deployments/{runs.deployment}", "dead-letters?sink=archive"):
        await tab.go(f"{service.address}/{address}")
        await tab.shows("document.querySelector('.runs li, .states li, .strip li, .letters-view .note:not(:empty)')")
        assert await tab.value("document.documentElement.scrollWidth <= innerWidth"), address
        assert await tab.value(CONTRAST) == [], address
    ground = await tab.value("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
    assert (ground > 128) == (theme == "light")
    await runs.enter(run, "COMPLETED")


async def test_a_chosen_theme_is_kept(tab: Tab, service: RunningService) -> None:
    await tab.prefers(color_scheme="light")
    await tab.go(service.address)
    button = "document.querySelector('.colophon button')"
    await tab.value(f"{button}.click(), {button}.click()")
    await tab.go(service.address)
    assert await tab.value(f"{button}.innerText") == "Theme: dark"
    assert await tab.value("getComputedStyle(document.body).backgroundColor") == "rgb(19, 21, 25)"


async def test_it_can_be_used_by_keyboard_and_moves_nothing_for_who_does_not_want_that(
    tab: Tab, service: RunningService
) -> None:
    await tab.prefers(reduced_motion="reduce")
    await tab.go(service.address)
    await tab.shows("document.querySelector('.run-times .chart').ariaLabel")
    await tab.press("Tab")
    assert await tab.value("document.activeElement.innerText") == "Skip to content"
    assert await tab.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    names = "[...document.querySelectorAll('button, input, select, [role=img]')].filter((each) => !each.hidden)"
    unnamed = "(each) => !(each.innerText || each.labels?.length || each.getAttribute('aria-label'))"
    assert await tab.value(f"{names}.filter({unnamed}).length") == 0
    assert await tab.value("document.getAnimations().length") == 0
    assert await tab.value("document.querySelectorAll('[aria-live], [role=status], [role=alert]').length") == 1


async def test_a_stopped_service_is_said_and_a_started_one_gone_on_with(
    tab: Tab, service: RunningService, runs: RealRuns
) -> None:
    await tab.go(service.address)
    await tab.shows("document.querySelector('.figures dl')")
    begun = time.monotonic()
    service.stop()
    assert time.monotonic() - begun < 5, "viewers do not hold up the end"
    await is_seen(tab, "document.getElementById('sentence').innerText.startsWith('The connection to streamer is lost')")
    await asyncio.to_thread(service.start)
    run = await runs.pending("lucid-crane")
    await tab.shows(item(run, ".feed"))
    await tab.shows("!document.getElementById('sentence').innerText.startsWith('The connection')")
    await runs.enter(run, "CANCELLED")
    assert all("ERR_CONNECTION" in each or "ERR_INCOMPLETE" in each for each in tab.complaints)
    tab.complaints.clear()
