"""What a person is told of a close: the order it became, or in words why there is none."""

from __future__ import annotations

from decimal import Decimal

import pytest

from qmterm.core.orders import Action, BrokerPosition, Leg, OrderKind
from qmterm.core.reasons import Reason
from qmterm.engine.commands import ClosePosition, Terms
from qmterm.engine.orders.book import Position
from qmterm.engine.orders.closes import _signed, _whole_fault
from qmterm.risk.order_checks import MOST_LEGS
from qmterm.risk.verdict import Verdict
from tests.engine.fakes import OCC
from tests.engine.house import opened
from tests.engine.orders.test_closes_shared import P8, P9, P10, close, puts
from tests.engine.orders.test_spread_stops import BOUGHT, HIGH, LOW, hold

CALL = "NVDA 17APR26 175C"
HIGH_FIRST = "sell 3 NVDA 17APR26 180C / buy 3 NVDA 17APR26 175C @ 1.95 db"
NO_QUOTE = "nobody is quoting the other side right now"
SPREAD = (Leg(OCC, Action.BUY_TO_CLOSE, 2), Leg(HIGH, Action.SELL_TO_CLOSE, 2))


def adopted(house, symbol, quantity):
    """A position of nobody's trade."""
    row = BrokerPosition(symbol, quantity, Decimal(4), 100)
    house.book.adopt(row, "external", "", house.clock.now())
    house.book.settle([row], house.clock.now())


def send(house, name, **terms):
    return house.approvals.close(ClosePosition(name, send=True, terms=Terms(**terms) if terms else None))


async def test_a_close_at_the_market_is_told_with_its_size_and_no_price():
    async with opened() as house:
        await house.hold(4)
        answer = send(house, "NVDA", kind=OrderKind.MARKET)
        await house.lanes.idle()
        (order,) = house.working
        name = order.intent.intent_id
        assert answer.data == {"proposal": None, "order": name, "quantity": 4, "limit": None}


async def test_the_close_of_what_is_no_trades_says_so_in_its_id():
    async with opened() as house:
        adopted(house, OCC, 2)
        assert send(house, CALL).ok
        await house.lanes.idle()
        (order,) = house.working
        assert (order.intent.intent_id, order.intent.plan_id) == (f"cext-{house.clock.now():x}", "")


async def test_what_the_gate_refuses_is_told_with_its_reason_and_as_refused():
    async with opened() as house:
        await house.hold(4)
        house.trader.closing_refusal = lambda: Reason.NOT_ARMED
        answer = send(house, "NVDA")
        told = f"refused: NOT_ARMED: {Verdict(0, Reason.NOT_ARMED).sentence}"
        assert (answer.ok, answer.refused, answer.text) == (False, True, told)
        house.trader.close = lambda intent, **how: Verdict(0, None)
        assert send(house, "NVDA").text == "refused: no reason was given"
        assert not send(house, "AMD").refused


@pytest.mark.parametrize("held", [2, -2])
async def test_what_has_nobody_on_the_other_side_is_not_closed_without_a_price(held):
    async with opened() as house:
        adopted(house, OCC, held)
        house.quote(0.0, 4.20) if held > 0 else house.quote(4.10, 0.0)
        assert send(house, CALL).text == f"{CALL}: {NO_QUOTE}"
        del house.quotes.table[OCC]  # a contract that was never quoted
        assert send(house, CALL).text == f"{CALL}: {NO_QUOTE}"


async def test_a_trade_with_a_leg_that_nobody_quotes_is_not_closed_at_a_price_that_was_typed_either():
    async with opened() as house:
        guard = await hold(house, BOUGHT)
        house.quotes.set(HIGH, 0.0, 0.0, house.clock.now())
        assert NO_QUOTE in send(house, guard.state.position_id, limit=Decimal("1.50")).text
        assert house.working == ()


async def test_a_price_without_a_sign_goes_by_the_market_and_not_by_the_leg_that_was_typed_first():
    async with opened() as house:
        guard = await hold(house, HIGH_FIRST)
        assert send(house, guard.state.position_id, limit=Decimal("1.85")).ok
        await house.lanes.idle()
        (order,) = house.working
        assert [leg.symbol for leg in order.intent.legs] == [HIGH, LOW]
        assert order.intent.net_price == Decimal("1.85")


def test_without_a_market_the_first_leg_says_which_way_the_money_goes():
    assert _signed(Decimal("1.25"), SPREAD, None) == Decimal("-1.25")


async def test_a_trade_that_is_over_names_every_contract_that_others_hold():
    async with opened() as house:
        first = await puts(house, 9)
        await puts(house, 9)
        assert (await close(house, first)).ok
        (order,) = house.working
        for symbol in (P10, P9):
            await house.filled(order.broker_id, 2, "0.90", symbol)
        assert "what is held of NVDA 17APR26 9P / NVDA 17APR26 10P is other trades'" in (await close(house, first)).text


@pytest.mark.parametrize(("legs", "whole"), [(2, True), (MOST_LEGS, True), (MOST_LEGS + 1, False)])
def test_a_trade_closes_whole_while_the_broker_takes_so_many_legs_in_one_order(legs, whole):
    held = [Position(P8, 1, Decimal(1), "manual", "P1", 0)] * legs
    fault = f"only option legs, {MOST_LEGS} at most, leave as one order: name each leg"
    assert _whole_fault(held, Terms()) == ("" if whole else fault)
    if whole:
        assert _whole_fault(held, Terms(kind=OrderKind.MARKET)) == "several legs close at a limit"


@pytest.mark.parametrize(("send", "word"), [(True, "sending"), (False, "proposed")])
async def test_a_close_says_whether_it_leaves_or_is_asked_about(send, word):
    async with opened() as house:
        await house.hold(2)
        answer = await house.answering.answer(ClosePosition(OCC, send=send))
        assert answer.text.startswith(f"{word} SELL 2 NVDA 17APR26 175C")
