"""What of a structure is on its way out already, what may still come in, and how much a goal then sends."""

from __future__ import annotations

import pytest

from qmterm.core.orders import Leg, OrderState, Purpose
from qmterm.core.reasons import Reason
from qmterm.engine.orders.exits import LATE_NS
from qmterm.engine.orders.structure import ended_short, units_leaving
from tests.engine.orders.guard_place import BTC, BTO, HIGH, LOW, ONE, OTHER, SPREAD, STC, STO, Place

CLOSE = (Leg(LOW, STC, 2), Leg(HIGH, BTC, 2))


def leaving(legs, of=SPREAD, fills=(), **more):
    """Units of P1 that one working exit with these legs still closes."""
    place = Place()
    order = place.order("a", legs, **({"purpose": Purpose.EXIT} | more))
    for symbol, count in fills:
        place.fill(order, symbol, count)
    return units_leaving(place.ledger, "P1", of)


@pytest.mark.parametrize("purpose", [Purpose.EXIT, Purpose.SCALE_OUT])
def test_an_exit_takes_a_unit_along_while_any_of_its_legs_is_open(purpose):
    assert leaving(CLOSE, purpose=purpose) == 2
    assert leaving(CLOSE, fills=((LOW, 2), (HIGH, 1)), purpose=purpose) == 1
    assert leaving(CLOSE, fills=((LOW, 2), (HIGH, 2)), purpose=purpose) == 0


@pytest.mark.parametrize("more", [{"plan_id": "P2"}, {"purpose": Purpose.ENTRY}, {"reason": Reason.USER}])
def test_orders_of_another_trade_an_entry_and_a_persons_own_close_take_none_along(more):
    assert leaving(CLOSE, **more) == 0


def test_an_exit_of_one_leg_takes_along_what_it_has_still_to_close():
    assert leaving((Leg(HIGH, BTC, 2),)) == 2
    assert leaving((Leg(HIGH, BTC, 2),), fills=((HIGH, 2),)) == 0


@pytest.mark.parametrize("legs", [(Leg(LOW, BTO, 2),), (Leg(HIGH, STO, 2),), (Leg(OTHER, STC, 2),)])
def test_legs_of_the_other_side_or_of_another_contract_close_nothing(legs):
    assert leaving(legs) == 0


@pytest.mark.parametrize(("filled", "short"), [(0, True), (1, True), (2, False)])
@pytest.mark.parametrize("state", [OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REMOVED])
def test_an_entry_ended_short_while_something_of_it_is_missing(filled, short, state):
    place = Place()
    order = place.order("a", (Leg(LOW, BTO, 2),), state)
    if filled:
        place.fill(order, LOW, filled)
    assert ended_short(order) is short


# --- how much a goal sends ---


async def due(*, goal, held=4, latched=None, working=0):
    place = Place()
    await place.guard("P1", ONE, 4, more={"goal": goal, "reason": Reason.ATR_STOP}, latched=latched)
    place.hold(LOW, held)
    if working:
        place.order("a", (Leg(LOW, STC, working),), purpose=Purpose.EXIT)
    return [order.quantity for order in place.guards.due()]


async def test_a_goal_sends_no_more_than_it_asks_for_than_is_not_on_its_way_and_than_is_free():
    assert await due(goal=3) == [3]
    assert await due(goal=2, latched=Reason.ATR_STOP) == [2]
    assert await due(goal=3, working=2) == [1]
    assert await due(goal=4, held=1) == [1]
    assert await due(goal=4, held=0) == []
    assert await due(goal=2, working=2) == []


# --- guards of entries that ended short ---


async def test_each_entry_that_ended_short_is_waited_for_from_its_own_end():
    place = Place()
    for name, plan_id in (("a", "P1"), ("b", "P2")):
        await place.guard(plan_id, quantity=0)
        place.order(name, (Leg(LOW, BTO, 2),), plan_id=plan_id)
    first, second = place.ledger.records
    first.state = OrderState.CANCELLED
    await place.guards.tidy()
    place.clock.advance(LATE_NS / 1e9 - 1)
    second.state = OrderState.CANCELLED
    await place.guards.tidy()
    place.clock.advance(1)
    await place.guards.tidy()
    assert [guard.state.position_id for guard in place.guards.all] == ["P2"]
    place.clock.advance(LATE_NS / 1e9 - 1)
    await place.guards.tidy()
    assert place.guards.all == ()


async def test_one_that_is_waited_for_keeps_no_other_from_being_forgotten():
    place = Place()
    await place.guard("P1", quantity=0)
    await place.guard("P2", quantity=0)
    place.order("a", (Leg(LOW, BTO, 2),), OrderState.CANCELLED)
    await place.guards.tidy()
    assert [guard.state.position_id for guard in place.guards.all] == ["P1"]


# --- what was sold, alone ---


async def unpriced(units, *, held=True):
    """A sold spread on its way out, whose wing nobody bids for or asks a price for, looked at for its patience."""
    place = Place()
    legs = (Leg(LOW, STO, 1), Leg(HIGH, BTO, 1))
    await place.guard("P1", legs, units, more={"goal": units, "reason": Reason.ATR_STOP})
    if held:
        place.hold(LOW, -units)
        place.hold(HIGH, units)
    place.quotes.set(HIGH, 0.0, 0.0, place.now)
    assert place.guards.due() == ()
    place.clock.advance(15)
    return place


@pytest.mark.parametrize("units", [1, 3])
async def test_what_was_sold_is_bought_back_alone_however_little_it_is(units):
    place = await unpriced(units)
    place.quotes.set(LOW, 4.10, 4.20, place.now)
    (order,) = place.guards.due()
    assert [(leg.symbol, leg.action, leg.quantity) for leg in order.legs] == [(LOW, BTC, units)]


async def test_of_what_is_not_held_nothing_is_bought_back():
    place = await unpriced(2, held=False)
    place.quotes.set(LOW, 4.10, 4.20, place.now)
    assert place.guards.due() == ()


async def test_a_wait_that_ended_with_a_persons_no_is_no_part_of_the_next():
    place = await unpriced(2)
    place.guards.due()
    assert [guard.state.position_id for guard in place.guards.waiting()] == ["P1"]
    await place.guards.call_off("P1")
    place.guards.due()
    assert place.guards.waiting() == ()
