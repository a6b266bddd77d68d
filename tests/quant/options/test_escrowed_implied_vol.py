"""Volatilities of American prices with cash dividends, and the reason where there is none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmterm.core.errors import BadInput
from qmterm.quant.options import escrowed, escrowed_bounds, escrowed_calls, escrowed_puts, escrowed_work
from qmterm.quant.options.dividends import DividendTable
from qmterm.quant.options.implied_vol import IvStatus

QUARTERLY = [(0.04, 0.6), (0.29, 0.6), (0.54, 0.6), (0.79, 0.6)]


def chain(n, seed):
    rng = np.random.default_rng(seed)
    return (
        rng.uniform(75.0, 130.0, n),
        np.exp(rng.uniform(np.log(0.03), np.log(1.5), n)),
        rng.uniform(0.12, 0.9, n),
        rng.random(n) < 0.5,
    )


def test_the_volatility_of_a_price_is_the_one_it_was_made_with():
    strike, years, vol, calls = chain(300, 3)
    table = DividendTable.shared(QUARTERLY)
    made = escrowed.greeks(100.0, strike, years, 0.04, 0.0, vol, calls, table)
    found = escrowed.solve(made.price, 100.0, strike, years, 0.04, 0.0, calls, table)
    sure = made.vega > 0.01
    assert sure.sum() > 200
    assert (found.status[sure] == IvStatus.OK).all()
    assert np.abs(found.iv - vol)[sure].max() < 2e-4
    for greek in ("delta", "gamma", "theta", "vega", "rho"):
        assert getattr(found, greek)[sure] == pytest.approx(getattr(made, greek)[sure], abs=5e-3), greek
    # Elsewhere an answer or a reason, never a bare NaN.
    assert np.array_equal(np.isfinite(found.iv), found.status == IvStatus.OK)


@given(st.floats(80.0, 120.0), st.floats(0.02, 2.0), st.floats(0.05, 2.0), st.booleans(), st.floats(0.0, 2.0))
@settings(max_examples=60)
def test_prices_and_volatilities_agree_or_a_status_says_why(strike, years, vol, call, cash):
    table = DividendTable.shared([(0.03, cash), (0.28, cash), (0.53, cash)])
    made = escrowed.greeks(100.0, strike, years, 0.04, 0.0, vol, call, table)
    iv, status = escrowed.implied_vol(made.price, 100.0, strike, years, 0.04, 0.0, call, table)
    if made.vega > 0.01:
        assert status == IvStatus.OK
        assert abs(float(iv) - vol) < 1e-4
    else:
        assert np.isfinite(iv) == (status == IvStatus.OK)


def test_each_bad_row_has_its_reason_and_the_good_ones_their_answer():
    nan, inf = np.nan, np.inf
    rows = [
        # price, spot, strike, years, rate, expected
        (5.0, 100.0, 100.0, 0.25, 0.04, IvStatus.OK),
        (5.0, nan, 100.0, 0.25, 0.04, IvStatus.BAD_INPUT),
        (5.0, 0.0, 100.0, 0.25, 0.04, IvStatus.BAD_INPUT),
        (5.0, -1.0, 100.0, 0.25, 0.04, IvStatus.BAD_INPUT),
        (5.0, 100.0, 0.0, 0.25, 0.04, IvStatus.BAD_INPUT),
        (5.0, 100.0, inf, 0.25, 0.04, IvStatus.BAD_INPUT),
        (5.0, 100.0, 100.0, nan, 0.04, IvStatus.BAD_INPUT),
        (5.0, 100.0, 100.0, 0.25, nan, IvStatus.BAD_INPUT),
        (inf, 100.0, 100.0, 0.25, 0.04, IvStatus.BAD_INPUT),
        (5.0, 0.5, 100.0, 0.25, 0.04, IvStatus.BAD_INPUT),  # the dividend is worth more than the share
        (5.0, 100.0, 100.0, 0.25, 1e6, IvStatus.BAD_INPUT),
        (5.0, 100.0, 100.0, 0.25, -1e6, IvStatus.BAD_INPUT),
        (5.0, 100.0, 100.0, 0.0, 0.04, IvStatus.EXPIRED),
        (5.0, 100.0, 100.0, -1.0, 0.04, IvStatus.EXPIRED),
        (5.0, 100.0, 100.0, 1e-6, 0.04, IvStatus.EXPIRING),
        (nan, 100.0, 100.0, 0.25, 0.04, IvStatus.NO_QUOTE),
        (100.0, 100.0, 100.0, 0.25, 0.04, IvStatus.ABOVE_MAX),
        (19.0, 120.0, 100.0, 0.25, 0.04, IvStatus.BELOW_INTRINSIC),
        (-0.1, 100.0, 100.0, 0.25, 0.04, IvStatus.BELOW_INTRINSIC),
        (0.0, 100.0, 150.0, 0.25, 0.04, IvStatus.NO_TIME_VALUE),
        (6.0, 100.0, 100.0, 0.25, 0.04, IvStatus.OK),
    ]
    price, spot, strike, years, rate, expected = (np.array(column) for column in zip(*rows, strict=True))
    table = DividendTable.shared([(0.1, 1.0)])
    with np.errstate(all="raise"):
        found = escrowed.solve(price, spot, strike, years, rate, 0.0, True, table)
    assert [IvStatus(code) for code in found.status] == list(expected)
    bad = expected != IvStatus.OK
    for numbers in (found.iv, found.delta, found.gamma, found.theta, found.vega, found.rho):
        assert np.isnan(numbers[bad]).all()
        assert np.isfinite(numbers[~bad]).all()


def test_a_call_worth_less_than_exercise_before_the_ex_date_has_no_volatility():
    table = DividendTable.shared([(0.1, 3.0)])
    before_ex_date = 100.0 - 60.0 * np.exp(-0.04 * 0.1)
    price = np.array([before_ex_date - 0.01, before_ex_date, before_ex_date + 0.05])
    _, status = escrowed.implied_vol(price, 100.0, 60.0, 0.5, 0.04, 0.0, True, table)
    assert status.tolist() == [IvStatus.BELOW_INTRINSIC, IvStatus.NO_TIME_VALUE, IvStatus.OK]


def test_a_put_held_for_the_dividend_is_worth_exercise_after_it():
    table = DividendTable.shared([(0.1, 3.0)])
    after_ex_date = 150.0 * np.exp(-0.04 * 0.1) - (100.0 - 3.0 * np.exp(-0.04 * 0.1))
    price = np.array([after_ex_date - 0.01, after_ex_date + 0.5])
    _, status = escrowed.implied_vol(price, 100.0, 150.0, 0.5, 0.04, 0.0, False, table)
    assert status.tolist() == [IvStatus.BELOW_INTRINSIC, IvStatus.OK]


def test_bad_numbers_of_prices_and_greeks_are_alone_and_silent():
    vol = np.array([0.3, np.nan, 0.0, -0.2, np.inf, 0.3])
    with np.errstate(all="raise"):
        found = escrowed.greeks(100.0, 95.0, 0.5, 0.04, 0.0, vol, False, DividendTable.shared(QUARTERLY))
    for numbers in found:
        assert np.isfinite(numbers).tolist() == [True, False, False, False, False, True]


def test_extreme_options_are_answered_within_their_bounds():
    strike, years, vol = (
        grid.reshape(-1)
        for grid in np.meshgrid(
            [0.01, 50.0, 100.0, 200.0, 1e5], [1e-300, 1e-5, 0.01, 1.0, 3.0], [1e-300, 1e-4, 0.03, 4.0, 20.0, 1e300]
        )
    )
    for call in (True, False):
        with np.errstate(all="raise"):
            found = escrowed.greeks(100.0, strike, years, 0.04, 0.0, vol, call, DividendTable.shared(QUARTERLY))
        assert np.isfinite(found.price).all()
        assert (found.price >= np.maximum(0.0, 100.0 - strike if call else strike - 100.0)).all()
        assert (found.price <= (100.0 if call else strike) + 1e-9).all()
        assert (np.abs(found.delta) <= 1.0).all()
        assert np.isfinite(np.array([found.gamma, found.vega, found.rho])).all()


def test_tables_that_do_not_fit_are_refused_by_name():
    two = DividendTable.by_option([[(0.1, 1.0)], []])
    with pytest.raises(BadInput, match="dividends has 2 rows for 3 options"):
        escrowed.price(100.0, [90.0, 100.0, 110.0], 0.5, 0.04, 0.0, 0.3, True, two)
    with pytest.raises(BadInput, match="strike"):
        escrowed.price([100.0, 101.0], [90.0, 100.0, 110.0], 0.5, 0.04, 0.0, 0.3, True, DividendTable.none())


def test_plain_python_and_the_compiled_kernels_give_the_same_digits():
    strike, years, vol, calls = chain(6, 4)
    table = DividendTable.by_option([QUARTERLY, [], QUARTERLY[:1], [(0.001, 1.0)], [(0.5, 2.0)], QUARTERLY])
    inputs = np.array([np.full(6, 100.0), strike, years, np.full(6, 0.04), np.zeros(6), vol, np.zeros(6)])
    dividends = (table.times, table.amounts)
    kernels = [
        (escrowed_work.work, (calls,), 6),
        (escrowed_puts.put_block, (np.flatnonzero(~calls),), int((~calls).sum())),
        (escrowed_calls.call_block, (np.flatnonzero(calls),), int(calls.sum())),
    ]
    for kernel, options, count in kernels:
        assert count > 1
        answers = []
        for run in (kernel.python, kernel.compiled):
            made, solved = np.zeros((2, escrowed_bounds.OUTPUTS, 6))
            status, codes = np.zeros((2, 6), dtype=np.int8)
            # The work takes its options by their right, the blocks by number.
            by_right = kernel is escrowed_work.work
            with np.errstate(all="ignore"):
                for mode, out, code in ((escrowed_bounds.GREEKS, made, status), (escrowed_bounds.SOLVE, solved, codes)):
                    terms = (inputs, *options) if by_right else (*options, inputs)
                    run(0, count, mode, *terms, *dividends, out, code)
                    inputs[-1] = made[escrowed_bounds.OUT_PRICE]
            answers.append((made, solved, status, codes))
        plain, compiled = answers
        assert plain[0] == pytest.approx(compiled[0], abs=1e-8, nan_ok=True)
        assert plain[1] == pytest.approx(compiled[1], abs=1e-6, nan_ok=True)
        assert np.array_equal(plain[2:], compiled[2:])


def test_a_whole_chain_over_all_cores_is_its_options_one_by_one():
    strike, years, vol, calls = chain(400, 5)
    table = DividendTable.shared(QUARTERLY)
    together = escrowed.greeks(100.0, strike, years, 0.04, 0.0, vol, calls, table)
    for i in (0, 57, 199, 399):
        alone = escrowed.greeks(100.0, strike[i], years[i], 0.04, 0.0, vol[i], calls[i], table)
        assert np.array_equal([numbers[i] for numbers in together], alone, equal_nan=True)
