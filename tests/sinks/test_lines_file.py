"""A file of lines has whole lines only, whatever happened to the one that wrote it."""

import gzip
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamer.sinks.lines_file import LinesFile

CHUNK = 65_536

FILE_TOO_LARGE = """
import resource, sys
from pathlib import Path
from streamer.sinks.lines_file import LinesFile

lines = LinesFile(Path(sys.argv[1]))
lines.open()
lines.append(b"first\\n", 1)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
try:
    lines.append(b"second\\n" * 10_000, 2)
    print("not refused")
except OSError as error:
    print(error.strerror, Path(sys.argv[1]).read_bytes())
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
lines.append(b"third\\n", 3)
lines.close()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.jsonl"


@pytest.fixture
def lines(path: Path) -> Iterator[LinesFile]:
    """A file that starts anew at 20 bytes, and compresses what is full."""
    file = LinesFile(path, rotate=20, gzip=True)
    yield file
    file.close()


def names(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir())


def reopened(path: Path, content: bytes) -> bytes:
    """Return what is in a file of this content after it was opened and closed."""
    path.write_bytes(content)
    lines = LinesFile(path)
    lines.open()
    lines.close()
    return path.read_bytes()


def test_folders_are_made(tmp_path: Path) -> None:
    lines = LinesFile(tmp_path / "a/b/runs.jsonl")
    lines.append(b"one\n", 1)
    lines.close()
    assert (tmp_path / "a/b/runs.jsonl").read_bytes() == b"one\n"


def test_lines_are_on_the_disk_when_append_returns(path: Path) -> None:
    lines = LinesFile(path)
    lines.open()
    lines.append(b"one\ntwo\n", 2)
    assert path.read_bytes() == b"one\ntwo\n"
    lines.append(b"three\n", 3)
    assert path.read_bytes() == b"one\ntwo\nthree\n"
    lines.close()


@pytest.mark.parametrize("whole", [b"", b"\n", b"one\n", b"one\n" + b"2" * 3 * CHUNK + b"\n"])
@pytest.mark.parametrize("torn", [0, 1, 100, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 200_000])
def test_a_torn_last_line_is_cut_however_long(path: Path, whole: bytes, torn: int) -> None:
    assert reopened(path, whole + b"x" * torn) == whole


def test_what_is_appended_after_a_cut_starts_a_line(path: Path) -> None:
    path.write_bytes(b"one\ntw")
    lines = LinesFile(path)
    lines.append(b"three\n", 3)
    lines.close()
    assert path.read_bytes() == b"one\nthree\n"


def test_a_full_file_gets_the_last_seq_into_its_name(path: Path) -> None:
    lines = LinesFile(path, rotate=8)
    lines.append(b"one\n", 1)
    assert names(path) == ["runs.jsonl"]
    lines.append(b"two\n", 12)
    lines.append(b"three\n", 13)
    lines.close()
    assert names(path) == ["runs.000000000012.jsonl", "runs.jsonl"]
    assert (path.parent / "runs.000000000012.jsonl").read_bytes() == b"one\ntwo\n"
    assert path.read_bytes() == b"three\n"


def test_the_names_of_full_files_sort_in_order(path: Path) -> None:
    lines = LinesFile(path, rotate=1)
    for seq in (2, 10, 99, 100, 1_000_000):
        lines.append(b"%d\n" % seq, seq)
    lines.close()
    full = [each for each in sorted(path.parent.iterdir()) if each != path]
    assert b"".join(each.read_bytes() for each in full) == b"2\n10\n99\n100\n1000000\n"


def test_a_size_counts_what_was_there_before(path: Path) -> None:
    path.write_bytes(b"before\n")
    lines = LinesFile(path, rotate=10)
    lines.append(b"now\n", 5)
    lines.close()
    assert (path.parent / "runs.000000000005.jsonl").read_bytes() == b"before\nnow\n"


def test_full_files_are_compressed(path: Path, lines: LinesFile) -> None:
    lines.append(b"a line of 20 bytes!\n", 7)
    assert names(path) == ["runs.000000000007.jsonl.gz", "runs.jsonl"]
    assert gzip.decompress((path.parent / "runs.000000000007.jsonl.gz").read_bytes()) == b"a line of 20 bytes!\n"


def test_a_crash_between_rename_and_compression_is_mended(path: Path, lines: LinesFile) -> None:
    (path.parent / "runs.000000000007.jsonl").write_bytes(b"full\n")
    lines.open()
    assert names(path) == ["runs.000000000007.jsonl.gz", "runs.jsonl"]
    assert gzip.decompress((path.parent / "runs.000000000007.jsonl.gz").read_bytes()) == b"full\n"


@pytest.mark.parametrize("left", ["runs.000000000007.jsonl.gz.partial", "runs.000000000007.jsonl.gz"])
def test_a_crash_during_compression_is_mended(path: Path, lines: LinesFile, left: str) -> None:
    (path.parent / "runs.000000000007.jsonl").write_bytes(b"full\n")
    (path.parent / left).write_bytes(b"half a gz")
    lines.open()
    assert names(path) == ["runs.000000000007.jsonl.gz", "runs.jsonl"]
    assert gzip.decompress((path.parent / "runs.000000000007.jsonl.gz").read_bytes()) == b"full\n"


def test_files_of_others_are_left_alone(path: Path, lines: LinesFile) -> None:
    others = {"runs.errors.jsonl", "runs.2026.jsonl", "other.000000000007.jsonl", "runs.000000000007.txt"}
    for name in others:
        (path.parent / name).write_bytes(b"not ours\n")
    lines.open()
    assert set(names(path)) == {*others, "runs.jsonl"}


@pytest.mark.parametrize("name", ["runs", "[runs].jsonl"])
def test_a_name_may_lack_a_suffix_or_have_odd_signs(tmp_path: Path, name: str) -> None:
    for seq in (1, 2):  # the second finds what the first has left
        lines = LinesFile(tmp_path / name, rotate=1, gzip=True)
        lines.append(b"%d\n" % seq, seq)
        lines.close()
    assert [gzip.decompress(each.read_bytes()) for each in sorted(tmp_path.glob("*.gz"))] == [b"1\n", b"2\n"]


def test_lines_that_are_safe_are_acknowledged_even_if_rotation_fails(path: Path, lines: LinesFile) -> None:
    obstacle = path.parent / "runs.000000000007.jsonl.gz.partial"
    obstacle.mkdir()
    lines.append(b"a line of 20 bytes!\n", 7)
    with pytest.raises(IsADirectoryError):
        lines.append(b"not now\n", 8)
    assert not path.exists()
    obstacle.rmdir()
    lines.append(b"now\n", 8)
    assert names(path) == ["runs.000000000007.jsonl.gz", "runs.jsonl"]
    assert path.read_bytes() == b"now\n"


def test_a_write_that_fails_leaves_nothing_and_the_next_one_works(path: Path) -> None:
    command = [sys.executable, "-c", FILE_TOO_LARGE, str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "File too large b'first\\n'\n"
    assert path.read_bytes() == b"first\nthird\n"
    assert result.stderr == ""


def test_a_full_file_never_takes_the_place_of_another(path: Path, lines: LinesFile) -> None:
    lines.append(b"the first twenty bytes\n", 7)
    lines.append(b"the same again, later\n", 7)
    assert names(path) == ["runs.000000000007.jsonl.gz", "runs.000000000008.jsonl.gz", "runs.jsonl"]
    assert gzip.decompress((path.parent / "runs.000000000007.jsonl.gz").read_bytes()) == b"the first twenty bytes\n"
