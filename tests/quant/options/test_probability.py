"""First-passage probabilities equal the golden rows, sum to one and agree with simulated paths."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.quant.options.probability import first_passage, pop
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
