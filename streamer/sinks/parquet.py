"""`parquet:///folder` — records in Parquet files by day, for whoever asks with SQL; each is there once."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote

import duckdb
from pydantic import field_validator

from streamer.errors import ConfigError, Reject, Retry
from streamer.model import Record
from streamer.sinks.formats import Formatted, messages
from streamer.sinks.parquet_folder import ParquetFolder
from streamer.sinks.rows import Row
from streamer.sinks.worker import Work, Worker


class ParquetSink:
    """Write what is not there yet into new files, in a thread of its own, so that what was begun ends."""

    class Options(Formatted):
        """`path` of the folder, which is this sink's alone; a format's, which is that of the column `record`."""

        path: Path

        @field_validator("path")
        @classmethod
        def _is_taken_as_it_is(cls, value: Path) -> Path:
            if set(str(value)) & set("*?["):
                raise ValueError("DuckDB would take *, ? and [ in the folder's path for a pattern")
            return value.expanduser().absolute()

    def __init__(self, options: Options) -> None:
        self._folder = ParquetFolder(options.path)
        self._encoder = options.encoder()
        self._worker = Worker("parquet")

    @staticmethod
    def options_from(url: SplitResult) -> Mapping[str, Any]:
        """Return the path: `parquet:///absolute` or `parquet:relative`."""
        if url.netloc or not url.path:
            raise ConfigError(f"{url.geturl()!r} names no folder", hint="write parquet:///absolute or parquet:relative")
        return {"path": unquote(url.path)}

    async def open(self) -> None:
        """Look at what is there, and tidy up what a crash left."""
        await self._do(self._folder.open)

    async def write(self, records: Sequence[Record], /) -> None:
        """Return when the files are on the disk under their names; an error leaves nothing half-written."""
        rows = [Row.of(message) for message in messages(self._encoder, records)]
        await self._do(lambda: self._folder.add(rows))

    async def close(self) -> None:
        """Let go of DuckDB and the thread."""
        await self._worker.do(self._folder.close)
        self._worker.stop()

    async def _do(self, work: Work) -> None:
        try:
            await self._worker.do(work)
        except duckdb.DataError as error:
            raise Reject(f"Parquet cannot hold it: {error}") from error
        except (duckdb.Error, OSError) as error:
            raise Retry(f"the Parquet files cannot be written: {error}") from error
