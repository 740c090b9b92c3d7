"""One writer: a lock file beside the store, which names the process that holds it and where it listens.

The file also has a token, and only its owner may read it: who may write the store may tell its service what to do.
"""

import fcntl
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import orjson

from streamer.errors import StoreError

LOOKING_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RunningService:
    """The service that holds a store: its address, and what proves that one may command it."""

    address: str
    token: str


class StoreLock:
    """Hold the store for one process, for as long as that lives; the system frees it however it ends."""

    def __init__(self, store: Path) -> None:
        self._path = store.with_name(store.name + ".lock")
        self._file: IO[bytes] | None = None
        self.token = secrets.token_urlsafe(32)

    @property
    def is_held(self) -> bool:
        """Tell whether we have it."""
        return self._file is not None

    def acquire(self, *, address: str = "") -> None:
        """Take the lock, or raise `StoreError` that says who has it."""
        file = open(self._path, "a+b", opener=_for_the_owner)  # noqa: SIM115 - held until released
        deadline = time.monotonic() + LOOKING_SECONDS
        while not _locked(file):
            holder = read_holder(self._path)
            if not holder and time.monotonic() < deadline:
                time.sleep(0.01)  # somebody only looks who has the store: see `service_address`
                continue
            file.close()
            raise StoreError(
                f"the store is in use by process {holder.get('pid', '?')}"
                + (f", which listens on {holder['address']}" if holder.get("address") else ""),
                hint="stop that service first, or give this one its own --store",
            )
        file.truncate(0)
        file.write(orjson.dumps({"pid": os.getpid(), "address": address, "token": self.token}))
        file.flush()
        self._file = file

    def release(self) -> None:
        """Give the lock back."""
        if self._file:
            self._file.truncate(0)
            self._file.close()
            self._file = None


def _locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def read_holder(lock_file: Path) -> dict[str, str]:
    """Return `pid` and `address` of the process that holds the lock; empty when nobody wrote them."""
    try:
        holder: dict[str, str] = orjson.loads(lock_file.read_bytes())
    except (OSError, ValueError):
        return {}
    return holder


def running_service(store: Path) -> RunningService | None:
    """Return the service that runs on this store; None when none does."""
    path = store.with_name(store.name + ".lock")
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = read_holder(path)
        return RunningService(holder["address"], holder.get("token", "")) if holder.get("address") else None
    except OSError:
        return None
    return None


def service_address(store: Path) -> str | None:
    """Return where the service that runs on this store listens; None when none runs."""
    service = running_service(store)
    return service.address if service else None


def _for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
