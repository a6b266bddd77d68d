"""POP and EV: golden rows, fair prices have none, both sides of a bet sum to one, and costs are taken off."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.errors import BadInput
from qmterm.quant.book.expectation import Costs, Measure, expectation, physical, risk_neutral
from qmterm.quant.book.legs import Leg, option_leg, stock_leg
from qmterm.quant.options import black_scholes
from tests import golden
from tests.quant.book.legs import golden_legs, some_legs

SHORT = risk_neutral(100.0, 45 / 365, 0.04, 0.02, 0.3)


@pytest.mark.parametrize("row", golden.rows("multi_leg"), ids=lambda row: row["name"])
def test_golden_rows(row):
    spot, years, rate = float(row["S"]), float(row["T"]), float(row["r"])
    multiplier = float(row["multiplier"])
    neutral = risk_neutral(spot, years, rate, float(row["q"]), float(row["sigma"]))
    view = physical(spot, years, rate, float(row["mu"]), float(row["sigma_phys"]))
    for measure, name in ((neutral, "rn"), (view, "phys")):
        answer = expectation(golden_legs(row), measure, multiplier)
        golden.assert_close("multi_leg", answer.pop, row[f"pop_{name}"], f"pop_{name}")
        golden.assert_close("multi_leg", answer.ev, row[f"ev_{name}"], f"ev_{name}")


def mirrored(legs):
    return [Leg(leg.kind, -leg.quantity, leg.strike, leg.premium) for leg in legs]


@given(legs=some_legs(), vol=st.floats(0.05, 1.0), mu=st.floats(-0.5, 0.5))
def test_the_two_sides_of_a_position_share_the_probability(legs, vol, mu):
    measure = physical(100.0, 0.2, 0.04, mu, vol)
    ours, theirs = expectation(legs, measure), expectation(mirrored(legs), measure)
    assert 0.0 <= ours.pop <= 1.0
    assert ours.ev == pytest.approx(-theirs.ev, abs=1e-6)
    if not ours.payoff.zero_stretches:
        assert ours.pop + theirs.pop == pytest.approx(1.0, abs=1e-9)


@given(first=some_legs(), second=some_legs(), times=st.integers(1, 5))
def test_ev_is_linear_in_the_legs(first, second, times):
    many = [Leg(leg.kind, leg.quantity * times, leg.strike, leg.premium) for leg in first]
    together = expectation(many + second, SHORT).ev
    assert together == pytest.approx(times * expectation(first, SHORT).ev + expectation(second, SHORT).ev, abs=1e-6)


@given(strike=st.floats(60.0, 160.0), is_call=st.booleans(), quantity=st.integers(-5, 5).filter(bool))
def test_a_fair_price_has_no_expected_profit(strike, is_call, quantity):
    m = SHORT
    fair = float(black_scholes.price(m.spot, strike, m.years, m.rate, m.dividend_yield, m.vol, is_call))
    assert expectation([option_leg(is_call, quantity, strike, fair)], m).ev == pytest.approx(0.0, abs=1e-6)


def test_stock_at_its_price_has_no_expected_profit_though_it_pays_a_dividend():
    assert expectation([stock_leg(1, 100.0)], SHORT).ev == pytest.approx(0.0, abs=1e-9)


def test_a_smile_prices_each_leg_at_its_own_volatility():
    def smile(strikes):
        return 0.3 - 0.002 * (strikes - 100.0), np.full(strikes.shape, -0.002)

    m = risk_neutral(100.0, 0.25, 0.04, 0.0, 0.3, smile)
    strikes = np.array([90.0, 110.0])
    fair = black_scholes.price(100.0, strikes, 0.25, 0.04, 0.0, smile(strikes)[0], np.array([False, True]))
    strangle = [option_leg(False, -1, 90.0, fair[0]), option_leg(True, -1, 110.0, fair[1])]
    answer = expectation(strangle, m)
    assert answer.ev == pytest.approx(0.0, abs=1e-8)
    # The chance of ending above a level is what a narrow call spread there costs.
    level = answer.payoff.break_evens[1]
    ends = np.array([level - 0.001, level + 0.001])
    narrow = black_scholes.price(100.0, ends, 0.25, 0.04, 0.0, smile(ends)[0], True)
    above = (narrow[0] - narrow[1]) / 0.002 * math.exp(0.04 * 0.25)
    one_sided = expectation([option_leg(True, 1, 100.0, level - 100.0)], m)
    assert one_sided.pop == pytest.approx(above, abs=1e-6)


def test_a_smile_that_is_no_distribution_gives_no_probability():
    steep = risk_neutral(100.0, 0.25, 0.04, 0.0, 0.3, lambda k: (np.full(k.shape, 0.3), np.full(k.shape, 0.5)))
    assert math.isnan(expectation([option_leg(True, 1, 100.0, 5.0)], steep).pop)


def test_costs_are_fees_and_half_spreads_on_each_side():
    legs = [option_leg(False, -2, 95.0, 2.1), option_leg(False, 2, 90.0, 1.05), stock_leg(0.5, 100.0)]
    costs = Costs(fee=1.15, half_spreads=(0.05, 0.04, 0.01), slip_fraction=0.5, sides=2)
    assert costs.total(legs) == pytest.approx(2 * (4 * 1.15 + 0.5 * 100 * (2 * 0.05 + 2 * 0.04 + 0.5 * 0.01)))
    before, after = expectation(legs, SHORT), expectation(legs, SHORT, costs=costs)
    assert after.ev_before_costs == pytest.approx(before.ev)
    assert after.ev == pytest.approx(before.ev - costs.total(legs) * math.exp(0.04 * 45 / 365))
    assert after.pop < before.pop


def test_half_spreads_must_fit_the_legs():
    with pytest.raises(BadInput, match="half_spreads"):
        Costs(half_spreads=(0.1,)).total([stock_leg(1, 100.0), option_leg(True, -1, 105.0, 2.0)])


@pytest.mark.parametrize("name", ["spot", "years", "vol", "rate", "drift"])
@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_measures_that_make_no_sense_are_refused(name, value):
    numbers = {"spot": 100.0, "years": 0.1, "rate": 0.04, "drift": 0.0, "vol": 0.3} | {name: value}
    with pytest.raises(BadInput, match=name):
        Measure(**numbers)
