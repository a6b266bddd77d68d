"""An entry that ended short of its size: a fill that is told later finds its stop, or is an alarm."""

from __future__ import annotations

import pytest

from qmterm.core.orders import OrderState
from qmterm.core.reasons import Reason
from tests.engine.house import GONE, close_at, opened, plan


async def ended(house, state=OrderState.CANCELLED):
    """An entry of four that ended before anything of it was told."""
    house.trader.open(plan(now_ns=house.clock.now()), house.clock.monotonic(), wanted=4)
    await house.lanes.idle()
    (order,) = house.working
    await house.ended(order.broker_id, state)
    await house.oversight.protection.tidy()
    return order


def alarms(house):
    return [line.text for line in house.log.lines if line.level == "alarm"]


@pytest.mark.parametrize("state", [OrderState.CANCELLED, OrderState.EXPIRED])
async def test_a_fill_told_after_the_end_of_its_order_has_its_stop(state):
    async with opened() as house:
        order = await ended(house, state)
        house.clock.advance(299)
        await house.oversight.protection.tidy()
        await house.filled(order.broker_id, 2, "4.15")
        house.clock.advance(300)
        house.quote(4.10, 4.20)
        close_at(house, GONE)
        await house.turn()
        assert [(r.intent.reason, r.intent.quantity) for r in house.working] == [(Reason.ATR_STOP, 2)]


async def test_after_five_minutes_the_guard_is_forgotten_and_a_fill_even_later_is_an_alarm():
    async with opened() as house:
        order = await ended(house)
        house.clock.advance(300)
        await house.oversight.protection.tidy()
        assert (house.guards.all, house.journal.protects) == ((), {})
        assert alarms(house) == []
        await house.filled(order.broker_id, 2, "4.15")
        (told,) = alarms(house)
        assert told.startswith("filled after its stop was forgotten, nothing watches it: BUY 4 NVDA")


async def test_an_entry_that_the_broker_refused_leaves_no_guard():
    async with opened() as house:
        await ended(house, OrderState.REJECTED)
        assert house.guards.all == ()


async def test_what_was_closed_whole_is_forgotten_at_once():
    async with opened() as house:
        await house.hold(4)
        close_at(house, GONE)
        await house.turn()
        await house.filled_all()
        await house.oversight.protection.tidy()
        assert house.guards.all == ()
