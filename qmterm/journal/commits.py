"""One batch of records becomes one transaction and one fsync; what became of each row is told row by row.

The trap: one row that cannot be stored must not take its neighbours with it, nor change their order.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from qmterm.journal import schema
from qmterm.journal.inserts import insert_all, insert_each
from qmterm.journal.records import Record

Outcome = bool | str  # True: written. False: it was there already. A sentence: it is not kept, and why
AtDisk = Callable[[], object]  # called when nothing but the wait for the disk is left


class Batch(msgspec.Struct, gc=False):
    """Records that reach the disk together. Numbers grow."""

    number: int
    records: list[Record]


class JournalFile(msgspec.Struct, frozen=True):
    """Where a journal is, and which file that was when it was opened.

    SQLite goes on writing to a file that was moved or deleted, and the next start would not find these rows.
    """

    path: Path
    identity: tuple[int, int]

    @classmethod
    def at(cls, path: Path) -> JournalFile:
        return cls(path, schema.identity(path))

    def check(self) -> None:
        """FileMoved when its path names another file now, or none."""
        if schema.identity(self.path) != self.identity:
            raise schema.FileMoved(f"{self.path} is another file now, or none")


def commit(
    connection: sqlite3.Connection, batch: Batch, file: JournalFile, at_disk: AtDisk | None = None
) -> list[Outcome]:
    """All records in one transaction, or as few as it takes to leave out what cannot be stored.

    Trouble with the disk keeps all of them out, and nothing of them remains.
    """
    try:
        file.check()
        return _transaction(connection, _all_new, batch, at_disk)
    except sqlite3.IntegrityError:
        # One of them is a duplicate, which is rare: only now is it worth asking for each.
        return _by_halves(connection, batch, file)
    except (sqlite3.Error, ValueError, OverflowError) as error:
        if isinstance(error, sqlite3.OperationalError) or len(batch.records) == 1:
            return _refused(batch, file, error)
        return _by_halves(connection, batch, file)


def _by_halves(connection: sqlite3.Connection, batch: Batch, file: JournalFile) -> list[Outcome]:
    try:
        return _transaction(connection, insert_each, batch, None)
    except (sqlite3.Error, ValueError, OverflowError) as error:
        middle = len(batch.records) // 2
        if isinstance(error, sqlite3.OperationalError) or not middle:
            return _refused(batch, file, error)
    first, second = Batch(batch.number, batch.records[:middle]), Batch(batch.number, batch.records[middle:])
    return _by_halves(connection, first, file) + _by_halves(connection, second, file)


def _refused(batch: Batch, file: JournalFile, error: Exception) -> list[Outcome]:
    known = error if isinstance(error, sqlite3.Error) else sqlite3.DataError(str(error))
    return [str(schema.explain(known, file.path))] * len(batch.records)


def _all_new(connection: sqlite3.Connection, records: list[Record], number: int) -> list[bool]:
    insert_all(connection, records, number)
    return [True] * len(records)


def _transaction(
    connection: sqlite3.Connection,
    insert: Callable[[sqlite3.Connection, list[Record], int], list[bool]],
    batch: Batch,
    at_disk: AtDisk | None,
) -> list[Outcome]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        written = insert(connection, batch.records, batch.number)
        if at_disk is not None:
            at_disk()
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has already rolled back after "disk full"; a second rollback would hide that error.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return list(written)


def whole(outcomes: list[Outcome], known: Mapping[int, Outcome]) -> list[Outcome]:
    """Those of the batch's remaining rows and those that were known before, in the rows' order."""
    if not known:
        return outcomes
    rest = iter(outcomes)
    return [known[place] if place in known else next(rest) for place in range(len(outcomes) + len(known))]


def missing(connection: sqlite3.Connection, batch: Batch) -> list[int]:
    """Which of the batch's records (by place) are not on the disk under its number."""
    newest = connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]
    kept = connection.execute(
        "SELECT kind, subject, time_ns, real_ns, body FROM events WHERE seq > ? AND batch = ? ORDER BY seq",
        (newest - 10 * len(batch.records) - 10_000, batch.number),
    ).fetchall()
    left: list[int] = []
    at = 0
    for place, record in enumerate(batch.records):  # rows keep their order
        row = (record.kind, record.subject, record.time_ns, record.real_ns, record.body)
        if at < len(kept) and kept[at] == row:
            at += 1
        else:
            left.append(place)
    return left
