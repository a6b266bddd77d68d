"""Measured volatilities equal the golden rows and what they are defined by."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.errors import BadInput
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


def test_an_unknown_price_is_forgotten_with_its_window():
    bars = golden.series(golden.rows("volatility", measure="HV")[0]["series"], 60)
    for bad in (np.nan, 0.0, -3.0, np.inf):
        spoiled = golden.Bars(*(series.copy() for series in bars))
        spoiled.close[30] = bad
        hv = close_to_close(spoiled.close, 10)
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(hv)), [*range(10), *range(30, 41)])
        np.testing.assert_array_equal(hv[41:], close_to_close(bars.close, 10)[41:])
        yz = yang_zhang(spoiled.open, spoiled.high, spoiled.low, spoiled.close, 10)
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(yz)), [*range(10), *range(30, 41)])
        rs = rogers_satchell(spoiled.open, spoiled.high, spoiled.low, spoiled.close, 10)
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(rs)), [*range(9), *range(30, 40)])
        low = bars.low.copy()
        low[30] = bad
        pk = parkinson(bars.high, low, 10)
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(pk)), [*range(9), *range(30, 40)])


@pytest.mark.parametrize(
    "bar",
    [
        {"high": 99.0, "low": 101.0},  # the wrong way round
        {"open": 103.0},  # above the high
        {"close": 97.0},  # below the low
    ],
)
def test_a_bar_that_cannot_be_gives_no_number(bar):
    good = {"open": 100.0, "high": 102.0, "low": 98.0, "close": 101.0}
    bars = golden.Bars(*(np.full(30, good.get(name, 0.0)) for name in golden.Bars._fields))
    for name, value in bar.items():
        getattr(bars, name)[15] = value
    whole = (bars.open, bars.high, bars.low, bars.close)
    assert np.flatnonzero(np.isnan(rogers_satchell(*whole, 5))).tolist() == [*range(4), *range(15, 20)]
    # Yang–Zhang's overnight part never reads the bar's high and low.
    assert np.flatnonzero(np.isnan(yang_zhang(*whole, 5))).tolist() == [*range(5), *range(15, 20)]
    if "high" in bar:
        assert np.flatnonzero(np.isnan(parkinson(bars.high, bars.low, 5))).tolist() == [*range(4), *range(15, 20)]


def test_a_bad_row_leaves_the_others_alone():
    bars = golden.series(golden.rows("volatility", measure="HV")[0]["series"], 60)
    block = golden.Bars(*(np.stack([series, np.full(60, np.nan), -series, series]) for series in bars))
    for measure in (lambda b: close_to_close(b.close), lambda b: yang_zhang(b.open, b.high, b.low, b.close)):
        both = measure(block)
        np.testing.assert_array_equal(both[[0, 3]], np.stack([measure(bars)] * 2))
        assert np.isnan(both[1:3]).all()


def test_a_price_that_stands_still_has_no_volatility():
    flat = np.full(40, 123.456)
    assert close_to_close(flat, 20)[-1] == 0.0
    assert parkinson(flat, flat, 20)[-1] == 0.0
    assert rogers_satchell(flat, flat, flat, flat, 20)[-1] == 0.0
    assert yang_zhang(flat, flat, flat, flat, 20)[-1] == 0.0


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 5), (1,), (4, 1), (2, 3)])
def test_too_few_bars_are_unknown_and_keep_their_shape(shape):
    bars = np.full(shape, 10.0)
    for answer in (
        close_to_close(bars),
        parkinson(bars, bars),
        rogers_satchell(bars, bars, bars, bars),
        yang_zhang(bars, bars, bars, bars),
    ):
        assert answer.shape == shape
        assert np.isnan(answer).all()


def test_windows_that_make_no_sense_and_shapes_that_differ_are_named():
    with pytest.raises(BadInput, match="n must be a whole number, at least 2"):
        close_to_close(np.ones(9), 1)
    with pytest.raises(BadInput, match="argument low has shape"):
        parkinson(np.ones(9), np.ones(8))
    assert parkinson(np.full(3, 2.0), np.full(3, 1.0), 1)[0] == pytest.approx(
        math.sqrt(252 * math.log(2) ** 2 / (4 * math.log(2)))
    )


@given(
    closes=st.lists(st.floats(0.01, 1e5), min_size=12, max_size=40),
    spread=st.floats(0, 0.2),
    n=st.integers(2, 10),
)
def test_one_row_in_plain_python_equals_many_compiled_and_numpy(closes, spread, n):
    close = np.array(closes)
    open_ = np.r_[close[0], close[:-1]] * 1.001
    high, low = np.maximum(open_, close) * (1 + spread), np.minimum(open_, close) / (1 + spread)
    returns = np.diff(np.log(close))
    hv = close_to_close(close, n)
    assert hv[-1] == pytest.approx(np.sqrt(252) * np.std(returns[-n:], ddof=1), rel=1e-9, abs=1e-12)
    pk = parkinson(high, low, n)
    expected = np.sqrt(252 * np.mean(np.log(high / low)[-n:] ** 2) / (4 * np.log(2)))
    assert pk[-1] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    many = [np.tile(series, (8, 1)) for series in (open_, high, low, close)]
    alone = yang_zhang(open_, high, low, close, n)
    np.testing.assert_allclose(yang_zhang(*many, n)[5], alone, rtol=1e-12, atol=1e-12)
