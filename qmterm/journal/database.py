"""The journal's open file: whose thread or process reads it and writes to it.

Here is the plain way, SQLite on a thread of its own (aiosqlite). beside.py has that of the engine.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import aiosqlite

from qmterm.journal import commits, schema
from qmterm.journal.commits import AtDisk, Batch, JournalFile, Outcome
from qmterm.journal.lock import JournalLock

T = TypeVar("T")


class Database(Protocol):
    """An open journal file. Its methods belong to the loop that opened it."""

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call `function(sqlite3 connection, *arguments)`, which reads."""
        ...

    def commit(self, batch: Batch, at_disk: AtDisk | None) -> Awaitable[list[Outcome]]:
        """See commits.commit. Begun by the call itself, one after the other; `at_disk` is called on the loop."""
        ...

    @property
    def disk_thread(self) -> int:
        """The thread that waits for the disk (its number in the system)."""
        ...

    async def close(self) -> None: ...


Connect = Callable[[Path, JournalLock], Awaitable[Database]]


class JournalConnection(aiosqlite.Connection):
    """aiosqlite that runs whole functions on its thread, so that a batch costs one hop, not two a row."""

    def __init__(self, path: Path, read_only: bool) -> None:
        super().__init__(schema.connector(path, read_only), iter_chunk_size=64)
        self._thread.daemon = True  # a forgotten journal must not keep a dying process alive
        self.path = path
        self.file = JournalFile(path, (0, 0))  # known once it is open

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call `function(sqlite3 connection, *arguments)` on the database thread."""
        result: T = await self._execute(function, self._conn, *arguments)  # type: ignore[no-untyped-call]
        return result

    # It hides that of aiosqlite, which nobody may call: transactions are begun and ended in `commits` only.
    def commit(self, batch: Batch, at_disk: AtDisk | None) -> Awaitable[list[Outcome]]:  # type: ignore[override]
        told = None if at_disk is None else partial(asyncio.get_running_loop().call_soon_threadsafe, at_disk)
        future: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        work = partial(commits.commit, self._conn, batch, self.file, told)
        self._tx.put_nowait((future, work))
        return future

    @property
    def disk_thread(self) -> int:
        return self._thread.native_id or threading.get_native_id()


async def open_connection(path: Path, lock: JournalLock | None = None, *, read_only: bool = False) -> JournalConnection:
    """Open and check the file; every failure is one JournalError sentence."""
    connection = JournalConnection(path, read_only)
    try:
        await connection
        if not read_only:
            await connection.run(schema.prepare, path)
            connection.file = JournalFile.at(path)
    except sqlite3.Error as error:
        await _abandon(connection)
        raise schema.explain(error, path) from error
    except BaseException:
        await _abandon(connection)
        raise
    return connection


async def _abandon(connection: JournalConnection) -> None:
    if connection._connection is not None:
        await connection.close()
    else:  # it never opened: its thread still has a last word for this loop
        await asyncio.to_thread(connection._thread.join, 5.0)
