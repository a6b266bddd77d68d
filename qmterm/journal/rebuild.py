"""Fill the projected tables again from `events`, for a table that was lost or a projection that changed."""

from __future__ import annotations

import sqlite3

from qmterm.journal import schema
from qmterm.journal.records import PROJECTION, Record, from_json, parameters


def rebuild(connection: sqlite3.Connection) -> int:
    """Empty every projection and replay all events in one transaction; returns the number of events."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table in schema.PROJECTIONS:
            connection.execute(f"DELETE FROM {table}")
        count = 0
        rows = connection.execute(
            "SELECT seq, session_id, time_ns, real_ns, kind, subject, body FROM events ORDER BY seq"
        ).fetchall()
        for seq, session_id, time_ns, real_ns, kind, subject, body in rows:
            count += 1
            projection = PROJECTION.get(kind)
            if projection is not None:
                record = Record(kind, subject, time_ns, real_ns, session_id, from_json(body), body)
                connection.execute(projection, parameters(record, seq))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return count
