"""The journal whose commits a test paces."""

from __future__ import annotations

import pytest

from qmterm.journal import Journal
from tests.journal.journal_rows import clock
from tests.journal.paced import Paced, settle


@pytest.fixture
async def paced(tmp_path):
    """(journal, its database): no row is under way."""

    async def connect(path, _lock):
        return Paced(path)

    journal = await Journal.open(tmp_path / "j", clock(), connect)
    yield journal, journal._connection
    journal._connection.hurry()
    await settle()
    if not journal._writer._task.done():
        await journal.close()
    else:
        journal.abandon()
        journal._connection.connection.close()
