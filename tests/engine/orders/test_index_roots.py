"""An index is one underlying: its weeklies count with its monthlies, and an order lost in the one freezes the other."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.orders import BrokerPosition, OrderState
from qmterm.core.reasons import Reason
from qmterm.engine.commands import EditOrder, StageTicket
from tests.engine.fakes import lost
from tests.engine.house import opened, plan

ROOTS = ("SPX", "SPXW")


def put(root, strike):
    return f"{root:<6}260417P{strike * 1000:08d}"


def quoted(house):
    """Two spreads fifteen points wide: what is held, and one that brings 1.90."""
    house.tickets._known = lambda: None
    for root in ROOTS:
        for strike, bid in ((5000, 10.0), (4985, 8.0), (4900, 9.0), (4885, 7.0)):
            house.quote(bid, bid + 0.1, put(root, strike))


def hold(house, root, units):
    for strike, sign, price in ((5000, -1, "10"), (4985, 1, "8")):
        row = BrokerPosition(put(root, strike), sign * units, Decimal(price), 100)
        house.book.adopt(row, "manual", "m1", house.clock.now())


async def sell(house, root):
    line = f"sell 1 {root} 17APR26 4900P / buy 1 {root} 17APR26 4885P @ 1.90 cr"
    answer = await house.tickets.stage(StageTicket(line, send=True))
    await house.lanes.idle()
    return answer


@pytest.mark.parametrize("held", ROOTS)
@pytest.mark.parametrize("root", ROOTS)
async def test_the_limit_of_one_underlying_counts_all_roots_of_an_index(held, root):
    async with opened() as house:
        quoted(house)
        hold(house, held, 3)  # 3,900 of the 5,000 there may be
        house.marks.update()
        answer = await sell(house, root)
        assert not answer.ok
        assert answer.data["code"] == Reason.LIMIT_SYMBOL.value
        assert house.broker.posts == []


async def test_within_the_limit_both_roots_are_traded():
    async with opened() as house:
        quoted(house)
        hold(house, "SPX", 1)
        house.marks.update()
        assert (await sell(house, "SPXW")).ok
        assert set(house.trader.risk_book().risk_by_symbol) == {"SPX"}


@pytest.mark.parametrize(("first", "second"), [ROOTS, ROOTS[::-1]])
async def test_an_order_whose_outcome_is_unknown_freezes_all_roots_of_its_index(first, second):
    async with opened() as house:
        quoted(house)
        house.broker.before_accept = lost
        assert (await sell(house, first)).ok
        assert [record.intent.underlying for record in house.desk.ledger.unknown] == [first]
        answer = await sell(house, second)
        assert not answer.ok
        assert answer.data["code"] == Reason.SYMBOL_FROZEN.value
        assert len(house.desk.ledger.records) == 1


async def test_what_an_entry_named_by_its_index_has_filled_is_no_second_position_of_its_strategy_in_an_edit():
    async with opened() as house:
        symbol = put("SPXW", 4900)
        house.quote(4.10, 4.20, symbol)
        wish = replace(plan(symbol=symbol, net_price="-4.10"), underlying="SPX")
        assert house.trader.open(wish, None, wanted=2).contracts == 2
        await house.lanes.idle()
        (record,) = house.working
        await house.desk.on_order(house.broker.set_state(record.broker_id, OrderState.LIVE))
        await house.filled(record.broker_id, 1)
        assert house.trader.risk_book().holds(record.intent.strategy, "SPX")
        answer = house.edits.edit(EditOrder(record.intent.intent_id, "4.20", True))
        assert answer.ok, answer.text
