"""Implied volatility inverts the price to the last digit that is there, and says why when it cannot."""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from qmterm.core.reasons import Reason
from qmterm.quant.arrays import option_columns
from qmterm.quant.options.black_scholes import greeks, price
from qmterm.quant.options.european_block import solve_block
from qmterm.quant.options.implied_vol import STATUS, IvStatus, implied_vol
from tests import golden


@pytest.mark.parametrize("row", golden.rows("implied_vol"), ids=lambda row: f"{row['id']}-{row['status']}")
def test_golden_rows(row):
    numbers = [float(row[name]) for name in ("price", "S", "K", "T", "r", "q")]
    iv, status = implied_vol(*numbers, row["cp"] == "C")
    assert IvStatus(int(status)).name == row["status"]
    if row["iv"]:
        golden.assert_close("implied_vol", iv, row["iv"])
    else:
        assert np.isnan(iv)


@given(
    spot=st.floats(1.0, 7000.0),
    moneyness=st.floats(0.4, 2.5),
    years=st.floats(1 / 8760, 3.0),
    rate=st.floats(-0.01, 0.08),
    dividend_yield=st.floats(0.0, 0.06),
    vol=st.floats(0.03, 4.0),
    call=st.booleans(),
)
def test_the_volatility_of_a_models_price_is_the_models(spot, moneyness, years, rate, dividend_yield, vol, call):
    strike = spot * moneyness
    market = (spot, strike, years, rate, dividend_yield)
    value, other = price(*market, vol, call), price(*market, vol, not call)
    assume(min(value, other) >= 0.005)
    assume(max(spot, strike) - max(value, other) >= 0.005)
    iv, status = implied_vol(value, *market, call)
    assert status == IvStatus.OK
    # What the price's own rounding (a few units of its last place) leaves undetermined.
    rounding = 4 * np.spacing(max(spot, strike)) / (100 * greeks(*market, vol, call).vega)
    assert abs(iv - vol) <= max(1e-10, rounding)


def grid(n=60_000):
    generator = np.random.default_rng(11)
    spot = np.full(n, 100.0)
    strike = spot * generator.uniform(0.5, 1.7, n)
    years = generator.uniform(1, 700, n) / 365
    vol = generator.uniform(0.08, 2.0, n)
    return spot, strike, years, vol, generator.random(n) < 0.5


def test_error_on_the_whole_grid_is_under_1e_10():
    spot, strike, years, vol, calls = grid()
    value = price(spot, strike, years, 0.04, 0.0, vol, calls)
    other = price(spot, strike, years, 0.04, 0.0, vol, ~calls)
    iv, status = implied_vol(value, spot, strike, years, 0.04, 0.0, calls)
    worth = np.minimum(value, other) >= 0.005
    assert worth.sum() > 50_000
    assert (status[worth] == IvStatus.OK).all()
    assert np.abs(iv - vol)[worth].max() <= 1e-10
    assert np.isnan(iv[status != IvStatus.OK]).all()
    assert not np.isnan(iv[status == IvStatus.OK]).any()


def test_hours_to_expiry_and_deep_wings_settle():
    generator = np.random.default_rng(12)
    n = 40_000
    deviation = np.exp(generator.uniform(np.log(1e-4), np.log(6.0), n))
    years = np.exp(generator.uniform(np.log(3e-6), np.log(5.0), n))
    spot = np.exp(generator.uniform(0.0, 7.0, n))
    strike = spot * np.exp(generator.uniform(-7.0, 7.0, n) * deviation)
    vol = deviation / np.sqrt(years)
    calls = strike > spot  # out of the money: every digit of the price is time value
    value = price(spot, strike, years, 0.0, 0.0, vol, calls)
    iv, status = implied_vol(value, spot, strike, years, 0.0, 0.0, calls)
    assert not (status == IvStatus.NO_CONVERGENCE).any()
    found = (status == IvStatus.OK) & (value > 1e-8) & (deviation < 3)
    assert found.sum() > 20_000
    assert (np.abs(iv / vol - 1)[found] < 1e-9).all()
    back = price(spot, strike, years, 0.0, 0.0, iv, calls)
    ok = status == IvStatus.OK
    assert (np.abs(back - value)[ok] <= 1e-14 * np.maximum(spot, strike)[ok]).all()


def test_agrees_with_vollib_on_a_grid():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from py_vollib.black_scholes_merton.implied_volatility import implied_volatility
    spot, strike, years, vol, calls = (array[:400] for array in grid())
    value = price(spot, strike, years, 0.04, 0.02, vol, calls)
    other = price(spot, strike, years, 0.04, 0.02, vol, ~calls)
    ours, _ = implied_vol(value, spot, strike, years, 0.04, 0.02, calls)
    compared = 0
    for i in np.flatnonzero(np.minimum(value, other) >= 0.005):
        flag = "c" if calls[i] else "p"
        theirs = implied_volatility(value[i], spot[i], strike[i], years[i], 0.04, 0.02, flag)
        assert ours[i] == pytest.approx(theirs, abs=1e-9)
        compared += 1
    assert compared > 300


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"price": np.nan}, IvStatus.NO_QUOTE),
        ({"spot": np.nan}, IvStatus.BAD_INPUT),
        ({"strike": 0.0}, IvStatus.BAD_INPUT),
        ({"price": np.inf}, IvStatus.BAD_INPUT),
        ({"years": np.nan}, IvStatus.BAD_INPUT),
        ({"years": 0.0}, IvStatus.EXPIRED),
        ({"years": -0.1, "price": 500.0}, IvStatus.EXPIRED),
        ({"years": 59 / 31_536_000}, IvStatus.EXPIRING),
        ({"price": 100.0}, IvStatus.ABOVE_MAX),
        ({"price": -1.0}, IvStatus.BELOW_INTRINSIC),
        ({"price": 0.0}, IvStatus.NO_TIME_VALUE),
        ({"price": 1e-11}, IvStatus.NO_TIME_VALUE),
        ({"spot": 200.0, "price": 100.0}, IvStatus.NO_TIME_VALUE),
        ({"spot": 200.0, "price": 99.99}, IvStatus.BELOW_INTRINSIC),
        ({}, IvStatus.OK),
    ],
)
def test_every_missing_number_has_its_reason(change, status):
    arguments = {"price": 5.0, "spot": 100.0, "strike": 100.0, "years": 0.25, "rate": 0.0, "dividend_yield": 0.0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        iv, code = implied_vol(**(arguments | change), is_call=True)
    assert IvStatus(int(code)) is status
    assert np.isnan(iv) == (status is not IvStatus.OK)


def test_one_tick_over_intrinsic_still_has_a_volatility():
    iv, status = implied_vol(20.01, 120.0, 100.0, 2 / 8760, 0.0, 0.0, True)
    assert status == IvStatus.OK
    assert price(120.0, 100.0, 2 / 8760, 0.0, 0.0, iv, True) == pytest.approx(20.01, abs=1e-12)


def test_bad_elements_do_not_touch_their_neighbours():
    iv, status = implied_vol([8.0, np.nan, 8.0, 500.0], 100.0, 100.0, [0.5, 0.5, 0.0, 0.5], 0.04, 0.0, True)
    assert [STATUS[code] for code in status] == [None, Reason.NO_QUOTE, Reason.EXPIRED, Reason.ABOVE_MAX]
    assert np.isnan(iv).tolist() == [False, True, True, True]


def test_the_kernel_gives_the_same_digits_as_python():
    spot, strike, years, vol, calls = grid(3000)
    value = price(spot, strike, years, 0.04, 0.0, vol, calls)
    columns = option_columns(calls, price=value, spot=spot, strike=strike, years=years, rate=0.04, dividend_yield=0.0)
    answers = []
    for fill, size in ((solve_block.compiled, 3000), (solve_block.python, 50)):
        out, status = np.full((6, 3000), np.nan), np.zeros(3000, dtype=np.int8)
        fill(0, size, columns.numbers, columns.calls, columns.steps, out, status)
        answers.append((out[:, :50], status[:50]))
    np.testing.assert_allclose(answers[0][0], answers[1][0], rtol=1e-11, atol=1e-14)
    np.testing.assert_array_equal(answers[0][1], answers[1][1])


def test_every_status_has_a_reason_but_ok():
    assert STATUS[IvStatus.OK] is None
    assert [STATUS[status].value for status in IvStatus if status] == [status.name for status in IvStatus if status]
