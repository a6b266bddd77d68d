"""What drills put around the database sees every commit, also those of many callers at once."""

from __future__ import annotations

import asyncio
import sqlite3
from random import Random

import pytest

from qmterm.drill.disk import Disk
from qmterm.drill.fate import Fate, MortalDatabase
from qmterm.drill.process import CrashPoint, Process
from qmterm.journal import Journal
from qmterm.journal.beside import open_beside
from tests.journal.journal_rows import clock, intent


def produce(journal, callers=200, each=5):
    """Tasks that write as many intents each, one after the other."""

    async def one(first):
        for number in range(first, callers * each, callers):
            await journal.write_intent(intent(number))

    return [asyncio.create_task(one(first)) for first in range(callers)]


def batches(path):
    with sqlite3.connect(path) as other:
        return other.execute("SELECT count(DISTINCT batch) FROM events").fetchone()[0]


class Watched(Fate):
    """Keeps what a fate is asked, and how much is on the disk then."""

    def __init__(self, path):
        super().__init__(None)
        self.path = path
        self.asked = []

    def _perhaps(self, act, *, after):
        if act == "write":
            self.asked.append((act, after, batches(self.path)))


async def test_a_real_death_can_come_before_and_after_each_commit(tmp_path):
    path, watched = tmp_path / "j", Watched(tmp_path / "j")

    async def connect(path, lock):
        return MortalDatabase(await open_beside(path, lock), watched)

    journal = await Journal.open(path, clock(), connect)
    await asyncio.gather(*produce(journal))
    await journal.close()
    written = batches(path)
    assert len(watched.asked) == 2 * written >= 10
    assert [after for _, after, _ in watched.asked].count(True) == written
    befores = [seen for _, after, seen in watched.asked if not after]
    assert all(number - 1 <= seen <= number for number, seen in enumerate(befores))  # one other may be on its way
    afters = [seen for _, after, seen in watched.asked if after]
    assert all(seen >= number + 1 for number, seen in enumerate(afters))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("slow", [None, Random(3)])
@pytest.mark.parametrize("nth", [1, 2, 4])
async def test_a_drill_dies_at_the_named_commit_of_many_callers(tmp_path, nth, after, slow):
    disk, process = Disk(tmp_path, slow), Process(CrashPoint("write", nth, after))
    journal = await Journal.open(disk.path, clock(), disk.connect(process))
    waiting = produce(journal)
    await asyncio.wait_for(process.died.wait(), 10)
    await asyncio.sleep(0)
    assert batches(disk.path) == nth - 1 + after
    for task in (*waiting, journal._writer._task):
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    journal.abandon()
    disk.crash()
    assert batches(disk.path) == nth - 1 + after


async def test_a_slow_disk_of_a_drill_writes_every_row_of_many_callers(tmp_path):
    disk = Disk(tmp_path, Random(5))
    journal = await Journal.open(disk.path, clock(), disk.connect(Process()))
    await asyncio.gather(*produce(journal))
    await journal.close()
    with sqlite3.connect(disk.path) as other:
        assert other.execute("SELECT count(*) FROM intents").fetchone() == (1_000,)
