"""The lines of a jsonl file, and when each came to be there, by `time.monotonic`."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import orjson

from tests.running import RunningService

LOOK_EVERY_SECONDS = 0.002


class Lines:
    """`with Lines(path) as lines:` — what is in the file already is passed over."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        self._file = self._path.open("rb", buffering=0)
        self._file.seek(0, 2)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def wait_for(self, number: int, seconds: float) -> float:
        """Return when so many more were there; fail when they were not in time."""
        *_, (moment, _) = self._pieces(number, seconds, LOOK_EVERY_SECONDS)
        return moment

    def seen(self, number: int, seconds: float, every: float) -> dict[str, float]:
        """Return by event id when each of so many more was there; `every` is how often to look."""
        pieces, seen, torn = list(self._pieces(number, seconds, every)), dict[str, float](), b""
        for moment, piece in pieces:  # afterwards, so that what is waited for has the processor
            *whole, torn = (torn + piece).split(b"\n")
            seen.update((orjson.loads(line)["id"], moment) for line in whole)
        return seen

    def _pieces(self, number: int, seconds: float, every: float) -> Iterator[tuple[float, bytes]]:
        deadline = time.monotonic() + seconds
        while number > 0:
            piece, moment = self._file.read(), time.monotonic()
            number -= piece.count(b"\n")
            assert moment < deadline, f"{number} lines are missing in {self._path}"
            if piece:
                yield moment, piece
            time.sleep(every)  # the pace of looking


def lines_of(service: RunningService) -> Lines:
    """Return the lines of a service's file, which is there once its sink is open."""
    service.wait_until(service.file.exists)
    return Lines(service.file)
