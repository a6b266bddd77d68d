"""The journal's file in a drill: SQLite as in production (WAL, synchronous=FULL), without its thread, and mortal.

A crash keeps exactly what a SIGKILL would: the next life gets a copy of the file and its log, taken before the old
connection could tidy up.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from qmterm.drill.process import Process
from qmterm.journal import schema
from qmterm.journal.commits import AtDisk, Batch, JournalFile, Outcome, commit
from qmterm.journal.database import Connect
from qmterm.journal.lock import JournalLock

T = TypeVar("T")


class InlineDatabase:
    """See journal.database.Database: a virtual clock cannot wait for a thread, so functions run in place.

    `slow` gives the seconds a commit takes before it is on the disk: meanwhile the engine goes on.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, process: Process, slow: Callable[[], float]) -> None:
        self.connection = connection
        self._file = JournalFile.at(path)
        self._process = process
        self._slow = slow
        self._turn = asyncio.Lock()

    @property
    def disk_thread(self) -> int:
        return threading.get_native_id()

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        if not self._process.alive:
            await self._process.gone()
        return function(self.connection, *arguments)

    async def commit(self, batch: Batch, at_disk: AtDisk | None) -> list[Outcome]:
        async with self._turn:
            await self._process.before("write")
            seconds = self._slow()
            if seconds:
                if at_disk is not None:
                    at_disk()
                await asyncio.sleep(seconds)
                if not self._process.alive:
                    await self._process.gone()
            outcomes = commit(self.connection, batch, self._file, None if seconds else at_disk)
            await self._process.after("write")
            return outcomes

    async def close(self) -> None:
        if self._process.alive:  # a killed one tidies nothing up
            self.connection.close()


class Disk:
    """A folder that outlives the engine's lives; `path` is the journal of the present one."""

    def __init__(self, folder: Path, random: Random | None = None) -> None:
        """With `random` every second commit takes its time; without, none does."""
        self._folder = folder
        self._random = random
        self._lives = 0
        self._open: sqlite3.Connection | None = None
        self.path = folder / "0" / "journal.sqlite"

    def connect(self, process: Process) -> Connect:
        async def connect(path: Path, _lock: JournalLock) -> InlineDatabase:
            self._open = schema.connector(path)()
            schema.prepare(self._open, path)
            return InlineDatabase(self._open, path, process, self._slow)

        return connect

    def _slow(self) -> float:
        """Milliseconds mostly, one time in forty a stall: an order is built meanwhile and must not leave."""
        if self._random is None or self._random.random() < 0.5:
            return 0.0
        return self._random.uniform(0.001, 0.02) * (1 if self._random.random() < 0.95 else 40)

    def crash(self) -> None:
        """What is on the disk now is what the next life finds."""
        self._lives += 1
        old, self.path = self.path, self._folder / str(self._lives) / "journal.sqlite"
        self.path.parent.mkdir()
        for suffix in ("", "-wal"):
            source = old.with_name(old.name + suffix)
            if source.exists():
                shutil.copyfile(source, self.path.with_name(self.path.name + suffix))
        if self._open is not None:
            self._open.close()
            self._open = None
