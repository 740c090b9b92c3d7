"""Run the benchmarks and print one table."""

import asyncio
import sys

from rich.console import Console
from rich.table import Table

from benchmarks import alerting, decoding, inspection, latency, liveness, scraping
from benchmarks.figure import Figure


def main() -> int:
    """Print each figure beside its goal; the exit status is 1 if one was missed."""
    figures: list[Figure] = [*decoding.measure(), *asyncio.run(latency.measure()), *liveness.measure()]
    figures += asyncio.run(scraping.measure())
    figures += asyncio.run(alerting.measure())
    figures += asyncio.run(inspection.measure())
    table = Table("what", "measured", "goal", "")
    for figure in figures:
        table.add_row(figure.what, figure.shown, figure.goal_shown, figure.verdict)
    Console().print(table)
    return int(any(figure.is_missed for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
