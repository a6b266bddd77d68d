"""Work beside a commit: begun when only the disk is waited for, before anybody may count the row as written."""

from __future__ import annotations

import asyncio

import pytest

from qmterm.core.errors import JournalError
from qmterm.journal import Journal
from qmterm.journal.writer import commit, open_connection
from tests.journal.journal_rows import clock, intent


class Watched:
    """The real database; what is written may be changed on its way."""

    def __init__(self, inner) -> None:
        self.inner = inner
        self.during = lambda: None

    async def run(self, function, *arguments):
        result = await self.inner.run(function, *arguments)
        if function is commit:
            self.during()
        return result

    async def close(self):
        await self.inner.close()


@pytest.fixture
async def journal(tmp_path):
    async def connect(path):
        return Watched(await open_connection(path))

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


async def test_a_row_is_queued_by_the_call_itself_so_that_two_share_one_commit(journal):
    commits = []
    journal._connection.during = lambda: commits.append(1)
    first, second = journal.write_intent(intent()), journal.write_protect("p1", {"stop": 1})
    await first
    await second
    assert commits == [1]


async def test_of_a_commit_that_fails_before_the_disk_nothing_begins_beside(journal):
    seen = []
    await journal._connection.inner.run(lambda c: c.execute("PRAGMA query_only = ON"))
    written = journal.write_intent(intent())
    journal.while_writing(lambda: seen.append(1))
    with pytest.raises(JournalError):
        await written
    assert seen == []
    await journal._connection.inner.run(lambda c: c.execute("PRAGMA query_only = OFF"))
