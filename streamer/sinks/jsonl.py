"""`jsonl:///path/file.jsonl` — each record as a line of JSON, on the disk before it is acknowledged."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote

from pydantic import ByteSize

from streamer.errors import ConfigError
from streamer.model import Record
from streamer.sinks.formats import Formatted, messages
from streamer.sinks.lines_file import LinesFile
from streamer.sinks.worker import Worker


class JsonlSink:
    """Append records to a file, in a thread of its own, so that what was begun ends before `close`."""

    class Options(Formatted):
        """`path`; `rotate`, the size such as `100MB` to start a new file at; `gzip` for the full ones; a format's."""

        path: Path
        rotate: ByteSize | None = None
        gzip: bool = False

    def __init__(self, options: Options) -> None:
        self._file = LinesFile(options.path.expanduser(), rotate=options.rotate, gzip=options.gzip)
        self._encoder = options.encoder()
        self._worker = Worker("jsonl")

    @staticmethod
    def options_from(url: SplitResult) -> Mapping[str, Any]:
        """Return the path: `jsonl:///absolute` or `jsonl:relative`."""
        if url.netloc or not url.path:
            raise ConfigError(f"{url.geturl()!r} names no file", hint="write jsonl:///absolute/path or jsonl:relative")
        return {"path": unquote(url.path)}

    async def open(self) -> None:
        """Open the file, made if need be; a line torn by a crash is cut off."""
        await self._worker.do(self._file.open)

    async def write(self, records: Sequence[Record], /) -> None:
        """Append the lines and sync them to the disk; after an error nothing of them is left."""
        lines = b"".join(message.body + b"\n" for message in messages(self._encoder, records))
        await self._worker.do(lambda: self._file.append(lines, records[-1].seq))

    async def close(self) -> None:
        """Close the file."""
        await self._worker.do(self._file.close)
        self._worker.stop()
