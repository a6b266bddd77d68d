"""A task that was told to end does end, also when something in it swallowed the first cancellation."""

from __future__ import annotations

import asyncio

from qmterm.engine.ending import ended
from qmterm.engine.orders.lanes import Lanes


async def stubborn(times):
    """Goes on after each cancellation, as a lost one looks from outside."""
    lost = 0
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            lost += 1
            if lost > times:
                raise


async def broken():
    raise ValueError("already over")


async def test_a_swallowed_cancellation_is_repeated():
    tasks = [asyncio.create_task(stubborn(n)) for n in (0, 1, 3)]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await ended(tasks)
    assert all(task.cancelled() for task in tasks)


async def test_tasks_that_ended_by_themselves_are_no_trouble():
    failed, done = asyncio.create_task(broken()), asyncio.create_task(asyncio.sleep(0))
    await asyncio.sleep(0.01)
    await ended([failed, done])
    assert isinstance(failed.exception(), ValueError)
    assert done.exception() is None


async def test_wait_for_of_this_python_may_swallow_one_and_the_end_still_comes():
    """The very race: the result and the cancellation arrive in one turn of the loop."""

    async def loop(results):
        while True:
            result = asyncio.get_running_loop().create_future()
            results.append(result)
            await asyncio.wait_for(result, 60)

    results = []
    task = asyncio.create_task(loop(results))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    results[-1].set_result(None)
    task.cancel()
    async with asyncio.timeout(5):
        await ended([task])
    assert task.done()


async def test_lanes_close_although_a_job_holds_on():
    async def no_errors(error):
        raise AssertionError(error)

    lanes = Lanes(no_errors)
    lanes.start()
    lanes.entry(lambda: stubborn(2))
    await asyncio.sleep(0.01)
    async with asyncio.timeout(5):
        await lanes.close()
