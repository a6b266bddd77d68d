"""The one thread that writes the journal: everything that waits goes into one transaction, then one fsync.

Two kinds of row share one ordered queue: *durable* rows, whose caller waits for the commit, and *notes*, whose
caller never waits. The trap: an acknowledgement must follow the commit, so results are handed out only after it.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import aiosqlite

from qmterm.core.errors import JournalError
from qmterm.journal import schema
from qmterm.journal.apart import Apart
from qmterm.journal.inserts import insert_all, insert_each
from qmterm.journal.records import NOTES_DROPPED, Record, to_json

T = TypeVar("T")

NOTE_LINGER_S = 0.02  # notes alone wait this long for company; a durable row takes them along at once
BATCH_ROWS = 2_000
MANY = 32  # so many callers are worth a batch of their own, in turn with another; fewer are each answered at once
TURNS_S = 0.02  # so long batches of many callers follow each other, then whoever waits for the database is let in
NOTE_CAPACITY = 100_000


class Database(Protocol):
    """An open journal file: whole functions run on it, one after the other.

    All rows go through `commit`: it is the function that is run, or one of the arguments (of `commit_turns`).
    """

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


@dataclass(slots=True)
class Turn:
    """A batch on its way: who waits for it, its rows, and what became of each when it is on the disk."""

    waiting: list[_Waiting]
    records: list[Record]  # of `waiting`, then the report of `reported` dropped notes
    reported: int
    number: int
    written: list[bool] = field(default_factory=list)


def commit_turn(
    connection: sqlite3.Connection,
    commit: Callable[..., list[bool]],
    ready: deque[Turn],
    done: deque[Turn],
    path: Path,
    file: tuple[int, int],
    syncing: Callable[[], object],
) -> bool:
    """Commit the first of `ready`, False when there is none.

    It stays the first until it is in `done`: on an error it is the one that failed, and none behind it was begun. A
    writer that ends meanwhile takes all away.
    """
    try:
        turn = ready[0]
    except IndexError:
        return False
    turn.written = commit(connection, turn.records, turn.number, path, file, syncing)
    done.append(turn)
    with suppress(IndexError):
        ready.popleft()
    return True


def commit_turns(connection: sqlite3.Connection, *turns: Any) -> None:
    """`commit_turn` again and again: the loop makes the next turn ready while the disk is at work.

    So the disk waits for no answer of the loop's.
    """
    end = time.monotonic() + TURNS_S
    while commit_turn(connection, *turns) and time.monotonic() < end:
        pass


class GroupWriter:
    """Feeds batches to the database thread. All methods belong to the loop that made it."""

    def __init__(
        self, connection: Database, path: Path, next_batch: int, apart: Apart, batch_rows: int = BATCH_ROWS
    ) -> None:
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
        self._called = False  # by a caller that waits, since either was last waited for
        self._done_total = 0
        # Of many callers: what the database thread works on and takes next, and what it has done. Both ends of a deque
        # may belong to two threads.
        self._ready: deque[Turn] = deque()
        self._done: deque[Turn] = deque()
        self._flushing: list[tuple[int, asyncio.Future[None]]] = []
        self._beside: list[Callable[[], object]] = []
        self._apart = apart
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
        if not self._called:  # else both are set, and a row a microsecond need not set them again
            self._called = True
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
        # Whoever closes may be cancelled; the rows that are queued may not.
        await asyncio.shield(self._task)

    async def _work(self) -> None:
        try:
            while await self._next():
                if self._callers() < 2 * MANY:
                    await self._write(self._turn(self._take()))
                else:
                    await self._write_in_turns()
        except BaseException:
            self._end()
            raise
        finally:
            self._apart.free()

    def _end(self) -> None:
        """A fault of our own, or cancelled: nothing is taken any more, and nobody may wait for ever."""
        self._closing = True
        left: list[_Waiting] = []
        with suppress(IndexError):  # the database thread takes from the other end
            while True:
                left[:0] = self._ready.pop().waiting
        self._answer()
        self._done = deque()  # what that thread has begun may yet be written: where nobody looks
        self._stop(left)
        self._stop(self._queue)
        self._queue.clear()
        self._beside.clear()
        self._notes = self._in_flight = 0
        for _, future in self._flushing:
            if not future.done():
                future.set_result(None)
        self._flushing.clear()
        self.trouble = f"The journal {self._path} stopped writing"

    async def _next(self) -> bool:
        """Wait for rows, then for company if nobody is waiting; False when closed and empty."""
        while not self._queue:
            if self._closing:
                return False
            self._some.clear()
            self._called = False
            await self._some.wait()
        if not self._urgent.is_set():
            company = self._loop.call_later(NOTE_LINGER_S, self._urgent.set)
            try:
                await self._urgent.wait()
            finally:
                company.cancel()
        self._urgent.clear()
        self._called = False
        return True

    def _callers(self) -> int:
        """Of the next batch; 0 when more than a few notes are among them, which take their time."""
        return min(len(self._queue), self._batch_rows) - self._notes if self._notes <= MANY else 0

    def _take(self, part: int = 1) -> list[_Waiting]:
        """The next batch off the queue, or only a `part`-th of it."""
        rows = min(len(self._queue), self._batch_rows) // part
        waiting = [self._queue.popleft() for _ in range(rows)]
        if self._queue:
            self._urgent.set()  # more is waiting: do not linger
        if self._notes:
            self._notes -= sum(1 for _, future in waiting if future is None)
        self._in_flight += rows
        return waiting

    def _turn(self, waiting: list[_Waiting]) -> Turn:
        records = [record for record, _ in waiting]
        reported, self._unreported = self._unreported, 0
        if reported:
            records.append(self._drop_report(records[-1], reported))
        self._batch += 1
        return Turn(waiting, records, reported, self._batch - 1)

    async def _write(self, turn: Turn) -> None:
        """A few callers: each is answered as soon as its row is on the disk."""
        syncing = None
        if self._beside:
            self._apart.hold()
            syncing = self._syncing_soon()
        try:
            turn.written = await self._connection.run(
                commit, turn.records, turn.number, self._path, self._file, syncing
            )
        except (sqlite3.Error, ValueError, OverflowError) as error:
            await self._write_parts(turn, error)
            return
        except BaseException:
            self._stop(turn.waiting)
            raise
        self._done.append(turn)
        self._answer()

    async def _write_in_turns(self) -> None:
        """Many callers: the callers of one half are answered while the disk writes the other.

        That takes as long as the disk does. Answered earlier, they would keep the next rows from it, because one thread
        runs Python at a time.
        """
        self._ready.append(self._turn(self._take(2)))
        self._ready.append(self._turn(self._take()))
        while self._ready:
            try:
                await self._connection.run(
                    commit_turns, commit, self._ready, self._done, self._path, self._file, self._syncing_soon()
                )
            except (sqlite3.Error, ValueError, OverflowError) as error:
                self._answer()
                failed = self._ready.popleft()
                while self._ready:
                    self._take_back(self._ready.pop())
                await self._write_parts(failed, error)
        self._answer()

    def _make_ready(self) -> None:
        """The callers that were answered have said their next rows: these are the disk's next."""
        if len(self._ready) == 1 and self._callers() >= MANY:
            self._ready.append(self._turn(self._take()))

    def _take_back(self, turn: Turn) -> None:
        """Nothing of it was begun: it waits again, before all that came after it."""
        self._queue.extendleft(reversed(turn.waiting))
        self._notes += sum(1 for _, future in turn.waiting if future is None)
        self._in_flight -= len(turn.waiting)
        self._unreported += turn.reported
        self._batch = turn.number
        self._urgent.set()

    async def _write_parts(self, turn: Turn, error: Exception) -> None:
        """One row that cannot be stored must not take its neighbours with it: it is found by halving."""
        self._batch = turn.number
        self._unreported += turn.reported
        if len(turn.waiting) == 1 or isinstance(error, sqlite3.OperationalError):
            self._fail(turn.waiting, error)
            self._settle(len(turn.waiting))
            return
        middle = len(turn.waiting) // 2
        try:
            await self._write(self._turn(turn.waiting[:middle]))
            await self._write(self._turn(turn.waiting[middle:]))
        except BaseException:
            self._stop(turn.waiting)
            raise

    def _syncing_soon(self) -> Callable[[], object]:
        """What the database thread calls when only the disk is left to do."""
        return partial(self._loop.call_soon_threadsafe, self._syncing)

    def _syncing(self) -> None:
        works, self._beside = self._beside, []
        for work in works:
            work()
        if self._done:
            self._answer()
            self._loop.call_soon(self._make_ready)  # behind the callers that were just woken

    def _answer(self) -> None:
        """Tell the callers whose rows are on the disk."""
        while self._done:
            turn = self._done.popleft()
            self.trouble = None
            for (_, future), result in zip(turn.waiting, turn.written, strict=False):  # a report has no future
                if future is not None and not future.done():
                    future.set_result(result)
            self._settle(len(turn.waiting))

    def _settle(self, rows: int) -> None:
        """So many more have been written or have failed."""
        self._in_flight -= rows
        self._done_total += rows
        if self._flushing:
            ready = [future for target, future in self._flushing if target <= self._done_total]
            self._flushing = [entry for entry in self._flushing if entry[0] > self._done_total]
            for future in ready:
                if not future.done():
                    future.set_result(None)

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

    def _drop_report(self, last: Record, count: int) -> Record:
        values = {"count": count}
        return Record(NOTES_DROPPED, "journal", last.time_ns, last.real_ns, last.session_id, values, to_json(values))
