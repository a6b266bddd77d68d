"""VaR and ES: golden rows, monotone in the level, ES beyond VaR, joint days only, and refusals with a reason."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from qmterm.core.errors import BadInput
from qmterm.core.reasons import Reason
from qmterm.quant.book.positions import positions
from qmterm.quant.book.value_at_risk import (
    cornish_fisher,
    cornish_fisher_many,
    delta_normal,
    historical,
    historical_pnl,
)
from qmterm.quant.options import black_scholes
from tests import golden

LEVELS = [0.8, 0.9, 0.95, 0.975, 0.99, 0.995]


@pytest.mark.parametrize("row", golden.rows("risk", what="var_hist") + golden.rows("risk", what="es_hist"))
def test_golden_historical(row):
    g = json.loads(row["inputs"])
    i = np.arange(g["n"])
    answer = historical(g["A"] * np.sin(i * g["B"]) + g["C"] * np.cos(1.3 * i) - 20, g["alpha"])
    golden.assert_close("risk", answer.var if row["what"] == "var_hist" else answer.es, row["value"], row["what"])


@pytest.mark.parametrize("what", ["var_delta_normal", "es_delta_normal", "var_delta_gamma_cf"])
def test_golden_parametric(what):
    for row in golden.rows("risk", what=what):
        g = json.loads(row["inputs"])
        if what == "var_delta_gamma_cf":
            ours = cornish_fisher(
                g["delta_dollars"], g["gamma_dollars"], g["theta_day"], g["sigma_day"], g["alpha"]
            ).var
        else:
            answer = delta_normal(g["delta_dollars"], g["theta_day"], g["sigma_day"], g["alpha"])
            ours = answer.var if what == "var_delta_normal" else answer.es
        golden.assert_close("risk", ours, row["value"], what)


@given(pnl=arrays.arrays(np.float64, st.integers(100, 700), elements=st.floats(-1e6, 1e6)))
def test_historical_losses_grow_with_the_level_and_the_shortfall_is_beyond(pnl):
    answers = [historical(pnl, level) for level in LEVELS]
    assert (np.diff([answer.var for answer in answers]) >= 0.0).all()
    assert (np.diff([answer.es for answer in answers]) >= -1e-6).all()
    assert all(answer.es >= answer.var - 1e-6 for answer in answers)
    # As many days as the tail holds lose at least the VaR.
    assert (-pnl >= answers[-2].var).sum() >= np.ceil(0.01 * pnl.size - 1e-9)


def test_the_tail_holds_whole_days_of_a_round_number():
    losses = np.arange(1.0, 501.0)
    assert historical(-losses, 0.99)[:2] == (496.0, 498.0)
    assert historical(-losses, 0.95).var == 476.0


def test_too_few_or_unknown_days_have_no_answer():
    assert historical(np.zeros(99), 0.99) == (None, None, Reason.NO_HISTORY)
    assert historical([], 0.99).reason is Reason.NO_HISTORY
    assert historical(np.append(np.zeros(200), np.nan), 0.99) == (None, None, Reason.NO_DATA)
    with pytest.raises(BadInput, match="alpha"):
        historical(np.zeros(500), 1.0)


@given(
    delta=st.floats(-1e6, 1e6), theta=st.floats(-1e4, 1e4), deviation=st.floats(0.0, 0.2), level=st.floats(0.51, 0.999)
)
def test_delta_normal_is_the_quantile_of_a_normal_loss(delta, theta, deviation, level):
    answer, further = delta_normal(delta, theta, deviation, level), delta_normal(delta, theta, deviation, 0.9995)
    assert answer.es >= answer.var - 1e-6
    assert further.var >= answer.var - 1e-6


def test_without_gamma_cornish_fisher_is_delta_normal():
    one, other = cornish_fisher(5e4, 0.0, 120.0, 0.012, 0.99), delta_normal(5e4, 120.0, 0.012, 0.99)
    assert (one.var, one.es) == pytest.approx((other.var, other.es))
    assert (one.skew, one.excess_kurtosis, one.historical_only) == (0.0, 0.0, False)


def test_cornish_fisher_moments_are_those_of_simulated_days():
    g = np.random.default_rng(5)
    spread = g.normal(size=(3, 3))
    covariance = spread @ spread.T * 1e-4
    delta, gamma = np.array([4e4, -2e4, 1e4]), np.diag([-3e5, 2e5, -1e5]) + 2e4
    answer = cornish_fisher_many(delta, gamma, 50.0, covariance, 0.99)
    moves = g.multivariate_normal(np.zeros(3), covariance, 400_000)
    pnl = 50.0 + moves @ delta + 0.5 * np.einsum("ij,jk,ik->i", moves, gamma, moves)
    assert answer.mean == pytest.approx(pnl.mean(), abs=4 * pnl.std() / 630)
    assert answer.deviation == pytest.approx(pnl.std(), rel=0.01)
    z = (pnl - pnl.mean()) / pnl.std()
    assert answer.skew == pytest.approx((z**3).mean(), abs=0.05)
    assert answer.excess_kurtosis == pytest.approx((z**4).mean() - 3, abs=0.2)
    measured = historical(pnl, 0.99)
    assert not answer.historical_only
    assert answer.var == pytest.approx(measured.var, rel=0.03)
    assert answer.es == pytest.approx(measured.es, rel=0.04)


def test_underlyings_that_move_as_one_are_one():
    one = cornish_fisher(3e4, -2e5, 10.0, 0.02, 0.95)
    together = np.full((2, 2), 4e-4)
    split = cornish_fisher_many([1e4, 2e4], [[-1.5e5, 0.0], [0.0, -0.5e5]], 10.0, together, 0.95)
    assert (split.var, split.es, split.skew) == pytest.approx((one.var, one.es, one.skew))


def test_a_skew_beyond_one_is_for_historical_only():
    assert cornish_fisher(0.0, -5e5, 100.0, 0.02, 0.99).historical_only
    assert abs(cornish_fisher(0.0, -5e5, 100.0, 0.02, 0.99).skew) > 1.0


@given(
    delta=st.floats(-1e5, 1e5),
    gamma=st.floats(-1e7, 1e7),
    deviation=st.floats(0.0, 0.05),
    level=st.sampled_from(LEVELS),
)
def test_cornish_fisher_shortfall_is_beyond_its_loss_unless_flagged(delta, gamma, deviation, level):
    answer = cornish_fisher(delta, gamma, 0.0, deviation, level)
    assert answer.historical_only or answer.es >= answer.var - 1e-9


def test_numbers_that_are_none_give_none_and_shapes_are_named():
    assert delta_normal(np.nan, 0.0, 0.01, 0.99).reason is Reason.BAD_INPUT
    assert delta_normal(1.0, 0.0, -0.01, 0.99).reason is Reason.BAD_INPUT
    answer = cornish_fisher(np.nan, 0.0, 0.0, 0.01, 0.99)
    assert answer.historical_only
    assert np.isnan(answer.var)
    with pytest.raises(BadInput, match="covariance"):
        cornish_fisher_many([1.0, 2.0], np.eye(2), 0.0, np.eye(3), 0.99)
    assert cornish_fisher(0.0, 0.0, 5.0, 0.01, 0.99).var == -5.0


def returns_of(days=600, names=2):
    return np.random.default_rng(8).normal(0.0, 0.015, (days, names))


BOOK = positions(
    quantity=[-2, 100, 3],
    spot=[100.0, 50.0, 100.0],
    strike=[95.0, np.nan, 110.0],
    years=[0.1, np.nan, 0.3],
    vol=[0.3, np.nan, 0.28],
    is_call=[False, True, True],
    is_stock=[False, True, False],
    rate=0.04,
)
COLUMN = [0, 1, 0]


def test_every_day_is_a_full_revaluation():
    returns = returns_of()
    answer = historical_pnl(BOOK, returns, COLUMN)
    assert answer.total.size == 500
    last = 1 + returns[-1]
    put = black_scholes.price([100.0 * last[0], 100.0], 95.0, 0.1, 0.04, 0.0, 0.3, False)
    call = black_scholes.price([100.0 * last[0], 100.0], 110.0, 0.3, 0.04, 0.0, 0.28, True)
    expected = -200 * (put[0] - put[1]) + 100 * 50 * returns[-1, 1] + 300 * (call[0] - call[1])
    assert answer.total[-1] == pytest.approx(expected)
    assert historical(answer.total, 0.99).var > 0.0


def test_only_days_on_which_all_held_underlyings_moved_count():
    returns = np.column_stack((returns_of(), np.full(600, np.nan)))
    returns[[5, 7], 0] = np.nan
    returns[7:10, 1] = np.nan
    assert historical_pnl(BOOK, returns, COLUMN, window=1000).total.size == 600 - 4


def test_a_position_without_a_value_makes_every_day_unknown_and_is_named():
    book = positions(quantity=1, spot=[100.0, 100.0], strike=95.0, years=0.1, vol=[0.3, np.nan])
    answer = historical_pnl(book, returns_of(), [0, 1])
    assert answer.unknown == ((1, Reason.NO_DATA),)
    assert historical(answer.total, 0.95).reason is Reason.NO_DATA
    assert np.isfinite(answer.known_total).all()


def test_columns_must_fit():
    for column in ([0, 1], [0, 1, 2], [0, -1, 0], [0.0, 1.0, 0.0]):
        with pytest.raises(BadInput, match="column"):
            historical_pnl(BOOK, returns_of(), column)
    with pytest.raises(BadInput, match="returns"):
        historical_pnl(BOOK, returns_of()[:, 0], COLUMN)


def test_a_window_without_days_is_refused():
    book = positions(quantity=1.0, spot=100.0, is_stock=True)
    for window in (0, -1):
        with pytest.raises(BadInput, match="window"):
            historical_pnl(book, np.full((10, 1), 0.01), [0], window=window)
