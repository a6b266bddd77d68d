"""Questions to the journal: why did this happen, what is kept under this name. Also for files opened read-only."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from qmterm.core.errors import JournalError
from qmterm.journal import schema
from qmterm.journal.database import JournalConnection, open_connection
from qmterm.journal.records import from_json
from qmterm.journal.state import JournalState, load_state

T = TypeVar("T")

WHY_ROWS = 500

# Valuations say nothing about why; they would drown the trail of a symbol.
_QUIET = ("mark", "equity")


@dataclass(frozen=True, slots=True)
class EventRow:
    seq: int
    session_id: int | None
    time_ns: int
    real_ns: int
    kind: str
    subject: str
    body: Mapping[str, Any]


def last_numbers(connection: sqlite3.Connection) -> tuple[int, int]:
    """The newest session and batch number, 0 in an empty file."""
    row = connection.execute(
        "SELECT (SELECT coalesce(max(session_id), 0) FROM sessions),"
        " (SELECT batch FROM events ORDER BY seq DESC LIMIT 1)"
    ).fetchone()
    return int(row[0]), int(row[1] or 0)


def why(connection: sqlite3.Connection, subject: str, limit: int = WHY_ROWS) -> list[EventRow]:
    """Every event that belongs to the subject: signal, decisions, intents, orders, fills. Newest `limit`, in order."""
    names = _related(connection, subject)
    some = ", ".join("?" * len(names))
    quiet = ", ".join("?" * len(_QUIET))
    rows = connection.execute(
        "SELECT * FROM (SELECT seq, session_id, time_ns, real_ns, kind, subject, body FROM events"
        f" WHERE subject IN ({some}) AND kind NOT IN ({quiet}) ORDER BY seq DESC LIMIT ?) ORDER BY seq",
        (*names, *_QUIET, limit),
    )
    return [
        EventRow(seq, session_id, time_ns, real_ns, kind, said_of, from_json(body))
        for seq, session_id, time_ns, real_ns, kind, said_of, body in rows
    ]


def _related(connection: sqlite3.Connection, subject: str) -> list[str]:
    """The subject's other names: an order leads to its plan and symbol, a symbol or plan to its orders."""
    names = {subject}
    orders = connection.execute(
        "SELECT intent_id, plan_id, underlying FROM intents WHERE intent_id = :s OR plan_id = :s OR underlying = :s"
        " OR intent_id IN (SELECT intent_id FROM orders WHERE broker_id = :s)"
        " OR intent_id IN (SELECT intent_id FROM fills WHERE symbol = :s)",
        {"s": subject},
    ).fetchall()
    for intent_id, plan_id, _ in orders:
        names.update(name for name in (intent_id, plan_id) if name)
    for plan_id, said_of in connection.execute(
        "SELECT plan_id, subject FROM decisions WHERE plan_id = :s OR underlying = :s", {"s": subject}
    ):
        names.update((plan_id, said_of))
    if len(orders) == 1:
        names.add(orders[0][2])  # one order: its symbol's signal is part of the answer
    return sorted(names)[:900]  # SQLite's old limit of bound values is 999


def document(connection: sqlite3.Connection, name: str) -> dict[str, Any] | None:
    row = connection.execute("SELECT body FROM documents WHERE name = ?", (name,)).fetchone()
    if row is None:
        return None
    body: dict[str, Any] = from_json(row[0])
    return body


class JournalReader:
    """A journal opened read-only, beside a running engine or after it."""

    def __init__(self, path: Path, connection: JournalConnection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    async def open(cls, path: Path) -> Self:
        if not path.exists():  # noqa: ASYNC240 - one stat, and a clearer sentence than SQLite's
            raise JournalError(f"There is no journal at {path}; name it with --journal")
        connection = await open_connection(path, read_only=True)
        try:
            version = int((await connection.run(_one, "PRAGMA user_version"))[0])
            if version != len(schema.MIGRATIONS):
                raise JournalError(
                    f"{path} has journal schema {version}, this program reads {len(schema.MIGRATIONS)}; "
                    "open it once with the engine to migrate it, or update qmterm"
                )
        except sqlite3.Error as error:
            await connection.close()
            raise schema.explain(error, path) from error
        except JournalError:
            await connection.close()
            raise
        return cls(path, connection)

    async def close(self) -> None:
        await self._connection.close()

    async def load(self, days: int = 7) -> JournalState:
        return await self._read(load_state, days)

    async def why(self, subject: str, limit: int = WHY_ROWS) -> list[EventRow]:
        return await self._read(why, subject, limit)

    async def document(self, name: str) -> dict[str, Any] | None:
        return await self._read(document, name)

    async def _read(self, function: Callable[..., T], *arguments: Any) -> T:
        try:
            return await self._connection.run(function, *arguments)
        except sqlite3.Error as error:
            raise schema.explain(error, self.path) from error


def _one(connection: sqlite3.Connection, sql: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] = connection.execute(sql).fetchone()
    return row
