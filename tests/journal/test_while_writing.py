"""Work beside a commit: begun when only the disk is waited for, before anybody may count the row as written."""

from __future__ import annotations

import asyncio

import pytest

from qmterm.core.errors import JournalError
from qmterm.journal import Journal
from qmterm.journal.beside import open_beside
from qmterm.journal.database import open_connection
from tests.journal.journal_rows import clock, intent


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
