"""Two batches are on their way at once: the disk writes one while the callers of the other are answered."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from qmterm.core.errors import JournalError
from qmterm.journal import Journal, writer
from qmterm.journal.audit import audit
from qmterm.journal.beside import open_beside
from qmterm.journal.database import open_connection
from qmterm.journal.records import MARK, Record
from tests.journal.journal_rows import T0, clock, fill, intent, session
from tests.journal.paced import callers, done, settle


async def test_many_callers_are_parted_and_one_half_is_answered_while_the_disk_writes_the_other(paced):
    journal, database = paced
    many = callers(journal, 100)
    await settle()
    assert database.sizes == [50, 50]
    database.finish()
    await settle()
    assert [task.done() for task in many] == [True] * 50 + [False] * 50


async def test_the_rows_that_answered_callers_say_next_are_handed_over_before_the_other_half_has_ended(paced):
    journal, database = paced

    async def produce(number):
        await journal.write_intent(intent(number))
        await journal.write_fill(fill(number, order=str(number)), f"qm-{number}")

    many = [asyncio.create_task(produce(number)) for number in range(1, 101)]
    await settle()
    database.finish()
    await settle()
    assert database.sizes == [50, 50, 50]
    assert len(database.waiting) == 2
    database.hurry()
    await asyncio.gather(*many)
    assert sum(database.sizes) == 200


async def test_a_few_callers_share_one_batch(paced):
    journal, database = paced
    few = callers(journal, writer.MANY - 1)
    await settle()
    assert database.sizes == [writer.MANY - 1]
    database.finish()
    await settle()
    assert done(few) == len(few)


async def test_a_row_waits_for_no_other_batch_to_be_handed_over_and_a_third_for_one_to_end(paced):
    journal, database = paced
    tasks = []
    for number in (1, 2, 3, 4):
        tasks.append(asyncio.create_task(journal.write_intent(intent(number))))
        await settle()
    assert database.sizes == [1, 1]
    database.finish()
    await settle()
    assert database.sizes == [1, 1, 2]
    assert [task.done() for task in tasks] == [True, False, False, False]


async def test_batches_of_one_row_are_handed_over_one_after_the_other(tmp_path, paced):
    journal, database = paced
    journal._writer._batch_rows, journal._writer._abreast = 1, 1
    callers(journal, 3)
    await settle()
    assert database.sizes == [1]
    database.finish()
    await settle()
    assert database.sizes == [1, 1]


async def test_many_notes_keep_no_caller_waiting(paced):
    journal, database = paced
    for number in range(500):
        journal.note("log", "x", {"n": number}, 1)
    one = asyncio.create_task(journal.write_intent(intent(1)))
    await settle()
    assert database.sizes == [501]
    database.finish()
    await settle()
    assert one.done()


async def test_a_full_disk_takes_no_answer_from_the_batch_before_it(paced):
    journal, database = paced
    many = callers(journal, 100)
    await settle()
    database.finish()
    pages = database.connection.execute("PRAGMA page_count").fetchone()[0]
    database.connection.execute(f"PRAGMA max_page_count = {pages}")
    database.finish()
    answers = await asyncio.gather(*many, return_exceptions=True)
    assert answers[:50] == [None] * 50
    assert {type(answer) for answer in answers[50:]} == {JournalError}
    assert "full" in journal.trouble
    database.connection.execute("PRAGMA max_page_count = 1073741823")
    database.free = True
    await journal.write_intent(intent(1_000))
    assert journal.trouble is None
    assert database.connection.execute("SELECT count(*) FROM intents").fetchone() == (51,)


async def test_a_fault_of_our_own_ends_the_writer_and_keeps_what_was_answered_before(paced):
    journal, database = paced
    many = callers(journal, 100)
    await settle()
    database.finish()
    await settle()
    database.fail(RuntimeError("a bug"))
    answers = await asyncio.gather(*many, return_exceptions=True)
    assert answers[:50] == [None] * 50
    assert {str(answer) for answer in answers[50:]} == {f"The journal {journal.path} stopped writing"}
    with pytest.raises(RuntimeError, match="a bug"):
        await journal.close()


async def test_a_closed_journal_has_answered_every_caller(paced):
    journal, database = paced
    many = callers(journal, 100)
    await settle()
    closing = asyncio.create_task(journal.close())
    await settle()
    assert not closing.done()
    database.hurry()
    await closing
    assert done(many) == 100


async def test_a_row_that_cannot_be_stored_changes_no_order_of_those_behind_it(paced):
    journal, database = paced
    many = callers(journal, 20)
    await settle()
    lame = asyncio.ensure_future(journal._writer.durable(Record(MARK, "x", T0, 0, None, {"flag": ""}, "{}")))
    many += [asyncio.create_task(journal.write_intent(intent(number))) for number in range(21, 101)]
    await settle()
    assert database.sizes == [20, 81]
    database.hurry()
    assert await asyncio.gather(*many) == [None] * 100
    await settle()
    assert isinstance(lame.exception(), JournalError)
    written = database.connection.execute("SELECT subject, batch FROM events ORDER BY seq").fetchall()
    assert [subject for subject, _ in written] == [f"qm-{number}" for number in range(1, 101)]
    batches = [batch for _, batch in written]
    assert batches == sorted(batches)
    assert journal.depth == 0


async def test_dropped_notes_are_reported_once_and_again_when_their_report_is_lost(paced, monkeypatch):
    journal, database = paced
    monkeypatch.setattr(writer, "NOTE_CAPACITY", 0)
    for number in range(3):
        journal.note("log", "x", {"n": number}, 1)
    assert journal.dropped == 3
    pages = database.connection.execute("PRAGMA page_count").fetchone()[0]
    database.connection.execute(f"PRAGMA max_page_count = {pages}")
    database.free = True
    answers = await asyncio.gather(*callers(journal, 300), return_exceptions=True)
    assert {type(answer) for answer in answers} == {JournalError}
    database.connection.execute("PRAGMA max_page_count = 1073741823")
    await asyncio.gather(*callers(journal, 10))
    await journal.write_intent(intent(11))
    found = database.connection.execute("SELECT body FROM events WHERE kind = 'notes-dropped'").fetchall()
    assert found == [('{"count":3}',)]


async def test_what_is_queued_among_many_callers_is_flushed(paced):
    journal, database = paced
    many = callers(journal, 100)
    await settle()
    journal.note("log", "x", {"n": 1}, 1)
    flushed = asyncio.create_task(journal.flush())
    for _ in range(2):
        database.finish()
        await settle()
    assert not flushed.done()
    database.hurry()
    await asyncio.gather(*many, flushed)
    assert journal.depth == 0


@pytest.mark.parametrize("connect", [open_connection, open_beside])
async def test_rows_of_two_hundred_callers_stand_in_the_order_in_which_they_were_said(tmp_path, connect):
    journal = await Journal.open(tmp_path / "j", clock(), connect)
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


async def test_a_disk_that_gives_no_answer_is_trouble_until_it_does(paced, monkeypatch):
    journal, database = paced
    one = asyncio.create_task(journal.write_intent(intent(1)))
    await settle()
    assert journal.trouble is None
    monkeypatch.setattr(writer, "SILENT_S", 0.0)
    assert "has not answered for 0 s: no order leaves" in journal.trouble
    database.finish()
    await one
    assert journal.trouble is None
