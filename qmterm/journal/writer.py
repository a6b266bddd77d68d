"""The one thread that writes the journal: everything that waits goes into one transaction, then one fsync.

Two kinds of row share one ordered queue: *durable* rows, whose caller waits for the commit, and *notes*, whose
caller never waits. The trap: an acknowledgement must follow the commit, so results are handed out only after it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import aiosqlite

from qmterm.core.errors import JournalError
from qmterm.journal import schema
from qmterm.journal.inserts import insert_all, insert_each
from qmterm.journal.records import NOTES_DROPPED, Record, to_json

T = TypeVar("T")

NOTE_LINGER_S = 0.02  # notes alone wait this long for company; a durable row takes them along at once
BATCH_ROWS = 2_000
MANY = 32  # so many callers are worth a batch of their own, in turn with another; fewer are each answered at once
NOTE_CAPACITY = 100_000


class Database(Protocol):
    """An open journal file: whole functions run on it, one after the other."""

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call `function(sqlite3 connection, *arguments)`."""
        ...

    async def close(self) -> None: ...


class JournalConnection(aiosqlite.Connection):
    """aiosqlite with one addition: run a whole function on its thread, so that a batch costs one hop, not two a row."""

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call `function(sqlite3 connection, *arguments)` on the database thread."""
        result: T = await self._execute(function, self._conn, *arguments)  # type: ignore[no-untyped-call]
        return result


async def open_connection(path: Path, read_only: bool = False) -> JournalConnection:
    """Open and check the file; every failure is one JournalError sentence."""
    connection = JournalConnection(schema.connector(path, read_only), iter_chunk_size=64)
    connection._thread.daemon = True  # a forgotten journal must not keep a dying process alive
    try:
        await connection
        if not read_only:
            await connection.run(schema.prepare, path)
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


def commit(
    connection: sqlite3.Connection,
    records: list[Record],
    batch: int,
    path: Path,
    file: tuple[int, int],
    syncing: Callable[[], object] | None = None,
) -> list[bool]:
    """All records in one transaction; on an error nothing of it remains. False for a row that is there already.

    `syncing` is called when nothing but the wait for the disk is left, which needs no interpreter.
    SQLite goes on writing to a file that was moved or deleted, and the next start would not find these rows.
    """
    if schema.identity(path) != file:
        raise schema.FileMoved(f"{path} is another file now, or none")
    try:
        return _transaction(connection, _all_new, records, batch, syncing)
    except sqlite3.IntegrityError:
        # One of them is a duplicate, which is rare: only now is it worth asking for each.
        return _transaction(connection, insert_each, records, batch, syncing)


def _all_new(connection: sqlite3.Connection, records: list[Record], batch: int) -> list[bool]:
    insert_all(connection, records, batch)
    return [True] * len(records)


def _transaction(
    connection: sqlite3.Connection,
    insert: Callable[[sqlite3.Connection, list[Record], int], list[bool]],
    records: list[Record],
    batch: int,
    syncing: Callable[[], object] | None,
) -> list[bool]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        written = insert(connection, records, batch)
        if syncing is not None:
            syncing()
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has already rolled back after "disk full"; a second rollback would hide that error.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return written


_Waiting = tuple[Record, "asyncio.Future[bool] | None"]  # None: a note, nobody waits


class GroupWriter:
    """Feeds batches to the database thread. All methods belong to the loop that made it."""

    def __init__(self, connection: Database, path: Path, next_batch: int, batch_rows: int = BATCH_ROWS) -> None:
        self._connection = connection
        self._batch_rows = batch_rows
        self._path = path
        self._file = schema.identity(path)
        self._batch = next_batch
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Waiting] = deque()
        self._notes = 0  # of the queue
        self._in_flight = 0
        self._some = asyncio.Event()
        self._urgent = asyncio.Event()
        self._done_total = 0
        self._committed: list[tuple[list[_Waiting], list[bool]]] = []  # on the disk, and the callers not told yet
        self._flushing: list[tuple[int, asyncio.Future[None]]] = []
        self._beside: list[Callable[[], object]] = []
        self._closing = False
        self._unreported = 0
        self.dropped = 0
        self.trouble: str | None = None
        self._task = asyncio.create_task(self._work(), name="journal-writer")

    @property
    def depth(self) -> int:
        """Rows that are not on the disk yet."""
        return len(self._queue) + self._in_flight

    def durable(self, record: Record) -> asyncio.Future[bool]:
        """Done when the record is on the disk: True written, False already there. JournalError when it is not."""
        if self._closing or self._task.done():
            raise JournalError(f"The journal {self._path} is closed; nothing can be written any more")
        # A future a row: a caller that gives up cancels its own, and with a shared one would cancel the others'.
        future: asyncio.Future[bool] = self._loop.create_future()
        self._queue.append((record, future))
        self._some.set()
        self._urgent.set()
        return future

    def note(self, record: Record) -> None:
        """Queue and return; when the queue is full the note is dropped, counted, and the count itself journalled."""
        if self._closing or self._notes >= NOTE_CAPACITY:
            self.dropped += 1
            self._unreported += 1
            return
        self._notes += 1
        self._queue.append((record, None))
        self._some.set()

    def while_writing(self, work: Callable[[], object]) -> None:
        """Have `work` called here once the disk is at work on what was queued; later or never when that fails."""
        self._beside.append(work)

    async def flush(self) -> None:
        """Returns when everything queued so far has been written or has failed."""
        if not self.depth or self._task.done():
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._flushing.append((self._done_total + self.depth, future))
        self._urgent.set()
        await future

    async def close(self) -> None:
        self._closing = True
        self._urgent.set()
        self._some.set()
        await self._task

    async def _work(self) -> None:
        try:
            while await self._next():
                await self._write(self._take())
        finally:
            self._stop(self._queue)
            for _, future in self._flushing:
                if not future.done():
                    future.set_result(None)

    async def _next(self) -> bool:
        """Wait for rows, then for company if nobody is waiting; False when closed and empty."""
        while not self._queue:
            if self._closing:
                return False
            self._some.clear()
            await self._some.wait()
        if not self._urgent.is_set():
            company = self._loop.call_later(NOTE_LINGER_S, self._urgent.set)
            try:
                await self._urgent.wait()
            finally:
                company.cancel()
        self._urgent.clear()
        return True

    def _take(self) -> list[_Waiting]:
        rows = min(len(self._queue), self._batch_rows)
        if not self._committed and self._callers() >= 2 * MANY:
            rows -= rows // 2  # the callers of one half are answered while the other half is written
        batch = [self._queue.popleft() for _ in range(rows)]
        if self._queue:
            self._urgent.set()  # more is waiting: do not linger
        self._notes -= sum(1 for _, future in batch if future is None)
        return batch

    def _callers(self) -> int:
        """Of the next batch; 0 when more than a few notes are among them, which take their time."""
        return min(len(self._queue), self._batch_rows) - self._notes if self._notes <= MANY else 0

    async def _write(self, batch: list[_Waiting]) -> None:
        self._in_flight = len(batch)
        try:
            await self._write_records(batch)
        except BaseException:
            self._stop(batch)
            raise
        finally:
            self._done_total += self._in_flight
            self._in_flight = 0
            ready = [future for target, future in self._flushing if target <= self._done_total]
            self._flushing = [entry for entry in self._flushing if entry[0] > self._done_total]
            for future in ready:
                if not future.done():
                    future.set_result(None)

    async def _write_records(self, batch: list[_Waiting]) -> None:
        rows = [record for record, _ in batch]
        if self._unreported:
            rows.append(self._drop_report(rows[-1]))
        try:
            written = await self._connection.run(commit, rows, self._batch, self._path, self._file, self._at_disk())
        except (sqlite3.Error, ValueError, OverflowError) as error:
            if len(batch) > 1 and not isinstance(error, sqlite3.OperationalError):
                # One row that cannot be stored must not take its neighbours with it: it is found by halving.
                middle = len(batch) // 2
                await self._write_records(batch[:middle])
                await self._write_records(batch[middle:])
                return
            self._fail(batch, error)
            return
        finally:
            self._answer()  # if it was not done during the commit
        self._batch += 1
        self._unreported = 0 if len(rows) > len(batch) else self._unreported
        self.trouble = None
        self._committed.append((batch, written))
        if min(len(batch), self._callers()) < MANY:
            self._answer()

    def _at_disk(self) -> Callable[[], object] | None:
        """What the database thread calls when only the disk is left to do: then the callers before it are answered.

        That takes as long as the disk does. Answered earlier, they would keep the next rows from it, because one thread
        runs Python at a time.
        """
        if not self._committed and not self._beside:
            return None
        return partial(self._loop.call_soon_threadsafe, self._syncing)

    def _syncing(self) -> None:
        works, self._beside = self._beside, []
        for work in works:
            work()
        self._answer()

    def _answer(self) -> None:
        """Tell the callers whose rows are on the disk."""
        committed, self._committed = self._committed, []
        for batch, written in committed:
            for (_, future), result in zip(batch, written, strict=False):  # the report of dropped notes has no future
                if future is not None and not future.done():
                    future.set_result(result)

    def _fail(self, batch: list[_Waiting], error: Exception) -> None:
        known = error if isinstance(error, sqlite3.Error) else sqlite3.DataError(str(error))
        self.trouble = str(schema.explain(known, self._path))
        for _, future in batch:
            if future is None:
                self.dropped += 1
                self._unreported += 1
            elif not future.done():
                future.set_exception(JournalError(self.trouble))

    def _stop(self, rows: Iterable[_Waiting]) -> None:
        """Only a fault of our own leaves rows behind: nobody may wait for them for ever."""
        for _, future in rows:
            if future is not None and not future.done():
                future.set_exception(JournalError(f"The journal {self._path} stopped writing"))
                future.exception()  # whoever waited may be gone with the rest: no complaint then

    def _drop_report(self, last: Record) -> Record:
        values = {"count": self._unreported}
        return Record(NOTES_DROPPED, "journal", last.time_ns, last.real_ns, last.session_id, values, to_json(values))
