"""Many callers are written in two batches in turn: the disk writes one while the callers of the other are answered."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from qmterm.core.errors import JournalError
from qmterm.journal import Journal, writer
from qmterm.journal.audit import audit
from tests.journal.journal_rows import clock, fill, intent, session


class Paced:
    """The real file; each commit waits until the test lets it go on, first to the disk's work, then to its end."""

    def __init__(self, inner):
        self.inner = inner
        self.sizes = []
        self.begun, self.syncing, self.ended = asyncio.Semaphore(0), asyncio.Event(), asyncio.Event()
        self.error = None

    async def run(self, function, *arguments):
        if function is not writer.commit:
            return await self.inner.run(function, *arguments)
        *most, told = arguments
        self.sizes.append(len(arguments[0]))
        self.begun.release()
        await self.syncing.wait()
        self.syncing.clear()
        if told is not None:
            told()
        await self.ended.wait()
        self.ended.clear()
        if self.error is not None:
            raise self.error
        return await self.inner.run(function, *most)

    async def close(self):
        await self.inner.close()

    async def finish(self):
        self.syncing.set()
        self.ended.set()
        await self.begun.acquire()  # the next has come


@pytest.fixture
async def paced(tmp_path):
    """(journal, its database) with a commit of one row under way; `finish` brings what was called meanwhile."""

    async def connect(path):
        return Paced(await writer.open_connection(path))

    journal = await Journal.open(tmp_path / "j", clock(), connect)
    database = journal._connection
    first = asyncio.create_task(journal.write_intent(intent(0)))
    await database.begun.acquire()
    yield journal, database
    while database.sizes and not journal._writer._task.done() and journal.depth:
        database.syncing.set()
        database.ended.set()
        await asyncio.sleep(0)
    await first
    await journal.close()


def callers(journal, count):
    return [asyncio.create_task(journal.write_intent(intent(number))) for number in range(1, count + 1)]


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def done(tasks):
    return sum(task.done() for task in tasks)


async def test_one_half_is_answered_while_the_disk_writes_the_other(paced):
    journal, database = paced
    many = callers(journal, 100)
    await settle()
    await database.finish()  # of the single row: the first half comes
    await database.finish()
    assert database.sizes == [1, 50, 50]
    await settle()
    assert done(many) == 0  # on the disk, but the next rows are handed to it first
    database.syncing.set()
    await settle()
    assert [task.done() for task in many] == [True] * 50 + [False] * 50
    database.ended.set()
    await asyncio.gather(*many)


async def test_a_few_callers_are_answered_as_soon_as_their_rows_are_on_the_disk(paced):
    journal, database = paced
    few = callers(journal, writer.MANY - 1)
    await settle()
    await database.finish()
    assert database.sizes == [1, writer.MANY - 1]
    late = asyncio.create_task(journal.write_intent(intent(1_000)))
    await settle()
    await database.finish()
    assert database.sizes == [1, writer.MANY - 1, 1]
    await settle()
    assert done(few) == len(few)
    assert not late.done()
    database.syncing.set()
    database.ended.set()
    await late


async def test_many_notes_keep_no_caller_waiting(paced):
    journal, database = paced
    one = asyncio.create_task(journal.write_intent(intent(1)))
    await settle()
    await database.finish()
    for number in range(500):
        journal.note("log", "x", {"n": number}, 1)
    last = asyncio.create_task(journal.write_intent(intent(2)))
    await settle()
    await database.finish()
    assert database.sizes == [1, 1, 501]
    await settle()
    assert one.done()
    database.syncing.set()
    database.ended.set()
    await last


@pytest.mark.parametrize("error", [sqlite3.OperationalError("database or disk is full"), RuntimeError("a bug")])
async def test_a_batch_that_fails_takes_no_answer_from_the_one_before_it(paced, error):
    journal, database = paced
    many = callers(journal, 100)
    await settle()
    await database.finish()
    await database.finish()
    database.error = error
    database.syncing.set()
    database.ended.set()
    answers = await asyncio.gather(*many, return_exceptions=True)
    assert answers[:50] == [None] * 50
    assert {type(answer) for answer in answers[50:]} == {JournalError}
    database.error = None
    with sqlite3.connect(journal.path) as other:
        assert other.execute("SELECT count(*) FROM intents").fetchone() == (51,)
    if isinstance(error, RuntimeError):
        with pytest.raises(RuntimeError, match="a bug"):
            await journal.close()


async def test_a_closed_journal_has_answered_every_caller(paced):
    journal, database = paced
    many = callers(journal, 100)
    await settle()
    closing = asyncio.create_task(journal.close())
    for _ in range(2):
        await database.finish()
    database.syncing.set()
    database.ended.set()
    await closing
    assert done(many) == 100


async def test_rows_of_two_hundred_callers_stand_in_the_order_in_which_they_were_said(tmp_path):
    journal = await Journal.open(tmp_path / "j", clock())
    await session(journal)
    said = []

    async def produce(first):
        for number in range(first, first + 2_000, 200):
            said.append(("intent", f"qm-{number}"))
            await journal.write_intent(intent(number))
            said.append(("fill", f"qm-{number}"))
            assert await journal.write_fill(fill(number, order=str(number)), f"qm-{number}")

    await asyncio.gather(*(produce(first) for first in range(200)))
    await journal.close()
    with sqlite3.connect(tmp_path / "j") as other:
        found = other.execute(
            "SELECT kind, subject FROM events WHERE kind IN ('intent', 'fill') ORDER BY seq"
        ).fetchall()
    assert found == said
    assert [fault for fault in audit(tmp_path / "j").faults if "twice" in fault] == []
