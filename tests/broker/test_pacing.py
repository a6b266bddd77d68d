"""The gentle limit on calls: questions wait for orders, and nothing at all holds a cancel back."""

import asyncio

from qmterm.broker.pacing import DEBT, Pacer, Urgency


async def left_at_once(pacer, urgency, count):
    """How many of `count` calls may leave without time passing."""
    tasks = [asyncio.create_task(pacer.turn(urgency)) for _ in range(count)]
    for _ in range(3):
        await asyncio.sleep(0)
    done = sum(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return done


async def test_fifty_cancels_leave_at_once_however_many_calls_went_before():
    pacer = Pacer(8, 16)
    assert await left_at_once(pacer, Urgency.QUESTION, 30) == 12
    assert await left_at_once(pacer, Urgency.CANCEL, 50) == 50


async def test_cancels_pass_orders_and_questions_that_wait():
    pacer = Pacer(8, 16)
    await left_at_once(pacer, Urgency.ORDER, 15)
    waiting = [asyncio.create_task(pacer.turn(urgency)) for urgency in (Urgency.ORDER, Urgency.QUESTION)]
    await asyncio.sleep(0)
    assert await left_at_once(pacer, Urgency.CANCEL, 1) == 1
    assert not any(task.done() for task in waiting)
    for task in waiting:
        task.cancel()


async def test_a_kill_of_fifty_orders_delays_the_exit_behind_it_by_less_than_a_second():
    pacer = Pacer(8, 16)
    await left_at_once(pacer, Urgency.CANCEL, 50)
    began = asyncio.get_running_loop().time()
    await pacer.turn(Urgency.ORDER)
    assert asyncio.get_running_loop().time() - began <= (DEBT + 2) / 8 + 0.1


async def test_an_order_finds_a_call_left_where_questions_do_not():
    pacer = Pacer(8, 16)
    await left_at_once(pacer, Urgency.QUESTION, 100)
    assert await left_at_once(pacer, Urgency.ORDER, 10) == 3
