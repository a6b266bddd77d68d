"""Several trades in one contract, on a whole floor: each guard counts what its own orders did."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from qmterm.core.orders import BrokerPosition
from qmterm.core.reasons import Reason
from qmterm.engine.commands import StageTicket
from tests.engine.house import opened
from tests.engine.orders.test_spread_stops import BOUGHT, HIGH, LOW, SOLD, at, hold

BUY_TWO = "buy 2 NVDA 17APR26 175C @ 4.20 db"


async def traded(house, text, units, price, symbol=LOW):
    """A typed order that filled; five minutes later."""
    answer = await house.tickets.stage(StageTicket(text, True))
    assert answer.ok, answer.text
    await house.lanes.idle()
    order = house.working[-1]
    await house.filled(order.broker_id, units, price, symbol)
    house.clock.advance(300)
    house.quote(4.10, 4.20)
    return order


def units(house):
    return {guard.state.position_id: guard.state.quantity for guard in house.guards.all}


async def test_a_close_without_the_worthless_wing_is_of_its_own_trade():
    async with opened() as house:
        iv = 0.30
        house.desk.priced = lambda legs, stock: {"legs": [{"iv": iv, "delta": 0.5} for _ in legs]}
        first = await hold(house, SOLD)
        iv = 0.60
        assert (await house.tickets.stage(StageTicket(SOLD, True))).ok
        await house.lanes.idle()
        (order,) = house.working
        await house.filled(order.broker_id, 3, "4.15", LOW)
        await house.filled(order.broker_id, 3, "2.25", HIGH)
        house.clock.advance(300)
        house.guards.iv_of = {LOW: 0.45, HIGH: 0.45}.get
        for _ in range(3):
            house.clock.advance(15)
            house.quote(1.00, 1.10, LOW)
            house.quote(0.0, 0.05, HIGH)
            await house.turn()
            for stop in house.working:
                await house.filled(stop.broker_id, 3, "1.10", LOW)
        assert house.book.quantity(LOW) == -3
        assert units(house) == {first.state.position_id: 0, order.intent.plan_id: 3}
        assert house.working == ()


async def test_the_closer_of_a_leg_alone_takes_nothing_from_a_trade_in_the_same_contract():
    async with opened() as house:
        house.quote(2.20, 2.30, HIGH)
        call = await traded(house, BUY_TWO, 2, "4.20")
        at(house, 4.10, 2.20)
        spread = await traded(house, "buy 1 NVDA 17APR26 175C / sell 1 NVDA 17APR26 180C @ 1.95 db", 1, "4.15")
        await house.ended(spread.broker_id)
        house.clock.advance(30)
        at(house, 4.10, 2.20)
        await house.turn()
        (closer,) = house.working
        assert (closer.intent.reason, closer.intent.plan_id) == (Reason.ORPHAN_LEG, spread.intent.plan_id)
        await house.filled(closer.broker_id, 1, "4.10", LOW)
        await house.turn()
        assert house.working == ()
        assert house.guards.of(call.intent.plan_id).state.quantity == house.book.quantity(LOW) == 2


async def test_a_close_that_a_crash_kept_from_its_guard_is_not_sent_again_for_another_trade():
    async with opened() as house:
        first = (await traded(house, BUY_TWO, 2, "4.20")).intent.plan_id
        second = (await traded(house, BUY_TWO, 2, "4.20")).intent.plan_id
        guard = house.guards.of(first)
        stopped = replace(guard.state, latched=Reason.PREMIUM_STOP)
        await house.guards._keep(replace(guard, goal=2, reason=Reason.PREMIUM_STOP, state=stopped))
        await house.turn()
        (stop,) = house.working
        saved = {name: dict(body) for name, body in house.journal.protects.items()}
        await house.filled(stop.broker_id, 2, "4.10")
        house.guards.restore(saved)  # the fill was on the disk, the guard was not
        await house.guards.catch_up()
        house.clock.advance(30)
        house.quote(4.10, 4.20)
        await house.turn()
        assert house.working == ()
        assert units(house) == {first: 0, second: 2}


async def test_sales_that_name_a_trade_that_is_sold_already_are_the_next_trades():
    async with opened() as house:
        await traded(house, BUY_TWO, 2, "4.20")
        second = await traded(house, "buy 4 NVDA 17APR26 175C @ 4.20 db", 4, "4.20")
        for _ in range(2):
            await traded(house, "sell 2 NVDA 17APR26 175C @ 4.10 cr", 2, "4.10")
        house.quote(2.20, 2.30)
        third = await traded(house, "buy 2 NVDA 17APR26 175C @ 2.30 db", 2, "2.30")
        house.quote(1.70, 1.80)
        await house.turn()
        assert units(house)[third.intent.plan_id] == 2
        assert [(r.intent.quantity, r.intent.plan_id) for r in house.working] == [(2, second.intent.plan_id)]


async def test_what_is_added_to_a_winner_has_its_own_premium_stop():
    async with opened() as house:
        house.quote(0.95, 1.00)
        await traded(house, "buy 4 NVDA 17APR26 175C @ 1.00 db", 4, "1.00")
        added = await traded(house, "buy 4 NVDA 17APR26 175C @ 4.20 db", 2, "4.10")
        await house.filled(added.broker_id, 2, "4.20")
        assert house.guards.of(added.intent.plan_id).state.entry_premium == Decimal("4.15")
        house.quote(1.90, 2.00)
        await house.turn()
        assert [(r.intent.plan_id, r.intent.quantity) for r in house.working] == [(added.intent.plan_id, 4)]


async def test_what_nothing_of_ours_opened_is_reckoned_at_the_books_average():
    async with opened() as house:
        await house.hold(2)
        (guard,) = house.guards.all
        house.desk.ledger.get("eP1").fills.clear()
        assert house.guards._cost(guard) == house.book.position(LOW).average == Decimal("4.10")


async def left_alone(house):
    """A spread of three of which the broker filled three and one, and two more calls that were bought elsewhere."""
    house.quote(2.20, 2.30, HIGH)
    assert (await house.tickets.stage(StageTicket(BOUGHT, True))).ok
    await house.lanes.idle()
    order = house.working[-1]
    await house.filled(order.broker_id, 3, "4.15", LOW)
    await house.filled(order.broker_id, 1, "2.25", HIGH)
    house.book.adopt(
        BrokerPosition(LOW, house.book.quantity(LOW) + 2, Decimal("4.15"), 100), "external", "", house.clock.now()
    )
    at(house, 4.10, 2.20)
    return order


async def test_a_leg_alone_that_a_person_closes_with_others_is_not_closed_again_out_of_what_else_is_held():
    async with opened() as house:
        order = await left_alone(house)
        assert house.guards.loose(order.intent.plan_id, LOW) == 2
        answer = await house.tickets.stage(
            StageTicket("sell 3 NVDA 17APR26 175C / buy 1 NVDA 17APR26 180C @ 10.00 cr", True)
        )
        assert answer.ok, answer.text
        await house.lanes.idle()
        close = house.working[-1]
        await house.filled(close.broker_id, 3, "4.10", LOW)
        await house.filled(close.broker_id, 1, "2.30", HIGH)
        await house.ended(order.broker_id)
        house.clock.advance(30)
        at(house, 4.10, 2.20)
        await house.turn()
        assert house.book.quantity(LOW) == 2
        assert house.working == ()


async def test_a_leg_alone_is_closed_also_when_another_trade_of_the_contract_was_closed_since():
    async with opened() as house:
        call = await traded(house, BUY_TWO, 2, "4.20")
        order = await left_alone(house)
        sale = await traded(house, "sell 2 NVDA 17APR26 175C @ 4.10 cr", 2, "4.10")
        assert sale.intent.plan_id == call.intent.plan_id
        await house.ended(order.broker_id)
        at(house, 4.10, 2.20)
        await house.turn()
        (closer,) = house.working
        assert (closer.intent.reason, closer.intent.quantity) == (Reason.ORPHAN_LEG, 2)
        await house.filled(closer.broker_id, 2, "4.10", LOW)
        await house.turn()
        assert house.working == ()
        assert units(house)[order.intent.plan_id] == 1
