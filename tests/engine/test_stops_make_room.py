"""A stop that only a working order to open holds back: that order goes first, and no other does."""

from __future__ import annotations

from qmterm.core.orders import BrokerPosition
from qmterm.core.reasons import Reason
from qmterm.engine.commands import StageTicket
from tests.engine.house import opened, plan
from tests.engine.orders.test_shared_contracts import BUY_TWO, traded
from tests.engine.orders.test_spread_stops import HIGH, LOW, at


async def covered(house, *more):
    """Two calls held, two dearer ones offered against them, and whatever else is offered."""
    house.quote(2.20, 2.30, HIGH)
    await traded(house, BUY_TWO, 2, "4.20")
    orders = []
    for text in ("sell 2 NVDA 17APR26 180C @ 6.00 cr gtc", *more):
        at(house, 4.10, 2.20)
        answer = await house.tickets.stage(StageTicket(text, True))
        assert answer.ok, answer.text
        await house.lanes.idle()
        orders.append(house.working[-1])
    return orders


def alarms(house, words):
    return [line.text for line in house.log.lines if line.level == "alarm" and words in line.text]


async def turn(house, seconds=5):
    house.clock.advance(seconds)
    at(house, 1.80, 0.90)
    await house.turn()


async def test_an_order_that_opens_and_leans_on_what_a_stop_closes_is_cancelled_and_the_stop_leaves():
    async with opened() as house:
        (sale,) = await covered(house)
        await turn(house)
        assert house.broker.cancels == [sale.broker_id]
        (told,) = alarms(house, "cancelled, as it holds PREMIUM_STOP")
        assert "180C @ 6.00 cr" in told
        assert house.working == (sale,)
        await turn(house)
        assert len(alarms(house, "cancelled")) == 1
        assert alarms(house, "cannot leave") == []
        await house.ended(sale.broker_id)
        await turn(house)
        assert [(r.intent.reason, r.intent.quantity) for r in house.working] == [(Reason.PREMIUM_STOP, 2)]


async def test_no_other_order_that_opens_is_touched():
    async with opened() as house:
        sale, other = await covered(house, "buy 1 NVDA 17APR26 175C @ 1.00 db gtc")
        await turn(house)
        assert house.broker.cancels == [sale.broker_id]
        assert not other.unwanted


async def test_an_order_that_does_not_go_is_told_as_what_keeps_the_stop():
    async with opened() as house:
        await covered(house)
        await turn(house)
        await turn(house, 14)
        assert alarms(house, "cannot leave") == []
        await turn(house, 1)
        assert len(alarms(house, "cannot leave (UNDEFINED_RISK")) == 1


async def test_where_what_is_held_needs_the_cover_too_nothing_is_cancelled():
    async with opened() as house:
        (sale,) = await covered(house)
        house.book.adopt(BrokerPosition(HIGH, -1, house.book.position(LOW).average, 100), "manual", "", 0)
        await turn(house)
        assert not sale.unwanted
        assert len(alarms(house, "cannot leave")) == 1


async def test_an_entry_that_filled_in_part_buys_no_more_once_its_own_stop_hit():
    async with opened() as house:
        house.trader.open(plan(now_ns=house.clock.now()), house.clock.monotonic(), wanted=4)
        await house.lanes.idle()
        (order,) = house.working
        await house.filled(order.broker_id, 2)
        await turn(house)
        assert house.broker.cancels == [order.broker_id]
        stop = house.working[-1]
        assert (stop.intent.reason, stop.intent.quantity) == (Reason.PREMIUM_STOP, 2)
        await house.filled(stop.broker_id, 2)
        await house.filled(order.broker_id, 1)  # faster than the cancel
        await turn(house)
        assert (house.working[-1].intent.reason, house.working[-1].intent.quantity) == (Reason.PREMIUM_STOP, 1)


async def test_the_entry_of_another_trade_in_the_same_contract_goes_on():
    async with opened() as house:
        await traded(house, BUY_TWO, 2, "4.20")
        assert (await house.tickets.stage(StageTicket("buy 4 NVDA 17APR26 175C @ 1.00 db gtc", True))).ok
        await house.lanes.idle()
        other = house.working[-1]
        await turn(house)
        assert house.working[-1].intent.reason is Reason.PREMIUM_STOP
        assert not other.unwanted
