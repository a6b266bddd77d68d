"""Measured volatilities equal the golden rows and what they are defined by."""

import numpy as np
import pytest

from qmterm.quant.indicators.realised import close_to_close, parkinson, rogers_satchell, yang_zhang
from tests import golden


@pytest.mark.parametrize("row", golden.rows("volatility", measure="HV"), ids=lambda r: f"{r['n']}@{r['end_index']}")
def test_golden_measures(row):
    bars = golden.series(row["series"])
    n, end = int(row["n"]), int(row["end_index"])
    whole = (bars.open, bars.high, bars.low, bars.close)
    golden.assert_close("volatility", close_to_close(bars.close, n)[end], row["close_to_close"])
    golden.assert_close("volatility", parkinson(bars.high, bars.low, n)[end], row["parkinson"])
    golden.assert_close("volatility", yang_zhang(*whole, n)[end], row["yang_zhang"])
    golden.assert_close("volatility", rogers_satchell(*whole, n)[end], row["rogers_satchell"])


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
