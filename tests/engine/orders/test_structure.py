"""Units of a guarded structure: how many are held, closable, entered and broken, and what one is worth."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from qmterm.core.orders import Action, Leg, OrderState
from qmterm.core.reasons import Reason
from qmterm.engine.orders.guard import Guard
from qmterm.engine.orders.structure import (
    closed,
    may_still_fill,
    reduced,
    unit_cost,
    unit_value,
    units_closable,
    units_held,
    volatility,
)
from qmterm.risk.protect import protect
from tests.engine.house import plan
from tests.engine.orders.guard_place import BTC, BTO, HIGH, LOW, ONE, OTHER, SPREAD, STC, STO, Place

RATIO = (Leg(LOW, BTO, 1), Leg(HIGH, STO, 2))


def holding(**quantities):
    place = Place()
    for name, quantity in quantities.items():
        place.hold({"low": LOW, "high": HIGH}[name], quantity)
    return place


@pytest.mark.parametrize(
    ("low", "high", "units"),
    [(3, -7, 3), (3, -5, 2), (1, -8, 1), (0, -4, 0), (3, 4, 0), (-3, -4, 0), (-3, 4, 0), (1, -2, 1), (2, -1, 0)],
)
def test_units_are_whole_on_every_leg_and_on_its_own_side(low, high, units):
    place = holding(low=low, high=high)
    assert units_held(place.book, RATIO) == units
    assert units_closable(place.book, place.ledger, RATIO) == units


@pytest.mark.parametrize(
    ("state", "filled", "may"),
    [
        (OrderState.LIVE, 0, True),
        (OrderState.UNKNOWN, 0, True),
        (OrderState.NOT_ACCEPTED, 0, True),
        (OrderState.FILLED, 1, True),
        (OrderState.FILLED, 2, False),
        (OrderState.CANCELLED, 1, False),
        (OrderState.REJECTED, 0, False),
    ],
)
def test_an_order_may_still_fill_while_it_works_may_turn_up_or_owes_news_of_a_fill(state, filled, may):
    place = Place()
    record = place.order("a", (Leg(LOW, BTO, 2), Leg(HIGH, STO, 2)), state)
    place.fill(record, LOW, 2)
    if filled:
        place.fill(record, HIGH, filled)
    assert may_still_fill(record) is may


def test_the_smallest_unit_and_the_legs_that_close_it():
    assert reduced((Leg(LOW, BTO, 4), Leg(HIGH, STO, 6))) == (Leg(LOW, BTO, 2), Leg(HIGH, STO, 3))
    assert reduced((Leg(LOW, BTO, 2),)) == ONE
    assert [closed(leg, 5) for leg in SPREAD] == [Leg(LOW, STC, 5), Leg(HIGH, BTC, 5)]


def test_a_unit_is_worth_what_is_owned_less_what_is_owed():
    prices = {LOW: Decimal("4.10"), HIGH: Decimal("1.50")}
    assert unit_value(RATIO, prices.get) == Decimal("1.10")
    assert unit_value(RATIO[::-1], prices.get) == Decimal("1.10")
    assert unit_value(((RATIO[0]), Leg(OTHER, STO, 1)), prices.get) is None


def test_a_unit_cost_what_its_legs_cost_and_nothing_is_known_of_a_leg_that_is_not_held():
    place = holding(low=2)
    assert unit_cost(place.book, SPREAD) is None
    assert unit_cost(place.book, ONE) == 4
    place.hold(HIGH, -2)
    assert unit_cost(place.book, RATIO) == -4


def test_volatility_is_the_mean_of_what_was_sold_or_bought():
    ivs = {LOW: 0.30, HIGH: 0.60}
    assert volatility((Leg(LOW, STO, 1), Leg(HIGH, STO, 3)), ivs.get, sold=True) == pytest.approx(0.525)
    assert volatility(SPREAD, ivs.get, sold=False) == 0.30
    assert volatility(SPREAD, {LOW: 0.30}.get, sold=True) is None
    assert volatility(ONE, ivs.get, sold=True) is None


# --- the guard of one as a value ---


def test_a_guard_as_plain_text_is_whole_and_comes_back_the_same():
    state = replace(protect(plan(), "P1", 3, Decimal("2.50")), latched=Reason.ATR_STOP)
    guard = Guard(
        SPREAD,
        7,
        state,
        goal=2,
        reason=Reason.ATR_STOP,
        daily_seen=date(2026, 3, 2),
        levels_day=date(2026, 2, 27),
        loose=(1, 0),
        called_off_ns=5,
    )
    plain = guard.to_dict()
    assert plain == state.to_dict() | {
        "symbol": LOW,
        "legs": [[LOW, "Buy to Open", 1], [HIGH, "Sell to Open", 1]],
        "opened_ns": 7,
        "goal": 2,
        "goal_reason": "ATR_STOP",
        "loose": [1, 0],
        "called_off_ns": 5,
        "levels_day": "2026-02-27",
        "daily_seen": "2026-03-02",
    }
    assert Guard.from_dict(plain) == guard
    bare = Guard(ONE, 7, state)
    assert Guard.from_dict(bare.to_dict()) == bare
    old = {name: bare.to_dict()[name] for name in ("symbol", "opened_ns", *state.to_dict())}
    assert Guard.from_dict(old) == bare  # what versions before wrote


@pytest.mark.parametrize(
    ("opened", "moves"),
    [(BTO, {BTO, STC}), (STO, {STO, BTC})],
)
def test_a_guard_is_moved_by_what_opens_or_closes_its_own_side_of_a_leg(opened, moves):
    guard = Guard((Leg(OTHER, BTO, 1), Leg(LOW, opened, 1)), 1, protect(plan(), "P1", 1, Decimal(1)))
    assert {action for action in Action if guard.moved_by(LOW, action)} == moves
    assert not any(guard.moved_by(HIGH, action) for action in Action)


def test_only_one_option_that_was_bought_can_have_exits_that_rest():
    def made(*legs):
        return Guard(legs, 1, protect(plan(), "P1", 1, Decimal(1))).bought_option

    assert made(*ONE)
    assert not made(*SPREAD)
    assert not made(Leg(LOW, STO, 1))
    assert not made(Leg("NVDA", BTO, 100))
