"""A writer that ends with rows on their way: it takes nothing more, and leaves nobody waiting."""

from __future__ import annotations

import asyncio

import pytest

from qmterm.core.errors import JournalError
from qmterm.journal import Journal
from tests.journal.journal_rows import clock, intent
from tests.journal.paced import callers, done, settle


@pytest.fixture
async def many(paced):
    """300 callers: two batches of 50 are on their way, the rest is queued."""
    journal, database = paced
    waiting = callers(journal, 100)
    await settle()
    assert database.sizes == [50, 50]
    waiting += [asyncio.create_task(journal.write_intent(intent(number))) for number in range(101, 301)]
    await settle()
    yield waiting
    database.hurry()
    await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 10)


async def ended(journal):
    """Cancel the writer."""
    journal._writer._task.cancel()
    await settle()
    assert journal._writer._task.cancelled()


def on_disk(database):
    return database.connection.execute("SELECT count(*) FROM intents").fetchone()[0]


async def test_an_ended_writer_writes_nothing_more_than_what_it_had_begun(paced, many):
    journal, database = paced
    await ended(journal)
    database.hurry()
    await settle()
    assert database.sizes == [50, 50]
    assert on_disk(database) == 100


async def test_an_ended_writer_has_told_everybody(paced, many):
    journal, database = paced
    flushing = asyncio.create_task(journal.flush())
    await settle()
    await ended(journal)
    answers = await asyncio.gather(*many, flushing, return_exceptions=True)
    assert {type(answer) for answer in answers} == {JournalError}
    assert journal.depth == 0
    database.hurry()
    await settle()
    assert journal.depth == 0
    with pytest.raises(asyncio.CancelledError):
        await journal.close()


async def test_rows_on_the_disk_count_as_written_although_the_writer_ends(paced, many):
    journal, database = paced
    database.finish()
    await settle()
    await ended(journal)
    answers = await asyncio.gather(*many, return_exceptions=True)
    assert answers[:50] == [None] * 50
    assert {type(answer) for answer in answers[50:]} == {JournalError}


@pytest.mark.parametrize("how", ["written", "failed", "cancelled"])
async def test_what_becomes_of_a_batch_after_the_end_is_no_news(paced, many, how):
    journal, database = paced
    await ended(journal)
    if how == "written":
        database.finish()
    elif how == "failed":
        database.fail(RuntimeError("late"))
    else:
        database.waiting.pop(0)[2].cancel()
    await settle()
    assert done(many) == 300
    assert journal.depth == 0
    assert journal.trouble == f"The journal {journal.path} stopped writing"


async def test_an_ended_writer_takes_nothing_and_says_so(paced, many):
    journal, _ = paced
    await ended(journal)
    dropped = journal.dropped
    journal.note("log", "x", {"n": 1}, 1)
    assert (journal.dropped, journal.depth) == (dropped + 1, 0)
    with pytest.raises(JournalError, match="closed"):
        await journal.write_intent(intent(1_000))
    with pytest.raises(JournalError, match="stopped writing"):
        await journal.flush()


@pytest.mark.parametrize("whose", [lambda journal: journal, lambda journal: journal._writer])
async def test_who_gives_up_closing_takes_no_row_from_anybody(paced, many, whose):
    journal, database = paced
    closing = asyncio.create_task(whose(journal).close())
    await settle()
    closing.cancel()
    await settle()
    assert closing.cancelled()
    database.hurry()
    assert await asyncio.gather(*many) == [None] * 300
    await settle()
    assert sum(database.sizes) == 300


async def test_the_file_is_locked_until_its_last_row_is_written(paced, many):
    journal, database = paced
    closing = asyncio.create_task(journal.close())
    await settle()
    closing.cancel()
    with pytest.raises(JournalError, match="in use"):
        await Journal.open(journal.path, clock())
    database.hurry()
    await journal.close()  # the second waits for the first
    again = await Journal.open(journal.path, clock())
    assert len((await again.load()).orders) == 300
    await again.close()
