"""Group commit: everything that waits when the disk is free goes into one transaction, then one fsync.

Two kinds of row share one ordered queue: *durable* rows, whose caller waits for the commit, and *notes*, whose
caller never waits. The trap: an acknowledgement must follow the commit, so results are handed out only after it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from qmterm.core.errors import JournalError
from qmterm.journal.apart import Apart
from qmterm.journal.commits import Batch, Outcome
from qmterm.journal.database import Database
from qmterm.journal.records import NOTES_DROPPED, Record, to_json

NOTE_LINGER_S = 0.02  # notes alone wait this long for company; a durable row takes them along at once
BATCH_ROWS = 2_000
ABREAST = 2  # batches on their way: while the disk writes one, the callers of the other say their next rows
MANY = 64  # so many callers are parted in two such batches; fewer share one
NOTE_CAPACITY = 100_000
SILENT_S = 5.0  # a batch without an answer for so long is trouble: a disk that hangs, a scribe that was stopped

_Waiting = tuple[Record, "asyncio.Future[bool] | None"]  # None: a note, nobody waits


@dataclass(slots=True, eq=False)
class _Flight:
    """A batch on its way: who waits for its rows, and how many dropped notes its last record reports."""

    waiting: list[_Waiting]
    reported: int
    outcomes: asyncio.Future[list[Outcome]]
    since: float  # the loop's seconds when it left


class GroupWriter:
    """Feeds batches to the database. All methods belong to the loop that made it."""

    def __init__(
        self, database: Database, path: Path, next_batch: int, apart: Apart, batch_rows: int = BATCH_ROWS
    ) -> None:
        self._database = database
        self._batch_rows = batch_rows
        self._abreast = ABREAST if batch_rows > 1 else 1
        self._path = path
        self._batch = next_batch
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Waiting] = deque()
        self._notes = 0  # of the queue
        self._flying: list[_Flight] = []
        self._in_flight = 0  # rows of those
        self._wanted = asyncio.Event()  # a batch: somebody waits for his row, or notes have waited for company
        self._lingering: asyncio.TimerHandle | None = None  # of notes that wait for company
        self._landed = asyncio.Event()
        self._done_total = 0
        self._flushing: list[tuple[int, asyncio.Future[None]]] = []
        self._beside: list[Callable[[], object]] = []
        self._apart = apart
        self._closing = False
        self._fault: BaseException | None = None
        self._unreported = 0
        self.dropped = 0
        self._trouble: str | None = None  # of the newest batch that was answered, or of the writer's end
        self._task = asyncio.create_task(self._work(), name="journal-writer")

    @property
    def depth(self) -> int:
        """Rows that are not on the disk yet."""
        return len(self._queue) + self._in_flight

    @property
    def trouble(self) -> str | None:
        """Why rows are not kept, or have no answer for too long; None while writing works."""
        if self._trouble is None and self._flying:
            waited = self._loop.time() - self._flying[0].since
            if waited >= SILENT_S:
                return (
                    f"The journal {self._path} has not answered for {waited:.0f} s: no order leaves until it does; "
                    "look at its disk"
                )
        return self._trouble

    def durable(self, record: Record) -> asyncio.Future[bool]:
        """Done when the record is on the disk: True written, False already there. JournalError when it is not."""
        if self._closing or self._task.done():
            raise JournalError(f"The journal {self._path} is closed; nothing can be written any more")
        # A future a row: a caller that gives up cancels its own, and with a shared one would cancel the others'.
        future: asyncio.Future[bool] = self._loop.create_future()
        self._queue.append((record, future))
        self._wanted.set()
        return future

    def note(self, record: Record) -> None:
        """Queue and return; when the queue is full the note is dropped, counted, and the count itself journalled."""
        if self._closing or self._notes >= NOTE_CAPACITY:
            self.dropped += 1
            self._unreported += 1
            return
        self._notes += 1
        self._queue.append((record, None))
        if self._lingering is None:
            self._lingering = self._loop.call_later(NOTE_LINGER_S, self._wanted.set)

    def while_writing(self, work: Callable[[], object]) -> None:
        """Have `work` called here once the disk is at work on what was queued, or on what that has to wait for.

        Later or never when that fails.
        """
        self._beside.append(work)
        if len(self._flying) >= self._abreast:
            self._apart.hold()
            self._at_disk()

    async def flush(self) -> None:
        """Returns when everything queued so far has been written or has failed."""
        if not self.depth or self._task.done():
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._flushing.append((self._done_total + self.depth, future))
        self._wanted.set()
        await future

    async def close(self) -> None:
        self._closing = True
        self._wanted.set()
        # Whoever closes may be cancelled; the rows that are queued may not.
        await asyncio.shield(self._task)

    async def _work(self) -> None:
        try:
            while await self._next():
                self._send()
                while len(self._flying) >= self._abreast:
                    await self._landing()
            while self._flying:
                await self._landing()
        except BaseException:
            self._end()
            raise
        finally:
            self._apart.free()

    def _end(self) -> None:
        """A fault of our own, or cancelled: nothing is taken any more, and nobody may wait for ever.

        What is on its way may yet reach the disk, where nobody looks for it.
        """
        self._closing = True
        flying, self._flying = self._flying, []
        for flight in flying:
            self._stop(flight.waiting)
        self._stop(self._queue)
        self._queue.clear()
        self._alone()
        self._beside.clear()
        self._notes = self._in_flight = 0
        for _, future in self._flushing:
            if not future.done():
                future.set_result(None)
        self._flushing.clear()
        self._trouble = f"The journal {self._path} stopped writing"

    async def _next(self) -> bool:
        """Wait for rows that are wanted on the disk; False when closed and empty."""
        while True:
            await self._wanted.wait()
            self._complain()
            if not self._closing:
                self._wanted.clear()
            if self._queue:
                return True
            if self._closing:
                return False

    def _send(self) -> None:
        """The next batch leaves for the disk."""
        waiting = self._take()
        records = [record for record, _ in waiting]
        reported, self._unreported = self._unreported, 0
        if reported:
            records.append(self._drop_report(records[-1], reported))
        at_disk = None
        if self._beside:
            self._apart.hold()
            at_disk = self._at_disk
        batch = Batch(self._batch, records)
        self._batch += 1
        self._in_flight += len(waiting)
        try:
            outcomes = asyncio.ensure_future(self._database.commit(batch, at_disk))
        except BaseException:
            self._stop(waiting)
            raise
        flight = _Flight(waiting, reported, outcomes, self._loop.time())
        self._flying.append(flight)
        outcomes.add_done_callback(lambda _: self._land(flight))

    def _take(self) -> list[_Waiting]:
        """The next batch off the queue."""
        rows = min(len(self._queue), self._batch_rows)
        if not self._flying and rows - self._notes >= MANY:
            rows //= 2
        waiting = [self._queue.popleft() for _ in range(rows)]
        if self._queue:
            self._wanted.set()  # more is waiting: do not linger
        else:
            self._alone()
        if self._notes:
            self._notes -= len([None for _, future in waiting if future is None])
        return waiting

    def _alone(self) -> None:
        """No note waits for company any more."""
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None

    def _at_disk(self) -> None:
        works, self._beside = self._beside, []
        for work in works:
            try:
                work()
            except Exception as error:  # a fault of its own, told as such: the rows are on their way and have callers
                self._loop.call_exception_handler(
                    {"message": f"{work} failed beside the journal's commit", "exception": error}
                )

    async def _landing(self) -> None:
        """Wait until a batch has come to its end."""
        self._landed.clear()
        await self._landed.wait()
        self._complain()

    def _complain(self) -> None:
        """Raises what a batch met that is no answer but a fault of our own."""
        if self._fault is not None:
            raise self._fault

    def _land(self, flight: _Flight) -> None:
        """Tell the callers what became of their rows."""
        if flight not in self._flying:  # the writer has ended
            if not flight.outcomes.cancelled():
                flight.outcomes.exception()
            return
        self._landed.set()
        try:
            outcomes = flight.outcomes.result()
        except BaseException as fault:
            self._fault = fault
            self._wanted.set()  # if the writer waits there
            return
        self._flying.remove(flight)
        self._trouble = None
        if flight.reported and isinstance(outcomes[-1], str):
            self._unreported += flight.reported
        for (_, future), outcome in zip(flight.waiting, outcomes, strict=False):  # a report has no caller
            if isinstance(outcome, str):
                self._failed(future, outcome)
            elif future is not None and not future.done():
                future.set_result(outcome)
        self._settle(len(flight.waiting))

    def _failed(self, future: asyncio.Future[bool] | None, why: str) -> None:
        self._trouble = why
        if future is None:
            self.dropped += 1
            self._unreported += 1
        elif not future.done():
            future.set_exception(JournalError(why))

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

    def _stop(self, rows: Iterable[_Waiting]) -> None:
        """Only a fault of our own leaves rows behind: nobody may wait for them for ever."""
        for _, future in rows:
            if future is not None and not future.done():
                future.set_exception(JournalError(f"The journal {self._path} stopped writing"))
                future.exception()  # whoever waited may be gone with the rest: no complaint then

    def _drop_report(self, last: Record, count: int) -> Record:
        values = {"count": count}
        return Record(NOTES_DROPPED, "journal", last.time_ns, last.real_ns, last.session_id, values, to_json(values))
