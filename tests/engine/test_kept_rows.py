"""A row that failed is written again as its state is then, once at a time, and never an older one behind a newer."""

from __future__ import annotations

import asyncio

import pytest

from qmterm.core.errors import JournalError
from qmterm.engine.kept_rows import KeptRows
from qmterm.engine.patience import DiskPatience


class Disk:
    """Answers each row when a test says so; `state` is what the memory has."""

    def __init__(self, seconds=0.0):
        self.state, self.queued, self.answers, self.told = {"a": 1, "b": 1}, [], [], []
        patience = DiskPatience(seconds)
        patience.failed = self.told.append
        self.rows = KeptRows(patience, self.queue)

    def queue(self, name):
        self.queued.append((name, self.state[name]))
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]

    async def answered(self, number, error=None):
        if error is None:
            self.answers[number].set_result(None)
        else:
            self.answers[number].set_exception(error)
        for _ in range(4):
            await asyncio.sleep(0)


FULL = JournalError("full")


async def test_what_is_on_the_disk_is_not_written_again():
    disk = Disk()
    await disk.rows.keep("a")
    await disk.answered(0)
    await disk.rows.again()
    assert disk.queued == [("a", 1)]


async def test_what_failed_late_is_written_again_as_it_is_then():
    disk = Disk()
    await disk.rows.keep("a")
    disk.state["a"] = 2  # without a row of its own
    await disk.rows.again()
    assert len(disk.queued) == 1  # still on its way
    await disk.answered(0, FULL)
    assert disk.told == [FULL]
    for _ in range(3):
        await disk.rows.again()
    assert disk.queued == [("a", 1), ("a", 2)]  # and not a third time while that one hangs
    await disk.answered(1)
    await disk.rows.again()
    assert len(disk.queued) == 2


async def test_what_failed_at_once_is_raised_and_written_again():
    disk = Disk(3600.0)
    waits = asyncio.create_task(disk.rows.keep("a"))
    await asyncio.sleep(0)
    await disk.answered(0, FULL)
    with pytest.raises(JournalError):
        await waits
    again = asyncio.create_task(disk.rows.again())
    await asyncio.sleep(0)
    await disk.answered(1, FULL)
    await again  # told, not raised
    assert disk.told == [FULL]
    again = asyncio.create_task(disk.rows.again())
    await asyncio.sleep(0)
    await disk.answered(2)
    await again
    assert len(disk.queued) == 3


async def test_an_older_row_that_fails_behind_a_newer_one_on_its_way_is_no_loss():
    disk = Disk()
    await disk.rows.keep("a")
    disk.state["a"] = 2
    await disk.rows.keep("a")
    await disk.answered(0, FULL)
    await disk.rows.again()
    await disk.answered(1)
    await disk.rows.again()
    assert disk.queued == [("a", 1), ("a", 2)]


async def test_a_newer_row_takes_the_place_of_one_that_was_to_be_written_again():
    disk = Disk()
    await disk.rows.keep("a")
    await disk.answered(0, FULL)
    await disk.rows.keep("a")
    await disk.rows.again()
    assert len(disk.queued) == 2


async def test_each_name_is_its_own_matter():
    disk = Disk()
    await disk.rows.keep("a")
    await disk.rows.keep("b")
    await disk.answered(0, FULL)
    await disk.answered(1)
    await disk.rows.again()
    assert disk.queued[2:] == [("a", 1)]


async def test_what_its_caller_gave_up_is_written_again():
    disk = Disk()
    disk.rows.write("a").cancel()
    await asyncio.sleep(0)
    await disk.rows.again()
    assert disk.queued == [("a", 1), ("a", 1)]


async def test_a_journal_that_is_closed_ends_no_turn():
    disk = Disk()
    await disk.rows.keep("a")
    await disk.answered(0, FULL)

    def closed(name):
        raise JournalError("closed")

    disk.rows._queue = closed
    await disk.rows.again()
    assert [str(error) for error in disk.told] == ["full", "closed"]
