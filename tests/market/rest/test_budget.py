"""The budget: no minute holds more calls than the plan, orders go first, and the wait is told."""

import asyncio
from collections import deque
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.errors import RateLimited
from qmterm.market.rest.budget import Priority, RequestBudget, asking_for


class Hand:
    """A monotonic clock moved by hand."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def spend(budget, clock, calls, priority):
    """Take calls as fast as they go, on the hand-moved clock; the times they went."""
    went = []
    for _ in range(calls):
        clock.now += budget.next_in_s(priority)
        assert budget.take_now(priority)
        went.append(clock.now)
    return went


@given(st.integers(1, 400), st.lists(st.tuples(st.floats(0, 90), st.sampled_from(list(Priority))), max_size=60))
def test_no_sliding_minute_holds_more_calls_than_the_plan(per_minute, asked):
    clock = Hand()
    budget = RequestBudget(per_minute, clock)
    window = deque()
    for pause, priority in asked:
        clock.now += pause
        went = spend(budget, clock, min(per_minute, 7), priority)
        window.extend(went)
        for at in went:
            assert sum(1 for other in window if at - 60.0 < other <= at) <= per_minute


def test_a_paid_plan_is_counted_by_the_second():
    clock = Hand()
    budget = RequestBudget(4_800, clock)
    spend(budget, clock, 80, Priority.SCAN)
    assert clock.now == 1000.0
    assert budget.next_in_s(Priority.SCAN) == pytest.approx(1.0)


async def test_waiting_calls_are_served_by_importance_then_by_arrival():
    budget = RequestBudget(600, asyncio.get_running_loop().time)
    for _ in range(10):
        await budget.take()
    order = []

    async def call(priority, name):
        await budget.take(priority)
        order.append(name)

    asked = [
        (Priority.HISTORY, "history"),
        (Priority.SCAN, "scan 1"),
        (Priority.WATCH, "watch"),
        (Priority.SCAN, "scan 2"),
        (Priority.ORDERS, "order"),
        (Priority.POSITIONS, "position"),
    ]
    tasks = [asyncio.create_task(call(*one)) for one in asked]
    await asyncio.sleep(0)
    assert budget.view().waiting == {
        Priority.ORDERS: 1,
        Priority.POSITIONS: 1,
        Priority.WATCH: 1,
        Priority.SCAN: 2,
        Priority.HISTORY: 1,
    }
    budget._calls.clear()  # the window has passed
    budget._serve()
    await asyncio.gather(*tasks)
    assert order == ["order", "position", "watch", "scan 1", "scan 2", "history"]


async def test_a_call_that_is_given_up_holds_nobody_up():
    budget = RequestBudget(5, asyncio.get_running_loop().time)
    for _ in range(5):
        await budget.take()
    first = asyncio.create_task(budget.take(Priority.ORDERS))
    second = asyncio.create_task(budget.take(Priority.SCAN))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert budget.view().waiting == {Priority.SCAN: 1}
    budget._calls.clear()
    budget._serve()
    await second
    assert budget.spent == 6


async def test_what_a_task_asks_for_goes_into_the_tasks_it_starts():
    budget = RequestBudget(5, asyncio.get_running_loop().time)
    for _ in range(5):
        await budget.take()
    with asking_for(Priority.POSITIONS):
        waiting = asyncio.create_task(budget.take())
    plain = asyncio.create_task(budget.take())
    await asyncio.sleep(0)
    assert budget.view().waiting == {Priority.POSITIONS: 1, Priority.SCAN: 1}
    waiting.cancel()
    plain.cancel()
    await asyncio.gather(waiting, plain, return_exceptions=True)


def test_history_on_a_small_plan_leaves_a_call_free_for_an_order_within_one_even_pace():
    clock = Hand()
    budget = RequestBudget(5, clock)
    went = spend(budget, clock, 30, Priority.HISTORY)
    assert all(budget.spacing_s <= b - a + 1e-6 for a, b in pairwise(went))
    assert budget.next_in_s(Priority.ORDERS) <= budget.spacing_s + 1e-6
    assert went[-1] - went[0] == pytest.approx(29 * 12.1)  # still the whole plan


@given(
    st.sampled_from([3, 5, 60, 1_200]),
    st.integers(0, 40),
    st.floats(0, 70),
    st.integers(1, 60),
    st.sampled_from([Priority.SCAN, Priority.HISTORY]),
)
def test_the_eta_is_when_the_last_of_the_calls_has_gone(per_minute, before, pause, calls, priority):
    clock = Hand()
    budget = RequestBudget(per_minute, clock)
    spend(budget, clock, before, priority)
    clock.now += pause
    told, began = budget.eta_s(calls, priority), clock.now
    went = spend(budget, clock, calls, priority)
    assert told == pytest.approx(went[-1] - began, abs=1e-6)


def test_three_hundred_sessions_on_the_free_plan_take_an_hour():
    budget = RequestBudget(5, Hand())
    assert 58 * 60 < budget.eta_s(300, Priority.HISTORY) < 62 * 60
    budget.pull_left = 300
    assert budget.view().pull_eta_s == budget.eta_s(300, Priority.HISTORY)


async def test_a_long_pause_wakes_those_who_wait_with_the_time_and_a_short_one_keeps_them():
    clock = Hand()
    budget = RequestBudget(5, clock)
    spend(budget, clock, 5, Priority.SCAN)
    waiting = asyncio.create_task(budget.take())
    await asyncio.sleep(0)
    budget.hold(5.0)
    await asyncio.sleep(0)
    assert not waiting.done()
    budget.hold(300.0)
    with pytest.raises(RateLimited, match="another 300 s"):
        await waiting
    with pytest.raises(RateLimited):
        await budget.take(Priority.ORDERS)
    clock.now += 301.0
    await budget.take(Priority.ORDERS)
