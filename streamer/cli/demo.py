"""`streamer demo`: a real Prefect server, sample flows, and the service on it; with `--once` it checks itself."""

import asyncio
import importlib.util
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from schemas import StateType
from streamer import config, logs
from streamer.cli.rendering import line
from streamer.demo import server as servers
from streamer.demo.server import PrefectServer
from streamer.demo.truth import Truth, is_transition
from streamer.errors import ConfigError
from streamer.metrics.counters import Metrics
from streamer.model import Appended, Net
from streamer.service import Service, run_until_signalled
from streamer.sinks.lines_file import whole_lines

RUNS_EXPECTED = 9
"""etl twice, each with its subflow; report, flaky, quality, approval, doomed."""

PATIENCE_SECONDS = 180

console = Console(highlight=False, soft_wrap=True)


def demo(
    once: Annotated[bool, typer.Option("--once", help="End when the flows have; compare with the server.")] = False,
) -> None:
    """Start a real Prefect server with sample flows, and watch them arrive."""
    if importlib.util.find_spec("prefect") is None:
        raise ConfigError("the demo needs Prefect", hint="pip install 'prefect-streamer[demo]'")
    logs.configure(level="WARNING")
    with TemporaryDirectory(prefix="streamer-demo-") as folder, _prefect(Path(folder)) as server:
        agreed = asyncio.run(_demo(Path(folder), server, once=once))
    raise typer.Exit(0 if agreed else 1)


@contextmanager
def _prefect(folder: Path) -> Iterator[PrefectServer]:
    server = PrefectServer(folder / "prefect", {"PREFECT_WORKER_QUERY_SECONDS": "1"})
    with console.status("starting a Prefect server …"), server:
        console.print(f"[bold]Prefect[/] {server.api_url}")
        yield server


class _Printer:
    """An observer that prints what arrives."""

    name = "printer"

    def committed(self, _source: str, _net: Net, appended: Appended) -> None:
        """Print a line for each new record."""
        for record in appended.records:
            console.print(line(record.event))


async def _demo(folder: Path, server: PrefectServer, *, once: bool) -> bool:
    file = folder / "runs.jsonl"
    settings = config.only(
        api_url=server.api_url,
        store=f"sqlite:///{folder / 'streamer.db'}",
        listen="127.0.0.1:0",
        sink=[f"jsonl://{file}"],
    )
    service = Service(settings, observers=[_Printer()])
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(run_until_signalled(service))
        console.print(f"[bold]page[/]    {await service.started()}   [dim]records in {file}[/]\n")
        async with _flows(server):
            if not once:
                console.print("[dim]Ctrl-C ends it[/]\n")
                await service.stopped()
                return True
            settling, stopped = tasks.create_task(_settled(server, file)), tasks.create_task(service.stopped())
            await asyncio.wait((settling, stopped), return_when=asyncio.FIRST_COMPLETED)
            if stopped.done():
                settling.cancel()
                return False
            agreed = settling.result().report(counted=_counted(service.core.metrics))
        service.stop()
    return agreed


@asynccontextmanager
async def _flows(server: PrefectServer) -> AsyncIterator[None]:
    """Run a worker and the sample flows in processes of their own."""
    worker = server.spawn("worker", "start", "--pool", "demo-pool", "--type", "process", "--name", "demo-worker")
    flows = server.spawn_flows()
    try:
        yield
    finally:
        for process in (flows, worker):
            await asyncio.to_thread(servers.stop, process)


async def _settled(server: PrefectServer, file: Path) -> "Comparison":
    """Wait until all runs have ended and the file has what the server has; or until patience ends."""
    truth = Truth(server.api_url)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        states = [StateType(run["state_type"]) for run in await asyncio.to_thread(truth.runs)]
        compared = Comparison(await asyncio.to_thread(truth.events), _ids(file))
        ended = len(states) >= RUNS_EXPECTED and all(state.is_terminal for state in states)
        if (ended and compared.agrees) or time.monotonic() > deadline:
            truth.close()
            return compared
        await asyncio.sleep(1)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The events that the server has, and the ids in our file."""

    events: list[dict[str, Any]]
    ours: list[str]

    @property
    def agrees(self) -> bool:
        """Tell whether the ids are the same, and each is there once."""
        return sorted(event["id"] for event in self.events) == sorted(self.ours)

    @property
    def transitions(self) -> int:
        """Return how many of the server's events are changes of state."""
        return sum(map(is_transition, self.events))

    def report(self, *, counted: int) -> bool:
        """Print both sides, and return whether they agree."""
        agreed = self.agrees and counted == self.transitions
        table = Table(title="does it add up?", title_justify="left")
        for column in ("", "Prefect's REST", "streamer"):
            table.add_column(column, justify="right" if column else "left")
        table.add_row("flow-run events", str(len(self.events)), f"{len(self.ours)} lines, {len(set(self.ours))} ids")
        table.add_row("transitions", str(self.transitions), f"{counted} counted")
        console.print("", table)
        console.print("[green]✓ the same[/]" if agreed else "[red]✗ they differ[/]")
        return agreed


def _ids(file: Path) -> list[str]:
    return [orjson.loads(each)["id"] for each in whole_lines(file)]


def _counted(metrics: Metrics) -> int:
    """Return the sum of `prefect_flow_run_transitions_total` as a scraper would see it."""
    name = "prefect_flow_run_transitions_total"
    return int(sum(sample.value for metric in metrics.collect() for sample in metric.samples if sample.name == name))
