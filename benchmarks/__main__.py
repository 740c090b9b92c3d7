"""Run the benchmarks and print one table.

`make bench RUNS=1000000` asks and fills a store of that many runs, which is made first if it is not there, and replays
five times as many events as usual.
`python -m benchmarks --only latency cost` takes some of them.
`python -m benchmarks --json figures.json` also keeps the figures in a file, so that commits can be compared.
"""

import argparse
import asyncio
import math
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks import (
    alerting,
    big_store,
    catching_up,
    cost,
    decoding,
    graphql,
    growth,
    ingestion,
    inspection,
    latency,
    liveness,
    page,
    replaying,
    scraping,
    throughput,
)
from benchmarks.figure import Figure

A_MILLION = 1_000_000

MEASURED: Mapping[str, Callable[[int], Iterable[Figure]]] = {
    "throughput": lambda _: throughput.measure(),
    "replaying": lambda runs: replaying.measure(replaying.ALL if runs >= A_MILLION else replaying.EVENTS),
    "catching_up": lambda _: catching_up.measure(),
    "decoding": lambda _: decoding.measure(),
    "latency": lambda _: latency.measure(),
    "alerting": lambda _: asyncio.run(alerting.measure()),
    "cost": lambda _: cost.measure(),
    "liveness": lambda _: liveness.measure(),
    "scraping": lambda _: asyncio.run(scraping.measure()),
    "page": lambda _: asyncio.run(page.measure()),
    "inspection": lambda runs: asyncio.run(inspection.measure(runs)),
    "graphql": lambda runs: asyncio.run(graphql.measure(runs)),
    "ingestion": lambda runs: asyncio.run(ingestion.measure(runs)),
    "growth": growth.measure,
}
"""What is measured, in this order; some depends on how many runs the store has."""


def main() -> int:
    """Print each figure beside its goal; the exit status is 1 if one was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("runs", nargs="?", type=int, default=big_store.USUAL, help="how many runs the store has")
    parser.add_argument("--only", nargs="+", choices=MEASURED, metavar="WHAT", help=f"some of {', '.join(MEASURED)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures there, too")
    asked = parser.parse_args()
    figures = list[Figure]()
    table = Table("what", "measured", "goal", "")
    for name in asked.only or MEASURED:
        print(f"measuring {name}", file=sys.stderr)
        for figure in _measured(name, asked.runs):
            figures.append(figure)
            table.add_row(figure.what, figure.shown, figure.goal_shown, figure.verdict)
        table.add_section()
    Console().print(table)
    if asked.json:
        asked.json.write_bytes(orjson.dumps([asdict(each) for each in figures], option=orjson.OPT_INDENT_2))
    return int(any(figure.is_missed for figure in figures))


def _measured(name: str, runs: int) -> list[Figure]:
    """Return the figures of a benchmark; one that fails does not take those of the others with it."""
    try:
        return list(MEASURED[name](runs))
    except Exception:  # noqa: BLE001 - whatever it was, it is printed
        traceback.print_exc()
        return [Figure(f"{name}: failed, see above", math.inf, "", goal=0)]


if __name__ == "__main__":
    sys.exit(main())
