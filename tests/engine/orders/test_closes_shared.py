"""Trades that share a contract: a close by a trade's name takes what is that trade's, all of its legs, and no more."""

from __future__ import annotations

from decimal import Decimal

import pytest

from qmterm.core.orders import Action, BrokerPosition
from qmterm.engine.commands import ClosePosition, RollPosition, StageTicket
from qmterm.engine.orders.book import Position
from qmterm.engine.orders.closes import name_of, positions_named
from tests.engine.fakes import OCC
from tests.engine.house import opened

P10, P9, P8 = "NVDA  260417P00010000", "NVDA  260417P00009000", "NVDA  260417P00008000"
MAY = "NVDA  260515C00180000"
CALL = "NVDA 17APR26 175C"


def fresh(house):
    for symbol, bid, ask in ((OCC, 4.10, 4.20), (P10, 0.90, 0.95), (P9, 0.50, 0.55), (P8, 0.30, 0.35)):
        house.quote(bid, ask, symbol)


async def trade(house, text, price="0.50"):
    """Type an order, send it, have its legs filled, let time pass; its trade's id."""
    fresh(house)
    answer = await house.tickets.stage(StageTicket(text, True))
    assert answer.ok, answer.text
    await house.lanes.idle()
    order = house.working[-1]
    for leg in order.intent.legs:
        await house.filled(order.broker_id, leg.quantity, price, leg.symbol)
    house.clock.advance(300)
    fresh(house)
    return order.intent.plan_id


async def calls(house, contracts):
    return await trade(house, f"buy {contracts} {CALL} @ 4.20 db", "4.20")


async def puts(house, low, units=2):
    credit = "0.35" if low == 9 else "0.55"
    return await trade(house, f"sell {units} NVDA 17APR26 10P / buy {units} NVDA 17APR26 {low}P @ {credit} cr")


async def close(house, name):
    answer = house.approvals.close(ClosePosition(name, send=True))
    await house.lanes.idle()
    house.clock.advance(1)
    fresh(house)
    return answer


def sent(record):
    return {leg.symbol: leg.action.sign * leg.quantity for leg in record.intent.legs}


async def test_each_of_two_trades_in_one_contract_closes_its_own_and_once():
    async with opened() as house:
        first, second = await calls(house, 2), await calls(house, 4)
        assert (await close(house, first)).ok
        assert [(sent(r), r.intent.plan_id) for r in house.working] == [({OCC: -2}, first)]
        assert "a working order closes it already" in (await close(house, first)).text
        assert (await close(house, second)).ok
        assert [(sent(r), r.intent.plan_id) for r in house.working] == [({OCC: -2}, first), ({OCC: -4}, second)]
        assert not (await close(house, second)).ok


async def test_a_single_contract_that_was_bought_is_sold():
    async with opened() as house:
        await calls(house, 1)
        assert (await close(house, CALL)).ok
        (order,) = house.working
        assert [(leg.symbol, leg.action, leg.quantity) for leg in order.intent.legs] == [(OCC, Action.SELL_TO_CLOSE, 1)]


async def test_a_close_that_nobody_quotes_the_other_side_of_is_refused_unless_it_has_a_price():
    async with opened() as house:
        await calls(house, 2)
        house.quote(0.0, 4.20)
        answer = house.approvals.close(ClosePosition(CALL, send=True))
        assert (answer.ok, answer.text) == (False, f"{CALL}: nobody is quoting the other side right now")
        await house.lanes.idle()
        assert house.working == ()


async def test_the_contract_by_its_own_name_closes_all_of_it():
    async with opened() as house:
        await calls(house, 2)
        await calls(house, 4)
        assert (await close(house, CALL)).ok
        assert [sent(r) for r in house.working] == [{OCC: -6}]


async def test_spreads_that_share_a_leg_close_with_both_of_their_legs():
    async with opened() as house:
        near, far = await puts(house, 9), await puts(house, 8)
        assert (await close(house, far)).ok
        assert [sent(r) for r in house.working] == [{P10: 2, P8: -2}]
        assert (await close(house, near)).ok
        assert [sent(r) for r in house.working] == [{P10: 2, P8: -2}, {P10: 2, P9: -2}]
        assert not (await close(house, near)).ok


async def test_a_trade_of_which_one_leg_is_being_closed_is_refused_with_the_leg():
    async with opened() as house:
        near, _ = await puts(house, 9), await puts(house, 8)
        assert (await close(house, P9)).ok
        answer = await close(house, near)
        assert not answer.ok
        assert "not all of its legs are free (NVDA 17APR26 9P: a working order closes it already)" in answer.text
        assert [sent(r) for r in house.working] == [{P9: -2}]


async def test_a_trade_of_which_one_leg_is_gone_is_refused_and_no_leg_leaves_alone():
    async with opened() as house:
        name = await puts(house, 9)
        house.book.adopt(BrokerPosition(P9, 0, Decimal(0), 100), "external", "", house.clock.now())
        lost = next(held for held in positions_named(house.trader, name) if held.symbol == P9)
        assert lost == Position(P9, 2, Decimal(0), "external", name, 0)  # the trade's still, but of no known price
        answer = await close(house, name)
        assert "not all of its legs are free (NVDA 17APR26 9P: the broker does not show it (yet))" in answer.text
        assert house.working == ()


@pytest.mark.parametrize(
    ("short", "long", "leaves"), [(-2, 1, None), (-1, 4, None), (-1, 3, {P10: 1, P8: -2}), (-2, 4, {P10: 2, P8: -4})]
)
async def test_legs_of_a_ratio_close_in_whole_units(short, long, leaves):
    async with opened() as house:
        name = await trade(house, "sell 2 NVDA 17APR26 10P / buy 4 NVDA 17APR26 8P @ 0.25 cr")
        shown = [BrokerPosition(P10, short, Decimal(0), 100), BrokerPosition(P8, long, Decimal(0), 100)]
        house.book.settle(shown, house.clock.now())
        assert (await close(house, name)).ok is (leaves is not None)
        assert [sent(r) for r in house.working] == ([] if leaves is None else [leaves])


async def test_a_trade_that_is_over_takes_nothing_of_another():
    async with opened() as house:
        first, second = await calls(house, 2), await calls(house, 4)
        await close(house, first)
        await house.filled(house.working[0].broker_id, 2)
        assert house.book.position(OCC).plan_id == first
        answer = await close(house, first)
        assert (answer.ok, house.working) == (False, ())
        assert f"what is held of {CALL} is other trades'; name the contract itself" in answer.text
        assert (await close(house, second)).ok


async def test_an_order_of_nobody_knows_which_trade_counts_against_each():
    async with opened() as house:
        first, second = await calls(house, 2), await calls(house, 4)
        house.quote(5.00, 5.10, MAY)
        assert (await house.rolls.roll(RollPosition(f"{first} 15MAY26 180C @ 0.95 db", True))).ok
        await house.lanes.idle()
        assert sent(house.working[0]) == {OCC: -2, MAY: 2}
        fresh(house)
        assert not (await close(house, first)).ok
        assert (await close(house, second)).ok
        assert sent(house.working[1]) == {OCC: -2}  # of 4: whose the other 2 are is not known


@pytest.mark.parametrize(("name", "count"), [("T1", 60), ("T2", 40)])
async def test_a_trade_without_a_guard_is_closed_by_its_lots(name, count):
    async with opened() as house:
        house.book.adopt(BrokerPosition("NVDA", 100, Decimal(170), 1), "manual", "T1", house.clock.now())
        house.trader.lots_of = lambda trade: {"T1": {"NVDA": 60}, "T2": {"NVDA": 40}}.get(trade, {})
        assert [(p.symbol, p.quantity, p.plan_id) for p in positions_named(house.trader, name)] == [
            ("NVDA", count, name)
        ]
        assert positions_named(house.trader, "NVDA")[0].quantity == 100


async def test_without_a_guard_and_lots_a_trade_is_what_the_book_says():
    async with opened() as house:
        house.book.adopt(BrokerPosition("NVDA", 100, Decimal(170), 1), "manual", "T1", house.clock.now())
        assert [p.quantity for p in positions_named(house.trader, "T1")] == [100]
        assert positions_named(house.trader, "T2") == []


async def test_what_is_no_trades_is_named_contract_by_contract():
    async with opened() as house:
        for symbol in (P10, P9):
            house.book.adopt(BrokerPosition(symbol, 1, Decimal(1), 100), "external", "", house.clock.now())
        for name in ("", "NVDA"):
            assert positions_named(house.trader, name) == []
        assert [held.symbol for held in positions_named(house.trader, P9)] == [P9]


async def test_a_stock_whose_contracts_belong_to_several_trades_names_none_of_them():
    async with opened() as house:
        await puts(house, 9)
        assert len(positions_named(house.trader, "NVDA")) == 2
        await puts(house, 9, units=1)
        answer = await close(house, "NVDA")
        assert (answer.ok, answer.text) == (False, "no position 'NVDA': it has several, name one")


async def test_the_screen_names_a_contract_by_itself_where_its_trade_is_only_a_part_of_it():
    async with opened() as house:
        first = await calls(house, 2)
        assert name_of(house.trader, house.book.position(OCC)) == first
        await calls(house, 4)
        assert name_of(house.trader, house.book.position(OCC)) == OCC
        far = await puts(house, 8)
        assert name_of(house.trader, house.book.position(P8)) == far  # never the bought leg alone
        house.book.adopt(BrokerPosition("NVDA", 100, Decimal(170), 1), "external", "", house.clock.now())
        assert name_of(house.trader, house.book.position("NVDA")) == "NVDA"
