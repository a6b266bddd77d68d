"""Whether premium was bought or sold is what the market and the fills say, whatever price an order is counted at."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from qmterm.core.orders import BrokerPosition
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import OrderSettings
from qmterm.engine.commands import StageTicket
from tests.engine.house import opened
from tests.engine.orders.test_spread_stops import HIGH, LOW, SOLD, hold

WALKED = OrderSettings(readback_window_s=0.2, exit_reprice_s=15, walk=True)


def narrow(house):
    """A market in which crossing a credit spread pays nothing, though its middle does."""
    house.quote(0.30, 0.50, LOW)
    house.quote(0.10, 0.32, HIGH)


async def walked(house, low, high):
    """Three of the sold spread, walked from the mid, filled at these prices."""
    narrow(house)
    answer = await house.tickets.stage(StageTicket("sell 3 NVDA 17APR26 175C / buy 3 NVDA 17APR26 180C", True))
    assert answer.ok, answer.text
    await house.lanes.idle()
    (order,) = house.working
    assert order.intent.counted_price <= 0
    await house.filled(order.broker_id, 3, low, LOW)
    await house.filled(order.broker_id, 3, high, HIGH)
    (guard,) = house.guards.all
    return guard


async def test_a_call_sold_at_the_market_is_not_bought_back_the_next_turn():
    async with opened() as house:
        house.book.adopt(BrokerPosition("NVDA", 100, Decimal(170), 1), "manual", "", house.clock.now())
        assert (await house.tickets.stage(StageTicket("sell 1 NVDA 17APR26 175C @ mkt", True))).ok
        await house.lanes.idle()
        await house.filled(house.working[0].broker_id, 1, "4.10")
        house.clock.advance(5)
        house.quote(4.10, 4.20)
        await house.turn()
        assert house.working == ()
        (guard,) = house.guards.all
        assert (guard.state.sold, guard.state.entry_premium) == (True, Decimal("4.10"))


async def test_a_credit_spread_whose_worst_price_is_a_debit_is_closed_three_weeks_before_its_end():
    async with opened(orders=WALKED) as house:
        guard = await walked(house, "0.40", "0.21")
        assert (guard.state.sold, guard.state.entry_premium) == (True, Decimal("0.19"))
        house.clock.advance((date(2026, 3, 30) - date(2026, 3, 2)).days * 86_400)
        narrow(house)
        await house.turn()
        (exit_,) = house.working
        assert exit_.intent.reason is Reason.SHORT_DTE_STOP


async def test_fills_put_right_what_the_market_had_said_and_the_other_legs_volatility_is_forgotten():
    async with opened(orders=WALKED) as house:
        house.desk.priced = lambda legs, stock: {"legs": [{"iv": 0.30, "delta": 0.5} for _ in legs]}
        guard = await walked(house, "0.30", "0.32")
        assert (guard.state.sold, guard.state.entry_premium, guard.state.entry_iv) == (False, Decimal("0.02"), None)


async def test_a_guard_that_an_earlier_version_took_for_bought_is_put_right_at_the_start():
    async with opened() as house:
        guard = await hold(house, SOLD)
        name = guard.state.position_id
        house.guards.restore({name: replace(guard, state=replace(guard.state, sold=False)).to_dict()})
        await house.guards.catch_up()
        assert house.guards.of(name).state == guard.state
