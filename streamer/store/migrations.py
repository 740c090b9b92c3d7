"""The store's tables, as the steps that lead to them; `PRAGMA user_version` counts the steps taken.

Ids of events and runs are 16 bytes, times are microseconds since 1970. `AUTOINCREMENT` keeps `seq` from being used
again after pruning, which would leave cursors ahead of the log.
"""

import sqlite3

from streamer.errors import StoreError

STEPS: tuple[str, ...] = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    INSERT INTO meta VALUES ('uuid', lower(hex(randomblob(16))));

    CREATE TABLE sources (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        identity TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        watermark INTEGER
    );

    -- Every event id a source has shown: the gate. `class` is by name, as the server tells heartbeats apart.
    CREATE TABLE ledger (
        id BLOB PRIMARY KEY,
        source INTEGER NOT NULL,
        occurred INTEGER NOT NULL,
        class INTEGER NOT NULL,
        on_server INTEGER NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE records (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id BLOB NOT NULL,
        source INTEGER NOT NULL,
        run BLOB,
        occurred INTEGER NOT NULL,
        kind TEXT NOT NULL,
        from_type TEXT,
        to_type TEXT
    );
    CREATE INDEX records_of_run ON records (run, occurred);

    -- The events themselves: lines of `<seq> TAB <json>`, compressed with zstd.
    CREATE TABLE segments (
        first_seq INTEGER PRIMARY KEY,
        last_seq INTEGER NOT NULL,
        source INTEGER NOT NULL,
        body BLOB NOT NULL
    );

    CREATE TABLE runs (
        id BLOB PRIMARY KEY,
        source INTEGER NOT NULL,
        name TEXT,
        flow TEXT,
        deployment TEXT,
        work_pool TEXT,
        work_queue TEXT,
        task_run TEXT,
        tags TEXT NOT NULL,
        run_count INTEGER,
        state_id BLOB,
        state_type TEXT,
        state_name TEXT,
        state_message TEXT,
        state_at INTEGER,
        seen_at INTEGER,
        started_at INTEGER,
        ended_at INTEGER,
        beats BLOB NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE counters (
        family TEXT NOT NULL,
        source TEXT NOT NULL,
        flow TEXT NOT NULL,
        deployment TEXT NOT NULL,
        work_pool TEXT NOT NULL,
        labels TEXT NOT NULL,
        value INTEGER NOT NULL,
        UNIQUE (family, source, flow, deployment, work_pool, labels)
    );
    CREATE TABLE names (id TEXT PRIMARY KEY, name TEXT NOT NULL, occurred INTEGER NOT NULL) WITHOUT ROWID;

    CREATE TABLE cursors (reader TEXT PRIMARY KEY, seq INTEGER NOT NULL, oldest INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE dead_letters (
        sink TEXT NOT NULL,
        seq INTEGER NOT NULL,
        source TEXT NOT NULL,
        reason TEXT NOT NULL,
        buried INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (sink, seq)
    ) WITHOUT ROWID;
    CREATE TABLE quarantine (
        key BLOB PRIMARY KEY,
        source TEXT NOT NULL,
        net TEXT NOT NULL,
        reason TEXT NOT NULL,
        detail TEXT NOT NULL,
        arrived INTEGER NOT NULL,
        size INTEGER NOT NULL,
        body BLOB NOT NULL
    );
    """,
    "CREATE INDEX ledger_in_time ON ledger (source, class, occurred) WHERE on_server = 1",
    """
    ALTER TABLE runs ADD COLUMN deleted_at INTEGER;
    CREATE INDEX runs_unfinished ON runs (source) WHERE ended_at IS NULL AND deleted_at IS NULL;

    -- What a transition of ours follows, but we did not have when it came.
    CREATE TABLE holes (
        follows BLOB PRIMARY KEY,
        source INTEGER NOT NULL,
        run BLOB NOT NULL,
        occurred INTEGER NOT NULL
    ) WITHOUT ROWID;
    """,
)


def schema_version(connection: sqlite3.Connection) -> int:
    """Return how many steps this store has taken; 0 for a new file."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def migrate(connection: sqlite3.Connection) -> None:
    """Take the steps that are missing, each whole or not at all; refuse a store of a newer version."""
    version = schema_version(connection)
    require_known(version)
    for number, step in enumerate(STEPS[version:], start=version + 1):
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {step}; PRAGMA user_version = {number}; COMMIT;")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def require_known(version: int) -> None:
    """Raise for a store that a newer version of this program made."""
    if version > len(STEPS):
        raise StoreError(
            f"the store has schema version {version}, and this program knows {len(STEPS)}",
            hint="run the newer version of streamer that wrote it, or start with another --store",
        )
