"""What a process takes of the machine, as Linux tells in `/proc`; processes that it started are part of it."""

import os
from collections.abc import Iterator
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def processor_seconds(pid: int) -> float:
    """Return how long processors have worked for it."""
    return sum(_ticks(each) for each in _with_children(pid)) / TICKS


def resident_megabytes(pid: int, kind: str = "VmRSS") -> float:
    """Return how much memory is in use now; with `VmHWM`, how much it ever was."""
    return sum(_kilobytes(each, kind) for each in _with_children(pid)) / 1000


def _with_children(pid: int) -> Iterator[int]:
    yield pid
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            yield from _with_children(int(child))


def _ticks(pid: int) -> int:
    """Return user and system time, with that of children that have ended."""
    after_the_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, after_the_name[11:15]))


def _kilobytes(pid: int, kind: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (each for each in lines if each.startswith(f"{kind}:"))
    return int(line.split()[1]) * 1.024
