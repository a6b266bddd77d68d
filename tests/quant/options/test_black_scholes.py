"""European prices and Greeks equal the golden rows and keep the laws of options."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.quant.kernel import spread
from qmterm.quant.options.black_scholes import (
    _greeks,
    display_theta,
    greeks,
    price,
    probability_in_the_money,
)
from tests import golden

COLUMNS = {
    "delta": "delta",
    "gamma": "gamma",
    "theta": "theta_day",
    "vega": "vega_pt",
    "rho": "rho_pct",
    "vanna": "vanna_pt",
    "charm": "charm_day",
}
SPOTS = st.floats(1.0, 5000.0)
MONEYNESS = st.floats(0.5, 2.0)
YEARS = st.floats(1 / 8760, 3.0)
RATES = st.floats(-0.01, 0.08)
YIELDS = st.floats(0.0, 0.08)
VOLS = st.floats(0.02, 3.0)


def golden_arguments():
    numbers = [golden.column("bsm_greeks", name) for name in ("S", "K", "T", "r", "q", "sigma")]
    return (*numbers, np.array([row["cp"] == "C" for row in golden.rows("bsm_greeks")]))


def test_golden_prices_and_greeks():
    arguments = golden_arguments()
    values, sensitivities = price(*arguments), greeks(*arguments)
    in_the_money = probability_in_the_money(*arguments)
    for number, row in enumerate(golden.rows("bsm_greeks")):
        golden.assert_close("bsm_greeks", values[number], row["price"], f"price {row['id']}")
        golden.assert_close("bsm_greeks", in_the_money[number], row["prob_itm"], f"prob_itm {row['id']}")
        for field, column in COLUMNS.items():
            ours = getattr(sensitivities, field)[number]
            golden.assert_close("bsm_greeks", ours, row[column], f"{field} {row['id']}")


@given(spot=SPOTS, moneyness=MONEYNESS, years=YEARS, rate=RATES, dividend_yield=YIELDS, vol=VOLS)
def test_put_call_parity(spot, moneyness, years, rate, dividend_yield, vol):
    strike = spot * moneyness
    call, put = price(spot, strike, years, rate, dividend_yield, vol, [True, False])
    forward = spot * np.exp(-dividend_yield * years) - strike * np.exp(-rate * years)
    assert call - put == pytest.approx(forward, abs=1e-11 * (spot + strike))


@given(spot=SPOTS, moneyness=MONEYNESS, years=YEARS, rate=RATES, dividend_yield=YIELDS, vol=VOLS)
def test_delta_in_bounds_gamma_and_vega_not_negative(spot, moneyness, years, rate, dividend_yield, vol):
    answer = greeks(spot, spot * moneyness, years, rate, dividend_yield, vol, [True, False])
    top = np.nextafter(np.exp(-dividend_yield * years), 2.0)  # exp itself is right to one digit more or less
    assert 0.0 <= answer.delta[0] <= top
    assert -top <= answer.delta[1] <= 0.0
    assert answer.delta[0] - answer.delta[1] == pytest.approx(top)
    assert (answer.gamma >= 0).all()
    assert (answer.vega >= 0).all()


@given(spot=SPOTS, moneyness=MONEYNESS, years=YEARS, rate=RATES, vol=VOLS, call=st.booleans())
def test_price_rises_with_volatility_within_its_bounds(spot, moneyness, years, rate, vol, call):
    strike = spot * moneyness
    vols = vol * np.array([1.0, 1.05, 1.5])
    values = price(spot, strike, years, rate, 0.01, vols, call)
    assert (np.diff(values) >= -1e-12 * spot).all()
    forward, cash = spot * np.exp(-0.01 * years), strike * np.exp(-rate * years)
    low = max(0.0, forward - cash if call else cash - forward)
    assert (values >= low - 1e-11 * (spot + strike)).all()
    assert (values <= (forward if call else cash) + 1e-11 * (spot + strike)).all()


@given(
    spot=SPOTS, moneyness=st.floats(0.8, 1.25), years=st.floats(0.02, 2.0), vol=st.floats(0.1, 1.0), call=st.booleans()
)
def test_greeks_are_the_slopes_of_the_price(spot, moneyness, years, vol, call):
    strike, rate, dividend_yield = spot * moneyness, 0.04, 0.015
    answer = greeks(spot, strike, years, rate, dividend_yield, vol, call)

    def slope(of, width):
        return (of(width) - of(-width)) / (2 * width)

    def value(spot_=spot, years_=years, rate_=rate, vol_=vol):
        return price(spot_, strike, years_, rate_, dividend_yield, vol_, call)

    def delta(years_=years, vol_=vol):
        return greeks(spot, strike, years_, rate, dividend_yield, vol_, call).delta

    scale = dict(rel=2e-4, abs=2e-6 * spot)
    assert answer.delta == pytest.approx(slope(lambda h: value(spot_=spot + h), 1e-4 * spot), rel=1e-4, abs=1e-5)
    assert answer.vega * 100 == pytest.approx(slope(lambda h: value(vol_=vol + h), 1e-4), **scale)
    assert answer.rho * 100 == pytest.approx(slope(lambda h: value(rate_=rate + h), 1e-4), **scale)
    assert answer.theta * 365 == pytest.approx(-slope(lambda h: value(years_=years + h), 1e-5), **scale)
    assert answer.vanna * 100 == pytest.approx(slope(lambda h: delta(vol_=vol + h), 1e-4), rel=1e-3, abs=1e-4)
    assert answer.charm * 365 == pytest.approx(-slope(lambda h: delta(years_=years + h), 1e-5), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("bad", [np.nan, 0.0, -1.0, np.inf])
@pytest.mark.parametrize("argument", [0, 1, 2, 5])
def test_a_bad_element_is_alone_and_silent(argument, bad):
    numbers = [np.full(3, value) for value in (100.0, 105.0, 0.25, 0.04, 0.01, 0.3)]
    numbers[argument][1] = bad
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = price(*numbers, True)
        answer = greeks(*numbers, True)
    good = price(100.0, 105.0, 0.25, 0.04, 0.01, 0.3, True)
    assert np.isnan(values).tolist() == [False, True, False]
    assert values[0] == values[2] == good
    for array in answer:
        assert np.isnan(array).tolist() == [False, True, False]


def test_a_kernel_gives_the_same_bits_in_parts_and_the_same_digits_as_python():
    generator = np.random.default_rng(3)
    n = 2000
    ranges = ((50, 150), (50, 150), (0.01, 2), (0, 0.05), (0, 0.03), (0.1, 1))
    numbers = tuple(generator.uniform(low, high, n) for low, high in ranges)
    calls, steps = generator.random(n) < 0.5, np.ones(7, dtype=np.int64)
    whole, parts, python = np.empty((7, n)), np.empty((7, n)), np.empty((7, n))
    _greeks.compiled(0, n, numbers, calls, steps, whole)
    spread(_greeks.compiled, n, numbers, calls, steps, parts, least=100)
    _greeks.python(0, 50, numbers, calls, steps, python)
    np.testing.assert_array_equal(whole, parts)
    np.testing.assert_allclose(python[:, :50], whole[:, :50], rtol=1e-11, atol=1e-15)


def test_shapes_are_kept():
    assert price(100.0, np.full((2, 3), 100.0), 0.5, 0.04, 0.0, 0.2, True).shape == (2, 3)
    assert greeks(100.0, 100.0, 0.5, 0.04, 0.0, 0.2, True).delta.shape == ()


def test_theta_on_the_last_day_is_only_the_rest_of_the_day():
    hour = 1 / 8760
    raw = greeks(100.0, 100.0, hour, 0.0, 0.0, 0.3, True).theta
    shown = display_theta(raw, hour)
    assert shown == pytest.approx(raw / 24)
    assert -shown <= price(100.0, 100.0, hour, 0.0, 0.0, 0.3, True)
    assert display_theta([-0.1], [0.5]) == [-0.1]
