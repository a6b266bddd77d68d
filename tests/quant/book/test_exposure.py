"""Betas and portfolio Greeks: golden row, regressions by numpy, marks for what is assumed or unknown."""

import json

import numpy as np
import pytest

from qmterm.core.errors import BadInput
from qmterm.quant.book.exposure import betas, exposure
from tests import golden


def test_golden_beta_weighted_delta():
    (row,) = golden.rows("risk", what="beta_weighted_delta_spy_shares")
    given = json.loads(row["inputs"])
    columns = {key: [position[key] for position in given["positions"]] for key in given["positions"][0]}
    answer = exposure(
        quantity=columns["qty"],
        multiplier=columns["mult"],
        spot=columns["S"],
        delta=columns["delta"],
        beta=columns["beta"],
        market_spot=given["spy"],
    )
    golden.assert_close("risk", answer.total.beta_weighted_delta, row["value"])
    assert answer.unknown == ()


def walk(seed, days=400, beta=1.3):
    generator = np.random.default_rng(seed)
    market = generator.normal(0.0, 0.01, days)
    own = beta * market + generator.normal(0.0, 0.005, days)
    return 100 * np.exp(np.cumsum(own)), 500 * np.exp(np.cumsum(market))


def test_beta_is_covariance_over_variance_of_the_last_252_returns():
    own, market = walk(1)
    x, y = np.diff(np.log(market[-253:])), np.diff(np.log(own[-253:]))
    answer = betas(own, market)
    assert answer.beta == pytest.approx(np.cov(x, y)[0, 1] / np.var(x, ddof=1))
    assert answer.returns == 252
    assert not answer.assumed


def test_days_without_a_bar_are_left_out_on_both_sides():
    own, market = walk(2)
    own[[-10, -50]] = np.nan
    market[-100] = np.nan
    x, y = np.diff(np.log(market[-253:])), np.diff(np.log(own[-253:]))
    joint = np.isfinite(x) & np.isfinite(y)
    answer = betas(np.stack([own, own]), market)
    assert answer.returns.tolist() == [252 - 6] * 2
    assert answer.beta == pytest.approx(np.polyfit(x[joint], y[joint], 1)[0])


def test_too_few_returns_are_a_beta_of_one_and_marked():
    own, market = walk(3)
    own[: 400 - 60] = np.nan
    assert betas(own, market) == (1.0, 59, True)
    own, market = walk(3)
    own[: 400 - 61] = np.nan
    assert not betas(own, market).assumed
    assert betas(own, np.full(400, 500.0)) == (1.0, 60, True)
    assert betas(np.full(400, -1.0), market).assumed


def test_a_market_that_only_moves_by_rounding_has_no_betas():
    own, _ = walk(3)
    assert betas(own, 100 * 1.0003 ** np.arange(400)) == (1.0, 252, True)


def test_a_window_without_returns_is_refused():
    with pytest.raises(BadInput, match="window"):
        betas(*walk(3), window=0)


def test_histories_of_other_lengths_are_refused():
    with pytest.raises(BadInput, match="same days"):
        betas(np.ones(10), np.ones(11))


def test_every_measure_in_its_unit():
    answer = exposure(
        quantity=[2, -100],
        multiplier=[100, 1],
        spot=[50.0, 200.0],
        delta=[0.4, 1.0],
        gamma=[0.05, 0.0],
        theta=[-0.03, 0.0],
        vega=[0.08, 0.0],
        beta=[1.5, 0.5],
        days_to_expiry=[120, np.nan],
        market_spot=500.0,
    )
    # Stock has no expiry and no vega to weight.
    assert answer.unknown == ()
    rows = answer.per_position
    assert rows.beta_weighted_delta.tolist() == pytest.approx([0.4 * 200 * 1.5 * 50 / 500, -100 * 0.5 * 200 / 500])
    assert rows.dollar_delta[0] == pytest.approx(0.4 * 200 * 50)
    assert rows.gamma_1pct[0] == pytest.approx(0.05 * 200 * 50 * 50 / 100)
    assert rows.theta[0] == pytest.approx(-6.0)
    assert rows.vega[0] == pytest.approx(16.0)
    assert rows.weighted_vega[0] == pytest.approx(16.0 * 0.5)


def test_a_position_without_a_delta_makes_the_total_unknown_and_is_named():
    answer = exposure(
        quantity=[1, 1], multiplier=100, spot=50.0, delta=[0.4, np.nan], vega=[0.1, 0.1], market_spot=500.0
    )
    assert answer.unknown == (1,)
    assert np.isnan(answer.total.dollar_delta)
    assert answer.total.vega == pytest.approx(20.0)
    assert answer.known.dollar_delta == pytest.approx(2000.0)
    assert answer.known.vega == pytest.approx(10.0)


def test_without_the_market_only_the_beta_weighted_delta_is_unknown():
    answer = exposure(quantity=[1, 1], multiplier=1, spot=50.0, delta=[1.0, np.nan], market_spot=np.nan)
    assert np.isnan(answer.total.beta_weighted_delta)
    assert np.isnan(answer.known.beta_weighted_delta)
    assert answer.known.dollar_delta == 50.0
    assert answer.unknown == (1,)


def test_on_the_last_day_vega_is_weighted_as_with_one_day_left():
    both = exposure(
        quantity=1, multiplier=1, spot=50.0, delta=0.5, vega=0.1, days_to_expiry=[0, 1], market_spot=500.0
    ).per_position.weighted_vega
    assert both.tolist() == pytest.approx([0.1 * np.sqrt(30)] * 2)


def test_nothing_held_is_exposed_to_nothing():
    answer = exposure(quantity=[], multiplier=[], spot=[], delta=[], market_spot=500.0)
    assert [float(value) for value in answer.total] == [0.0] * 6
