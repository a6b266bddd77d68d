"""A journal whose commits the test paces: nothing here waits for luck, and nothing for a thread."""

from __future__ import annotations

import asyncio
import threading

from qmterm.journal import commits, schema
from qmterm.journal.commits import JournalFile
from tests.journal.journal_rows import intent


class Paced:
    """See database.Database: a batch reaches the real file when the test says so."""

    def __init__(self, path):
        self.connection = schema.connector(path)()
        schema.prepare(self.connection, path)
        self.file = JournalFile.at(path)
        self.sizes = []
        self.batches = []
        self.waiting = []
        self.free = False

    async def run(self, function, *arguments):
        return function(self.connection, *arguments)

    def commit(self, batch, at_disk):
        future = asyncio.get_running_loop().create_future()
        self.sizes.append(len(batch.records))
        self.batches.append(batch)
        self.waiting.append((batch, at_disk, future))
        if self.free:
            self.finish()
        return future

    def finish(self):
        """The first that waits is on the disk, or is refused by it."""
        batch, at_disk, future = self.waiting.pop(0)
        outcomes = commits.commit(self.connection, batch, self.file, at_disk)
        if not future.done():
            future.set_result(outcomes)

    def fail(self, error):
        self.waiting.pop(0)[2].set_exception(error)

    def hurry(self):
        """From here on the disk takes no time."""
        self.free = True
        while self.waiting:
            self.finish()

    @property
    def disk_thread(self):
        return threading.get_native_id()

    async def close(self):
        self.connection.close()


def callers(journal, count):
    return [asyncio.create_task(journal.write_intent(intent(number))) for number in range(1, count + 1)]


async def settle():
    for _ in range(8):
        await asyncio.sleep(0)


def done(tasks):
    return sum(task.done() for task in tasks)
