"""Goals become orders: what is due, what waits, what has stood at its price for too long."""

from __future__ import annotations

from decimal import Decimal

import pytest

from qmterm.core.orders import BracketRole, Leg, OrderState, Purpose
from qmterm.core.reasons import Reason
from tests.engine.orders.guard_place import BTO, LOW, ONE, OTHER, STC, Place


async def due(*goals, **held):
    """A place with guards of one contract each, and these goals."""
    place = Place()
    for number, (symbol, goal) in enumerate(goals):
        more = {"goal": goal, "reason": Reason.ATR_STOP}
        await place.guard(f"P{number}", (Leg(symbol, BTO, 1),), 4, more=more)
        place.hold(symbol, 4)
    return place


def closes(place):
    return [(order.legs[0].symbol, order.quantity) for order in place.guards.due()]


@pytest.mark.parametrize(
    ("more", "waits"),
    [
        ({}, True),
        ({"purpose": Purpose.SCALE_OUT}, True),
        ({"purpose": Purpose.ENTRY}, False),
        ({"plan_id": "P9"}, False),
        ({"role": BracketRole.STOP}, False),
    ],
)
async def test_an_exit_that_the_broker_refused_waits_for_its_pace(more, waits):
    place = await due((LOW, 2), (OTHER, 1))
    terms = {"purpose": Purpose.EXIT, "plan_id": "P0"} | more
    refused = place.order("a", (Leg(LOW, STC, 2),), OrderState.REJECTED, **terms)
    place.clock.advance(15 - 1e-9)
    assert closes(place) == ([(OTHER, 1)] if waits else [(LOW, 2), (OTHER, 1)])
    place.clock.advance(1e-9)
    assert closes(place) == [(LOW, 2), (OTHER, 1)]
    place.clock.advance(-15)
    refused.state = OrderState.CANCELLED
    assert closes(place) == [(LOW, 2), (OTHER, 1)]


async def test_each_try_is_counted_for_its_own_goal():
    place = await due((LOW, 2), (OTHER, 1))
    for name in ("P0", "P0", "P9"):
        place.guards.tried(name)
    assert (place.of("P0").attempts, place.of("P1").attempts) == (2, 0)
    assert [order.net_price for order in place.guards.due()] == [Decimal("4.05"), Decimal("1.00")]


def names(place):
    return [record.intent.intent_id for record in place.guards.stale_exits()]


async def test_stale_is_an_exit_of_ours_that_waited_its_time():
    place = Place()
    sale = (Leg(LOW, STC, 1),)
    place.order("exit", sale, purpose=Purpose.EXIT, reason=Reason.ATR_STOP)
    place.order("scale", sale, purpose=Purpose.SCALE_OUT, reason=Reason.SCALE_OUT)
    place.order("entry", ONE)
    place.order("yours", sale, purpose=Purpose.EXIT, reason=Reason.USER)
    place.order("rests", sale, purpose=Purpose.EXIT, role=BracketRole.STOP)
    place.order("over", sale, OrderState.CANCELLED, purpose=Purpose.EXIT)
    asked = place.order("asked", sale, purpose=Purpose.EXIT)
    asked.cancel_asked, asked.cancel_asked_at = True, place.clock.monotonic()
    place.clock.advance(15 - 1e-9)
    assert names(place) == []
    place.clock.advance(1e-9)
    assert names(place) == ["exit", "scale", "asked"]  # a cancel that led to nothing is asked again
    asked.cancel_asked_at = place.clock.monotonic()
    assert names(place) == ["exit", "scale"]
    asked.cancel_asked, asked.cancel_rests_until_ns = False, place.now + 1
    assert names(place) == ["exit", "scale"]
