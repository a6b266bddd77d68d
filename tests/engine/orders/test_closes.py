"""A person's close by name: a trade leaves whole, a leg only when it is named."""

from __future__ import annotations

from decimal import Decimal

import pytest

from qmterm.core.orders import Action, BrokerPosition, OrderKind
from qmterm.core.settings.engine import Mode
from qmterm.engine.commands import ApproveProposal, ClosePosition, Terms
from qmterm.engine.orders.closes import positions_named
from qmterm.engine.orders.proposals import short_id
from tests.engine.fakes import OCC
from tests.engine.house import opened
from tests.engine.orders.test_spread_stops import BOUGHT, HIGH, LEGS_BACK, LEGS_OUT, LOW, SOLD, hold, legs_of

PUT = "NVDA  260417P00170000"
LOW_LABEL, HIGH_LABEL = "NVDA 17APR26 175C", "NVDA 17APR26 180C"


def close(house, name, **more):
    return house.approvals.close(ClosePosition(name, send=True, **more))


async def test_a_position_is_named_by_what_the_screen_shows():
    async with opened() as house:
        await house.hold(4)
        for name in ("NVDA", "nvda 17apr26 175c", OCC, "P1"):
            assert [held.symbol for held in positions_named(house.trader, name)] == [OCC]
        assert positions_named(house.trader, "AMD") == []
        assert positions_named(house.trader, "") == []


async def test_a_trade_of_two_legs_is_named_by_its_id_or_its_stock_and_each_leg_by_itself():
    async with opened() as house:
        guard = await hold(house, BOUGHT)
        for name in (guard.state.position_id, "NVDA"):
            assert {held.symbol for held in positions_named(house.trader, name)} == {LOW, HIGH}
        for name in (HIGH, " ".join(HIGH.split()), HIGH_LABEL):
            assert [held.symbol for held in positions_named(house.trader, name)] == [HIGH]


async def test_a_stock_with_two_trades_names_neither():
    async with opened() as house:
        await hold(house, BOUGHT)
        house.book.adopt(BrokerPosition(PUT, 1, Decimal(3), 100), "external", "", house.clock.now())
        assert positions_named(house.trader, "NVDA") == []
        assert "no position" in close(house, "NVDA").text


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.CONFIRM])
async def test_two_closes_asked_in_one_moment_of_what_was_opened_elsewhere_are_two(mode):
    async with opened(mode) as house:
        for symbol in (LOW, HIGH):
            house.book.adopt(BrokerPosition(symbol, 2, Decimal(4), 100), "external", "", house.clock.now())
            house.quote(4.10, 4.20, symbol)
            assert close(house, symbol).ok
        await house.lanes.idle()
        orders = [record.intent for record in house.working] or house.trader.proposals.waiting
        assert [each.legs[0].symbol for each in orders] == [LOW, HIGH]


@pytest.mark.parametrize(("text", "legs", "price"), [(BOUGHT, LEGS_OUT, "1.80"), (SOLD, LEGS_BACK, "-2.00")])
async def test_a_trade_is_closed_as_one_order_at_its_natural_price(text, legs, price):
    async with opened() as house:
        guard = await hold(house, text)
        answer = close(house, guard.state.position_id)
        assert answer.ok, answer.text
        await house.lanes.idle()
        (order,) = house.working
        assert (legs_of(order), order.intent.quantity) == (legs, 3)
        assert order.intent.net_price == Decimal(price)
        assert not close(house, guard.state.position_id).ok  # it is being closed already


async def test_a_close_that_is_sent_names_its_order_and_one_that_is_asked_its_proposal():
    async with opened() as house:
        await house.hold(4)
        asked = house.approvals.close(ClosePosition("NVDA"))
        (waiting,) = house.trader.proposals.waiting
        assert (asked.data["proposal"], asked.data["order"]) == (waiting.proposal_id, None)
        assert asked.data["limit"] == str(waiting.net_price)
        sent = house.approvals.approve(ApproveProposal(waiting.proposal_id, asked.data["limit"]))
        await house.lanes.idle()
        (order,) = house.working
        assert (sent.data["proposal"], sent.data["order"]) == (None, order.intent.intent_id)
    async with opened() as house:
        await house.hold(4)
        answer = close(house, "NVDA")
        await house.lanes.idle()
        assert answer.data["order"] == house.working[0].intent.intent_id


async def test_the_same_close_asked_twice_is_said_to_wait_and_not_proposed_again():
    async with opened() as house:
        await house.hold(4)
        assert house.approvals.close(ClosePosition("NVDA")).ok
        house.clock.advance(1)
        waiting = short_id(house.trader.proposals.waiting[0].proposal_id)
        again = house.approvals.close(ClosePosition("NVDA"))
        assert (again.ok, again.text) == (
            False,
            f"the same question waits in pane 5 already as {waiting}: answer it first",
        )
        assert len(house.trader.proposals.waiting) == 1


async def test_a_price_typed_without_a_sign_is_paid_where_the_market_has_the_trade_cost_money():
    async with opened() as house:
        guard = await hold(house, SOLD)
        assert close(house, guard.state.position_id, terms=Terms(limit=Decimal("1.50"))).ok
        await house.lanes.idle()
        assert house.working[0].intent.net_price == Decimal("-1.50")


async def test_several_legs_close_at_a_limit_only():
    async with opened() as house:
        guard = await hold(house, BOUGHT)
        answer = close(house, guard.state.position_id, terms=Terms(kind=OrderKind.MARKET))
        assert not answer.ok
        assert "at a limit" in answer.text
        assert house.working == ()


async def test_a_trade_with_a_leg_that_nobody_quotes_is_not_closed_blind():
    async with opened() as house:
        guard = await hold(house, BOUGHT)
        house.quotes.set(HIGH, 0.0, 0.0, house.clock.now())
        answer = close(house, guard.state.position_id)
        assert not answer.ok
        assert f"{LOW_LABEL} / {HIGH_LABEL}: nobody is quoting" in answer.text


async def test_shares_and_options_of_one_trade_are_closed_leg_by_leg():
    async with opened() as house:
        now = house.clock.now()
        house.book.adopt(BrokerPosition("NVDA", 100, Decimal(170), 1), "manual", "P9", now)
        house.book.adopt(BrokerPosition(LOW, -1, Decimal(4), 100), "manual", "P9", now)
        house.book.settle([BrokerPosition("NVDA", 100, Decimal(170), 1), BrokerPosition(LOW, -1, Decimal(4), 100)], now)
        assert "name each leg" in close(house, "P9").text
        assert close(house, LOW).ok
        await house.lanes.idle()
        assert legs_of(house.working[0]) == {LOW: Action.BUY_TO_CLOSE}


async def test_one_leg_by_name_leaves_the_other():
    async with opened() as house:
        await hold(house, BOUGHT)
        assert close(house, HIGH_LABEL).ok
        await house.lanes.idle()
        assert legs_of(house.working[0]) == {HIGH: Action.BUY_TO_CLOSE}
