"""Expiry P/L: golden rows, extremes that hold everywhere, break-evens at 0, and flat or degenerate shapes."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.errors import BadInput
from qmterm.quant.book.legs import Leg, LegKind, option_leg, stock_leg
from qmterm.quant.book.payoff import payoff, profit_at
from tests import golden
from tests.quant.book.legs import golden_legs, some_legs

DENSE = np.concatenate((np.linspace(0.0, 400.0, 4001), [1e3, 1e4]))


@pytest.mark.parametrize("row", golden.rows("multi_leg"), ids=lambda row: row["name"])
def test_golden_rows(row):
    shape = payoff(golden_legs(row), float(row["multiplier"]))
    golden.assert_close("multi_leg", shape.net_premium, row["net_premium"])
    for name in ("max_profit", "max_loss"):
        if row[name] == "inf":
            assert getattr(shape, name) == math.inf
        else:
            golden.assert_close("multi_leg", getattr(shape, name), row[name], name)
    expected = json.loads(row["breakevens"])
    assert len(shape.break_evens) == len(expected)
    for ours, theirs in zip(shape.break_evens, expected, strict=True):
        golden.assert_close("multi_leg", ours, theirs, "breakevens")


@given(legs=some_legs())
def test_extremes_bound_the_profit_everywhere(legs):
    shape = payoff(legs)
    profit = profit_at(legs, DENSE)
    assert profit.max() <= shape.max_profit + 1e-6
    assert profit.min() >= -shape.max_loss - 1e-6
    assert -shape.max_loss <= shape.max_profit
    assert (shape.is_profit_unlimited, shape.is_loss_unlimited) == (
        profit_at(legs, 1e9) > 1e6,
        profit_at(legs, 1e9) < -1e6,
    )


@given(legs=some_legs())
def test_break_evens_are_where_the_profit_is_zero_and_changes_sign(legs):
    shape = payoff(legs)
    for root in shape.break_evens:
        step = 1e-3
        left, at, right = profit_at(legs, [root - step, root, root + step])
        assert abs(at) < 1e-6
        assert left * right < 0


@given(legs=some_legs())
def test_profit_intervals_are_where_the_profit_is_above_zero(legs):
    shape = payoff(legs)
    # Between the spots where anything happens, so that rounding decides nothing.
    spots = np.linspace(0.0137, 300.0137, 3001)
    inside = np.zeros(spots.shape, bool)
    for low, high in shape.profit_intervals:
        inside |= (spots > low) & (spots < high)
    profit = profit_at(legs, spots)
    clear = np.abs(profit) > 1e-6
    assert (inside[clear] == (profit[clear] > 0)).all()


@given(legs=some_legs(), costs=st.floats(0.0, 500.0))
def test_costs_lower_every_profit(legs, costs):
    with_costs, without = payoff(legs, costs=costs), payoff(legs)
    assert profit_at(legs, 97.0, costs=costs) == pytest.approx(profit_at(legs, 97.0) - costs)
    if not without.is_loss_unlimited:
        assert with_costs.max_loss == pytest.approx(without.max_loss + costs)


def test_a_stretch_of_zero_is_an_interval_and_no_break_even():
    # Sold for what it cost to buy: nothing between the strikes' outside and a profit inside.
    free_butterfly = [option_leg(True, q, k, p) for q, k, p in ((1, 90, 11.0), (-2, 100, 8.0), (1, 110, 5.0))]
    shape = payoff(free_butterfly)
    assert shape.break_evens == ()
    assert shape.zero_stretches == ((0.0, 90.0), (110.0, math.inf))
    assert shape.profit_intervals == ((90.0, 110.0),)
    assert (shape.max_loss, shape.max_profit) == (0.0, 1000.0)


def test_a_stretch_of_zero_between_loss_and_profit_is_no_break_even():
    legs = [option_leg(False, -1, 90, 2.0), option_leg(True, 1, 110, 2.0)]
    shape = payoff(legs)
    assert (shape.break_evens, shape.zero_stretches) == ((), ((90.0, 110.0),))
    assert shape.profit_intervals == ((110.0, math.inf),)


def test_a_sign_that_changes_at_a_strike_is_a_break_even_there():
    legs = [stock_leg(1, 100.0), option_leg(True, 1, 100, 0.0)]
    assert payoff(legs).break_evens == (100.0,)


def test_a_locked_in_gain_is_a_negative_loss():
    box = [option_leg(True, 1, 90, 11), option_leg(True, -1, 100, 4)]
    box += [option_leg(False, 1, 100, 4), option_leg(False, -1, 90, 2)]
    shape = payoff(box)
    assert (shape.max_loss, shape.max_profit) == pytest.approx((-100.0, 100.0))
    assert shape.profit_intervals == ((0.0, math.inf),)


def test_the_root_beyond_the_last_strike_is_found():
    assert payoff([option_leg(True, 1, 100, 3.5)]).break_evens == (103.5,)
    assert payoff([stock_leg(-1, 50.0)]).break_evens == (50.0,)


def test_fractions_that_cancel_leave_no_slope():
    legs = [option_leg(True, 0.1, 100, 1), option_leg(True, 0.2, 105, 1), option_leg(True, -0.3, 110, 1)]
    assert not payoff(legs).is_profit_unlimited


def test_spots_that_are_none_have_no_profit():
    profit = profit_at([option_leg(True, 1, 100, 1)], [np.nan, -1.0, np.inf, 0.0])
    assert np.isnan(profit[:3]).all()
    assert profit[3] == -100.0


NONSENSE = ((math.nan, 100, 1), (1, math.nan, 1), (1, 0, 1), (1, -5, 1), (1, 100, -1), (1, 100, math.inf))


@pytest.mark.parametrize("numbers", NONSENSE)
def test_legs_that_make_no_sense_are_refused(numbers):
    with pytest.raises(BadInput, match="leg C"):
        Leg(LegKind.CALL, *numbers)


def test_no_legs_and_bad_multipliers_are_refused():
    with pytest.raises(BadInput, match="at least one leg"):
        payoff([])
    with pytest.raises(BadInput, match="multiplier"):
        payoff([option_leg(True, 1, 100, 1)], 0.0)
    with pytest.raises(BadInput, match="costs"):
        payoff([option_leg(True, 1, 100, 1)], costs=-1.0)
