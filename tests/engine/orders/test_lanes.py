"""Two lanes: an exit never waits behind an entry whose answer is slow; one order's trouble stops no other."""

from __future__ import annotations

import asyncio

from qmterm.engine.orders.lanes import Lanes


async def no_errors(error):
    raise AssertionError(error)


async def test_an_exit_goes_while_an_entry_is_stuck():
    lanes, done, answer = Lanes(no_errors), [], asyncio.Event()

    async def stuck():
        await answer.wait()
        done.append("entry")

    async def leave():
        done.append("exit")

    lanes.start()
    lanes.entry(stuck)
    lanes.entry(stuck)
    lanes.exit(leave)
    for _ in range(5):
        await asyncio.sleep(0)
    assert done == ["exit"]
    assert lanes.depth == 1
    answer.set()
    await lanes.idle()
    assert done == ["exit", "entry", "entry"]
    await lanes.close()


async def test_in_lockstep_one_lane_keeps_the_order_of_the_decisions():
    lanes, done = Lanes(no_errors, single=True), []

    def job(name):
        async def run():
            await asyncio.sleep(0)
            done.append(name)

        return run

    lanes.start()
    for number in range(6):
        (lanes.exit if number % 2 else lanes.entry)(job(number))
    await lanes.idle()
    assert done == list(range(6))
    await lanes.close()


async def test_one_failing_order_is_told_and_the_next_goes_on():
    errors, done = [], []

    async def told(error):
        errors.append(error)

    lanes = Lanes(told)

    async def broken():
        raise ValueError("disk")

    async def sound():
        done.append(1)

    lanes.start()
    lanes.exit(broken)
    lanes.exit(sound)
    await lanes.idle()
    assert (len(errors), done) == (1, [1])
    await lanes.close()
