"""Measured volatilities, IV rank and 30-day IV equal the golden rows and what they are defined by."""

import json

import numpy as np
import pytest

from qmterm.core.errors import BadInput
from qmterm.quant.indicators.realised import close_to_close, parkinson, rogers_satchell, yang_zhang
from qmterm.quant.surface.iv_history import iv30, iv_percentile, iv_rank
from tests import golden

IV_HISTORY = 0.3 + 0.1 * np.sin(np.arange(252) / 23.0)


@pytest.mark.parametrize("row", golden.rows("volatility", measure="HV"), ids=lambda r: f"{r['n']}@{r['end_index']}")
def test_golden_measures(row):
    bars = golden.series(row["series"])
    n, end = int(row["n"]), int(row["end_index"])
    whole = (bars.open, bars.high, bars.low, bars.close)
    golden.assert_close("volatility", close_to_close(bars.close, n)[end], row["close_to_close"])
    golden.assert_close("volatility", parkinson(bars.high, bars.low, n)[end], row["parkinson"])
    golden.assert_close("volatility", yang_zhang(*whole, n)[end], row["yang_zhang"])
    golden.assert_close("volatility", rogers_satchell(*whole, n)[end], row["rogers_satchell"])


@pytest.mark.parametrize("row", golden.rows("volatility", measure="IV_RANK"), ids=lambda row: row["current"])
def test_golden_iv_rank_and_percentile(row):
    current = float(row["current"])
    golden.assert_close("volatility", iv_rank(current, IV_HISTORY), row["iv_rank"])
    golden.assert_close("volatility", iv_percentile(current, IV_HISTORY), row["iv_percentile"])


@pytest.mark.parametrize("row", golden.rows("surface", what="iv30"), ids=lambda row: row["value"])
def test_golden_iv30(row):
    given = json.loads(row["inputs"])
    answer = iv30([given["T2"], given["T1"]], [given["iv2"], given["iv1"]])  # any order
    assert answer.interpolated
    golden.assert_close("surface", answer.value, row["value"])


def test_iv30_of_one_side_is_taken_as_it_is_and_marked():
    assert iv30([0.2, 0.5], [0.3, 0.4]) == (0.3, False)
    assert iv30([0.02, 0.05], [0.3, 0.4]) == (0.4, False)
    assert iv30([30 / 365], [0.31]) == (0.31, True)
    assert iv30([0.05, 0.2], [np.nan, 0.3]) == (0.3, False)
    assert iv30([], []) is None
    assert iv30([0.1], [np.nan]) is None
    with pytest.raises(BadInput, match="2 expiries but 1"):
        iv30([0.1, 0.2], [0.3])


def test_rank_needs_observations_and_a_range():
    assert iv_rank(0.3, IV_HISTORY[:59]) is None
    assert iv_percentile(0.3, IV_HISTORY[:59]) is None
    assert iv_rank(0.3, IV_HISTORY[:60]) is not None
    assert iv_rank(0.3, np.full(100, 0.3)) is None
    assert iv_percentile(0.3, np.full(100, 0.3)) == 0.0
    assert iv_rank(np.nan, IV_HISTORY) is None
    gaps = IV_HISTORY.copy()
    gaps[:200] = np.nan
    assert iv_rank(0.3, gaps) is None


def test_rank_looks_back_252_closes_only():
    assert iv_rank(0.35, np.r_[5.0, IV_HISTORY]) == iv_rank(0.35, IV_HISTORY)


@pytest.mark.parametrize(
    ("measure", "bars_needed"),
    [
        (lambda b: close_to_close(b.close, 10), 11),
        (lambda b: parkinson(b.high, b.low, 10), 10),
        (lambda b: rogers_satchell(b.open, b.high, b.low, b.close, 10), 10),
        (lambda b: yang_zhang(b.open, b.high, b.low, b.close, 10), 11),
    ],
)
def test_measures_begin_when_they_have_their_bars(measure, bars_needed):
    bars = golden.series(golden.rows("volatility", measure="HV")[0]["series"], 40)
    values = measure(bars)
    assert np.flatnonzero(~np.isnan(values))[0] == bars_needed - 1
    # rows of a block are the same as each alone, leading NaNs shift only
    block = golden.Bars(*(np.stack([np.r_[np.full(5, np.nan), x[:-5]], x]) for x in bars))
    both = measure(block)
    np.testing.assert_allclose(both[1], values, rtol=1e-12)
    np.testing.assert_allclose(both[0, 5:], values[:-5], rtol=1e-12)


def test_all_measures_find_the_volatility_of_a_simulated_walk():
    generator = np.random.default_rng(2)
    steps = generator.normal(0, 0.3 / np.sqrt(252 * 400), (900, 400))
    path = np.exp(np.cumsum(steps.reshape(-1))).reshape(900, 400) * 100
    open_, close = np.r_[100.0, path[:-1, -1]], path[:, -1]
    high, low = np.maximum(path.max(axis=1), open_), np.minimum(path.min(axis=1), open_)
    assert close_to_close(close, 890)[-1] == pytest.approx(0.3, rel=0.06)
    assert parkinson(high, low, 890)[-1] == pytest.approx(0.3, rel=0.06)
    assert rogers_satchell(open_, high, low, close, 890)[-1] == pytest.approx(0.3, rel=0.06)
    assert yang_zhang(open_, high, low, close, 890)[-1] == pytest.approx(0.3, rel=0.06)


def test_prices_that_are_not_positive_are_unknown_not_an_error():
    assert np.isnan(close_to_close([10.0, 0.0, 11.0, 12.0], 2)[2])
