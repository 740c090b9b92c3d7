"""A file of lines that survives crashes: whole lines only, synced, rotated by size.

A full file `runs.jsonl` becomes `runs.<last seq>.jsonl`, and `.gz` if asked for; the names sort in order.
"""

import gzip
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import IO

_CHUNK = 65_536


class LinesFile:
    """Append lines to `path`. Not for use by two threads at once."""

    def __init__(self, path: Path, *, rotate: int | None = None, gzip: bool = False) -> None:
        self._path = path
        self._rotate = rotate
        self._gzip = gzip
        self._file: IO[bytes] | None = None

    def open(self) -> None:
        """Open for appending; cut off a torn last line, and finish a rotation that a crash cut short."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._gzip:
            for plain in self._full_files():
                _compress(plain)
        self._file = self._path.open("a+b")
        _cut_torn_line(self._file)
        _sync_folder(self._path)

    def append(self, lines: bytes, last_seq: int) -> None:
        """Write and sync; if that fails, leave the file as it was."""
        if self._file is None:
            self.open()
        assert self._file is not None
        size = self._file.seek(0, os.SEEK_END)
        try:
            self._file.write(lines)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError:
            self._reset(size)
            raise
        if self._rotate and size + len(lines) >= self._rotate:
            with suppress(OSError):  # these lines are safe; the next append or start meets the error before it writes
                self._start_new(last_seq)

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._file:
            self._file.close()
            self._file = None

    def _reset(self, size: int) -> None:
        """Drop what was half-written, buffer included, and open again at the next write."""
        assert self._file is not None
        os.ftruncate(self._file.fileno(), size)
        self._file.raw.close()  # type: ignore[attr-defined]  # closing the buffer would write what it still holds
        self._file = None

    def _start_new(self, last_seq: int) -> None:
        self.close()
        while _is_there(full := self._path.with_name(f"{self._path.stem}.{last_seq:012d}{self._path.suffix}")):
            last_seq += 1  # records that come again must not replace those that came before
        self._path.rename(full)
        if self._gzip:
            _compress(full)
        self.open()

    def _full_files(self) -> list[Path]:
        """Return the full files that are not compressed; others in the folder may be anybody's."""
        full = re.compile(rf"{re.escape(self._path.stem)}\.\d{{12,}}{re.escape(self._path.suffix)}")
        return [each for each in self._path.parent.iterdir() if full.fullmatch(each.name)]


def whole_lines(path: Path) -> list[bytes]:
    """Return the lines of a file that may be being written: the last counts only when it is whole."""
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def _is_there(full: Path) -> bool:
    return full.exists() or _packed(full).exists()


def _packed(plain: Path) -> Path:
    return plain.with_name(plain.name + ".gz")


def _compress(plain: Path) -> None:
    """Replace a file by its gzip; a crash leaves the one or the other, or both for the next start to tidy."""
    partial = plain.with_name(plain.name + ".gz.partial")
    with plain.open("rb") as source, partial.open("wb") as target:
        with gzip.open(target, "wb") as packed:
            shutil.copyfileobj(source, packed)
        os.fsync(target.fileno())
    partial.rename(_packed(plain))
    _sync_folder(plain)
    plain.unlink()


def _cut_torn_line(file: IO[bytes]) -> None:
    """Truncate after the last line break: what follows it was never acknowledged."""
    end = file.seek(0, os.SEEK_END)
    start = end
    while start > 0:
        start = max(0, start - _CHUNK)
        file.seek(start)
        chunk = file.read(min(_CHUNK, end - start))
        if (at := chunk.rfind(b"\n")) >= 0:
            file.truncate(start + at + 1)
            return
    file.truncate(0)


def _sync_folder(path: Path) -> None:
    """Make the file's name survive a power cut."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
