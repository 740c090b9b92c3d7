"""Python as a process wants it that has it to itself and moves events."""

import gc
import sys

SWITCH_SECONDS = 0.0001
"""How long a thread may keep the interpreter from the others: with Python's 5 ms, a scrape holds up an append by 80."""

COLLECTED_AFTER = 10_000, 20, 20
"""Python's usual 700 new objects have it look for circles of them, of which we make few, many times in each batch."""


def prepare() -> None:
    """Change how Python shares its time between threads, and how often it collects."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.freeze()
    gc.set_threshold(*COLLECTED_AFTER)
