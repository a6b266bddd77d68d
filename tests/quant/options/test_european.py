"""One pass gives the volatility and the Greeks of every option, or the reason why there are none."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.errors import BadInput
from qmterm.quant.arrays import option_columns
from qmterm.quant.options.black_scholes import black, greeks, price
from qmterm.quant.options.european import solve
from qmterm.quant.options.european_block import solve_block
from qmterm.quant.options.european_terms import first_guess
from qmterm.quant.options.implied_vol import IvStatus, implied_vol
from tests import golden

FIVE = ("delta", "gamma", "theta", "vega", "rho")
KNOWN = {
    IvStatus.OK,
    IvStatus.NO_QUOTE,
    IvStatus.EXPIRED,
    IvStatus.EXPIRING,
    IvStatus.ABOVE_MAX,
    IvStatus.BELOW_INTRINSIC,
    IvStatus.NO_TIME_VALUE,
    IvStatus.NO_CONVERGENCE,
    IvStatus.BAD_INPUT,
}


def market(n, seed=21):
    """A chain as PERF.md's benchmark draws it, with rates and yields of both signs."""
    generator = np.random.default_rng(seed)
    spot = generator.uniform(10.0, 600.0, n)
    strike = spot * generator.uniform(0.5, 1.7, n)
    years = generator.uniform(1, 700, n) / 365
    rate, dividend_yield = generator.uniform(-0.01, 0.06, n), generator.uniform(0.0, 0.05, n)
    vol = np.exp(generator.uniform(np.log(0.08), np.log(2.0), n))
    return (spot, strike, years, rate, dividend_yield), vol, generator.random(n) < 0.5


def assert_nothing_but_reasons(answer):
    """NaN everywhere or nowhere in a row, as its status says; only codes a solver may give."""
    assert {IvStatus(code) for code in np.unique(answer.status)} <= KNOWN
    ok = answer.status == IvStatus.OK
    for numbers in answer[:1] + answer[2:]:
        np.testing.assert_array_equal(np.isfinite(numbers), ok)


def test_greeks_are_those_at_the_volatility_found():
    arguments, vol, calls = market(30_000)
    value = price(*arguments, vol, calls)
    answer = solve(value, *arguments, calls)
    separate = greeks(*arguments, answer.iv, calls)
    ok = answer.status == IvStatus.OK
    assert ok.mean() > 0.9
    for name in FIVE:
        ours, theirs = getattr(answer, name)[ok], getattr(separate, name)[ok]
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-13 * np.abs(theirs).max(), err_msg=name)
    assert_nothing_but_reasons(answer)
    iv, status = implied_vol(value, *arguments, calls)
    np.testing.assert_array_equal(iv, answer.iv)
    np.testing.assert_array_equal(status, answer.status)


def test_golden_greeks_come_back_from_golden_prices():
    rows = golden.rows("bsm_greeks")
    arguments = [golden.column("bsm_greeks", name) for name in ("price", "S", "K", "T", "r", "q")]
    answer = solve(*arguments, np.array([row["cp"] == "C" for row in rows]))
    compared = 0
    for number, row in enumerate(rows):
        # A price above intrinsic by less than its last digits says nothing of the volatility.
        if answer.status[number] != IvStatus.OK or answer.vega[number] < 1e-4:
            continue
        compared += 1
        assert answer.iv[number] == pytest.approx(float(row["sigma"]), abs=1e-9)
        for name, column in zip(FIVE, ("delta", "gamma", "theta_day", "vega_pt", "rho_pct"), strict=True):
            assert getattr(answer, name)[number] == pytest.approx(float(row[column]), rel=1e-8, abs=1e-9), (name, row)
    assert compared > len(rows) / 2


def test_agrees_with_vollib_greeks():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from py_vollib.black_scholes_merton.greeks import analytical
    arguments, vol, calls = market(100)
    answer = solve(price(*arguments, vol, calls), *arguments, calls)
    for number in np.flatnonzero((answer.status == IvStatus.OK) & (answer.vega > 1e-3)):
        s, k, t, r, q = (float(argument[number]) for argument in arguments)
        flag = "c" if calls[number] else "p"
        for name in ("delta", "gamma", "theta", "vega", "rho"):
            theirs = getattr(analytical, name)(flag, s, k, t, r, vol[number], q)
            assert getattr(answer, name)[number] == pytest.approx(theirs, rel=1e-7, abs=1e-9), name


@given(
    spot=st.floats(1e-3, 1e6),
    distance=st.floats(-8.0, 8.0),
    years=st.floats(2e-6, 30.0),
    rate=st.floats(-0.05, 0.5),
    dividend_yield=st.floats(-0.05, 0.5),
    total=st.floats(1e-5, 12.0),
    call=st.booleans(),
)
def test_a_volatility_explains_the_price_or_a_status_says_why_not(
    spot, distance, years, rate, dividend_yield, total, call
):
    total = min(total, 9.0 * np.sqrt(years))
    strike = spot * np.exp((rate - dividend_yield) * years + distance * total)
    arguments = (spot, strike, years, rate, dividend_yield)
    value = price(*arguments, total / np.sqrt(years), call)
    answer = solve(value, *arguments, call)
    assert answer.status != IvStatus.NO_CONVERGENCE
    assert_nothing_but_reasons(answer)
    forward, cash = spot * np.exp(-dividend_yield * years), strike * np.exp(-rate * years)
    if answer.status == IvStatus.OK:
        assert price(*arguments, answer.iv, call) == pytest.approx(float(value), abs=1e-13 * max(forward, cash))
    else:
        time_value = value - max(0.0, forward - cash if call else cash - forward)
        rest = (forward if call else cash) - value
        assert min(time_value, rest) <= 1.1e-10 + 1e-14 * max(forward, cash)


@given(
    spot=st.floats(1.0, 5000.0),
    low=st.floats(0.3, 2.5),
    width=st.floats(0.01, 0.5),
    years=st.floats(0.001, 3.0),
    vol=st.floats(0.02, 3.0),
    call=st.booleans(),
)
def test_the_price_is_convex_in_the_strike(spot, low, width, years, vol, call):
    strikes = spot * low * np.array([1.0, 1.0 + width, 1.0 + 2.0 * width])
    left, middle, right = price(spot, strikes, years, 0.03, 0.01, vol, call)
    assert left - 2.0 * middle + right >= -1e-13 * spot * low
    assert (right >= left - 1e-13 * spot) if not call else (right <= left + 1e-13 * spot)


def test_black_on_the_forward_is_blacks_formula():
    (spot, strike, years, rate, dividend_yield), vol, calls = market(500)
    forward = spot * np.exp((rate - dividend_yield) * years)
    np.testing.assert_allclose(
        black(forward, strike, years, rate, vol, calls),
        price(spot, strike, years, rate, dividend_yield, vol, calls),
        rtol=1e-11,
        atol=1e-12,
    )
    # Hull, Options, Futures and Other Derivatives: the put on a crude oil future, four months at 25 %.
    assert black(20.0, 20.0, 4 / 12, 0.09, 0.25, False) == pytest.approx(1.12, abs=0.005)


def test_the_first_guess_is_close_over_every_listed_option():
    generator = np.random.default_rng(8)
    n = 3000
    m, s = generator.uniform(0.0, 1.0, n), np.exp(generator.uniform(np.log(1e-3), np.log(3.0), n))
    value = price(1.0, np.exp(m), 1.0, 0.0, 0.0, s, True)
    kept = value > 1e-9
    error = [first_guess(m[i], value[i], 1.0, np.exp(m[i])) / s[i] - 1.0 for i in np.flatnonzero(kept)]
    assert kept.sum() > 1000
    assert np.abs(error).max() < 1e-3
    assert np.median(np.abs(error)) < 3e-5


HARD = [np.nan, np.inf, -np.inf, 0.0, -0.0, -1.0, 1e-320, 1e-101, 1e-8, 1e8, 1e101, 1e308, 1.0, 100.0]


def hard_rows(n, seed):
    generator = np.random.default_rng(seed)
    numbers = [generator.choice(HARD, n) for _ in range(6)]
    good = [8.0, 100.0, 100.0, 0.5, 0.04, 0.01]
    for column, usual in zip(numbers, good, strict=True):
        column[generator.random(n) < 0.6] = usual
    return numbers, generator.random(n) < 0.5


@pytest.mark.parametrize("n", [32, 20_001])  # as Python and compiled
def test_bad_rows_never_warn_raise_or_get_a_number(n, capfd):
    numbers, calls = hard_rows(n, n)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if n == 32:
            columns = option_columns(
                calls, **dict(zip(("price", "spot", "strike", "years", "rate", "q"), numbers, strict=True))
            )
            out, status = np.empty((6, n)), np.empty(n, dtype=np.int8)
            with np.errstate(all="ignore"):
                solve_block.python(0, n, columns.numbers, columns.calls, columns.steps, out, status)
            ok = status == IvStatus.OK
            assert np.isfinite(out[:, ok]).all()
            assert np.isnan(out[:, ~ok]).all()
        else:
            answer = solve(*numbers, calls)
            assert_nothing_but_reasons(answer)
            assert (answer.iv[answer.status == IvStatus.OK] > 0.0).all()
            p, s, k, t, r, q = numbers
            sane = (s > 0) & (s < 1e100) & (k > 0) & (k < 1e100) & np.isfinite(t) & np.isfinite(r) & np.isfinite(q)
            assert (answer.status[~(sane & ~np.isinf(p))] == IvStatus.BAD_INPUT).all()
            values = price(s, k, t, r, q, np.abs(p), calls)
            assert not np.isinf(values).any()
            assert np.isnan(values[~sane]).all()
            greeks(s, k, t, r, q, np.abs(p), calls)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("case", "status"),
    [
        ((1e-6, 100.0, 200.0, 0.1, 0.04, 0.0, True), IvStatus.OK),
        ((1e-14, 100.0, 200.0, 0.1, 0.04, 0.0, True), IvStatus.NO_TIME_VALUE),
        ((1e-100, 100.0, 40.0, 0.1, 0.04, 0.0, False), IvStatus.NO_TIME_VALUE),
        ((150.0 - 100.0 * np.exp(-0.02), 150.0, 100.0, 0.5, 0.04, 0.0, True), IvStatus.NO_TIME_VALUE),
        ((50.0, 150.0, 100.0, 0.5, 0.04, 0.0, True), IvStatus.BELOW_INTRINSIC),
        ((150.1, 150.0, 100.0, 0.5, 0.04, 0.0, True), IvStatus.ABOVE_MAX),
        ((3.0, 100.0, 100.0, 0.0, 0.04, 0.0, True), IvStatus.EXPIRED),
        ((0.0, 100.0, 100.0, 0.0, 0.04, 0.0, True), IvStatus.EXPIRED),
        ((0.0, 100.0, 110.0, 0.5, 0.04, 0.0, True), IvStatus.NO_TIME_VALUE),
        ((np.nan, 100.0, 110.0, 0.5, 0.04, 0.0, True), IvStatus.NO_QUOTE),
        ((0.35, 100.0, 100.0, 0.5 / 8760, 0.04, 0.04, True), IvStatus.OK),
    ],
)
def test_each_edge_case_on_which_peers_fail_is_answered(case, status):
    answer = solve(*case)
    assert answer.status == status
    assert_nothing_but_reasons(answer)
    if status == IvStatus.OK:
        assert price(*case[1:6], answer.iv, case[6]) == pytest.approx(case[0], rel=1e-11)


def test_one_hard_row_costs_its_neighbours_nothing():
    arguments, vol, calls = market(1000)
    value = price(*arguments, vol, calls)
    alone = solve(value, *arguments, calls)
    value[::7] = 1e-9 * arguments[0][::7]
    beside = solve(value, *arguments, calls)
    others = np.arange(1000) % 7 != 0
    for ours, theirs in zip(beside, alone, strict=True):
        np.testing.assert_array_equal(ours[others], theirs[others])


def test_any_layout_of_the_arguments_gives_the_same_numbers():
    arguments, vol, calls = market(120)
    value = price(*arguments, vol, calls)
    expected = solve(value, *arguments, calls)
    frozen = value.copy()
    frozen.flags.writeable = False
    wide = np.repeat(value, 2)[::2]
    for column in (frozen, wide, value.astype(">f8"), value.tolist()):
        np.testing.assert_array_equal(solve(column, *arguments, calls).iv, expected.iv)
    square = solve(value.reshape(10, 12), *(a.reshape(10, 12) for a in arguments), calls.reshape(10, 12))
    assert all(array.shape == (10, 12) for array in square)
    np.testing.assert_array_equal(square.delta.reshape(-1), expected.delta)
    spots, strikes = np.array([[95.0], [105.0]]), np.array([90, 100, 110])
    table = solve(price(spots, strikes, 0.5, 0.04, 0.0, 0.3, True), spots, strikes, 0.5, 0.04, 0.0, True)
    assert table.iv.shape == (2, 3)
    np.testing.assert_allclose(table.iv, 0.3, atol=1e-12)
    with pytest.raises(BadInput, match="argument strike has shape"):
        solve([1.0, 2.0], 100.0, [90.0, 100.0, 110.0], 0.5, 0.04, 0.0, True)


@pytest.mark.parametrize("n", [0, 1, 33, 63, 64, 65, 2_000_000])
def test_every_length_is_answered(n):
    strikes = np.linspace(80.0, 120.0, max(n, 2))[:n]
    vols = np.linspace(0.1, 0.6, max(n, 2))[:n]
    calls = strikes >= 100.0
    answer = solve(price(100.0, strikes, 0.5, 0.04, 0.0, vols, calls), 100.0, strikes, 0.5, 0.04, 0.0, calls)
    assert all(array.shape == (n,) for array in answer)
    assert (answer.status == IvStatus.OK).all()
    np.testing.assert_allclose(answer.iv, vols, atol=1e-10)
    single = solve(8.0, 100.0, 100.0, 0.5, 0.04, 0.0, True)
    assert single.iv.shape == ()
