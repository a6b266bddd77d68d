"""A writer that ends with rows on their way: it takes nothing more, and leaves nobody waiting."""

from __future__ import annotations

import asyncio
import sqlite3
import threading

import pytest

from qmterm.core.errors import JournalError
from qmterm.journal import Journal, writer
from tests.journal.journal_rows import clock, intent
from tests.journal.paced import callers, done, settle


@pytest.fixture
async def many(paced):
    """300 callers: of the first hundred one half is being written, the other is ready; the rest is queued."""
    journal, commits = paced
    waiting = callers(journal, 100)
    await settle()
    await commits.finish()
    waiting += callers(journal, 300)[100:]
    await settle()
    assert commits.sizes == [1, 50]
    yield waiting
    await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 10)


async def ended(journal):
    """Cancel the writer."""
    journal._writer._task.cancel()
    await settle()
    assert journal._writer._task.cancelled()


async def idle(journal):
    """Whatever the database thread had to do is done."""
    await journal._connection.run(lambda connection: None)
    await settle()


def on_disk(journal):
    with sqlite3.connect(journal.path) as other:
        return other.execute("SELECT count(*) FROM intents").fetchone()[0]


async def closed(journal):
    with pytest.raises(asyncio.CancelledError):
        await journal.close()


@pytest.mark.parametrize("at_disk", [False, True])
async def test_an_ended_writer_writes_nothing_more_than_what_it_had_begun(paced, many, at_disk):
    journal, commits = paced
    if at_disk:
        await commits.at_disk()
    await ended(journal)
    commits.hurry()
    await idle(journal)
    assert commits.sizes == [1, 50]
    assert on_disk(journal) == 51
    await closed(journal)


async def test_an_ended_writer_has_told_everybody(paced, many):
    journal, commits = paced
    flushing = asyncio.create_task(journal.flush())
    await settle()
    await ended(journal)
    answers = await asyncio.gather(*many, flushing, return_exceptions=True)
    assert {type(answer) for answer in answers} == {JournalError}
    assert journal.depth == 0
    commits.hurry()
    await idle(journal)
    assert journal.depth == 0
    await closed(journal)


async def test_rows_on_the_disk_count_as_written_although_the_writer_ends(paced, many):
    journal, commits = paced
    await commits.finish()  # the second half has begun
    await ended(journal)
    answers = await asyncio.gather(*many, return_exceptions=True)
    assert answers[:50] == [None] * 50
    assert {type(answer) for answer in answers[50:]} == {JournalError}
    commits.hurry()
    await closed(journal)


async def test_the_database_thread_may_go_on_while_the_writer_ends(paced, many, monkeypatch):
    journal, commits = paced
    stop = writer.GroupWriter._stop

    def late(self, rows):
        stop(self, rows)
        through = threading.Event()
        journal._connection._tx.put_nowait((None, through.set))
        commits.hurry()
        assert through.wait(10)

    monkeypatch.setattr(writer.GroupWriter, "_stop", late)
    await ended(journal)
    await settle()
    assert done(many) == 300
    assert journal.depth == 0
    await closed(journal)


async def test_an_ended_writer_takes_nothing_and_says_so(paced, many):
    journal, commits = paced
    await ended(journal)
    dropped = journal.dropped
    journal.note("log", "x", {"n": 1}, 1)
    assert (journal.dropped, journal.depth) == (dropped + 1, 0)
    with pytest.raises(JournalError, match="closed"):
        await journal.write_intent(intent(1_000))
    with pytest.raises(JournalError, match="stopped writing"):
        await journal.flush()
    commits.hurry()
    await closed(journal)


@pytest.mark.parametrize("whose", [lambda journal: journal, lambda journal: journal._writer])
async def test_who_gives_up_closing_takes_no_row_from_anybody(paced, many, whose):
    journal, commits = paced
    closing = asyncio.create_task(whose(journal).close())
    await settle()
    closing.cancel()
    await settle()
    assert closing.cancelled()
    commits.hurry()
    assert await asyncio.gather(*many) == [None] * 300
    await journal.close()
    assert on_disk(journal) == 301


@pytest.mark.parametrize("writer_too", [False, True])
async def test_the_file_is_locked_until_its_last_row_is_written(paced, many, writer_too):
    journal, commits = paced
    closing = asyncio.create_task(journal.close())
    await settle()
    closing.cancel()
    if writer_too:
        await ended(journal)
    with pytest.raises(JournalError, match="in use"):
        await Journal.open(journal.path, clock())
    commits.hurry()
    await journal.close()  # the second waits for the first
    again = await Journal.open(journal.path, clock())
    await again.close()
