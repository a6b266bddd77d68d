"""American implied volatility: the price's own volatility and Greeks back, or the reason why there are none."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.quant.options import american, american_search, european
from qmterm.quant.options.american_curve import LANES
from qmterm.quant.options.dividends import DividendTable
from qmterm.quant.options.solved import IvStatus
from tests import golden
from tests.quant.options.test_american import exercise, random_market


@pytest.fixture(scope="module", autouse=True)
def compiled():
    """See test_american."""
    many = np.full(LANES + 1, 100.0)
    values = american.price(many, 100.0, 0.5, 0.04, 0.02, 0.3, False)
    american.solve(values, many, 100.0, 0.5, 0.04, 0.02, False)


def lower_bound(spot, strike, years, rate, dividend_yield, call):
    held = spot * np.exp(-dividend_yield * years) - strike * np.exp(-rate * years)
    return np.maximum(exercise(spot, strike, call), np.where(call, held, -held))


def test_golden_prices_give_their_volatility_and_greeks_back():
    columns = [golden.column("american", name) for name in ("price", "S", "K", "T", "r", "q")]
    call = np.array([row["cp"] == "C" for row in golden.rows("american")])
    solved = american.solve(*columns, call)
    assert not solved.status.any()
    assert solved.iv == pytest.approx(golden.column("american", "sigma"), abs=6e-5)
    names = {"delta": "delta", "gamma": "gamma", "theta": "theta_day", "vega": "vega_pt", "rho": "rho_pct"}
    for ours, name in names.items():
        for number, row in enumerate(golden.rows("american")):
            if row[name]:
                golden.assert_close("american", getattr(solved, ours)[number], row[name], f"row {row['id']} {name}")


def test_a_random_market_gets_its_volatility_back_wherever_there_is_time_value():
    market = random_market(8_000, seed=17)
    *inputs, vol, call = market
    values = american.price(*market)
    solved = american.solve(values, *inputs, call)
    time_value = values - lower_bound(*inputs, call)
    visible = time_value > 0.02
    assert (solved.status[visible] == IvStatus.OK).all()
    error = np.abs(solved.iv - vol)[visible]
    assert np.quantile(error, 0.99) < 1e-5
    assert error.max() < 5e-3
    none = time_value <= 1e-10
    assert (solved.status[none] == IvStatus.NO_TIME_VALUE).all()
    unanswered = solved.status == IvStatus.NO_CONVERGENCE
    assert (time_value[unanswered] < 1e-3).all()


def test_the_greeks_are_those_at_the_volatility_found():
    market = random_market(3_000, seed=19)
    *inputs, _, call = market
    values = american.price(*market)
    time_value = values - lower_bound(*inputs, call)
    rows = time_value > 0.05
    chosen = [column[rows] for column in inputs]
    solved = american.solve(values[rows], *chosen, call[rows])
    again = american.greeks(*chosen, solved.iv, call[rows])
    for name in ("delta", "gamma", "theta", "vega", "rho"):
        first, second = getattr(solved, name), getattr(again, name)
        assert np.nanmax(np.abs(first - second) / (1.0 + np.abs(second))) < 2e-3, name


@given(
    spot=st.floats(60.0, 160.0),
    years=st.floats(2 / 365, 2.5),
    rate=st.floats(0.0, 0.12),
    dividend_yield=st.floats(0.0, 0.12),
    vol=st.floats(0.05, 3.0),
    call=st.booleans(),
)
def test_the_volatility_of_a_models_price_is_the_models(spot, years, rate, dividend_yield, vol, call):
    market = (spot, 100.0, years, rate, dividend_yield)
    value = american.price(*market, vol, call)
    iv, status = american.implied_vol(value, *market, call)
    if status == IvStatus.OK:
        assert american.price(*market, iv, call) == pytest.approx(value, abs=2e-3)
        assert american.greeks(*market, vol, call).vega < 0.002 or iv == pytest.approx(vol, abs=2e-3)
    else:
        assert np.isnan(iv)
        assert value - lower_bound(*market, call) < 0.02


def test_every_status_has_its_price():
    cases = [
        (5.0, 0.5, IvStatus.OK),
        (np.nan, 0.5, IvStatus.NO_QUOTE),
        (5.0, 0.0, IvStatus.EXPIRED),
        (5.0, -1.0, IvStatus.EXPIRED),
        (5.0, 1e-6, IvStatus.EXPIRING),
        (100.0, 0.5, IvStatus.ABOVE_MAX),
        (-1.0, 0.5, IvStatus.BELOW_INTRINSIC),
        (0.0, 0.5, IvStatus.NO_TIME_VALUE),
        (1e-11, 0.5, IvStatus.NO_TIME_VALUE),
        (5.0, np.nan, IvStatus.BAD_INPUT),
        (np.inf, 0.5, IvStatus.BAD_INPUT),
    ]
    prices, years, statuses = (np.array(column) for column in zip(*cases, strict=True))
    # Out of the money, so that 0 is the lower bound.
    solved = american.solve(prices, 101.0, 100.0, years, 0.04, 0.02, False)
    assert [IvStatus(code) for code in solved.status] == list(statuses)
    for column in (solved.iv, solved.delta, solved.gamma, solved.theta, solved.vega, solved.rho):
        assert np.array_equal(np.isfinite(column), statuses == IvStatus.OK)


def test_what_is_no_option_is_no_option_for_both_styles():
    rows = [
        (1e-320, 100.0, 0.5, 0.04),
        (1e200, 1e200, 0.5, 0.04),
        (100.0, 100.0, 0.5, 2000.0),
        (100.0, 100.0, 1e5, 0.04),
    ]
    market = np.array(rows).T
    for call in (False, True):
        for style in (american, european):
            assert (style.solve(5.0, *market, 0.02, call).status == IvStatus.BAD_INPUT).all()
        assert np.isnan(american.price(*market, 0.02, 0.3, call)).all()
        assert np.isnan(american.greeks(*market, 0.02, 0.3, call).price).all()


def test_the_bounds_are_american():
    # Below exercise value, though far above the European bound; and above the European maximum, yet possible.
    solved = american.solve([19.9, 20.0, 99.0], [80.0, 80.0, 10.0], 100.0, 2.0, 0.06, 0.0, False)
    assert [IvStatus(code).name for code in solved.status[:2]] == ["BELOW_INTRINSIC", "NO_TIME_VALUE"]
    assert solved.status[2] == IvStatus.OK
    assert american.price(10.0, 100.0, 2.0, 0.06, 0.0, solved.iv[2], False) == pytest.approx(99.0, abs=1e-3)


def test_a_price_no_volatility_reaches_says_so():
    solved = american.solve(99.9999, 40.0, 100.0, 0.01, 0.04, 0.02, False)
    assert solved.status == IvStatus.NO_CONVERGENCE
    assert np.isnan(solved.iv)


def test_a_price_beyond_the_trees_volatilities_says_so():
    # Two boundaries (the tree), a negative yield (boundary, then tree), a dividend (tree).
    table = DividendTable.by_option([[], [], [(0.5e-5, 0.1)]])
    rate, dividend_yield = np.array([-0.01, 0.08, 0.04]), np.array([-0.03, -0.001, 0.0])
    solved = american.solve(99.0, 100.0, 100.0, 1e-5, rate, dividend_yield, [False, False, True], table)
    assert (solved.status == IvStatus.NO_CONVERGENCE).all()
    assert np.isnan(solved.iv).all()
    assert np.isnan(solved.delta).all()


def test_a_start_far_from_the_root_is_not_taken_for_it():
    # Most of this put is early exercise: its European volatility, from which the search begins, is 2.4.
    market = (0.13425, 1.0, 2.50067, 0.0501, 0.1122)
    solved = american.solve(american.price(*market, 0.899, False), *market, False)
    assert solved.status == IvStatus.OK
    assert solved.iv == pytest.approx(0.899, abs=1e-5)
    assert solved.gamma == pytest.approx(american.greeks(*market, 0.899, False).gamma, rel=1e-3)


def test_the_safe_search_finds_what_the_fast_one_finds():
    rng = np.random.default_rng(4)
    strike, years, vol = rng.uniform(85.0, 120.0, 40), rng.uniform(0.05, 2.0, 40), rng.uniform(0.1, 1.0, 40)
    market = (np.full(40, 100.0), strike, years, np.full(40, 0.04), np.full(40, 0.02))
    call = rng.random(40) < 0.5
    numbers = np.stack([american.price(*market, vol, call), *market, np.full(40, 0.5)])
    found, status = american_search._bracket(numbers, call, 7)
    rows = numbers[0] - exercise(*market[:2], call) > 0.02
    assert not status[rows].any()
    assert found[0][rows] == pytest.approx(vol[rows], abs=1e-5)


def test_european_rows_are_solved_as_european_ones():
    values = np.array([4.0, 9.0, 15.0])
    market = (values, 100.0, [95.0, 100.0, 105.0], 0.5, 0.04, 0.0, True)
    ours, theirs = american.solve(*market), european.solve(*market)
    assert ours.iv == pytest.approx(theirs.iv, abs=1e-12, nan_ok=True)
    assert np.array_equal(ours.status, theirs.status)
    assert ours.delta == pytest.approx(theirs.delta, abs=1e-9, nan_ok=True)


def test_mixed_methods_keep_their_order():
    table = DividendTable.by_option([[], [(0.2, 0.7)], [], [(2.0, 0.7)]])
    market = (100.0, [100.0, 100.0, 110.0, 95.0], 0.5, 0.04, [0.0, 0.0, 0.02, 0.02])
    call, vol = np.array([True, True, False, False]), np.array([0.2, 0.3, 0.4, 0.5])
    values = american.price(*market, vol, call, table)
    solved = american.solve(values, *market, call, table)
    assert not solved.status.any()
    assert solved.iv == pytest.approx(vol, abs=1e-3)


@pytest.mark.filterwarnings("error")
def test_anything_random_is_answered():
    rng = np.random.default_rng(23)
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -1.0, 1e-300, 1e300, 1e-9, 0.01, 0.5, 1.0, 100.0])
    columns = [rng.choice(values, 3_000) for _ in range(6)]
    solved = american.solve(*columns, rng.random(3_000) < 0.5)
    assert np.array_equal(np.isfinite(solved.iv), solved.status == IvStatus.OK)
    assert set(solved.status.tolist()) <= {int(status) for status in IvStatus}


def test_empty_and_two_dimensional():
    assert american.solve([], 100.0, 100.0, 0.5, 0.04, 0.02, False).iv.shape == (0,)
    iv, status = american.implied_vol(np.full((2, 3), 8.0), 100.0, [90.0, 100.0, 105.0], 0.5, 0.04, 0.02, False)
    assert iv.shape == status.shape == (2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(american.implied_vol(np.nan, 100.0, 100.0, 0.5, 0.04, 0.02, False)[0])
