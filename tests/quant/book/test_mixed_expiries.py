"""Positions of several expiries: one expiry equals the exact payoff, calendars peak at their strike, all marked."""

import math

import numpy as np
import pytest

from qmterm.core.errors import BadInput
from qmterm.quant.book.expectation import Costs, expectation, risk_neutral
from qmterm.quant.book.legs import option_leg, stock_leg
from qmterm.quant.book.mixed_expiries import DatedLeg, front_expectation, front_payoff
from qmterm.quant.book.payoff import payoff
from qmterm.quant.options import black_scholes

CONDOR = [
    option_leg(False, 1, 85, 0.45),
    option_leg(False, -1, 90, 1.05),
    option_leg(True, -1, 110, 1.2),
    option_leg(True, 1, 115, 0.5),
]
COVERED = [stock_leg(1, 100), option_leg(True, -1, 105, 2.35)]
FRONT, BACK, VOL, RATE = 30 / 365, 75 / 365, 0.25, 0.04


def dated(legs, years=FRONT, american=False):
    return [DatedLeg(leg, years, VOL, american) for leg in legs]


CALENDAR = [
    DatedLeg(option_leg(True, -1, 100, 2.5), FRONT, VOL, False),
    DatedLeg(option_leg(True, 1, 100, 4.2), BACK, VOL, False),
]


@pytest.mark.parametrize("legs", [CONDOR, COVERED, [option_leg(True, 1, 105, 2.0)], [option_leg(False, -1, 95, 2.0)]])
def test_legs_of_one_expiry_have_their_exact_payoff(legs):
    exact, grid = payoff(legs, costs=7.0), front_payoff(dated(legs), 100.0, RATE, costs=7.0).payoff
    assert grid.on_grid
    assert not exact.on_grid
    assert grid.break_evens == pytest.approx(exact.break_evens)
    assert (grid.max_profit, grid.max_loss) == pytest.approx((exact.max_profit, exact.max_loss))


@pytest.mark.parametrize("legs", [CONDOR, COVERED, [option_leg(True, 1, 105, 2.0)]])
def test_expectation_on_the_grid_is_close_to_the_exact_one(legs):
    measure = risk_neutral(100.0, FRONT, RATE, 0.01, VOL)
    costs = Costs(fee=1.15)
    exact = expectation(legs, measure, costs=costs)
    grid = front_expectation(dated(legs), measure, 0.01, costs=costs)
    assert grid.pop == pytest.approx(exact.pop, abs=1e-9)
    assert grid.ev == pytest.approx(exact.ev, abs=0.05)
    assert grid.ev_before_costs - grid.ev == pytest.approx(exact.ev_before_costs - exact.ev)


def test_a_calendar_earns_most_at_its_strike_and_loses_its_debit():
    front = front_payoff(CALENDAR, 100.0, RATE)
    left = float(black_scholes.price(100.0, 100.0, BACK - FRONT, RATE, 0.0, VOL, True))
    assert front.payoff.max_profit == pytest.approx(100 * left - 170)
    assert front.payoff.max_loss == pytest.approx(170)
    assert len(front.payoff.break_evens) == 2


def test_break_evens_are_refined_between_the_spots_of_the_grid():
    for root in front_payoff(CALENDAR, 100.0, RATE).payoff.break_evens:
        back = float(black_scholes.price(root, 100.0, BACK - FRONT, RATE, 0.0, VOL, True))
        assert back - max(0.0, root - 100.0) == pytest.approx(1.7, abs=1e-7)


def test_a_fair_calendar_has_no_expected_profit():
    prices = [float(black_scholes.price(100.0, 100.0, years, RATE, 0.0, VOL, True)) for years in (FRONT, BACK)]
    legs = [
        DatedLeg(option_leg(True, quantity, 100, price), years, VOL, False)
        for quantity, price, years in zip((-1, 1), prices, (FRONT, BACK), strict=True)
    ]
    assert front_expectation(legs, risk_neutral(100.0, 1.0, RATE, 0.0, VOL)).ev == pytest.approx(0.0, abs=0.1)


def test_more_calls_sold_than_bought_lose_without_end():
    legs = [CALENDAR[0], CALENDAR[0], CALENDAR[1]]
    assert front_payoff(legs, 100.0, RATE).payoff.is_loss_unlimited


def test_the_grid_spans_four_deviations_and_holds_the_strikes():
    front = front_payoff(CALENDAR, 100.0, RATE, grid_vol=0.5)
    assert front.spots[[0, -1]] == pytest.approx(100 * np.exp([-2 * math.sqrt(FRONT), 2 * math.sqrt(FRONT)]))
    assert front.spots.size >= 201
    assert 100.0 in front.spots


@pytest.mark.parametrize(("years", "vol"), [(0.0, 0.3), (math.nan, 0.3), (0.1, 0.0), (0.1, math.nan)])
def test_legs_that_make_no_sense_are_refused(years, vol):
    with pytest.raises(BadInput, match="must be above 0"):
        DatedLeg(option_leg(True, 1, 100, 1.0), years, vol)


def test_stock_alone_has_no_expiry():
    with pytest.raises(BadInput, match="no expiry"):
        front_payoff([DatedLeg(stock_leg(1, 100))], 100.0, RATE)


def test_on_the_fronts_last_day_a_calendar_still_has_both_break_evens():
    legs = [
        DatedLeg(option_leg(True, -1, 100, 0.3), 1 / (365 * 24), VOL, False),
        DatedLeg(option_leg(True, 1, 100, 2.3), 30 / 365, VOL, False),
    ]
    low, high = front_payoff(legs, 100.0, RATE).payoff.break_evens
    for root in (low, high):
        back = float(black_scholes.price(root, 100.0, 30 / 365 - 1 / (365 * 24), RATE, 0.0, VOL, True))
        assert back - max(0.0, root - 100.0) == pytest.approx(2.0, abs=1e-5)
    assert low < 100.0 < high


@pytest.mark.parametrize("bad", [{"grid_vol": 0.0}, {"grid_vol": math.nan}, {"costs": math.nan}, {"costs": -1.0}])
def test_grids_and_costs_that_make_no_sense_are_refused(bad):
    with pytest.raises(BadInput, match=next(iter(bad))):
        front_payoff(CALENDAR, 100.0, RATE, **bad)
