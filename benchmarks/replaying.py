"""How long `streamer replay` takes for an event of a file, beside Prefect's own subscriber that only reads such events.

A process of its own brings bare events through the whole pipeline into a new store: validated, committed to the disk in
batches, counted, runs followed; no sink is given. Its start is part of the time. The more events, the less it matters:
`python -m benchmarks.replaying 500000`.
"""

import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import throughput
from benchmarks.figure import Figure
from benchmarks.made import events, made
from tests.running import isolated

EVENTS, ALL = 100_000, 500_000


def measure(number: int = EVENTS) -> list[Figure]:
    """Return events a second, and the ratio of times."""
    rate, theirs = _replayed(number), throughput.theirs(throughput.rates(throughput.EVENTS))
    return [
        Figure(f"events a second, replay of {number:,} from a file into a new store, its start included", rate, "/s"),
        Figure("time for an event, replay's to Prefect's subscriber's", theirs / rate, "x", goal=1 / 4),
    ]


def _replayed(number: int) -> float:
    """Return events a second."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "events.jsonl"
        with file.open("wb") as lines:
            lines.writelines(made(event).body + b"\n" for event in events(number))
        command = [sys.executable, "-m", "streamer", "replay", str(file)]
        begun = time.monotonic()
        done = subprocess.run(command, env=isolated(Path(folder)), capture_output=True, text=True, check=True)
        taken = time.monotonic() - begun
    assert f"{number} new records, 0 heartbeats, 0 were there already, 0 in quarantine" in done.stderr, done.stderr
    return number / taken


if __name__ == "__main__":
    for figure in measure(*map(int, sys.argv[1:])):
        print(figure.what, figure.shown, figure.goal_shown, figure.verdict, sep="  ")
