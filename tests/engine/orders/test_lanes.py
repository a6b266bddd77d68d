"""Lanes: an exit waits behind no entry and no exit of another underlying; one order's trouble stops no other."""

from __future__ import annotations

import asyncio

import pytest

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
    lanes.exit(leave, "NVDA")
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

    def job(number):
        async def run():
            for _ in range(12 - 2 * number):  # whoever does not wait for the one before is there sooner
                await asyncio.sleep(0)
            done.append(number)

        return run

    lanes.start()
    for number in range(6):
        if number % 2:
            lanes.exit(job(number), f"S{number}")
        else:
            lanes.entry(job(number))
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
    lanes.exit(broken, "NVDA")
    lanes.exit(sound, "NVDA")
    await lanes.idle()
    assert (len(errors), done) == (1, [1])
    await lanes.close()


async def test_an_exit_without_an_answer_holds_up_only_those_of_its_own_underlying():
    lanes, done, answer = Lanes(no_errors), [], asyncio.Event()

    def job(name, wait=None):
        async def run():
            if wait is not None:
                await wait.wait()
            done.append(name)

        return run

    lanes.start()
    lanes.exit(job("AMD 1", answer), "AMD")
    lanes.exit(job("AMD 2"), "AMD")
    lanes.exit(job("NVDA 1"), "NVDA")
    lanes.exit(job("NVDA 2"), "NVDA")
    for _ in range(5):
        await asyncio.sleep(0)
    assert (done, lanes.depth) == (["NVDA 1", "NVDA 2"], 1)
    answer.set()
    await lanes.idle()
    assert (done, lanes.depth) == (["NVDA 1", "NVDA 2", "AMD 1", "AMD 2"], 0)
    await lanes.close()


async def test_idle_waits_for_exits_that_are_decided_while_it_waits():
    lanes, done = Lanes(no_errors), []

    async def second():
        await asyncio.sleep(0)
        done.append(2)

    async def first():
        await asyncio.sleep(0)
        lanes.exit(second, "AMD")

    lanes.start()
    lanes.exit(first, "NVDA")
    await lanes.idle()
    assert done == [2]
    await lanes.close()


async def test_before_the_start_and_after_the_end_no_entry_leaves():
    lanes, done = Lanes(no_errors), []

    async def leave():
        done.append(1)

    lanes.entry(leave)
    await asyncio.sleep(0)
    assert (done, lanes.depth) == ([], 1)
    lanes.start()
    await lanes.idle()
    assert (done, lanes.depth) == ([1], 0)
    await lanes.close()
    lanes.entry(leave)
    await asyncio.sleep(0)
    assert (done, lanes.depth) == ([1], 1)


async def test_before_the_start_and_after_the_end_no_exit_leaves():
    lanes, done = Lanes(no_errors), []

    async def leave():
        done.append(1)

    lanes.exit(leave, "NVDA")
    await asyncio.sleep(0)
    assert (done, lanes.depth) == ([], 1)
    lanes.start()
    await lanes.idle()
    assert done == [1]
    await lanes.close()
    lanes.exit(leave, "NVDA")
    await asyncio.sleep(0)
    assert (done, lanes.depth) == ([1], 1)


async def test_lanes_that_never_began_end_at_once():
    async with asyncio.timeout(5):
        await Lanes(no_errors).close()


async def test_an_exit_that_waited_behind_another_at_the_end_is_still_counted():
    lanes, begun = Lanes(no_errors), asyncio.Event()

    async def stuck():
        begun.set()
        await asyncio.Event().wait()

    lanes.start()
    lanes.exit(stuck, "NVDA")
    lanes.exit(stuck, "NVDA")
    async with asyncio.timeout(5):
        await begun.wait()
        await lanes.close()
    assert lanes.depth == 1


@pytest.mark.parametrize("put", [lambda lanes, job: lanes.entry(job), lambda lanes, job: lanes.exit(job, "NVDA")])
async def test_lanes_that_are_closed_before_an_orders_first_step_keep_nobody_waiting(put):
    lanes, done = Lanes(no_errors), []

    async def leave():
        done.append(1)

    lanes.start()
    put(lanes, leave)
    await lanes.close()
    async with asyncio.timeout(5):
        await lanes.idle()
    assert (done, lanes.depth) == ([], 1)


@pytest.mark.parametrize("put", [lambda lanes, job: lanes.entry(job), lambda lanes, job: lanes.exit(job, "NVDA")])
async def test_behind_a_lane_that_was_cancelled_nothing_leaves_before_somebody_decides_again(put):
    lanes, done = Lanes(no_errors), []

    async def cancelled():
        raise asyncio.CancelledError

    async def leave():
        done.append(1)

    lanes.start()
    put(lanes, cancelled)
    put(lanes, leave)
    async with asyncio.timeout(5):
        await lanes.idle()
    assert (done, lanes.depth) == ([], 1)
    put(lanes, leave)
    await lanes.idle()
    assert (done, lanes.depth) == ([1, 1], 0)
    await lanes.close()


@pytest.mark.parametrize("put", [lambda lanes, job: lanes.entry(job), lambda lanes, job: lanes.exit(job, "NVDA")])
async def test_an_order_that_is_queued_in_the_moment_a_lane_ends_leaves(put):
    lanes, done = Lanes(no_errors), []

    async def second():
        done.append(2)

    async def first():
        asyncio.get_running_loop().call_soon(put, lanes, second)  # the lane has ended by then, and nobody was told
        done.append(1)

    lanes.start()
    put(lanes, first)
    async with asyncio.timeout(5):
        await lanes.idle()
    assert done == [1, 2]
    await lanes.close()


async def test_a_second_start_sends_no_order_of_a_lane_beside_another():
    lanes, done, answer = Lanes(no_errors), [], asyncio.Event()

    async def stuck():
        await answer.wait()
        done.append("first")

    async def leave():
        done.append("second")

    lanes.start()
    lanes.entry(stuck)
    lanes.entry(leave)
    await asyncio.sleep(0)
    lanes.start()
    for _ in range(5):
        await asyncio.sleep(0)
    assert done == []
    answer.set()
    await lanes.idle()
    assert done == ["first", "second"]
    await lanes.close()
