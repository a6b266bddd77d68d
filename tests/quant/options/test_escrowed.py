"""American options with cash dividends: golden rows, a finer method's values, and what must hold for any of them."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmterm.quant.options import american, black_scholes, escrowed, escrowed_bounds, escrowed_work
from qmterm.quant.options.dividends import DividendTable
from tests import golden

REFERENCE = Path(__file__).parent / "escrowed_reference.csv"


def in_years(schedule):
    return [(day / 365, cash) for day, cash in schedule]


def reference():
    """Columns of the reference file, whose first line says how it was made."""
    rows = list(csv.DictReader(REFERENCE.read_text(encoding="utf-8").splitlines()[1:]))
    column = {key: np.array([float(row[key]) for row in rows]) for key in ("K", "days", "r", "q", "sigma", "price")}
    table = DividendTable.by_option([in_years(json.loads(row["dividends"])) for row in rows])
    return column, np.array([row["cp"] == "C" for row in rows]), table


def test_golden_prices():
    for row in golden.rows("american_dividends"):
        table = DividendTable.shared(in_years(json.loads(row["dividends"])))
        spot, strike, years = float(row["S"]), float(row["K"]), float(row["days"]) / 365
        rate, vol, call = float(row["r"]), float(row["sigma"]), row["cp"] == "C"
        ours = escrowed.price(spot, strike, years, rate, 0.0, vol, call, table)
        golden.assert_close("american_dividends", ours, row["price_escrowed"], f"row {row['id']}")
        european = black_scholes.price(spot - table.present_value(rate, years), strike, years, rate, 0.0, vol, call)
        golden.assert_close("american_dividends", european, row["european_escrowed"], f"row {row['id']}, European")


def test_prices_are_those_of_a_fine_finite_difference_grid():
    column, calls, table = reference()
    ours = escrowed.price(
        100.0, column["K"], column["days"] / 365, column["r"], column["q"], column["sigma"], calls, table
    )
    error = ours - column["price"]
    assert np.sqrt(np.mean(error**2)) < 0.001
    assert np.abs(error).max() < 0.006


def test_without_dividends_it_is_the_plain_american_option():
    for row in golden.rows("american"):
        strike, years, rate = float(row["K"]), float(row["T"]), float(row["r"])
        found = escrowed.greeks(
            float(row["S"]), strike, years, rate, float(row["q"]), float(row["sigma"]), row["cp"] == "C",
            DividendTable.none(),
        )  # fmt: skip
        assert found.price == pytest.approx(float(row["price"]), abs=0.012), row["id"]
        assert found.delta == pytest.approx(float(row["delta"]), abs=5e-3), row["id"]
        theta = float(row["theta_day"] or "nan")
        assert found.theta == pytest.approx(theta, abs=1e-3, nan_ok=True), row["id"]
        assert found.vega == pytest.approx(float(row["vega_pt"]), abs=5e-3), row["id"]
        assert found.rho == pytest.approx(float(row["rho_pct"]), abs=0.01), row["id"]


def test_a_put_without_dividends_is_the_one_the_boundary_method_knows():
    rng = np.random.default_rng(5)
    n = 800
    strike, years = rng.uniform(80.0, 140.0, n), np.exp(rng.uniform(np.log(0.01), np.log(3.0), n))
    rate, vol = rng.uniform(0.002, 0.12, n), np.exp(rng.uniform(np.log(0.08), np.log(1.5), n))
    terms = (100.0, strike, years, rate, 0.0, vol, False)
    ours, theirs = escrowed.greeks(*terms, DividendTable.none()), american.greeks(*terms)
    most = {"price": 6e-4, "delta": 6e-4, "gamma": 6e-3, "theta": 6e-4, "vega": 1.5e-3, "rho": 6e-3}
    for name, limit in most.items():
        difference = getattr(ours, name) - getattr(theirs, name)
        assert np.sqrt(np.nanmean(difference**2)) < limit, name
    assert np.abs(ours.price - theirs.price).max() < 0.01


def by_the_general_method(terms, calls, table):
    """What options that have a quicker method get from lattice and quadrature."""
    inputs = np.array([*terms, np.zeros(calls.size)])
    out, status = np.empty((escrowed_bounds.OUTPUTS, calls.size)), np.empty(calls.size, dtype=np.int8)
    escrowed_work.work.compiled(
        0, calls.size, escrowed_bounds.GREEKS, inputs, calls, table.times, table.amounts, out, status
    )
    assert (status == 0).all()
    return escrowed.EscrowedGreeks(out[escrowed_bounds.OUT_PRICE], *out[escrowed_bounds.OUT_DELTA :])


@pytest.mark.parametrize(
    ("call", "most"),
    [
        # Quadrature from date to date, and a lattice that errs by a cent.
        (True, {"price": 1e-5, "delta": 2e-5, "gamma": 3e-5, "theta": 1e-5, "vega": 1e-3, "rho": 2e-3}),
        (False, {"price": 0.02, "delta": 0.012, "gamma": 0.012, "theta": 3e-3, "vega": 0.02, "rho": 0.06}),
    ],
)
def test_the_quick_methods_find_what_the_general_ones_do(call, most):
    rng = np.random.default_rng(9)
    n = 120
    strike, years = rng.uniform(80.0, 120.0, n), rng.uniform(0.06, 1.2, n)
    calls = np.full(n, call)
    schedules = [[(0.05 + 0.25 * k, cash) for k in range(5)] for cash in rng.uniform(0.1, 0.7, n)]
    table = DividendTable.by_option(schedules)
    terms = (np.full(n, 100.0), strike, years, np.full(n, 0.04), np.zeros(n), rng.uniform(0.12, 0.7, n))
    quick = escrowed.greeks(*terms, calls, table)
    general = by_the_general_method(terms, calls, table)
    for name, limit in most.items():
        assert getattr(quick, name) == pytest.approx(getattr(general, name), abs=limit, nan_ok=True), name


def test_windows_of_hours_do_not_lose_the_boundary():
    # Exercise pays for ln(1 + 0.5/K)/r years less than the time to the first ex-date: hours, or not at all.
    strike = np.linspace(90.0, 130.0, 9)
    closed = np.log1p(0.5 / strike) / 0.04
    found = []
    for hours in (-24.0, 0.01, 1.0, 6.0, 20.0, 40.0):
        first = closed + hours / 24.0 / 365.0
        table = DividendTable.by_option([[(when, 0.5), (when + 0.25, 0.5)] for when in first])
        found.append(np.array(escrowed.greeks(100.0, strike, first + 0.4, 0.04, 0.0, 0.25, False, table)))
    steps = np.abs(np.diff(found, axis=0))
    assert np.isfinite(steps).all()
    assert steps[:, 0].max() < 0.03  # price: most of it for the day later that everything is
    assert steps[:, 1:].max() < 0.03


def test_greeks_are_the_differences_of_prices():
    rng = np.random.default_rng(8)
    n = 60
    strike, years = rng.uniform(85, 115, n), rng.uniform(0.05, 1.5, n)
    vol, calls = rng.uniform(0.15, 0.6, n), rng.random(n) < 0.5
    schedule = [(0.04, 0.6), (0.29, 0.6), (0.54, 0.6), (0.79, 0.6)]
    table = DividendTable.shared(schedule)
    found = escrowed.greeks(100.0, strike, years, 0.04, 0.0, vol, calls, table)

    def value(spot=100.0, rate=0.04, more_vol=0.0, days=0.0):
        nearer = DividendTable.shared([(when - days / 365, cash) for when, cash in schedule])
        return escrowed.price(spot, strike, years - days / 365, rate, 0.0, vol + more_vol, calls, nearer)

    assert np.array_equal(found.price, value())
    assert np.abs(found.delta - (value(spot=101.0) - value(spot=99.0)) / 2.0).max() < 0.02
    assert np.abs(found.gamma - (value(spot=103.0) - 2.0 * value() + value(spot=97.0)) / 9.0).max() < 0.02
    assert np.abs(found.vega - (value(more_vol=0.01) - value(more_vol=-0.01)) / 2.0).max() < 0.01
    assert np.abs(found.rho - (value(rate=0.05) - value(rate=0.03)) / 2.0).max() < 0.03
    assert np.abs(found.theta - (value(days=1.0) - value())).max() < 0.006


def test_theta_is_unknown_on_the_last_day_only():
    table = DividendTable.shared([(0.5 / 365, 0.5)])
    found = escrowed.greeks(100.0, 100.0, np.array([0.9, 1.0, 1.1]) / 365, 0.04, 0.0, 0.3, True, table)
    assert np.isnan(found.theta).tolist() == [True, True, False]
    assert np.isfinite(np.array([found.price, found.delta, found.gamma, found.vega, found.rho])).all()


def test_theta_does_not_jump_when_an_ex_date_is_a_day_away():
    for calls in (True, False):
        for strike in (85.0, 100.0, 115.0):
            near = [
                escrowed.greeks(
                    100.0, strike, 0.25, 0.04, 0.0, 0.3, calls, DividendTable.shared([(days / 365, 1.0)])
                ).theta
                for days in (0.98, 1.02)
            ]
            assert near[0] == pytest.approx(near[1], abs=0.004)


def test_calls_whose_dividends_do_not_pay_for_the_interest_are_european_exactly():
    # 0.20 a quarter against a strike of 100 at 4 %: the interest is worth a dollar.
    table = DividendTable.shared([(0.1, 0.2), (0.35, 0.2), (0.6, 0.2)])
    strike = np.linspace(70.0, 130.0, 13)
    for years in (0.3, 0.55, 0.85):
        ours = escrowed.price(100.0, strike, years, 0.04, 0.0, 0.3, True, table)
        forward = 100.0 - table.present_value(0.04, years)
        assert ours == pytest.approx(black_scholes.price(forward, strike, years, 0.04, 0.0, 0.3, True), abs=1e-11)


def test_past_and_later_and_empty_dividends_change_nothing():
    strike, calls = np.repeat([80.0, 100.0, 120.0], 2), np.tile([True, False], 3)
    some = [(0.1, 0.7), (0.35, 0.7)]
    plain = escrowed.greeks(100.0, strike, 0.5, 0.04, 0.01, 0.3, calls, DividendTable.shared(some))
    padded = [(-0.2, 0.7), (0.0, 0.7), *some, (0.2, 0.0), (0.501, 5.0), (3.0, 5.0)]
    assert np.array_equal(
        np.array(plain),
        np.array(escrowed.greeks(100.0, strike, 0.5, 0.04, 0.01, 0.3, calls, DividendTable.shared(padded))),
    )


def test_two_dividends_of_one_day_are_one():
    strike, calls = np.repeat([80.0, 100.0, 120.0], 2), np.tile([True, False], 3)
    one, two = DividendTable.shared([(0.2, 1.5)]), DividendTable.shared([(0.2, 1.0), (0.2, 0.5)])
    assert escrowed.price(100.0, strike, 0.5, 0.04, 0.0, 0.3, calls, two) == pytest.approx(
        escrowed.price(100.0, strike, 0.5, 0.04, 0.0, 0.3, calls, one), abs=1e-9
    )


def test_a_dividend_at_expiry_is_the_limit_of_one_just_before():
    strike, calls = np.repeat([85.0, 100.0, 115.0], 2), np.tile([True, False], 3)
    at = escrowed.price(100.0, strike, 0.25, 0.04, 0.0, 0.3, calls, DividendTable.shared([(0.25, 1.0)]))
    before = escrowed.price(100.0, strike, 0.25, 0.04, 0.0, 0.3, calls, DividendTable.shared([(0.2499, 1.0)]))
    assert at == pytest.approx(before, abs=0.01)


def test_monthly_payers_of_long_options_are_answered():
    table = DividendTable.shared([(0.02 + month / 12, 0.3) for month in range(36)])
    found = escrowed.greeks(100.0, [80.0, 100.0, 120.0], 2.9, 0.04, 0.0, 0.25, False, table)
    european = black_scholes.price(
        100.0 - table.present_value(0.04, 2.9), [80.0, 100.0, 120.0], 2.9, 0.04, 0.0, 0.25, False
    )
    assert (found.price > european).all()
    assert (found.price < european + 1.5).all()


def test_rows_of_dividends_belong_to_their_options_and_shapes_are_kept():
    strike = np.array([[90.0, 100.0], [105.0, 110.0]])
    schedules = [[(0.1, 0.5)], [], [(0.1, 2.0), (0.3, 2.0)], [(0.2, 1.0)]]
    together = escrowed.price(100.0, strike, 0.5, 0.04, 0.0, 0.3, False, DividendTable.by_option(schedules))
    assert together.shape == (2, 2)
    alone = [
        escrowed.price(100.0, k, 0.5, 0.04, 0.0, 0.3, False, DividendTable.shared(schedule))
        for k, schedule in zip(strike.reshape(-1), schedules, strict=True)
    ]
    assert together.reshape(-1) == pytest.approx(np.array(alone), abs=1e-9)
    assert escrowed.price([], 100.0, 0.5, 0.04, 0.0, 0.3, False, DividendTable.none()).shape == (0,)


@st.composite
def options(draw):
    count = draw(st.integers(0, 6))
    first = draw(st.floats(0.002, 0.3))
    gap = draw(st.sampled_from([1 / 12, 0.25, 0.5]))
    cash = draw(st.floats(0.01, 3.0))
    return {
        "strike": draw(st.floats(50.0, 180.0)),
        "years": draw(st.floats(0.004, 2.5)),
        "rate": draw(st.floats(-0.02, 0.1)),
        "dividend_yield": draw(st.sampled_from([0.0, 0.0, 0.02])),
        "vol": draw(st.floats(0.05, 2.0)),
        "is_call": draw(st.booleans()),
        "dividends": DividendTable.shared([(first + gap * number, cash) for number in range(count)]),
    }


@given(options())
@settings(max_examples=60)
def test_american_is_worth_at_least_european_and_exercise_and_at_most_the_share_or_the_strike(option):
    value = float(escrowed.price(100.0, **option))
    call, strike = option["is_call"], option["strike"]
    european = dict(option)
    forward = 100.0 - european.pop("dividends").present_value(option["rate"], option["years"])
    assert value >= float(black_scholes.price(forward, **european)) - 1e-9
    assert value >= (100.0 - strike if call else strike - 100.0)
    most = 100.0 if call else strike
    assert value <= most * np.exp(max(0.0, -option["rate"]) * option["years"])


@given(options())
@settings(max_examples=60)
def test_prices_follow_spot_strike_and_volatility(option):
    noise = 0.02  # the lattice's own error, both ends
    base = float(escrowed.price(100.0, **option))
    sign = 1.0 if option["is_call"] else -1.0
    by_spot = sign * (float(escrowed.price(101.0, **option)) - base)
    assert -noise <= by_spot <= 1.0 + noise
    by_strike = sign * (base - float(escrowed.price(100.0, **(option | {"strike": option["strike"] + 1.0}))))
    assert -noise <= by_strike <= 1.0 + noise
    by_vol = float(escrowed.price(100.0, **(option | {"vol": option["vol"] + 0.05}))) - base
    assert by_vol >= -noise
