"""The journal's database as the engine opens it: commits happen in a process of their own, beside the loop.

The trap: a scribe that is killed (a system short of memory picks any process) must cost no row. What it left unanswered
is looked for in the file; a new scribe gets what is not there.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from qmterm.core.errors import JournalError
from qmterm.journal import apart, schema
from qmterm.journal.commits import AtDisk, Batch, Outcome, missing, whole
from qmterm.journal.database import Database, JournalConnection, open_connection
from qmterm.journal.frames import answer_of, framed
from qmterm.journal.link import Link
from qmterm.journal.lock import JournalLock

T = TypeVar("T")

TRIES = 3  # scribes in a row without one answer; then the disk or the system is not to be trusted
PAUSE_S = 0.2  # between two of them
LASTING_S = 10.0  # a scribe that lived so long was in order, although nobody asked it anything


async def open_beside(path: Path, lock: JournalLock) -> Database:
    """Open and check the file; every failure is one JournalError sentence. A thread where there are no such sockets."""
    reader = await open_connection(path)
    if sys.platform == "win32":
        return reader
    beside = Beside(path, lock, reader)
    try:
        await beside.start()
    except BaseException:
        await beside.close()
        raise
    return beside


@dataclass(slots=True, eq=False)
class _Asked:
    """A batch that the scribe has not answered."""

    batch: Batch
    future: asyncio.Future[list[Outcome]]
    known: dict[int, Outcome]  # of the whole batch: what became of rows that are no part of `batch` any more


class Beside:
    """See database.Database."""

    def __init__(self, path: Path, lock: JournalLock, reader: JournalConnection) -> None:
        self.at_work_s: deque[tuple[float, float]] = deque(maxlen=8)  # when the disk began and ended, by batch
        self._path = path
        self._lock = lock
        self._reader = reader
        self._loop = asyncio.get_running_loop()
        self._asked: deque[_Asked] = deque()
        self._scribe: Link | None = None
        self._cpus: set[int] | None = None  # where a scribe may run
        self._two_cpus = False  # one for the loop, one for its scribe
        self._deaths = 0  # since the last answer, or the last scribe that lasted
        self._born = 0.0  # when the newest had opened the file
        self._again: asyncio.Task[None] | None = None
        self._over: Exception | None = None  # why nothing is taken any more

    async def start(self) -> None:
        self._scribe = await Link.started(self._reader.file, self._lock, self._answered, self._died)
        self._cpus = apart.cpus_of(self._scribe.process.pid)
        self._two_cpus = (os.cpu_count() or 1 if self._cpus is None else len(self._cpus)) > 1

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        return await self._reader.run(function, *arguments)

    def commit(self, batch: Batch, at_disk: AtDisk | None) -> asyncio.Future[list[Outcome]]:
        if self._over is not None:
            raise self._over
        future: asyncio.Future[list[Outcome]] = self._loop.create_future()
        asked = _Asked(batch, future, {})
        try:
            frame = framed(batch)
        except (TypeError, ValueError, OverflowError):
            frame = framed(self._only_storable(asked))
        self._asked.append(asked)
        if self._scribe is not None:
            self._scribe.send(frame)
        if at_disk is not None:
            at_disk()
            if self._scribe is not None and self._two_cpus:  # on one it would wait for the loop that waits for it
                self._scribe.stay_awake()
        return future

    def _only_storable(self, asked: _Asked) -> Batch:
        """A row that cannot be written down is told so; the others go on."""
        good = []
        for place, record in enumerate(asked.batch.records):
            try:
                framed(Batch(0, [record]))
                good.append(record)
            except (TypeError, ValueError, OverflowError) as error:
                asked.known[place] = str(schema.explain(sqlite3.DataError(str(error)), self._path))
        asked.batch = Batch(asked.batch.number, good)
        return asked.batch

    @property
    def disk_thread(self) -> int:
        return self._scribe.process.pid if self._scribe is not None else os.getpid()

    async def close(self) -> None:
        self._over = closed = JournalError(f"The journal {self._path} is closed; nothing can be written any more")
        try:
            if self._again is not None:
                self._again.cancel()
                await asyncio.wait([self._again])
            if self._scribe is not None:
                await self._scribe.close()
        finally:
            self._fail(closed)
            await self._reader.close()

    # --- inside ---

    def _answered(self, body: bytes) -> None:
        answer = answer_of(body)
        self._deaths = 0
        self.at_work_s.append((answer.began_s, answer.ended_s))
        asked = self._asked.popleft()
        if not asked.future.done():
            asked.future.set_result(whole(answer.outcomes, asked.known))

    def _died(self) -> None:
        """The scribe is gone, and nobody asked it to go."""
        if self._over is None and self._again is None:
            if self._loop.time() - self._born >= LASTING_S:
                self._deaths = 0
            self._again = asyncio.create_task(self._take_over(), name="journal-scribe")

    async def _take_over(self) -> None:
        """Another scribe, which gets what the last one left undone."""
        old, self._scribe = self._scribe, None
        if old is not None:
            await old.close()
        try:
            scribe = await self._another()
            try:
                await self._look()
            except BaseException:
                await scribe.close()  # it would hold the journal's lock for as long as the engine lives
                raise
        except sqlite3.Error as error:
            self._fail(schema.explain(error, self._path))
            return
        except Exception as error:
            self._fail(error)
            return
        self._scribe, self._again = scribe, None
        for asked in self._asked:
            scribe.send(framed(asked.batch))
        if scribe.ended:  # meanwhile
            self._died()

    async def _another(self) -> Link:
        trouble = JournalError(
            f"The process that writes the journal {self._path} ended {TRIES} times without an answer; "
            "look at the system's log for what kills it, and start again"
        )
        while self._deaths < TRIES:
            self._deaths += 1
            try:
                scribe = await Link.started(self._reader.file, self._lock, self._answered, self._died)
                self._born = self._loop.time()
                apart.give_cpus(scribe.process.pid, self._cpus)
                return scribe
            except JournalError as error:
                trouble = error
                await asyncio.sleep(PAUSE_S)
        raise trouble

    async def _look(self) -> None:
        """What of the unanswered is on the disk is answered now."""
        for asked in tuple(self._asked):
            left = await self._reader.run(missing, asked.batch)
            places = [place for place in range(len(asked.batch.records) + len(asked.known)) if place not in asked.known]
            gone = {places[at] for at in left}
            asked.known |= {place: True for place in places if place not in gone}
            asked.batch = Batch(asked.batch.number, [asked.batch.records[at] for at in left])

    def _fail(self, error: Exception) -> None:
        """Nobody writes any more: whoever waits is told."""
        self._over = error
        while self._asked:
            asked = self._asked.popleft()
            if not asked.future.done():
                asked.future.set_exception(error)
