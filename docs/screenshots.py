"""Makes the README's pictures of the live page: `python -m docs.screenshots docs/pictures`.

They show the sample flows of `streamer demo` on a real Prefect server, and beside them some runs that beat, of which
one falls silent.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from streamer.demo import server as servers
from streamer.demo.server import PrefectServer
from streamer.testing import until
from tests.running import RunningService, running
from tests.services.browser import Browser, Tab
from tests.services.real_runs import RealRuns

LIMITS = {"factor": 3, "minimum": "10s", "slack": "1s", "interval": "3s", "least": "1s"}
NAMES = ("amber-otter", "loose-quetzal", "sage-heron", "tidy-ibis", "wealthy-cormorant")
BEATS_EVERY_SECONDS = 3.0
BEATS_OF_THE_DOOMED = 6

WIDE, PHONE = (1440, 1100), (390, 844)


async def _show(folder: Path, scratch: Path) -> None:
    with (
        PrefectServer(scratch / "prefect") as prefect,
        running(scratch, prefect.api_url, STREAMER_LIVENESS=json.dumps(LIMITS)) as service,
        Browser(scratch) as browser,
    ):
        flows = prefect.spawn_flows("direct")
        async with RealRuns(prefect.api_url, flow="ingest-orders") as runs, asyncio.TaskGroup() as tasks:
            made = [await runs.running(name, "prod") for name in NAMES]
            beating = tasks.create_task(_beat(runs, made))
            await until(lambda: flows.poll() is not None, seconds=120)
            await until(lambda: bool(_told(service, "zombies")["runs"]), seconds=60)
            async with browser.tab() as tab:
                await _take(tab, service, folder)
            beating.cancel()
        servers.stop(flows)


async def _beat(runs: RealRuns, made: Sequence[str]) -> None:
    """Let all beat for ever, but the first."""
    count = 0
    while True:
        count += 1
        for run in made[count > BEATS_OF_THE_DOOMED :]:
            await runs.beat(run)
        await asyncio.sleep(BEATS_EVERY_SECONDS)


async def _take(tab: Tab, service: RunningService, folder: Path) -> None:
    (run,) = _told(service, "runs?flows=etl&limit=1")["items"]
    for name, path, (width, height), theme in (
        ("overview-light", "", WIDE, "light"),
        ("overview-dark", "", WIDE, "dark"),
        ("overview-phone", "", PHONE, "light"),
        ("run", f"runs/{run['id']}", WIDE, "light"),
    ):
        await tab.is_sized(width, height)
        await tab.prefers(color_scheme=theme, reduced_motion="reduce")
        await tab.go(f"{service.address}/{path}")
        await tab.shows("document.querySelector('.run-times .chart[aria-label], .lines li')")
        await tab.shows(
            "document.querySelector('.runs li, .states li') && !document.querySelector('dl.figures').hidden"
        )
        await tab.picture(folder / f"{name}.png")


def _told(service: RunningService, question: str) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = httpx.get(f"{service.address}/api/{question}", trust_env=False).json()
    return found


if __name__ == "__main__":
    pictures = Path(sys.argv[1])
    pictures.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        asyncio.run(_show(pictures, Path(scratch)))
