"""The broker's transactions: read page by page over loopback, fees to the cent, and what cannot be read is said."""

from datetime import date
from decimal import Decimal

import pytest
from aiohttp import web

from qmterm.broker.decode import Unreadable
from qmterm.broker.transactions import transaction, transactions
from qmterm.core.errors import BrokerError
from qmterm.core.fees import fill_fees
from qmterm.core.orders import Action
from tests.broker.conftest import buy
from tests.broker.test_tastytrade_orders import run
from tests.sim.brokerage.fake_world import CALL_230, MONDAY


def body(**changes):
    return {
        "id": 7,
        "transaction-type": "Trade",
        "transaction-sub-type": "Buy to Open",
        "transaction-date": "2026-03-02",
        "executed-at": "2026-03-02T15:00:00.000+00:00",
        "symbol": CALL_230,
        "quantity": "2.0",
        "price": "5.1",
        "order-id": 1001,
        "value": "1020.0",
        "value-effect": "Debit",
        "net-value": "1022.25",
        "net-value-effect": "Debit",
        "commission": "2.0",
        "commission-effect": "Debit",
        "clearing-fees": "0.2",
        "clearing-fees-effect": "Debit",
        "regulatory-fees": "0.05",
        "regulatory-fees-effect": "Debit",
        "is-estimated-fee": True,
    } | changes


def test_fees_are_the_sum_of_their_parts_paid_positive():
    read = transaction(body())
    assert (read.fees, read.value, read.net_value) == (Decimal("2.25"), Decimal("-1020.0"), Decimal("-1022.25"))
    assert (read.order_id, read.quantity, read.day, read.estimated) == ("1001", Decimal(2), MONDAY, True)


def test_a_rebate_lowers_them_and_a_line_without_fees_states_none():
    rebate = transaction(body(**{"other-charge": "0.10", "other-charge-effect": "Credit"}))
    assert rebate.fees == Decimal("2.15")
    none = {name: None for name in ("commission", "clearing-fees", "regulatory-fees")}
    assert transaction(body(**none)).fees is None


@pytest.mark.parametrize("change", [{"id": None}, {"value": None}, {"transaction-date": "yesterday"}, {"price": "x"}])
def test_a_broken_line_costs_that_line_and_is_named(change):
    with pytest.raises(Unreadable):
        transaction(body(**change))
    rows = transactions([body(**change), body()])
    assert len(rows.good) == 1
    assert len(rows.faults) == 1


async def test_a_fill_is_booked_with_the_fees_that_our_own_table_says(broker, brokerage, step):
    placed = await broker.place(buy())
    await run(broker, brokerage, step)
    rows, complete = await broker.transactions(MONDAY)
    assert complete
    trades = [row for row in rows if row.kind == "Trade"]
    assert {row.order_id for row in trades} == {placed.broker_id}
    assert sum(row.quantity for row in trades) == 2
    expected = fill_fees(CALL_230, Action.BUY_TO_OPEN, 2, Decimal("5.1"), MONDAY)
    assert sum(row.fees for row in trades) == expected


async def test_all_pages_are_read_and_only_those_of_the_days_asked_for(connect, brokerage, step):
    broker = await connect(page_size=10)
    for number in range(12):
        brokerage.book.trade(
            CALL_230,
            Action.BUY_TO_OPEN if number % 2 == 0 else Action.SELL_TO_CLOSE,
            1,
            Decimal(5),
            _no_fees(),
            brokerage.world.now_ns,
            order_id=number,
        )
    rows, complete = await broker.transactions(MONDAY)
    assert (len(rows), complete) == (12, True)
    later, _ = await broker.transactions(date(2026, 3, 3))
    assert later == ()


def _no_fees():
    from qmterm.core.fees import FeeBreakdown

    return FeeBreakdown()


async def test_a_line_that_cannot_be_read_makes_the_answer_incomplete(broker, wire):
    answer = {"data": {"items": [body(value=None), body()]}, "pagination": {"total-pages": 1}}
    wire.instead["GET", "/transactions"] = [web.json_response(answer)]
    rows, complete = await broker.transactions(MONDAY)
    assert (len(rows), complete) == (1, False)
    assert any("transaction" in text for text in broker.told)


async def test_no_list_is_no_empty_list(broker, wire):
    wire.instead["GET", "/transactions"] = [web.json_response({"data": {}})]
    with pytest.raises(BrokerError):
        await broker.transactions(MONDAY)


async def test_positions_tell_what_was_realised_today(broker, brokerage, step):
    brokerage.book.trade(CALL_230, Action.BUY_TO_OPEN, 2, Decimal(5), _no_fees(), brokerage.world.now_ns)
    brokerage.book.trade(CALL_230, Action.SELL_TO_CLOSE, 1, Decimal(4), _no_fees(), brokerage.world.now_ns)
    (position,) = (await broker.account_state()).positions
    assert position.realized_today == Decimal(-100)
