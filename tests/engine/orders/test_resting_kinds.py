"""What may have an exit at rest at the broker, and on which grid its trigger lies."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from qmterm.core.orders import Action, Leg
from qmterm.core.ticks import TickProgram, table_of
from tests.engine.fakes import OCC
from tests.engine.orders.test_resting_guards import guard, house, steps

__all__ = ["house"]  # a fixture


async def test_no_leg_of_a_spread_is_sold_by_an_exit_at_rest(house):
    spread = (Leg(OCC, Action.BUY_TO_OPEN, 1), Leg("NVDA  260417C00180000", Action.SELL_TO_OPEN, 1))
    await guard(house, legs=spread)
    assert await steps(house) == []


async def test_the_trigger_is_judged_on_the_brokers_own_grid(house):
    house.trader.ticks._tables["NVDA"] = table_of(TickProgram.PENNY_ALL)
    now = house.guards.of("P1")
    await house.guards._keep(replace(now, state=replace(now.state, entry_premium=Decimal("8.12"))))
    (record,) = await steps(house, 0, 8.10, 8.20)
    assert record.intent.stop_trigger == Decimal("4.06")
