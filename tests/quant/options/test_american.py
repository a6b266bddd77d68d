"""American prices and Greeks: golden rows, QuantLib's finest scheme, and what no model may violate."""

import csv
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.errors import BadInput
from qmterm.quant.options import american, american_block, black_scholes, escrowed
from qmterm.quant.options.american_curve import LANES
from qmterm.quant.options.dividends import DividendTable
from tests import golden

REFERENCE = Path(__file__).parent / "american_reference.csv"
GOLDEN_NAMES = ("price", "delta", "gamma", "theta_day", "vega_pt", "rho_pct")

MARKETS = {
    "spot": st.floats(50.0, 200.0),
    "years": st.floats(1 / 365, 3.0),
    "rate": st.one_of(st.just(0.0), st.floats(-0.01, 0.15)),
    "dividend_yield": st.one_of(st.just(0.0), st.floats(-0.01, 0.15)),
    "vol": st.floats(0.03, 4.0),
    "call": st.booleans(),
}


@pytest.fixture(scope="module", autouse=True)
def compiled():
    """Single options then take microseconds; the plain Python of the same source has its own test."""
    many = np.full(LANES + 1, 100.0)
    american.price(many, 100.0, 0.5, 0.04, 0.02, 0.3, False)
    american.greeks(many, 100.0, 0.5, 0.04, 0.02, 0.3, False)


def random_market(size, seed):
    """Anything a market can show: (spot, strike, years, rate, yield, vol, is_call)."""
    rng = np.random.default_rng(seed)
    return (
        100.0 * np.exp(rng.normal(0.0, 0.3, size)),
        np.full(size, 100.0),
        np.exp(rng.uniform(np.log(1 / 365), np.log(3.0), size)),
        rng.choice([0.0, 1e-6, 1e-4, 0.001, 0.01, 0.04, 0.1, 0.2], size),
        rng.choice([0.0, 1e-6, 1e-4, 0.001, 0.01, 0.04, 0.1, 0.2], size),
        np.exp(rng.uniform(np.log(0.03), np.log(4.0), size)),
        rng.random(size) < 0.5,
    )


def exercise(spot, strike, call):
    return np.maximum(0.0, np.where(call, spot - strike, strike - spot))


def test_golden_rows_in_every_column():
    columns = [golden.column("american", name) for name in ("S", "K", "T", "r", "q", "sigma")]
    call = np.array([row["cp"] == "C" for row in golden.rows("american")])
    found = american.greeks(*columns, call)
    for name, ours in zip(GOLDEN_NAMES, found, strict=True):
        for number, row in enumerate(golden.rows("american")):
            if row[name]:
                golden.assert_close("american", ours[number], row[name], f"row {row['id']} {name}")
            else:
                assert np.isnan(ours[number])
    assert found.price == pytest.approx(american.price(*columns, call), abs=1e-6)
    european = golden.column("american", "european")
    premium = golden.column("american", "early_exercise_premium")
    assert found.price - european == pytest.approx(premium, abs=5e-4)


def test_quantlibs_finest_scheme():
    with REFERENCE.open(encoding="utf-8", newline="") as file:
        assert file.readline().startswith("#")
        rows = list(csv.DictReader(file))
    assert len(rows) >= 60
    numbers = {name: np.array([float(row[name]) for row in rows]) for name in rows[0] if name != "right"}
    call = np.array([row["right"] == "C" for row in rows])
    inputs = [numbers[name] for name in ("spot", "strike")]
    inputs += [numbers["days"] / 365.0, *(numbers[name] for name in ("rate", "dividend_yield", "vol"))]
    found = american.greeks(*inputs, call)
    error = found.price - numbers["price"]
    # Rows of a year or so at everyday volatility, and rows with rates to 12 %, volatility to 200 %, up to three years.
    everyday = np.arange(len(rows)) < 24
    assert np.sqrt(np.mean(error[everyday] ** 2)) < 1e-4
    assert np.abs(error[everyday]).max() < 3e-4
    assert np.abs(error).max() < 1.5e-3
    for name, allowed in (("delta", 2e-4), ("gamma", 2e-4), ("theta", 2e-4), ("vega", 3e-4), ("rho", 3e-3)):
        assert np.abs(getattr(found, name) - numbers[name]).max() < allowed, name


def test_a_random_market_has_every_number_and_no_price_below_its_bounds():
    market = random_market(6_000, seed=11)
    spot, strike, years, *_, call = market
    found = american.greeks(*market)
    for name, values in found._asdict().items():
        assert np.isfinite(values).all(), name
    assert found.price == pytest.approx(american.price(*market), abs=2e-3)
    european = black_scholes.price(*market)
    held = american.price(*market)
    assert (held >= european - 1e-12 * spot).all()
    assert (held >= exercise(spot, strike, call)).all()
    assert (held <= np.where(call, spot, strike) + 1e-9).all()
    sign = np.where(call, 1.0, -1.0)
    assert ((sign * found.delta >= -1e-6) & (sign * found.delta <= 1.0 + 1e-6)).all()
    assert (found.gamma >= -1e-6).all()
    assert (found.vega >= -1e-3).all()
    assert (found.theta[years > 2 / 365] <= 1e-3 + 0.2 * spot[years > 2 / 365] / 365.0).all()


@given(**MARKETS)
def test_at_least_european_at_least_exercise(spot, years, rate, dividend_yield, vol, call):
    market = (spot, 100.0, years, rate, dividend_yield, vol, call)
    value = american.price(*market)
    # Two boundaries: priced by the tree, to its accuracy.
    slack = 1e-9 if min(rate, dividend_yield) >= 0.0 else 5e-3
    assert value >= black_scholes.price(*market) - slack
    assert value >= exercise(spot, 100.0, call) - slack


@given(**MARKETS, more=st.floats(0.01, 0.5))
def test_more_volatility_and_more_time_never_cost_less(spot, years, rate, dividend_yield, vol, call, more):
    rate, dividend_yield = max(rate, 0.0), max(dividend_yield, 0.0)
    value = american.price(spot, 100.0, years, rate, dividend_yield, vol, call)
    louder = american.price(spot, 100.0, years, rate, dividend_yield, vol + more, call)
    longer = american.price(spot, 100.0, years + more, rate, dividend_yield, vol, call)
    assert louder >= value - 2e-3
    assert longer >= value - 2e-3


@given(**MARKETS)
def test_price_is_convex_and_monotone_in_the_strike(spot, years, rate, dividend_yield, vol, call):
    rate, dividend_yield = max(rate, 0.0), max(dividend_yield, 0.0)
    strikes = np.linspace(60.0, 160.0, 41)
    values = american.price(spot, strikes, years, rate, dividend_yield, vol, call)
    steps = np.diff(values) * (-1.0 if call else 1.0)
    assert (steps >= -5e-4).all()
    assert (steps <= 2.5 + 5e-4).all()
    assert (np.diff(values, 2) >= -1e-3).all()


@given(**MARKETS)
def test_a_call_is_the_put_with_the_roles_exchanged(spot, years, rate, dividend_yield, vol, call):
    one = american.price(spot, 100.0, years, rate, dividend_yield, vol, call)
    other = american.price(100.0, spot, years, dividend_yield, rate, vol, not call)
    slack = 1e-9 if min(rate, dividend_yield) >= 0.0 else 1e-2
    assert one == pytest.approx(other, abs=slack, rel=1e-12)


@given(**MARKETS, scale=st.floats(0.01, 100.0))
def test_price_scales_with_spot_and_strike(spot, years, rate, dividend_yield, vol, call, scale):
    one = american.price(spot, 100.0, years, rate, dividend_yield, vol, call)
    other = american.price(scale * spot, scale * 100.0, years, rate, dividend_yield, vol, call)
    assert other == pytest.approx(scale * one, rel=1e-9, abs=1e-9)


def test_greeks_are_the_bumps_of_the_price():
    spot, strike, years, rate, dividend_yield, vol, call = random_market(400, seed=5)
    years, vol = np.maximum(years, 0.05), np.clip(vol, 0.1, 1.5)
    rate, dividend_yield = np.maximum(rate, 0.002), np.maximum(dividend_yield, 0.001)

    def value(s=spot, t=years, r=rate, v=vol):
        return american.price(s, strike, t, r, dividend_yield, v, call)

    found = american.greeks(spot, strike, years, rate, dividend_yield, vol, call)
    # A bump across the boundary is neither side's Greek.
    near = np.abs(found.price - exercise(spot, strike, call)) < 0.02
    h = 0.001 * spot
    theta = value(t=years - 1 / 365) - value()
    vega = (value(v=vol + 0.001) - value(v=vol - 0.001)) / 0.2
    rho = (value(r=rate + 1e-4) - value(r=rate - 1e-4)) / 0.02
    bumps = {"delta": (value(spot + h) - value(spot - h)) / (2 * h), "theta": theta, "vega": vega, "rho": rho}
    for name, bump in bumps.items():
        assert np.abs(getattr(found, name) - bump)[~near].max() < 2e-3, name


def test_beyond_the_boundary_there_is_only_exercise():
    found = american.greeks(60.0, 100.0, 0.5, 0.05, 0.0, 0.2, False)
    assert found == (40.0, -1.0, 0.0, 0.0, 0.0, 0.0)
    found = american.greeks(250.0, 100.0, 0.5, 0.01, 0.08, 0.2, True)
    assert found == (150.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    last_day = american.greeks(60.0, 100.0, 1 / 365, 0.05, 0.0, 0.2, False)
    assert last_day.price == 40.0
    assert np.isnan(last_day.theta)


@pytest.mark.parametrize(
    ("rate", "dividend_yield", "call"),
    [(0.04, 0.0, True), (0.04, -0.01, True), (0.0, 0.02, False), (-0.01, 0.0, False), (2.3e-308, 0.0, False)],
)
def test_where_exercise_never_pays_the_european_formula_is_exact(rate, dividend_yield, call):
    spot = np.linspace(50.0, 180.0, 40)
    market = (spot, 100.0, 0.7, rate, dividend_yield, 0.3, call)
    found, european = american.greeks(*market), black_scholes.greeks(*market)
    assert found.price == pytest.approx(black_scholes.price(*market), abs=1e-12)
    for name in ("delta", "gamma", "vega", "rho"):
        assert np.array_equal(getattr(found, name), getattr(european, name)), name


@pytest.mark.parametrize(
    ("rate", "dividend_yield", "call"), [(-0.01, -0.03, False), (-0.03, -0.01, True), (0.0001, -0.02, False)]
)
def test_two_boundaries_are_left_to_the_tree(rate, dividend_yield, call):
    spot = np.linspace(80.0, 120.0, 5)
    market = (spot, 100.0, 1.0, rate, dividend_yield, 0.2, call)
    tree = escrowed.greeks(*market, DividendTable.none())
    found = american.greeks(*market)
    assert np.array_equal(american.price(*market), escrowed.price(*market, DividendTable.none()))
    assert (found.price > black_scholes.price(*market) + 1e-4).any()
    for name in found._fields:
        assert np.array_equal(getattr(found, name), getattr(tree, name), equal_nan=True), name


def test_where_the_tree_hands_over_to_the_boundary_prices_go_on():
    spot, strikes = 100.0, np.linspace(80.0, 150.0, 15)
    share = american.NEGATIVE_SHARE
    for years, vol in ((0.1, 0.3), (1.0, 0.2), (3.0, 0.5)):
        tree, boundary = (
            american.price(spot, strikes, years, 0.03 * share * by, -0.03, vol, False) for by in (0.999, 1.001)
        )
        assert tree == pytest.approx(boundary, abs=5e-3)


def test_the_tree_and_the_boundary_agree():
    spot = np.linspace(80.0, 125.0, 10)
    for call in (False, True):
        market = (spot, 100.0, 0.8, 0.05, 0.03, 0.35, call)
        assert american.price(*market) == pytest.approx(escrowed.price(*market, DividendTable.none()), abs=5e-3)


def test_plain_python_gives_the_kernels_digits():
    market = random_market(LANES, seed=3)
    rows = (market[3] > 0.0) & (market[4] > 0.0)
    numbers = np.stack([np.full(LANES, np.nan), *market[:6]])[:, rows]
    call = market[6][rows]
    answers = []
    for form in (american_block.solve_block.python, american_block.solve_block.compiled):
        out, status = np.empty((7, call.size)), np.empty(call.size, dtype=np.int8)
        with np.errstate(all="ignore"):
            form(0, call.size, numbers, call, False, 12, out, status)
        assert not status.any()
        answers.append(out)
    assert answers[0] == pytest.approx(answers[1], rel=1e-11, abs=1e-12, nan_ok=True)


def test_many_spots_on_one_boundary_are_the_same_prices():
    spot, strike, years, rate, dividend_yield, vol, call = random_market(300, seed=8)
    spots = spot[:, np.newaxis] * np.linspace(0.8, 1.2, 11)
    ladder = american.price_at_spots(spots, strike, years, rate, dividend_yield, vol, call)
    wide = [argument[:, np.newaxis] for argument in (strike, years, rate, dividend_yield, vol, call)]
    assert ladder.shape == (300, 11)
    assert ladder == pytest.approx(american.price(spots, *wide), abs=3e-4)
    shared = american.price_at_spots([90.0, 100.0], 100.0, [0.5, 1.0], 0.04, 0.02, 0.3, False)
    assert shared.shape == (2, 2)
    assert shared[1, 0] == pytest.approx(american.price(90.0, 100.0, 1.0, 0.04, 0.02, 0.3, False), abs=1e-4)


def test_dividends_send_an_option_to_the_tree_and_leave_the_others():
    table = DividendTable.by_option([[(0.2, 1.0)], [(0.9, 1.0)], [(-0.1, 1.0)], []])
    market = (100.0, 105.0, 0.5, 0.04, 0.01, 0.3, np.array([True, True, False, False]))
    plain, found = american.price(*market), american.price(*market, table)
    assert np.array_equal(found[1:], plain[1:])
    assert found[0] == escrowed.price(*market[:6], np.array([True]), table.take(np.array([0])))[0]
    spots = np.broadcast_to([95.0, 100.0], (4, 2))
    ladder = american.price_at_spots(spots, *market[1:], table)
    assert np.array_equal(ladder[:, 1], found)
    greeks = american.greeks(*market, table)
    assert greeks.price[1:] == pytest.approx(plain[1:], abs=1e-5)
    assert greeks.price[0] == pytest.approx(found[0], abs=1e-9)


@pytest.mark.filterwarnings("error")
def test_a_bad_element_is_nan_alone():
    bad = [np.nan, 0.0, -1.0, np.inf]
    good = american.price(100.0, 100.0, 0.5, 0.04, 0.02, 0.3, False)
    for place in range(6):
        columns = [np.full(len(bad) + 1, value) for value in (100.0, 100.0, 0.5, 0.04, 0.02, 0.3)]
        columns[place][:-1] = bad
        values = american.price(*columns, False)
        found = american.greeks(*columns, False)
        assert values[-1] == good
        if place in (3, 4):  # rates may be zero or negative
            assert np.isnan(values[[0, 3]]).all()
            assert np.isfinite(values[1:3]).all()
        else:
            assert np.isnan(values[:-1]).all()
            assert all(np.isnan(column[:-1]).all() for column in found)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("vol", [1e-6, 1e-4, 0.003, 20.0])
def test_extreme_volatility_is_answered(vol):
    spot = np.array([50.0, 99.0, 100.0, 101.0, 200.0])
    for call in (False, True):
        values = american.price(spot, 100.0, 0.5, 0.05, 0.03, vol, call)
        assert (values >= exercise(spot, 100.0, call)).all()
        assert (values <= np.where(call, spot, 100.0)).all()


def test_no_price_is_negative_however_far_rates_carry():
    rng = np.random.default_rng(6)
    spot, years = np.exp(rng.normal(0.0, 0.4, 2_000)), rng.uniform(1.0, 30.0, 2_000)
    rate, dividend_yield = rng.uniform(0.0, 0.9, 2_000), rng.uniform(-0.3, 0.9, 2_000)
    vol, call = np.exp(rng.uniform(np.log(0.02), np.log(3.0), 2_000)), rng.random(2_000) < 0.5
    market = (spot, 1.0, years, rate, dividend_yield, vol, call)
    for values in (american.price(*market), american.greeks(*market).price):
        assert (values >= exercise(spot, 1.0, call)).all()


@pytest.mark.parametrize("vol", [1e-9, 1e-6, 1e-4])
def test_without_volatility_it_is_exercised_on_the_best_day(vol):
    rng = np.random.default_rng(1)
    spot, years = 100.0 * np.exp(rng.normal(0.0, 0.03, 1_000)), rng.uniform(0.001, 3.0, 1_000)
    rate, dividend_yield = rng.choice([0.001, 0.02, 0.05, 0.15], (2, 1_000))
    call = rng.random(1_000) < 0.5
    days = np.linspace(0.0, 1.0, 2_001)[:, np.newaxis] * years
    gains = np.where(call, 1.0, -1.0) * (spot * np.exp(-dividend_yield * days) - 100.0 * np.exp(-rate * days))
    best = np.maximum(gains.max(axis=0), 0.0)
    values = american.price(spot, 100.0, years, rate, dividend_yield, vol, call)
    assert (values >= best - 1e-5).all()
    assert (values <= best + 1e-5 + 0.5 * spot * vol * np.sqrt(years)).all()


def test_shapes():
    assert american.price([], 100.0, 0.5, 0.04, 0.02, 0.3, False).shape == (0,)
    assert american.greeks([], 100.0, 0.5, 0.04, 0.02, 0.3, False).rho.shape == (0,)
    assert american.price(100.0, 100.0, 0.5, 0.04, 0.02, 0.3, False).shape == ()
    assert american.price(np.full((3, 1), 100.0), np.full(4, 90.0), 0.5, 0.04, 0.02, 0.3, True).shape == (3, 4)
    with pytest.raises(BadInput, match="vol"):
        american.price(np.full(3, 100.0), 100.0, 0.5, 0.04, 0.02, [0.3, 0.2], False)
    with pytest.raises(BadInput, match="spots"):
        american.price_at_spots(100.0, 100.0, 0.5, 0.04, 0.02, 0.3, False)
    with pytest.raises(BadInput, match="dividends"):
        american.price(np.full(3, 100.0), 100.0, 0.5, 0.04, 0.02, 0.3, False, DividendTable.by_option([[], []]))


def test_quantlib_itself_where_installed():
    ql = pytest.importorskip("QuantLib")
    today, count = ql.Date(2, 1, 2026), ql.Actual365Fixed()
    ql.Settings.instance().evaluationDate = today
    for strike, days, vol, call in ((85.0, 60, 0.4, True), (110.0, 400, 0.25, False), (100.0, 20, 0.6, False)):
        process = ql.BlackScholesMertonProcess(
            ql.QuoteHandle(ql.SimpleQuote(100.0)),
            ql.YieldTermStructureHandle(ql.FlatForward(today, 0.03, count)),
            ql.YieldTermStructureHandle(ql.FlatForward(today, 0.05, count)),
            ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, ql.NullCalendar(), vol, count)),
        )
        payoff = ql.PlainVanillaPayoff(ql.Option.Call if call else ql.Option.Put, strike)
        option = ql.VanillaOption(payoff, ql.AmericanExercise(today, today + days))
        option.setPricingEngine(ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.accurateScheme()))
        ours = american.price(100.0, strike, days / 365, 0.05, 0.03, vol, call)
        assert ours == pytest.approx(option.NPV(), abs=3e-4)


def test_no_warning_from_anything_random():
    rng = np.random.default_rng(21)
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -1.0, 1e-300, 1e300, 1e-9, 0.01, 0.5, 1.0, 100.0])
    columns = [rng.choice(values, 3_000) for _ in range(6)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prices = american.price(*columns, rng.random(3_000) < 0.5)
        found = american.greeks(*columns, rng.random(3_000) < 0.5)
    assert (np.isnan(prices) | (prices >= 0.0)).all()
    assert found.price.shape == (3_000,)
