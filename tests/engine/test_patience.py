"""Patience with a disk: a row is waited for a moment, then it goes on alone; the next one is not waited for at all."""

from __future__ import annotations

import asyncio

import pytest

from qmterm.core.errors import JournalError
from qmterm.engine.patience import DiskPatience

AGES = 3600.0  # a test that waits so long has failed


def asked():
    return asyncio.get_running_loop().create_future()


async def settle():
    for _ in range(4):
        await asyncio.sleep(0)


async def test_a_row_that_is_answered_was_waited_for():
    row, patience = asked(), DiskPatience(AGES)
    waits = asyncio.create_task(patience.wait(row))
    await settle()
    assert not waits.done()
    row.set_result(None)
    await waits


async def test_a_row_that_fails_meanwhile_is_its_callers_affair():
    told, patience = [], DiskPatience(AGES)
    patience.failed = told.append

    async def write():
        await asyncio.sleep(0)
        raise JournalError("full")

    with pytest.raises(JournalError, match="full"):
        await patience.wait(write())
    await settle()
    assert told == []


async def test_a_row_that_hangs_goes_on_alone():
    row, done, patience = asked(), [], DiskPatience(0.0)

    async def write():
        await row
        done.append(True)

    await patience.wait(write())
    assert done == []
    row.set_result(None)
    await settle()
    assert done == [True]


async def test_behind_one_that_hangs_nobody_waits_but_each_row_is_queued():
    slow, queued, patience = asked(), [], DiskPatience(0.0)
    await patience.wait(slow)
    patience._seconds = AGES

    async def write(name):
        queued.append(name)
        await slow

    async with asyncio.timeout(5):
        for name in "abc":
            await patience.wait(write(name))
            assert queued[-1] == name
    slow.set_result(None)
    await settle()
    waits = asyncio.create_task(patience.wait(row := asked()))  # the disk is back: waited for again
    await settle()
    assert not waits.done()
    row.set_result(None)
    await waits


@pytest.mark.parametrize("error", [JournalError("full"), ZeroDivisionError("?")])
async def test_what_fails_later_is_told(error):
    row, told, patience = asked(), [], DiskPatience(0.0)
    patience.failed = told.append
    await patience.wait(row)
    row.set_exception(error)
    await settle()
    assert told == [error]


async def test_what_fails_later_is_told_to_whom_the_caller_names():
    row, told, own, patience = asked(), [], [], DiskPatience(0.0)
    patience.failed = told.append
    await patience.wait(row, own.append)
    row.set_exception(error := ZeroDivisionError("?"))
    await settle()
    assert (told, own) == ([], [error])


async def test_what_is_cancelled_later_is_no_failure():
    row, told, patience = asked(), [], DiskPatience(0.0)
    patience.failed = told.append
    await patience.wait(row)
    row.cancel()
    await settle()
    assert told == []


async def test_who_is_cancelled_while_he_waits_takes_no_row_with_him():
    row, told, patience = asked(), [], DiskPatience(AGES)
    patience.failed = told.append
    waits = asyncio.create_task(patience.wait(row))
    await settle()
    waits.cancel()
    await settle()
    assert waits.cancelled()
    assert not row.done()
    row.set_exception(JournalError("full"))
    await settle()
    assert len(told) == 1


async def test_in_lockstep_every_row_is_waited_for():
    first, second, patience = asked(), asked(), DiskPatience(None)
    waits = [asyncio.create_task(patience.wait(row)) for row in (first, second)]
    await asyncio.sleep(0.01)
    assert not any(task.done() for task in waits)
    first.set_result(None)
    second.set_result(None)
    await asyncio.gather(*waits)
