"""What a unit cost says of its guard: bought or sold, its premium; and what a restart believes of old counts."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.orders import Leg
from qmterm.engine.orders.guard_units import opened, recounted
from tests.engine.orders.test_guard_units import BTO, CALL, HIGH, LOW, RATIO, STO, guard, ledger_of, of_nothing

SOLD_CALL = (Leg(LOW, STO, 1),)


def planned(legs, sold, opened=0, **more):
    """A guard whose plan knew a volatility of 40 %."""
    made = guard(units=opened, legs=legs, **more)
    return replace(made, state=replace(made.state, sold=sold, entry_iv=0.4))


def bought(made, cost, count=1):
    """The state after that many units filled, each of which cost `cost`."""
    for leg in made.legs:
        made = opened(made, leg.symbol, leg.quantity * count, lambda _guard: cost)
    return made.state


def test_before_a_whole_unit_is_there_nothing_is_said_of_its_cost():
    made = planned(RATIO, sold=False)
    assert opened(made, LOW, 3, lambda _guard: Decimal(-2)).state == made.state


def test_a_cost_that_nobody_knows_leaves_the_planned_premium():
    state = bought(planned(CALL, sold=False), None, 2)
    assert (state.opened, state.quantity, state.entry_premium) == (2, 2, Decimal("4.15"))


@pytest.mark.parametrize(
    ("legs", "sold", "cost", "became", "iv"),
    [
        (RATIO, False, "1.20", False, 0.4),
        (RATIO, False, "-1.20", True, None),  # the volatility was that of what is bought
        (RATIO, True, "1.20", False, None),
        (RATIO, True, "0", True, 0.4),  # an even trade is what it was planned as
        (RATIO, False, "0", False, 0.4),
        (SOLD_CALL, False, "-1.20", True, 0.4),  # one leg has one volatility
        (SOLD_CALL, False, "0", True, 0.4),
        (CALL, True, "1.20", False, 0.4),
    ],
)
def test_the_first_unit_says_whether_it_was_bought_or_sold(legs, sold, cost, became, iv):
    state = bought(planned(legs, sold), Decimal(cost))
    assert (state.sold, state.entry_premium, state.entry_iv) == (became, abs(Decimal(cost)), iv)


@pytest.mark.parametrize(("sold", "premium"), [(False, "-0.20"), (True, "0.20")])
def test_a_later_unit_does_not_turn_it_round(sold, premium):
    state = bought(planned(RATIO, sold, opened=1), Decimal("-0.20"))
    assert (state.sold, state.opened, state.entry_premium) == (sold, 2, Decimal(premium))


# --- after a restart ---


def test_a_restart_corrects_what_an_earlier_version_took_for_bought():
    ledger = ledger_of([(LOW, BTO, 2), (HIGH, STO, 4)])  # each at 2.00: 1 x 2.00 paid, 2 x 2.00 received
    state = recounted(planned(RATIO, sold=False, opened=2), ledger, of_nothing).state
    assert (state.sold, state.entry_premium, state.entry_iv) == (True, Decimal(2), None)


def test_what_others_broke_and_what_the_entry_left_over_are_both_loose():
    made = guard(units=3, loose=(0, 1))
    made = replace(made, state=replace(made.state, quantity=2))
    after = recounted(made, ledger_of([(LOW, BTO, 4), (HIGH, STO, 3)]), of_nothing)
    assert (after.state.quantity, after.loose) == (2, (1, 1))


def test_an_entry_of_which_one_legs_fills_are_of_another_week_changes_nothing():
    made = guard(units=3, legs=RATIO)
    assert recounted(made, ledger_of([(LOW, BTO, 3), (HIGH, STO, 4)]), of_nothing).state.quantity == 3
