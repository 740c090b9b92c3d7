"""What an operator does with a store: look, back up, restore, vacuum, and tell it that a server has moved."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from streamer.errors import ConfigError, StoreError
from streamer.model import Family
from streamer.store import ledger
from streamer.store.connection import SqliteConnection, beside, connect, in_words, size_on_disk, transaction
from streamer.store.lock import StoreLock, service_address
from streamer.store.migrations import require_known, schema_version
from streamer.timestamps import from_micros

_LOGS = ("-wal", "-shm")
"""What SQLite keeps beside a file that is in use, or that was when its process died."""


def info(path: Path) -> dict[str, str]:
    """Return what the store holds, in words."""
    _require(path)
    with in_words(path, "read"), closing(connect(path, read_only=True)) as store:
        require_known(schema_version(store))
        return {
            "file": f"{path}, {size_on_disk(path)} bytes",
            "schema version": str(schema_version(store)),
            "service": service_address(path) or "none runs on it",
            "records": _one(store, "SELECT count(*) || ', seq up to ' || coalesce(max(seq), 0) FROM records"),
            "ids known": _one(store, "SELECT count(*) FROM ledger"),
            "runs": _one(store, "SELECT count(*) FROM runs"),
            "quarantined": _one(store, "SELECT count(*) FROM quarantine"),
            "dead letters": _one(store, "SELECT count(*) FROM dead_letters"),
            **{f"source {name}": text for name, text in _sources(store)},
            **{f"reader {name}": f"at {seq}" for name, seq in store.execute("SELECT reader, seq FROM cursors")},
        }


@dataclass(frozen=True, slots=True)
class Account:
    """The events of a source, heartbeats apart, by the net that first brought them; the rest says where they went.

    `on_server` is how many of them the server has, as far as we know: its own total over the same time.
    """

    source: str
    nets: Mapping[str, int]
    on_server: int
    heartbeats: int
    duplicates: int
    quarantined: int
    phantoms: int


def accounts(path: Path) -> list[Account]:
    """Return an account of each source, over all ids that are not forgotten yet."""
    _require(path)
    with in_words(path, "read"), closing(connect(path, read_only=True)) as store:
        require_known(schema_version(store))
        return [_account(store, number, name) for number, name in store.execute("SELECT id, name FROM sources")]


def _account(store: SqliteConnection, number: int, name: str) -> Account:
    query = "SELECT net, class, on_server, count(*) FROM ledger WHERE source = ? GROUP BY 1, 2, 3"
    groups = store.execute(query, (number,)).fetchall()
    events = [group for group in groups if group[1] == ledger.EVENT]
    counted = dict(store.execute("SELECT family, sum(value) FROM counters WHERE source = ? GROUP BY 1", (name,)))
    return Account(
        source=name,
        nets={net: sum(each[3] for each in events if each[0] == at) for at, net in enumerate(ledger.NETS)},
        on_server=sum(each[3] for each in events if each[2]),
        heartbeats=counted.get(Family.HEARTBEATS, 0),
        duplicates=counted.get(Family.DUPLICATES, 0),
        quarantined=counted.get(Family.QUARANTINED, 0),
        phantoms=counted.get(Family.PHANTOMS, 0),
    )


def backup(path: Path, target: Path) -> int:
    """Copy a store that may be in use, check the copy, and return its size in bytes."""
    _require(path)
    if target.exists():
        raise ConfigError(f"{target} exists", hint="choose another name; a backup overwrites nothing")
    partial = beside(target, ".partial")
    with in_words(target, "write"), closing(connect(path, read_only=True)) as source:
        _copy(source, partial)
        _check(partial)
        partial.rename(target)
    return target.stat().st_size


def restore(backup_file: Path, path: Path, *, force: bool = False) -> None:
    """Put a backup in the store's place; what was there is kept beside it with `.replaced`."""
    _require(backup_file)
    _check(backup_file)
    with _locked(path):
        if path.exists() and not force:
            raise ConfigError(f"there is a store at {path}", hint="use --force to replace it; it is kept as .replaced")
        with in_words(path, "restore"):
            incoming = beside(path, ".incoming")
            with closing(connect(backup_file, read_only=True)) as source:
                _copy(source, incoming)
            _set_aside(path)
            incoming.rename(path)


def vacuum(path: Path) -> tuple[int, int]:
    """Give unused space back; return the size in bytes before and after."""
    _require(path)
    with _locked(path), in_words(path, "vacuum"):
        before = size_on_disk(path)
        with closing(connect(path)) as store:
            store.execute("VACUUM")
            store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return before, size_on_disk(path)


def adopt(path: Path, *, source: str, identity: str) -> None:
    """Let a source have a new identity: it is the same server at another address."""
    _require(path)
    with _locked(path), in_words(path, "write to"), closing(connect(path)) as store, transaction(store):
        changed = store.execute("UPDATE sources SET identity = ? WHERE name = ?", (identity, source)).rowcount
        if not changed:
            known = ", ".join(row[0] for row in store.execute("SELECT name FROM sources")) or "none"
            raise ConfigError(f"the store has no source {source!r}", hint=f"it has: {known}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = StoreLock(path)
    with in_words(path, "open"):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _require(path: Path) -> None:
    if not path.is_file():
        raise StoreError(f"there is no store at {path}", hint="say which with --store, or start `streamer run` first")


def _check(path: Path) -> None:
    with in_words(path, "use"), closing(connect(path, read_only=True)) as store:
        version = schema_version(store)
        require_known(version)
        verdict = _one(store, "PRAGMA integrity_check")
        if verdict != "ok" or version == 0:
            raise StoreError(f"{path} is no sound store: {verdict if version else 'it has no schema'}")


def _copy(source: SqliteConnection, target: Path) -> None:
    """Copy a store with what is still in SQLite's log into one new file."""
    target.unlink(missing_ok=True)
    with closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def _set_aside(path: Path) -> None:
    """Keep what is there as `.replaced`, sound or not; a log left behind would be replayed into the next store."""
    aside = beside(path, ".replaced")
    if path.exists():
        for suffix in _LOGS:
            beside(aside, suffix).unlink(missing_ok=True)
    for suffix in ("", *_LOGS):
        if beside(path, suffix).exists():
            beside(path, suffix).rename(beside(aside, suffix))


def _sources(store: SqliteConnection) -> Iterator[tuple[str, str]]:
    for name, identity, epoch, watermark in store.execute("SELECT name, identity, epoch, watermark FROM sources"):
        complete = f", complete up to {from_micros(watermark).isoformat()}" if watermark else ""
        yield name, f"{identity}, counting since {from_micros(epoch).isoformat()}{complete}"


def _one(store: SqliteConnection, query: str) -> str:
    return str(store.execute(query).fetchone()[0])
