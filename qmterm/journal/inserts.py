"""How a batch of records becomes rows: many rows a statement, because a statement costs more than its rows.

The trap: one statement writes the rows of one table, so rows of different tables change places. That is allowed only
because no projection reads another table and a table has one kind of INSERT (tests/journal/test_journal_inserts.py).
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from qmterm.journal.records import GUARD, OF_EVENT, PROJECTION, SESSION_START, Body, Record, parameters

VALUES_A_STATEMENT = 900  # SQLite's old limit of bound values is 999
FEW = 8  # rows of the statement for what is left over

_EVENT = (
    "INSERT INTO events (seq, batch, session_id, time_ns, real_ns, kind, subject, body)"
    " VALUES (:seq, :batch, :session_id, :time_ns, :real_ns, :kind, :subject, :body)"
)
_EVENT_NAMES = ("seq", "batch", "session_id", "time_ns", "real_ns", "kind", "subject", "body")
_SHAPE = re.compile(r"(?P<head>INSERT .*? VALUES )\((?P<names>[^()]*)\)(?P<tail>.*)", re.DOTALL)


class Insert:
    """`INSERT ... VALUES (:a, :b)` for any number of rows, each the values of `names`, in that order."""

    def __init__(self, sql: str) -> None:
        found = _SHAPE.fullmatch(sql)
        if found is None:
            raise ValueError(f"not an INSERT of one row: {sql}")
        self.names = tuple(name.strip().removeprefix(":") for name in found["names"].split(",") if ":" in name)
        # A column that is no parameter (NULL) stays as it is written.
        self._row = "(" + re.sub(r":\w+", "?", found["names"]) + ")"
        self._head, self._tail = found["head"], found["tail"]
        many = max(FEW, VALUES_A_STATEMENT // len(self.names))
        sizes = sorted({many, max(FEW, many // 4), FEW}, reverse=True)
        self._sizes = tuple((size, self._statement(size)) for size in sizes)
        self._one = self._statement(1)
        told = tuple(name for name in self.names if name not in OF_EVENT)
        self._told = _pick(told)
        held = (*(name if name in OF_EVENT else "" for name in _EVENT_NAMES), *told)
        self._in_order = _pick(tuple(held.index(name) for name in self.names))

    def row(self, event: tuple[object, ...], values: Body) -> Sequence[object]:
        """The values of `names`: from the event's own row where it has them, else told with it (KeyError)."""
        return self._in_order(event + self._told(values))

    def _statement(self, rows: int) -> str:
        return self._head + ", ".join([self._row] * rows) + self._tail

    def run(self, connection: sqlite3.Connection, rows: list[Sequence[Any]]) -> None:
        """Write the rows in their order."""
        at, count = 0, len(rows)
        for size, sql in self._sizes:
            while count - at >= size:
                connection.execute(sql, list(chain.from_iterable(rows[at : at + size])))
                at += size
        for row in rows[at:]:
            connection.execute(self._one, row)


def _pick(keys: tuple[Any, ...]) -> Callable[[Any], tuple[object, ...]]:
    """`itemgetter` that gives a tuple for any number of keys: a row a microsecond is built with it."""
    if len(keys) > 1:
        return itemgetter(*keys)
    return lambda held: tuple(held[key] for key in keys)


EVENTS = Insert(_EVENT)
# A session's start has a column that is made of its values, and comes once: it is written alone.
INSERTS = {kind: Insert(sql) for kind, sql in PROJECTION.items() if _SHAPE.fullmatch(sql) and kind != SESSION_START}


def last_seq(connection: sqlite3.Connection) -> int:
    """The newest event's number. Events are never deleted, so no number above it was ever given."""
    return int(connection.execute("SELECT max(seq) FROM events").fetchone()[0] or 0)


def insert_all(connection: sqlite3.Connection, records: list[Record], batch: int) -> None:
    """Write records and projections inside the caller's transaction, in order.

    sqlite3.IntegrityError when one is there already (or breaks a rule): the caller rolls back and asks row by row.
    """
    seq = last_seq(connection)
    events: list[Sequence[object]] = []
    waiting: dict[str, list[Sequence[object]]] = {}
    for record in records:
        seq += 1
        kind = record.kind
        event = (seq, batch, record.session_id, record.time_ns, record.real_ns, kind, record.subject, record.body)
        events.append(event)
        table = INSERTS.get(kind)
        if table is not None:
            try:
                row = table.row(event, record.values)
            except KeyError as missing:
                raise sqlite3.ProgrammingError(f"{kind} {record.subject} has no {missing}") from missing
            waiting.setdefault(kind, []).append(row)
        elif kind in PROJECTION:
            _run(connection, waiting)  # an UPDATE or DELETE must find what was said before it, and only that
            connection.execute(PROJECTION[kind], parameters(record, seq))
    _run(connection, waiting)
    EVENTS.run(connection, events)


def _run(connection: sqlite3.Connection, waiting: dict[str, list[Sequence[object]]]) -> None:
    for kind, rows in waiting.items():
        INSERTS[kind].run(connection, rows)
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
