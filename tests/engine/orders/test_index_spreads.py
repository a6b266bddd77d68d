"""Spreads of index options, whose net price steps by nickels while their legs step by cents: every order is on the
grid, and none that only crosses the market is refused for it.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import Mode
from qmterm.core.ticks import NICKEL
from qmterm.engine.commands import ApproveProposal, StageTicket
from tests.engine.house import opened

SOLD, BOUGHT = "XSP   260417P00590000", "XSP   260417P00589000"
SPREAD = "sell 1 XSP 17APR26 590P / buy 1 XSP 17APR26 589P"
UNEVEN = (2.00, 1.72)  # bids, the asks four cents above: 0.32 to buy it back


def at(house, sold, bought, wide=0.04):
    house.quotes.set("XSP", 600, 600.1, house.clock.now())
    house.quote(sold, sold + wide, SOLD)
    house.quote(bought, bought + wide, BOUGHT)


async def hold(house):
    """One of the spread, sold and filled at 0.25."""
    at(house, *UNEVEN)
    answer = await house.tickets.stage(StageTicket(f"{SPREAD} @ 0.25 cr", True))
    assert answer.ok, answer.text
    await house.lanes.idle()
    (order,) = house.working
    await house.filled(order.broker_id, 1, "2.00", SOLD)
    await house.filled(order.broker_id, 1, "1.75", BOUGHT)
    house.clock.advance(300)
    at(house, *UNEVEN)


async def test_the_stop_of_an_index_spread_leaves_though_its_natural_price_lies_between_two_nickels():
    async with opened() as house:
        await hold(house)
        assert await house.guards.want_out(SOLD, Reason.PIN_RISK)
        await house.turn()
        (exit_,) = house.working
        assert exit_.intent.net_price == Decimal("-0.35")
        assert house.trader.rejected == {}


async def test_its_second_try_gives_one_nickel_more_and_is_not_refused():
    async with opened() as house:
        await hold(house)
        await house.guards.want_out(SOLD, Reason.PIN_RISK)
        await house.turn()
        (first,) = house.working
        house.clock.advance(16)
        at(house, *UNEVEN)
        await house.turn()
        await house.ended(first.broker_id)
        await house.turn()
        (second,) = house.working
        assert second.intent.net_price == Decimal("-0.40")
        assert house.trader.rejected == {}


async def test_in_confirm_mode_it_is_asked_again_after_a_first_try_and_can_be_sent():
    async with opened() as house:
        await hold(house)
        house.trader.mode = Mode.CONFIRM
        await house.guards.want_out(SOLD, Reason.PIN_RISK)
        asked_at, sent = [], []
        for _ in range(2):
            await house.turn()
            (asked,) = house.trader.proposals.waiting
            asked_at.append(asked.net_price)
            assert house.approvals.approve(ApproveProposal(asked.proposal_id, str(asked.net_price))).ok
            await house.lanes.idle()
            (order,) = house.working
            sent.append(order.intent.net_price)
            house.clock.advance(20)
            at(house, *UNEVEN)
            await house.turn()
            await house.ended(order.broker_id)
        assert asked_at == [Decimal("-0.35"), Decimal("-0.40")]
        assert sent == [Decimal("-0.35"), Decimal("-0.35")]  # an approval takes the better price of the market
        assert house.trader.rejected == {}


@pytest.mark.parametrize(("bid", "price"), [(1.73, "-0.35"), (1.78, "-0.30"), (1.60, "-0.35")])
async def test_an_approved_close_takes_the_better_price_on_the_grid(bid, price):
    """At a bid of 1.78 it costs 0.26 by then; at one of 1.60 the person's own limit holds."""
    async with opened() as house:
        await hold(house)
        house.trader.mode = Mode.CONFIRM
        await house.guards.want_out(SOLD, Reason.PIN_RISK)
        await house.turn()
        (asked,) = house.trader.proposals.waiting
        at(house, 2.00, bid)
        answer = house.approvals.approve(ApproveProposal(asked.proposal_id, str(asked.net_price)))
        assert answer.ok, answer.text
        await house.lanes.idle()
        (order,) = house.working
        assert order.intent.net_price == Decimal(price)


@pytest.mark.parametrize("pricing", ["@ nat", "@ mid", ""])
async def test_a_spread_priced_from_the_market_is_priced_on_the_net_grid(pricing):
    async with opened() as house:
        at(house, 2.00, 1.68)
        answer = await house.tickets.stage(StageTicket(f"{SPREAD} {pricing}".strip(), True))
        assert answer.ok, answer.text
        await house.lanes.idle()
        (order,) = house.working
        assert order.intent.net_price % NICKEL == 0
        if pricing == "@ nat":
            assert order.intent.net_price == Decimal("0.25")  # 0.28 is what crosses by the cent
