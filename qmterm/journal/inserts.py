"""How a batch of records becomes rows: many rows a statement, because a statement costs more than its rows.

The trap: one statement writes the rows of one table, so rows of different tables change places. That is allowed only
because no projection reads another table and a table has one kind of INSERT (tests/journal/test_journal_inserts.py).
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Collection
from operator import itemgetter
from typing import Any

from qmterm.journal.records import GUARD, OF_EVENT, PROJECTION, SESSION_START, Record, parameters

VALUES_A_STATEMENT = 900  # SQLite's old limit of bound values is 999
STEP = 16  # rows: of statements as long as this and its multiples there are few, and two or three make any batch

_EVENT = (
    "INSERT INTO events (seq, batch, session_id, time_ns, real_ns, kind, subject, body)"
    " VALUES (:seq, :batch, :session_id, :time_ns, :real_ns, :kind, :subject, :body)"
)
_EVENT_NAMES = ("seq", "batch", "session_id", "time_ns", "real_ns", "kind", "subject", "body")
_SHAPE = re.compile(r"(?P<head>INSERT .*? VALUES )\((?P<names>[^()]*)\)(?P<tail>.*)", re.DOTALL)
_NAME = re.compile(r":(\w+)")


_Picked = Callable[[Any], tuple[object, ...]]


class Insert:
    """`INSERT ... VALUES (:a, :b)` for any number of rows, each the values of `names`, in that order."""

    def __init__(self, sql: str, own: Collection[str] = OF_EVENT) -> None:
        found = _SHAPE.fullmatch(sql)
        if found is None:
            raise ValueError(f"not an INSERT of one row: {sql}")
        named = _NAME.findall(found["names"])
        # As they are picked, not as they stand in the statement: what is told with the event, then the event's own.
        told = [name for name in named if name not in own]
        self.names = (*told, *(name for name in named if name in own))
        self._columns = found["names"]  # one that is no parameter (NULL) stays as it is written
        self._head, self._tail = found["head"], found["tail"]
        self._most = VALUES_A_STATEMENT // len(self.names) // STEP * STEP
        self._one = self._statement(1)
        self._made = {1: self._one}  # the others when they are first needed
        # A row: what the first picks of the values told with the event (KeyError), then the second of the event's own.
        self.told = _pick(tuple(told))
        self.own = _pick(tuple(_EVENT_NAMES.index(name) for name in self.names[len(told) :]))

    def _statement(self, rows: int) -> str:
        def row(first: int) -> str:
            return "(" + _NAME.sub(lambda name: f"?{first + self.names.index(name[1])}", self._columns) + ")"

        width = len(self.names)
        return self._head + ", ".join(row(1 + at * width) for at in range(rows)) + self._tail

    def run(self, connection: sqlite3.Connection, flat: list[Any]) -> None:
        """Write the rows in their order; `flat` holds the values of one after the other."""
        at, count, width = 0, len(flat), len(self.names)
        if count == width:  # an order comes alone
            connection.execute(self._one, flat)
            return
        while at < count:
            rows = self._fitting((count - at) // width)
            if rows not in self._made:
                self._made[rows] = self._statement(rows)
            ends = at + rows * width
            connection.execute(self._made[rows], flat[at:ends])
            at = ends

    def _fitting(self, rows: int) -> int:
        """The longest statement for so many rows."""
        if rows >= STEP:
            return min(rows // STEP * STEP, self._most)
        return 1 << (rows.bit_length() - 1)


def _pick(keys: tuple[Any, ...]) -> _Picked:
    """`itemgetter` that gives a tuple for any number of keys: a row a microsecond is built with it."""
    if len(keys) > 1:
        return itemgetter(*keys)
    return lambda held: tuple(held[key] for key in keys)


# Of one table: the values so far, and how a row adds to them.
_Rows = tuple[list[object], _Picked, _Picked]

# A session's start has a column that is made of its values, and comes once: it is written alone.
INSERTS = {kind: Insert(sql) for kind, sql in PROJECTION.items() if _SHAPE.fullmatch(sql) and kind != SESSION_START}
EVENTS = Insert(_EVENT, own=_EVENT_NAMES)


def last_seq(connection: sqlite3.Connection) -> int:
    """The newest event's number. Events are never deleted, so no number above it was ever given."""
    return int(connection.execute("SELECT max(seq) FROM events").fetchone()[0] or 0)


def insert_all(connection: sqlite3.Connection, records: list[Record], batch: int) -> None:
    """Write records and projections inside the caller's transaction, in order.

    sqlite3.IntegrityError when one is there already (or breaks a rule): the caller rolls back and asks row by row.
    """
    seq = last_seq(connection)
    events: list[object] = []
    waiting: dict[str, _Rows] = {}
    for record in records:
        seq += 1
        kind = record.kind
        event = (seq, batch, record.session_id, record.time_ns, record.real_ns, kind, record.subject, record.body)
        events += event
        rows = waiting.get(kind)
        if rows is None:
            table = INSERTS.get(kind)
            if table is None:
                if kind in PROJECTION:
                    _run(connection, waiting)  # an UPDATE or DELETE must find what was said before it, and only that
                    connection.execute(PROJECTION[kind], parameters(record, seq))
                continue
            rows = waiting[kind] = ([], table.told, table.own)
        flat, told, own = rows
        values = record.values
        if isinstance(values, tuple):
            flat += values
        else:
            try:
                flat += told(values)
            except KeyError as missing:
                raise sqlite3.ProgrammingError(f"{kind} {record.subject} has no {missing}") from missing
        flat += own(event)
    _run(connection, waiting)
    EVENTS.run(connection, events)


def _run(connection: sqlite3.Connection, waiting: dict[str, _Rows]) -> None:
    for kind, (flat, _, _) in waiting.items():
        INSERTS[kind].run(connection, flat)
    waiting.clear()


def insert_each(connection: sqlite3.Connection, records: list[Record], batch: int) -> list[bool]:
    """As `insert_all`, but a row that is there already is left out: False in its place."""
    return [_insert_new(connection, record, batch) for record in records]


def _insert_new(connection: sqlite3.Connection, record: Record, batch: int) -> bool:
    guard = GUARD.get(record.kind)
    if guard is not None and connection.execute(guard, parameters(record, 0)).fetchone() is not None:
        return False
    insert_all(connection, [record], batch)
    return True
