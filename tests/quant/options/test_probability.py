"""Probabilities of a price and its path: golden rows, sums to one, simulated paths, extremes and nonsense."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.quant.kernel import SMALL
from qmterm.quant.options import black_scholes
from qmterm.quant.options.probability import (
    first_passage,
    pop,
    probability_above,
    probability_below,
    touch,
)
from tests import golden


@pytest.mark.parametrize("row", golden.rows("option_choice"), ids=lambda row: row["risk_reward"][:5])
def test_golden_rows(row):
    given_ = json.loads(row["inputs"])
    answer = first_passage(given_["S"], given_["target"], given_["stop"], given_["hv"], given_["H"] / 365, given_["mu"])
    for name in answer._fields:
        golden.assert_close("option_choice", getattr(answer, name), row[name], name)
    profit = pop(given_["S"], float(row["breakeven"]), given_["T"], given_["r"], 0.0, given_["iv"], True)
    golden.assert_close("option_choice", profit, row["pop_expiry"], "pop_expiry")


@given(
    up=st.floats(1.001, 3.0),
    down=st.floats(0.3, 0.999),
    vol=st.floats(0.01, 2.0),
    years=st.floats(0.0, 3.0),
    mu=st.floats(-2.0, 2.0),
)
def test_probabilities_sum_to_one(up, down, vol, years, mu):
    parts = first_passage(100.0, 100 * up, 100 * down, vol, years, mu)
    assert sum(parts) == pytest.approx(1.0, abs=1e-12)
    assert all(0.0 <= part <= 1.0 for part in parts)


@given(up=st.floats(1.02, 2.0), down=st.floats(0.5, 0.98), vol=st.floats(0.05, 1.5), mu=st.floats(-1.0, 1.0))
def test_more_time_touches_more(up, down, vol, mu):
    parts = first_passage(100.0, 100 * up, 100 * down, vol, np.array([0.01, 0.05, 0.3, 2.0]), mu)
    assert (np.diff(parts.p_neither) <= 1e-9).all()
    assert (np.diff(parts.p_target) >= -1e-9).all()
    assert (np.diff(parts.p_stop) >= -1e-9).all()


def sine_series(spot, target, stop, vol, years, mu):
    """p_target and p_stop as QUANT.md 1.5 writes them."""
    b, a = np.log(target / spot), np.log(stop / spot)
    nu, width = mu - vol * vol / 2, b - a
    n = np.arange(1, 201)
    decay = nu**2 / (2 * vol**2) + (n * np.pi * vol / width) ** 2 / 2
    terms = n * np.sin(n * np.pi * -a / width) * np.exp(-decay * years) / decay
    ever = (1 - np.exp(2 * nu * a / vol**2)) / (1 - np.exp(-2 * nu * width / vol**2))
    factor = vol**2 * np.pi / width**2
    up = ever - factor * np.exp(nu * b / vol**2) * np.sum((-1.0) ** (n + 1) * terms)
    return up, 1 - ever - factor * np.exp(nu * a / vol**2) * np.sum(terms)


@given(
    up=st.floats(1.03, 1.6),
    down=st.floats(0.6, 0.97),
    vol=st.floats(0.2, 1.2),
    days=st.floats(2, 400),
    mu=st.floats(-0.2, 0.2),
)
def test_equals_the_sine_series_of_the_specification(up, down, vol, days, mu):
    answer = first_passage(100.0, 100 * up, 100 * down, vol, days / 365, mu)
    expected = sine_series(100.0, 100 * up, 100 * down, vol, days / 365, mu)
    assert (answer.p_target, answer.p_stop) == pytest.approx(expected, abs=1e-9)


def test_agrees_with_simulated_paths():
    generator = np.random.default_rng(9)
    steps, paths, years, vol, mu = 4000, 4000, 0.2, 0.4, 0.3
    drift, jump = (mu - vol * vol / 2) * years / steps, vol * np.sqrt(years / steps)
    walk = np.cumsum(generator.normal(drift, jump, (paths, steps)).astype(np.float32), axis=1)
    # Broadie, Glasserman and Kou: a barrier watched at steps acts like one 0.5826 step further away.
    shift = 0.5826 * jump
    hit_up = walk >= np.log(1.15) - shift
    hit_down = walk <= np.log(0.92) + shift
    first_up = np.where(hit_up.any(axis=1), hit_up.argmax(axis=1), steps)
    first_down = np.where(hit_down.any(axis=1), hit_down.argmax(axis=1), steps)
    answer = first_passage(100.0, 115.0, 92.0, vol, years, mu)
    assert answer.p_target == pytest.approx((first_up < first_down).mean(), abs=0.025)
    assert answer.p_stop == pytest.approx((first_down < first_up).mean(), abs=0.025)


def test_a_short_trade_is_the_same_with_the_barriers_exchanged():
    long = first_passage(100.0, 110.0, 95.0, 0.3, 0.1, 0.05)
    short = first_passage(100.0, 95.0, 110.0, 0.3, 0.1, 0.05)
    assert (short.p_target, short.p_stop) == (long.p_stop, long.p_target)


def test_a_barrier_already_passed_is_touched_and_no_time_touches_nothing():
    assert first_passage(111.0, 110.0, 95.0, 0.3, 0.1) == (1.0, 0.0, 0.0)
    assert first_passage(95.0, 110.0, 95.0, 0.3, 0.1) == (0.0, 1.0, 0.0)
    assert first_passage(100.0, 110.0, 95.0, 0.3, 0.0) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("vol", [1e-4, 1e-3])
def test_far_barriers_in_a_short_time_are_not_touched(vol):
    answer = first_passage(100.0, 130.0, 80.0, vol, 1 / 365)
    assert answer.p_neither == pytest.approx(1.0, abs=1e-9)


def test_a_strong_drift_does_not_overflow():
    assert first_passage(100.0, 110.0, 90.0, 0.02, 1.0, 2.0).p_target == pytest.approx(1.0)
    assert first_passage(100.0, 110.0, 90.0, 0.02, 1.0, -2.0).p_stop == pytest.approx(1.0)


NONSENSE = (
    (np.nan, 110, 95, 0.3, 0.1),
    (100, 110, 95, 0.0, 0.1),
    (100, 110, 110, 0.3, 0.1),
    (100, 110, -1, 0.3, 0.1),
    (100, 110, 95, 0.3, -0.1),
    (100, np.inf, 95, 0.3, 1.0),
)


@pytest.mark.parametrize("arguments", NONSENSE)
def test_inputs_that_make_no_sense_are_nan(arguments):
    assert np.isnan(first_passage(*arguments)).all()


@pytest.mark.parametrize("row", golden.rows("surface", what="prob_above_with_skew"), ids=lambda row: row["value"][:6])
def test_golden_rows_with_skew(row):
    g = json.loads(row["inputs"])
    ours = probability_above(g["S"], g["K"], g["T"], g["r"] - g["q"], g["sigma"], g["dsigma_dK"])
    golden.assert_close("surface", ours, row["value"], "prob_above_with_skew")


@given(
    level=st.floats(1.0, 1000.0),
    years=st.floats(1e-4, 5.0),
    rate=st.floats(-0.05, 0.2),
    dividend_yield=st.floats(0.0, 0.1),
    vol=st.floats(0.01, 3.0),
)
def test_above_is_the_risk_neutral_chance_of_a_call_and_below_of_a_put(level, years, rate, dividend_yield, vol):
    drift = rate - dividend_yield
    above = probability_above(100.0, level, years, drift, vol)
    below = probability_below(100.0, level, years, drift, vol)
    assert above + below == 1.0
    for is_call, ours in ((True, above), (False, below)):
        expected = black_scholes.probability_in_the_money(100.0, level, years, rate, dividend_yield, vol, is_call)
        assert ours == pytest.approx(expected, abs=1e-13)


@given(vol=st.floats(0.01, 2.0), years=st.floats(0.0, 3.0), drift=st.floats(-1.0, 1.0))
def test_the_distribution_function_rises_from_zero_to_one(vol, years, drift):
    levels = np.concatenate(([0.0], np.geomspace(0.01, 1e5, 200), [np.inf]))
    below = probability_below(100.0, levels, years, drift, vol)
    assert (below[0], below[-1]) == (0.0, 1.0)
    assert (np.diff(below) >= 0.0).all()


def test_the_distribution_has_the_mean_it_is_told():
    levels = np.geomspace(1.0, 1e4, 200_001)
    below = probability_below(100.0, levels, 0.5, 0.1, 0.4)
    assert np.sum(np.diff(below) * 0.5 * (levels[1:] + levels[:-1])) == pytest.approx(100 * np.exp(0.05), rel=1e-6)


def test_no_time_left_is_certain():
    assert probability_above(100.0, [99.0, 101.0], 0.0, 0.3, 0.2).tolist() == [1.0, 0.0]


def test_a_slope_that_makes_no_distribution_has_no_probability_and_noise_is_cut():
    assert np.isnan(probability_above(100.0, 100.0, 0.25, 0.0, 0.3, [-0.1, 0.1])).all()
    assert probability_above(100.0, 75.0, 0.1, 0.0, 0.3, -0.02) == 1.0


@given(barrier=st.floats(20.0, 500.0), years=st.floats(1e-3, 3.0), drift=st.floats(-1.0, 1.0), vol=st.floats(0.05, 2.0))
def test_a_touch_is_likelier_than_ending_beyond_and_grows_with_time(barrier, years, drift, vol):
    touched = touch(100.0, barrier, years, drift, vol)
    ended = (probability_above if barrier > 100.0 else probability_below)(100.0, barrier, years, drift, vol)
    assert ended - 1e-12 <= touched <= 1.0
    assert touch(100.0, barrier, 2 * years, drift, vol) >= touched - 1e-12


@given(barrier=st.floats(101.0, 300.0), vol=st.floats(0.1, 1.5), drift=st.floats(-0.5, 0.5))
def test_a_touch_is_the_first_passage_with_the_other_barrier_out_of_reach(barrier, vol, drift):
    assert touch(100.0, barrier, 0.2, drift, vol) == pytest.approx(
        first_passage(100.0, barrier, 1e-4, vol, 0.2, drift).p_target, abs=1e-9
    )


def test_without_drift_of_the_log_price_a_touch_is_twice_as_likely_as_ending_beyond():
    vol = 0.3
    ended = probability_above(100.0, 115.0, 0.2, 0.5 * vol * vol, vol)
    assert touch(100.0, 115.0, 0.2, 0.5 * vol * vol, vol) == pytest.approx(2 * ended)


def test_touching_where_one_stands_is_certain_and_no_time_touches_nothing_else():
    assert touch(100.0, [100.0, 101.0, 99.0], 0.0, 0.0, 0.3).tolist() == [1.0, 0.0, 0.0]
    assert touch(100.0, 100.0, 0.1, 0.0, 0.3) == 1.0


@pytest.mark.parametrize("mu", [-0.5, 0.0, 0.045, 0.5])
def test_a_narrow_corridor_is_left_for_certain_by_the_nearer_side(mu):
    vol = 0.3
    nu = mu - vol * vol / 2
    for width in (0.15, 0.1, 1e-3, 1e-9):
        answer = first_passage(100.0, 100 * np.exp(width / 4), 100 * np.exp(-width * 3 / 4), vol, 2.0, mu)
        a = -2 * nu / vol**2
        share = np.expm1(a * width * 0.75) / np.expm1(a * width) if abs(a * width) > 1e-9 else 0.75
        assert answer.p_target == pytest.approx(share, abs=1e-6 if width < 1e-6 else 1e-10)
        assert sum(answer) == pytest.approx(1.0, abs=1e-12)


def test_compiled_and_plain_python_agree():
    generator = np.random.default_rng(4)
    size = 4 * SMALL
    spot, other = generator.uniform(50, 150, (2, size))
    years, drift, vol = (
        generator.uniform(0.0, 2.0, size),
        generator.normal(0, 0.3, size),
        generator.uniform(0.05, 1, size),
    )
    many = (
        touch(spot, other, years, drift, vol),
        probability_above(spot, other, years, drift, vol, 1e-4),
        first_passage(spot, other, 0.9 * other, vol, years, drift).p_target,
    )
    for i in range(0, size, 7):
        one = (
            touch(spot[i], other[i], years[i], drift[i], vol[i]),
            probability_above(spot[i], other[i], years[i], drift[i], vol[i], 1e-4),
            first_passage(spot[i], other[i], 0.9 * other[i], vol[i], years[i], drift[i]).p_target,
        )
        assert one == pytest.approx([array[i] for array in many], abs=1e-13, nan_ok=True)


@pytest.mark.parametrize(
    "arguments",
    [(np.nan, 1, 1, 0, 1), (0, 1, 1, 0, 1), (1, -1, 1, 0, 1), (1, 2, -1, 0, 1), (1, 2, 1, np.inf, 1), (1, 2, 1, 0, 0)],
)
def test_prices_and_paths_that_make_no_sense_are_nan(arguments, capfd, recwarn):
    assert np.isnan(probability_above(*arguments))
    assert np.isnan(touch(*arguments))
    assert not recwarn.list
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("vol", "years", "drift"), [(1e-200, 1.0, 0.0), (0.2, 1e300, 0.0), (0.2, 1.0, -1e300)])
def test_numbers_of_no_market_have_no_probability(vol, years, drift):
    assert np.isnan(touch(100.0, 110.0, years, drift, vol))
    assert np.isnan(probability_above(100.0, 110.0, years, drift, vol))
    assert np.isnan(first_passage(100.0, 110.0, 95.0, vol, years, drift)).all()


def test_hardly_any_volatility_follows_the_drift():
    chances = touch(100.0, 110.0, 1.0, [0.0, 0.09, 0.1, -0.1], 1e-9)
    assert chances == pytest.approx([0.0, 0.0, 1.0, 0.0], abs=1e-300)


def test_no_element_is_an_empty_answer():
    assert touch([], 100.0, 0.1, 0.0, 0.3).shape == (0,)
    assert probability_below([], 100.0, 0.1, 0.0, 0.3).shape == (0,)
