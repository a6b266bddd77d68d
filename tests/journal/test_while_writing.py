"""Work beside a commit: begun when only the disk is waited for, before anybody may count the row as written."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from qmterm.core.errors import JournalError
from qmterm.journal import Journal, apart, link
from qmterm.journal.beside import open_beside
from qmterm.journal.database import open_connection
from tests.journal.journal_rows import clock, intent
from tests.journal.paced import callers, settle


class Watched:
    """The real database; what is written may be changed on its way."""

    def __init__(self, inner) -> None:
        self.inner = inner
        self.during = lambda: None

    async def run(self, function, *arguments):
        return await self.inner.run(function, *arguments)

    async def commit(self, batch, at_disk):
        outcomes = await self.inner.commit(batch, at_disk)
        self.during()
        return outcomes

    @property
    def disk_thread(self):
        return self.inner.disk_thread

    async def close(self):
        await self.inner.close()


@pytest.fixture(params=[open_connection, open_beside])
async def journal(tmp_path, request):
    async def connect(path, lock):
        return Watched(await request.param(path, lock))

    opened = await Journal.open(tmp_path / "journal.sqlite", clock(), connect)
    yield opened
    await opened.close()


async def test_work_beside_a_commit_begins_before_its_row_counts_as_written(journal):
    seen = []
    written = asyncio.ensure_future(journal.write_intent(intent()))
    written.add_done_callback(lambda _done: seen.append("written"))
    journal.while_writing(lambda: seen.append("beside"))
    await written
    await asyncio.sleep(0)
    assert seen == ["beside", "written"]


async def test_it_is_begun_once(journal):
    seen = []
    journal.while_writing(lambda: seen.append(1))
    await journal.write_intent(intent())
    await journal.write_intent(intent(2))
    assert seen == [1]


async def test_work_that_fails_is_reported_and_costs_nobody_the_journal(journal):
    told, seen = [], []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context["exception"]))
    fault = RuntimeError("a bug")

    def fails():
        raise fault

    written = journal.write_intent(intent())
    journal.while_writing(fails)
    journal.while_writing(lambda: seen.append(1))
    await written
    await journal.write_intent(intent(2))
    assert (told, seen) == ([fault], [1])


async def test_a_row_is_queued_by_the_call_itself_so_that_two_share_one_commit(journal):
    commits = []
    journal._connection.during = lambda: commits.append(1)
    first, second = journal.write_intent(intent()), journal.write_protect("p1", {"stop": 1})
    await first
    await second
    assert commits == [1]


async def test_of_a_commit_that_fails_before_the_disk_nothing_begins_beside_on_a_thread(tmp_path):
    journal = await Journal.open(tmp_path / "journal.sqlite", clock())
    seen = []
    await journal._connection.run(lambda c: c.execute("PRAGMA query_only = ON"))
    written = journal.write_intent(intent())
    journal.while_writing(lambda: seen.append(1))
    with pytest.raises(JournalError):
        await written
    assert seen == []
    await journal._connection.run(lambda c: c.execute("PRAGMA query_only = OFF"))
    await journal.close()


async def test_where_two_batches_keep_the_disk_at_work_the_work_begins_while_the_rows_wait_their_turn(paced):
    journal, database = paced
    for number in (1, 2):
        callers(journal, number)
        await settle()
    assert len(database.waiting) == 2
    seen = []
    written = asyncio.ensure_future(journal.write_intent(intent(9)))
    journal.while_writing(lambda: seen.append("beside"))
    assert (seen, len(database.sizes)) == (["beside"], 2)
    database.hurry()
    await written
    assert seen == ["beside"]


async def test_the_loop_stays_awake_for_the_answer_to_an_order_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(link, "AWAKE_S", 60.0)
    monkeypatch.setattr(apart, "cpus_of", lambda _process: {0, 1})
    opened = await Journal.open(tmp_path / "journal.sqlite", clock(), open_beside)
    scribe = opened._connection._scribe
    await opened.write_intent(intent(1))
    assert scribe._awake_until == 0.0  # nothing waits for this one that could leave
    written = asyncio.ensure_future(opened.write_intent(intent(2)))
    opened.while_writing(lambda: None)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert scribe._awake_until > 0.0
    await written
    for _ in range(3):
        await asyncio.sleep(0)
    assert scribe._awake_until == 0.0
    await opened.close()


async def test_on_one_cpu_the_loop_sleeps_or_its_scribe_would_wait_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(link, "AWAKE_S", 60.0)
    monkeypatch.setattr(apart, "cpus_of", lambda _process: {0})
    opened = await Journal.open(tmp_path / "journal.sqlite", clock(), open_beside)
    written = asyncio.ensure_future(opened.write_intent(intent(1)))
    opened.while_writing(lambda: None)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert opened._connection._scribe._awake_until == 0.0
    await written
    await opened.close()


async def test_a_slow_disk_keeps_the_loop_awake_for_a_moment_only(tmp_path, monkeypatch):
    monkeypatch.setattr(link, "AWAKE_S", 0.0)
    monkeypatch.setattr(apart, "cpus_of", lambda _process: {0, 1})
    opened = await Journal.open(tmp_path / "journal.sqlite", clock(), open_beside)
    scribe = opened._connection._scribe
    os.kill(scribe.process.pid, signal.SIGSTOP)
    written = asyncio.ensure_future(opened.write_intent(intent(1)))
    opened.while_writing(lambda: None)
    for _ in range(5):
        await asyncio.sleep(0)
    assert (scribe._awake_until, written.done()) == (0.0, False)
    os.kill(scribe.process.pid, signal.SIGCONT)
    await written
    await opened.close()
