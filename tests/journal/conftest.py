"""The journal whose commits a test paces."""

from __future__ import annotations

import asyncio

import pytest

from qmterm.journal import Journal, writer
from tests.journal.journal_rows import clock, intent
from tests.journal.paced import Paced


@pytest.fixture
async def paced(tmp_path, monkeypatch):
    """(journal, its commits) with one of one row under way; `finish` brings what was called meanwhile."""
    commits = Paced()
    monkeypatch.setattr(writer, "commit", commits.paced)
    monkeypatch.setattr(writer, "TURNS_S", 600.0)  # a test takes its time
    journal = await Journal.open(tmp_path / "j", clock())
    first = asyncio.create_task(journal.write_intent(intent(0)))
    await commits.begun()
    yield journal, commits
    commits.hurry()
    await first
    await journal.close()
