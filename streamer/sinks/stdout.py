"""`stdout:` — each record as a line of JSON on standard output."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import SplitResult

from streamer.model import Record
from streamer.sinks.formats import Formatted, messages
from streamer.sinks.worker import Worker


class StdoutSink:
    """Print records. The ack is that the pipe took them."""

    class Options(Formatted):
        """Only those of a format."""

    def __init__(self, options: Options) -> None:
        self._encoder = options.encoder()
        self._worker = Worker("stdout")

    @staticmethod
    def options_from(url: SplitResult) -> Mapping[str, Any]:
        """Return nothing: `stdout:` has only query options."""
        return {}

    async def open(self) -> None:
        """Do nothing: standard output is open."""

    async def write(self, records: Sequence[Record], /) -> None:
        """Print, in a thread: a pipe may be slow, or stuck."""
        lines = b"".join(message.body + b"\n" for message in messages(self._encoder, records))
        await self._worker.do(lambda: _print(lines))

    async def close(self) -> None:
        """Let go of the thread; standard output is not ours to close."""
        self._worker.stop()


def _print(lines: bytes) -> None:
    sys.stdout.buffer.write(lines)
    sys.stdout.buffer.flush()
