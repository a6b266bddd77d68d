"""The journal's tables, their versions, and how a file is opened or refused.

Only `events` is the truth: it is append-only (triggers enforce it), every other table is a projection of it and
can be rebuilt (`journal/rebuild.py`). Money and prices are TEXT decimals, times are UTC nanoseconds.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from qmterm.core.errors import JournalError
from qmterm.journal import whole

APPLICATION_ID = 0x716D746A  # "qmtj": tells our file from any other SQLite file

_V1 = """
CREATE TABLE events (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    batch      INTEGER NOT NULL,   -- which commit wrote it: two rows of one number became durable together
    session_id INTEGER,
    time_ns    INTEGER NOT NULL,   -- market time
    real_ns    INTEGER NOT NULL,   -- monotonic real time, comparable within one session only
    kind       TEXT NOT NULL,
    subject    TEXT NOT NULL,
    body       TEXT NOT NULL       -- JSON object
);
CREATE INDEX events_by_subject ON events (subject, seq);
CREATE TRIGGER events_keep_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_keep_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

CREATE TABLE sessions (
    session_id INTEGER PRIMARY KEY,
    started_ns INTEGER NOT NULL,
    ended_ns INTEGER,
    account TEXT NOT NULL,
    mode TEXT NOT NULL,
    source TEXT NOT NULL,
    broker TEXT NOT NULL,
    starting_cash TEXT NOT NULL,
    starting_positions TEXT NOT NULL,
    settings_hash TEXT NOT NULL,
    summary TEXT,
    seq INTEGER NOT NULL
);
CREATE TABLE signals (
    seq INTEGER PRIMARY KEY,
    session_id INTEGER,
    time_ns INTEGER NOT NULL,
    symbol TEXT NOT NULL,
    strategy TEXT NOT NULL,
    state TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE TABLE decisions (
    seq INTEGER PRIMARY KEY,
    session_id INTEGER,
    time_ns INTEGER NOT NULL,
    subject TEXT NOT NULL,
    plan_id TEXT,
    underlying TEXT,
    outcome TEXT NOT NULL,
    reason TEXT,
    body TEXT NOT NULL
);
CREATE INDEX decisions_by_plan ON decisions (plan_id);
CREATE TABLE intents (
    intent_id TEXT PRIMARY KEY,
    session_id INTEGER,
    created_ns INTEGER NOT NULL,
    strategy TEXT NOT NULL,
    underlying TEXT NOT NULL,
    purpose TEXT NOT NULL,
    plan_id TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    net_price TEXT NOT NULL,
    body TEXT NOT NULL,
    seq INTEGER NOT NULL
);
CREATE INDEX intents_by_plan ON intents (plan_id);
CREATE INDEX intents_by_underlying ON intents (underlying);
CREATE TABLE orders (
    intent_id TEXT PRIMARY KEY,
    session_id INTEGER,
    broker_id TEXT,
    state TEXT NOT NULL,
    time_ns INTEGER NOT NULL,
    reason TEXT,
    seq INTEGER NOT NULL
);
CREATE INDEX orders_by_broker_id ON orders (broker_id);
CREATE TABLE fills (
    account TEXT NOT NULL,
    fill_id TEXT NOT NULL,
    session_id INTEGER,
    intent_id TEXT NOT NULL,
    broker_order_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    action TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    price TEXT NOT NULL,
    fees TEXT NOT NULL,
    time_ns INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (account, fill_id)
);
CREATE INDEX fills_by_intent ON fills (intent_id);
CREATE TABLE adjustments (
    seq INTEGER PRIMARY KEY,
    session_id INTEGER,
    time_ns INTEGER NOT NULL,
    symbol TEXT,            -- NULL for cash
    amount TEXT NOT NULL,   -- dollars, or signed quantity of the symbol
    reason TEXT NOT NULL
);
CREATE TABLE marks (
    symbol TEXT PRIMARY KEY,
    mark TEXT NOT NULL,
    flag TEXT NOT NULL,
    time_ns INTEGER NOT NULL,
    seq INTEGER NOT NULL
);
CREATE TABLE equity (
    seq INTEGER PRIMARY KEY,
    session_id INTEGER,
    time_ns INTEGER NOT NULL,
    nlv TEXT NOT NULL,
    cash TEXT NOT NULL,
    realized TEXT NOT NULL,
    unrealized TEXT NOT NULL
);
CREATE TABLE protect (
    position_id TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    time_ns INTEGER NOT NULL,
    seq INTEGER NOT NULL
);
CREATE TABLE ladder (
    seq INTEGER PRIMARY KEY,
    session_id INTEGER,
    time_ns INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    by_person INTEGER NOT NULL
);
CREATE TABLE documents (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    time_ns INTEGER NOT NULL,
    seq INTEGER NOT NULL
);
"""

# An order may have no price; what it is, until when, and whose place it takes are columns of their own.
_V2 = """
ALTER TABLE intents RENAME TO intents_1;
DROP INDEX intents_by_plan;
DROP INDEX intents_by_underlying;
CREATE TABLE intents (
    intent_id TEXT PRIMARY KEY,
    session_id INTEGER,
    created_ns INTEGER NOT NULL,
    strategy TEXT NOT NULL,
    underlying TEXT NOT NULL,
    purpose TEXT NOT NULL,
    plan_id TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    net_price TEXT,         -- NULL: the kind has none
    kind TEXT NOT NULL,
    stop_trigger TEXT,
    time_in_force TEXT NOT NULL,
    good_until TEXT,        -- ISO date
    replaces TEXT,          -- intent_id
    worst_price TEXT,       -- how far its price may be walked
    body TEXT NOT NULL,
    seq INTEGER NOT NULL
);
CREATE INDEX intents_by_plan ON intents (plan_id);
CREATE INDEX intents_by_underlying ON intents (underlying);
CREATE INDEX intents_by_replaced ON intents (replaces);
INSERT INTO intents
SELECT intent_id, session_id, created_ns, strategy, underlying, purpose, plan_id, quantity, net_price, 'Limit', NULL,
       coalesce(json_extract(body, '$.time_in_force'), 'Day'), NULL, NULL, NULL, body, seq
FROM intents_1;
DROP TABLE intents_1;
"""

# The orders of a bracket name it, and what each is in it.
_V3 = """
ALTER TABLE intents ADD COLUMN bracket_id TEXT;
ALTER TABLE intents ADD COLUMN role TEXT;  -- trigger | target | stop
CREATE INDEX intents_by_bracket ON intents (bracket_id);
"""

# An order waits for every index and every byte of its row. What it was sent with stands once, in its event: `intents`
# keeps the names it is found by, `intents_in_full` shows the rest; indexes that no question used are gone.
_V4 = """
DROP INDEX intents_by_plan;
DROP INDEX intents_by_underlying;
DROP INDEX intents_by_replaced;
DROP INDEX intents_by_bracket;
DROP INDEX fills_by_intent;
ALTER TABLE intents RENAME TO intents_3;
CREATE TABLE intents (
    intent_id TEXT PRIMARY KEY,
    session_id INTEGER,
    created_ns INTEGER NOT NULL,
    strategy TEXT NOT NULL,
    underlying TEXT NOT NULL,
    plan_id TEXT NOT NULL,
    seq INTEGER NOT NULL    -- of its event, which holds the order
);
CREATE INDEX intents_by_plan ON intents (plan_id);
CREATE INDEX intents_by_underlying ON intents (underlying);
CREATE INDEX decisions_by_underlying ON decisions (underlying);  -- without it `why` read every decision
INSERT INTO intents SELECT intent_id, session_id, created_ns, strategy, underlying, plan_id, seq FROM intents_3;
DROP TABLE intents_3;
CREATE VIEW intents_in_full AS
SELECT i.intent_id, i.session_id, i.created_ns, i.strategy, i.underlying, i.plan_id, i.seq,
       json_extract(e.body, '$.purpose') AS purpose,
       json_extract(e.body, '$.quantity') AS quantity,
       json_extract(e.body, '$.net_price') AS net_price,
       coalesce(json_extract(e.body, '$.kind'), 'Limit') AS kind,
       json_extract(e.body, '$.stop_trigger') AS stop_trigger,
       coalesce(json_extract(e.body, '$.time_in_force'), 'Day') AS time_in_force,
       json_extract(e.body, '$.good_until') AS good_until,
       json_extract(e.body, '$.replaces') AS replaces,
       json_extract(e.body, '$.worst_price') AS worst_price,
       json_extract(e.body, '$.bracket_id') AS bracket_id,
       json_extract(e.body, '$.role') AS role,
       e.body
FROM intents i JOIN events e USING (seq);
"""

# Entry n brings a file from version n to n + 1. Never edit a published entry: append.
MIGRATIONS: tuple[str, ...] = (_V1, _V2, _V3, _V4)

# Tables that `rebuild` empties and fills again from `events`.
PROJECTIONS = (
    "sessions", "signals", "decisions", "intents", "orders", "fills", "adjustments", "marks", "equity", "protect",
    "ladder", "documents",
)  # fmt: skip


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str] = MIGRATIONS) -> int:
    """Bring an open file to the newest version, one transaction a step; JournalError for a newer or foreign file."""
    version = check_ours(connection, path, len(migrations))
    for step in range(version, len(migrations)):
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{migrations[step]}\n"
            f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {step + 1};\nCOMMIT;"
        )
    return len(migrations)


def check_ours(connection: sqlite3.Connection, path: Path, newest: int = len(MIGRATIONS)) -> int:
    """The file's version, nothing changed; JournalError when it is another program's or a newer qmterm's."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    owner = int(connection.execute("PRAGMA application_id").fetchone()[0])
    tables = int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    if owner != APPLICATION_ID and (version or tables):
        raise JournalError(
            f"{path} is an SQLite file of another program, not a qmterm journal; choose another file with --journal"
        )
    if version > newest:
        raise JournalError(
            f"The journal {path} was written by a newer qmterm (schema {version}, this program knows "
            f"{newest}); update qmterm, or choose another file with --journal"
        )
    return version


def connector(path: Path, read_only: bool = False) -> Callable[[], sqlite3.Connection]:
    """How to open the file; runs on the thread that will own the connection. Where there is none, one is made.

    Calling it raises JournalError when the file is cut short or cannot be made.
    """

    def connect() -> sqlite3.Connection:
        if not read_only and whole.absent(path):
            whole.appear(path, new_file(path))
        whole.refuse_cut(path)
        # Never "rwc": SQLite itself makes no file. isolation_level None: we say BEGIN and COMMIT ourselves.
        uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
        return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5.0)

    return connect


def new_file(path: Path) -> bytes:
    """A journal without rows."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, path)
        return connection.serialize()


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Check, migrate and set a writable connection: WAL, and fsync at every commit."""
    try:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found is None or found[0] != "ok":
            raise JournalError(corrupted(path, "" if found is None else str(found[0]).splitlines()[-1]))
        check_ours(connection, path)  # before WAL, which is written into the file
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        migrate(connection, path)
    except sqlite3.Error as error:
        raise explain(error, path) from error


def corrupted(path: Path, detail: str) -> str:
    return (
        f"The journal {path} is damaged ({detail}); nothing was changed: move it and its -wal file aside and restore "
        f"a copy, or salvage it with `sqlite3 {path.name} .recover`, then start again"
    )


class FileMoved(sqlite3.OperationalError):
    """The file at the journal's path is not the one that is open."""


def identity(path: Path) -> tuple[int, int]:
    """Which file a path names now; (0, 0) when there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


def explain(error: sqlite3.Error, path: Path) -> JournalError:
    """SQLite's error as one sentence: what, where, what to do."""
    text = str(error)
    if isinstance(error, FileMoved):
        return JournalError(
            f"The journal {path} was moved, deleted or replaced while in use; put the same file back, or stop and "
            "start again: until then nothing is kept and no order leaves"
        )
    if "is full" in text:
        return JournalError(f"The disk that holds the journal {path} is full; free space there, nothing was kept")
    if "readonly" in text or "unable to open" in text:
        return JournalError(
            f"The journal {path} cannot be written ({text}); choose another file with --journal or give yourself "
            "write permission there"
        )
    if "locked" in text:
        return JournalError(f"The journal {path} is locked by another program ({text}); close it and try again")
    if isinstance(error, sqlite3.DatabaseError) and ("malformed" in text or "not a database" in text):
        return JournalError(corrupted(path, text))
    return JournalError(f"The journal {path} failed: {text}; check the disk that holds it")
