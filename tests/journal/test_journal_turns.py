"""Many callers are written in two batches in turn: the disk writes one while the callers of the other are answered."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from types import SimpleNamespace

import pytest

from qmterm.core.errors import JournalError
from qmterm.journal import Journal, writer
from qmterm.journal.audit import audit
from qmterm.journal.records import MARK, Record
from tests.journal.journal_rows import T0, clock, fill, intent, session
from tests.journal.paced import callers, done, settle


async def test_one_half_is_answered_while_the_disk_writes_the_other(paced):
    journal, commits = paced
    many = callers(journal, 100)
    await settle()
    await commits.finish()  # of the single row: the first half comes
    await commits.finish()
    assert commits.sizes == [1, 50, 50]
    await settle()
    assert done(many) == 0  # on the disk, but the next rows are handed to it first
    await commits.at_disk()
    assert [task.done() for task in many] == [True] * 50 + [False] * 50
    commits.end()
    await asyncio.gather(*many)


async def test_the_disk_goes_from_batch_to_batch_while_the_loop_is_at_other_work(paced):
    journal, commits = paced

    async def produce(number):
        await journal.write_intent(intent(number))
        await journal.write_fill(fill(number, order=str(number)), f"qm-{number}")

    many = [asyncio.create_task(produce(number)) for number in range(1, 101)]
    await settle()
    await commits.finish()
    await commits.finish()
    await commits.at_disk()  # the callers of the first half have said their next rows
    commits.end()
    assert commits._begun.acquire(timeout=10)  # the loop stands still meanwhile
    assert commits.sizes == [1, 50, 50, 50]
    commits.hurry()
    await asyncio.gather(*many)
    assert sum(commits.sizes) == 201


async def test_a_few_callers_are_answered_as_soon_as_their_rows_are_on_the_disk(paced):
    journal, commits = paced
    few = callers(journal, writer.MANY - 1)
    await settle()
    await commits.finish()
    assert commits.sizes == [1, writer.MANY - 1]
    late = asyncio.create_task(journal.write_intent(intent(1_000)))
    await settle()
    await commits.finish()
    assert commits.sizes == [1, writer.MANY - 1, 1]
    await settle()
    assert done(few) == len(few)
    assert not late.done()
    commits.hurry()
    await late


async def test_many_notes_keep_no_caller_waiting(paced):
    journal, commits = paced
    one = asyncio.create_task(journal.write_intent(intent(1)))
    await settle()
    await commits.finish()
    for number in range(500):
        journal.note("log", "x", {"n": number}, 1)
    last = asyncio.create_task(journal.write_intent(intent(2)))
    await settle()
    await commits.finish()
    assert commits.sizes == [1, 1, 501]
    await settle()
    assert one.done()
    commits.hurry()
    await last


@pytest.mark.parametrize("error", [sqlite3.OperationalError("database or disk is full"), RuntimeError("a bug")])
async def test_a_batch_that_fails_takes_no_answer_from_the_one_before_it(paced, error):
    journal, commits = paced
    many = callers(journal, 100)
    await settle()
    await commits.finish()
    await commits.finish()
    commits.error = error
    commits.hurry()
    answers = await asyncio.gather(*many, return_exceptions=True)
    assert answers[:50] == [None] * 50
    assert {type(answer) for answer in answers[50:]} == {JournalError}
    commits.error = None
    with sqlite3.connect(journal.path) as other:
        assert other.execute("SELECT count(*) FROM intents").fetchone() == (51,)
    if isinstance(error, RuntimeError):
        with pytest.raises(RuntimeError, match="a bug"):
            await journal.close()


async def test_a_closed_journal_has_answered_every_caller(paced):
    journal, commits = paced
    many = callers(journal, 100)
    await settle()
    closing = asyncio.create_task(journal.close())
    for _ in range(2):
        await commits.finish()
    commits.hurry()
    await closing
    assert done(many) == 100


async def test_a_row_that_cannot_be_stored_changes_no_order_of_those_behind_it(paced):
    journal, commits = paced
    many = callers(journal, 20)
    await settle()
    lame = asyncio.ensure_future(journal._writer.durable(Record(MARK, "x", T0, 0, None, {"flag": ""}, "{}")))
    many += [asyncio.create_task(journal.write_intent(intent(number))) for number in range(21, 101)]
    await settle()
    await commits.finish()
    assert commits.sizes == [1, 50]
    commits.hurry()
    assert await asyncio.gather(*many) == [None] * 100
    assert isinstance(lame.exception(), JournalError)
    with sqlite3.connect(journal.path) as other:
        written = other.execute("SELECT subject, batch FROM events ORDER BY seq").fetchall()
    assert [subject for subject, _ in written] == [f"qm-{number}" for number in range(101)]
    batches = [batch for _, batch in written]
    assert batches == sorted(batches)
    assert journal.depth == 0


@pytest.mark.parametrize("lame", [False, True])
async def test_dropped_notes_are_reported_once_among_many_callers(paced, monkeypatch, lame):
    journal, commits = paced
    monkeypatch.setattr(writer, "NOTE_CAPACITY", 0)
    for number in range(3):
        journal.note("log", "x", {"n": number}, 1)
    many = callers(journal, 100)
    if lame:
        refused = journal._writer.durable(Record(MARK, "x", T0, 0, None, {"flag": ""}, "{}"))
        refused.add_done_callback(lambda done: done.exception())
    await settle()
    commits.hurry()
    await asyncio.gather(*many)
    await journal.flush() if not lame else await journal._writer.flush()
    with sqlite3.connect(journal.path) as other:
        found = other.execute("SELECT body FROM events WHERE kind = 'notes-dropped'").fetchall()
    assert found == [('{"count":3}',)]


@pytest.mark.parametrize(("disk_s", "turns"), [(0.001, 20), (0.0065, 4), (0.03, 1)])
def test_turns_without_end_let_others_at_the_database_after_some_20_ms(monkeypatch, tmp_path, disk_s, turns):
    now = [5.0]
    monkeypatch.setattr(writer, "time", SimpleNamespace(monotonic=lambda: now[0]))
    ready, done = deque([turn(0)]), deque()

    def commit(connection, records, number, path, file, syncing):
        ready.append(turn(number + 1))  # there is always another
        now[0] += disk_s
        return [True]

    writer.commit_turns(None, commit, ready, done, tmp_path, (0, 0), lambda: None)
    assert [one.number for one in done] == list(range(turns))
    assert len(ready) == 1


def test_a_turn_that_is_taken_away_while_the_disk_writes_it_is_no_fault(tmp_path):
    ready, done = deque([turn(0), turn(1)]), deque()

    def commit(connection, records, number, path, file, syncing):
        ready.clear()
        return [True]

    writer.commit_turns(None, commit, ready, done, tmp_path, (0, 0), lambda: None)
    assert [one.number for one in done] == [0]


def turn(number):
    record = Record("log", "x", T0, 0, None, {}, "{}")
    return writer.Turn([(record, None)], [record], 0, number)


async def test_what_is_queued_among_many_callers_is_flushed(paced):
    journal, commits = paced
    many = callers(journal, 100)
    await settle()
    journal.note("log", "x", {"n": 1}, 1)
    flushed = asyncio.create_task(journal.flush())
    await commits.finish()
    await commits.finish()
    await commits.at_disk()
    assert not flushed.done()
    commits.hurry()
    await asyncio.gather(*many, flushed)
    assert journal.depth == 0


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
