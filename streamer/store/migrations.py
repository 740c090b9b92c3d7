"""The store's tables, as the steps that lead to them; `PRAGMA user_version` counts the steps taken.

Ids of events and runs are 16 bytes, times are microseconds since 1970. `AUTOINCREMENT` keeps `seq` from being used
again after pruning, which would leave cursors ahead of the log.
"""

import sqlite3

from streamer.store.engine import refuse_newer

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
    """
    DROP TABLE holes;

    -- Where a run's transition did not start from the state before it; `missing` is the id it follows, if unknown.
    CREATE TABLE breaks (
        run BLOB NOT NULL,
        missing BLOB NOT NULL,
        source INTEGER NOT NULL,
        occurred INTEGER NOT NULL,
        PRIMARY KEY (run, missing)
    ) WITHOUT ROWID;

    -- The last heartbeats of each run: two times each, 16 bytes, by when they occurred.
    CREATE TABLE beats (run BLOB PRIMARY KEY, ring BLOB NOT NULL) WITHOUT ROWID;
    INSERT INTO beats SELECT id, beats FROM runs WHERE length(beats) > 0;
    ALTER TABLE runs DROP COLUMN beats;
    DELETE FROM ledger WHERE class = 1 AND id NOT IN (SELECT key FROM quarantine);

    -- Events of states that were rolled back.
    CREATE TABLE phantoms (id BLOB PRIMARY KEY, occurred INTEGER NOT NULL) WITHOUT ROWID;

    -- What occurred before the horizon is forgotten; `net` says, as its place in `model.Net`, what brought an event.
    ALTER TABLE sources ADD COLUMN horizon INTEGER;
    ALTER TABLE ledger ADD COLUMN net INTEGER;
    DROP INDEX ledger_in_time;
    CREATE INDEX ledger_in_time ON ledger (source, class, on_server, occurred);
    ALTER TABLE segments ADD COLUMN written INTEGER NOT NULL DEFAULT 0;
    UPDATE segments SET written = strftime('%s', 'now') * 1000000;
    ALTER TABLE runs ADD COLUMN since INTEGER;
    UPDATE runs SET since = state_at;
    ALTER TABLE runs ADD COLUMN verdict TEXT;
    ALTER TABLE runs ADD COLUMN verdict_reason TEXT;
    ALTER TABLE runs ADD COLUMN verdict_at INTEGER;
    CREATE INDEX runs_judged ON runs (verdict) WHERE verdict IS NOT NULL;
    CREATE INDEX runs_gone ON runs (coalesce(deleted_at, ended_at)) WHERE coalesce(deleted_at, ended_at) IS NOT NULL;
    """,
    """
    -- Counters tell apart what the configuration wants told apart (`more`); `raised` is when one was last.
    ALTER TABLE counters RENAME TO counters_before;
    CREATE TABLE counters (
        family TEXT NOT NULL,
        source TEXT NOT NULL,
        flow TEXT NOT NULL,
        deployment TEXT NOT NULL,
        work_pool TEXT NOT NULL,
        labels TEXT NOT NULL,
        more TEXT NOT NULL,
        value INTEGER NOT NULL,
        raised INTEGER NOT NULL,
        UNIQUE (family, source, flow, deployment, work_pool, labels, more)
    );
    INSERT INTO counters SELECT family, source, flow, deployment, work_pool, labels, '[]', value,
        strftime('%s', 'now') * 1000000 FROM counters_before ORDER BY rowid;
    DROP TABLE counters_before;

    -- When a run should have started, which no event tells, and which of its times were measured.
    ALTER TABLE runs ADD COLUMN due INTEGER;
    ALTER TABLE runs ADD COLUMN waited INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE runs ADD COLUMN lasted INTEGER NOT NULL DEFAULT 0;
    UPDATE runs SET lasted = ended_at IS NOT NULL, waited = started_at IS NOT NULL;
    CREATE INDEX runs_due ON runs (due) WHERE due IS NOT NULL;
    CREATE INDEX runs_without_due ON runs (source) WHERE due IS NULL AND deleted_at IS NULL;
    """,
    """
    -- Ends of runs of which something is missing, so that how long they took is not measured yet.
    CREATE TABLE finishes (
        run BLOB NOT NULL, ended INTEGER NOT NULL, state TEXT NOT NULL, PRIMARY KEY (run, ended)
    ) WITHOUT ROWID;
    """,
    """
    -- When the newest record in a segment occurred, by which a time is found; null for those written before.
    ALTER TABLE segments ADD COLUMN newest INTEGER;
    CREATE INDEX segments_newest ON segments (newest);

    -- Since when a reader wants what occurred before the epoch; null: none of it.
    ALTER TABLE cursors ADD COLUMN since INTEGER;
    UPDATE cursors SET since = -62135596800000000 WHERE oldest = 1;
    ALTER TABLE cursors DROP COLUMN oldest;
    """,
    """
    -- What alerts remember of each group that a rule tells apart, and when nobody is to be told of what; JSON both.
    CREATE TABLE alert_groups (
        rule TEXT NOT NULL, source TEXT NOT NULL, grp TEXT NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (rule, source, grp)
    ) WITHOUT ROWID;
    CREATE TABLE silences (id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
    """,
    """
    -- What questions about runs are answered by. Most indexes are of what a run belongs to and when it was first seen:
    -- they are not written again when it goes on. `deleted_at` is in them so that runs are counted by the index alone.
    UPDATE runs SET seen_at = coalesce(state_at, 0) WHERE seen_at IS NULL;
    CREATE INDEX runs_seen ON runs (seen_at);
    CREATE INDEX runs_started ON runs (started_at) WHERE started_at IS NOT NULL;
    CREATE INDEX runs_moved ON runs (state_at) WHERE state_at IS NOT NULL;
    CREATE INDEX runs_named ON runs (name) WHERE name IS NOT NULL;
    CREATE INDEX runs_of_task_run ON runs (task_run) WHERE task_run IS NOT NULL;
    CREATE INDEX runs_of_flow ON runs (flow, deleted_at, seen_at) WHERE flow IS NOT NULL;
    CREATE INDEX runs_of_deployment ON runs (deployment, deleted_at, seen_at) WHERE deployment IS NOT NULL;
    CREATE INDEX runs_of_work_pool ON runs (work_pool, deleted_at, seen_at) WHERE work_pool IS NOT NULL;
    CREATE INDEX runs_of_state ON runs (state_type, deleted_at, seen_at);
    CREATE INDEX ends_of_flow ON runs (flow, deleted_at, state_type, ended_at, deployment)
        WHERE flow IS NOT NULL AND ended_at IS NOT NULL;
    CREATE INDEX names_by_name ON names (name);

    CREATE TABLE run_tags (
        tag TEXT NOT NULL, seen_at INTEGER NOT NULL, run BLOB NOT NULL, PRIMARY KEY (tag, seen_at, run)
    ) WITHOUT ROWID;
    INSERT INTO run_tags SELECT DISTINCT value, seen_at, runs.id FROM runs, json_each(tags) ORDER BY 1, 2, 3;
    CREATE TRIGGER run_tags_change AFTER UPDATE OF tags, seen_at ON runs BEGIN
        DELETE FROM run_tags
            WHERE tag IN (SELECT value FROM json_each(old.tags)) AND seen_at = old.seen_at AND run = old.id;
        INSERT INTO run_tags SELECT DISTINCT value, new.seen_at, new.id FROM json_each(new.tags);
    END;
    CREATE TRIGGER run_tags_go AFTER DELETE ON runs BEGIN
        DELETE FROM run_tags
            WHERE tag IN (SELECT value FROM json_each(old.tags)) AND seen_at = old.seen_at AND run = old.id;
    END;
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
    refuse_newer(version, len(STEPS))
