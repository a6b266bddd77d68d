"""A journal whose commits the test paces: nothing here waits for luck."""

from __future__ import annotations

import asyncio
import threading

from qmterm.journal import writer
from tests.journal.journal_rows import intent


class Paced:
    """The real commit, on its thread; each waits until the test lets it go on, first to the disk, then to its end."""

    def __init__(self):
        self.sizes = []
        self.error = None
        self.commit = writer.commit
        self._begun, self._syncing, self._told, self._ended = (threading.Semaphore(0) for _ in range(4))

    def paced(self, connection, records, batch, path, file, syncing=None):
        self.sizes.append(len(records))
        self._begun.release()
        self._syncing.acquire()
        if syncing is not None:
            syncing()
        self._told.release()
        self._ended.acquire()
        if self.error is not None:
            raise self.error
        return self.commit(connection, records, batch, path, file)

    async def begun(self):
        assert await asyncio.to_thread(self._begun.acquire, timeout=10)

    async def at_disk(self):
        """The commit under way has nothing left but the disk, and the loop has heard it."""
        self._syncing.release()
        assert await asyncio.to_thread(self._told.acquire, timeout=10)
        await settle()

    def end(self):
        self._ended.release()

    async def finish(self):
        await self.at_disk()
        self.end()
        await self.begun()  # the next has come

    def hurry(self):
        self._syncing.release(10_000)
        self._ended.release(10_000)


def callers(journal, count):
    return [asyncio.create_task(journal.write_intent(intent(number))) for number in range(1, count + 1)]


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def done(tasks):
    return sum(task.done() for task in tasks)
