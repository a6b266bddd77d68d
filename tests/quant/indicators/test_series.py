"""Indicators equal the golden rows and TA-Lib, on whole and on ragged histories."""

import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.errors import BadInput
from qmterm.quant.indicators import series
from tests import golden
from tests.quant.panels import random_panel

TALIB = {
    "sma": lambda bars: talib.SMA(bars.close, 50),
    "ema": lambda bars: talib.EMA(bars.close, 21),
    "rsi": lambda bars: talib.RSI(bars.close, 14),
    "atr": lambda bars: talib.ATR(bars.high, bars.low, bars.close, 14),
    "natr": lambda bars: talib.NATR(bars.high, bars.low, bars.close, 14),
    "macd": lambda bars: talib.MACD(bars.close)[0],
    "macd signal": lambda bars: talib.MACD(bars.close)[1],
    "macd hist": lambda bars: talib.MACD(bars.close)[2],
    "macd 5,8,3": lambda bars: talib.MACD(bars.close, 5, 8, 3)[1],
    "bollinger upper": lambda bars: talib.BBANDS(bars.close, 20, 2, 2)[0],
    "bollinger mid": lambda bars: talib.BBANDS(bars.close, 20, 2, 2)[1],
    "bollinger lower": lambda bars: talib.BBANDS(bars.close, 20, 2, 2)[2],
    "max": lambda bars: talib.MAX(bars.high, 20),
    "min": lambda bars: talib.MIN(bars.low, 20),
}
OURS = {
    "sma": lambda bars: series.sma(bars.close, 50),
    "ema": lambda bars: series.ema(bars.close, 21),
    "rsi": lambda bars: series.rsi(bars.close),
    "atr": lambda bars: series.atr(bars.high, bars.low, bars.close),
    "natr": lambda bars: series.natr(bars.high, bars.low, bars.close),
    "macd": lambda bars: series.macd(bars.close).line,
    "macd signal": lambda bars: series.macd(bars.close).signal,
    "macd hist": lambda bars: series.macd(bars.close).hist,
    "macd 5,8,3": lambda bars: series.macd(bars.close, 5, 8, 3).signal,
    "bollinger upper": lambda bars: series.bollinger(bars.close).upper,
    "bollinger mid": lambda bars: series.bollinger(bars.close).mid,
    "bollinger lower": lambda bars: series.bollinger(bars.close).lower,
    "max": lambda bars: series.rolling_max(bars.high, 20),
    "min": lambda bars: series.rolling_min(bars.low, 20),
}


@pytest.fixture(scope="module")
def golden_series():
    first = golden.rows("indicators")[0]
    bars = golden.series(first["series"], int(first["n"]))
    bands, lines = series.bollinger(bars.close), series.macd(bars.close)
    found = {
        "RSI14": series.rsi(bars.close),
        "ATR14": series.atr(bars.high, bars.low, bars.close),
        "NATR14": series.natr(bars.high, bars.low, bars.close),
        "MACD": lines.line,
        "MACD_SIGNAL": lines.signal,
        "MACD_HIST": lines.hist,
        "BB_UPPER": bands.upper,
        "BB_MID": bands.mid,
        "BB_LOWER": bands.lower,
    }
    found |= {f"INPUT_{name}": series for name, series in bars._asdict().items()}
    found |= {f"SMA{n}": series.sma(bars.close, n) for n in (20, 50, 100, 200)}
    found |= {f"EMA{n}": series.ema(bars.close, n) for n in (10, 20, 21)}
    return found


@pytest.mark.parametrize("row", golden.rows("indicators"), ids=lambda row: f"{row['indicator']}@{row['index']}")
def test_golden_rows(golden_series, row):
    series = golden_series[row["indicator"]]
    assert np.flatnonzero(~np.isnan(series))[0] == int(row["first_valid_index"])
    golden.assert_close("indicators", series[int(row["index"])], row["value"], row["indicator"])


@pytest.mark.parametrize("name", OURS)
def test_equals_talib_on_ragged_random_walks(name):
    panel = random_panel(symbols=60)
    ours = OURS[name](panel)
    for row in range(len(panel)):
        count = panel.bars[row]
        if count < 2:
            assert np.isnan(ours[row]).all()
            continue
        own = golden.Bars(*(getattr(panel, field)[row, -count:] for field in golden.Bars._fields))
        theirs = TALIB[name](own)
        assert np.isnan(ours[row, :-count]).all()
        np.testing.assert_allclose(ours[row, -count:], theirs, rtol=1e-9, atol=1e-9, err_msg=f"row of {count} bars")


@given(lead=st.integers(0, 40), seed=st.integers(0, 1000))
def test_leading_nans_only_shift_the_start(lead, seed):
    walk = 50 + np.cumsum(np.random.default_rng(seed).normal(0, 1, 80))
    late = np.concatenate([np.full(lead, np.nan), walk])
    for indicator in (lambda x: series.sma(x, 7), lambda x: series.ema(x, 7), series.rsi,
                      lambda x: series.macd(x).hist, lambda x: series.rolling_max(x, 7),
                      lambda x: series.bollinger(x).upper):  # fmt: skip
        np.testing.assert_array_equal(indicator(late)[lead:], indicator(walk))
        assert np.isnan(indicator(late)[:lead]).all()


def test_any_leading_shape_is_rows():
    cube = random_panel(symbols=12, ragged=False).close.reshape(3, 4, 260)
    flat = cube.reshape(12, 260)
    np.testing.assert_array_equal(series.ema(cube, 10), series.ema(flat, 10).reshape(3, 4, 260))
    np.testing.assert_array_equal(series.macd(cube).hist[2, 1], series.macd(flat[9]).hist)
    # a view that is not contiguous reads the same
    np.testing.assert_array_equal(series.sma(flat[:, ::2], 10), series.sma(flat[:, ::2].copy(), 10))


def test_inputs_are_not_changed():
    panel = random_panel(symbols=5)
    before = panel.close.copy()
    series.macd(panel.close)
    series.atr(panel.high, panel.low, panel.close)
    np.testing.assert_array_equal(panel.close, before)


@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_rolling_extremes_equal_a_plain_look_back(n):
    rows = random_panel(symbols=6, bars=60, ragged=False).close.round(0)  # ties on purpose
    for t in range(n - 1, 60):
        np.testing.assert_array_equal(series.rolling_max(rows, n)[:, t], rows[:, t - n + 1 : t + 1].max(axis=1))
        np.testing.assert_array_equal(series.rolling_min(rows, n)[:, t], rows[:, t - n + 1 : t + 1].min(axis=1))


def test_a_series_that_never_moves_has_no_rsi_no_position_and_no_percent_b():
    flat = np.full(60, 25.0)
    assert np.isnan(series.rsi(flat)).all()
    assert np.isnan(series.range_position(flat, flat, flat)).all()
    bands = series.bollinger(flat)
    assert bands.upper[-1] == bands.lower[-1] == 25.0
    assert np.isnan(bands.percent_b).all()
    assert bands.bandwidth[-1] == 0.0
    assert series.atr(flat, flat, flat)[-1] == 0.0
    assert np.isnan(series.rvol(flat * 0)).all()


def test_range_position_and_percent_b_know_their_ends():
    rising = np.arange(1.0, 61.0)
    assert series.range_position(rising, rising, rising)[-1] == 100.0
    assert series.range_position(rising, rising, rising[::-1].copy())[-1] < 0
    bands = series.bollinger(rising)
    assert bands.percent_b[-1] == pytest.approx((60 - bands.lower[-1]) / (bands.upper[-1] - bands.lower[-1]))


def test_the_plain_mean_atr_is_the_mean_of_true_ranges():
    panel = random_panel(symbols=3, bars=80, ragged=False)
    ours = series.atr(panel.high, panel.low, panel.close, 14, method="sma")
    for row in range(3):
        ranges = talib.TRANGE(panel.high[row], panel.low[row], panel.close[row])
        np.testing.assert_allclose(ours[row, 14:], talib.SMA(ranges, 14)[14:], rtol=1e-12)


def test_relative_volume_is_against_the_mean_that_includes_the_bar():
    volume = np.r_[np.full(19, 100.0), 300.0]
    assert series.rvol(volume)[-1] == pytest.approx(300 / 110)


@pytest.mark.parametrize("spoiled", ["high", "low", "close"])
def test_an_unknown_bar_never_becomes_a_number(spoiled):
    panel = random_panel(symbols=1, bars=90, ragged=False)
    bars = {name: getattr(panel, name)[0].copy() for name in ("high", "low", "close")}
    bars[spoiled][40] = np.nan
    after = slice(41 if spoiled == "close" else 40, None)  # a true range looks at the close before
    for method in ("wilder", "sma"):
        assert np.isnan(series.atr(**bars, method=method)[after]).all()
    for extreme in (series.rolling_max, series.rolling_min):
        unknown = np.isnan(extreme(bars[spoiled], 20))
        assert unknown[40:60].all()
        assert not unknown[19:40].any()
        assert not unknown[60:].any()


def test_the_largest_numbers_there_are_warn_of_nothing(recwarn, capfd):
    largest = np.tile([1.7e308, -1.7e308], 30)
    series.bollinger(largest)
    series.range_position(largest, largest, largest)
    series.rvol(np.r_[np.ones(40), np.inf, np.ones(19)])
    assert not recwarn.list
    assert not capfd.readouterr().err


def test_series_of_other_lengths_and_broken_windows_are_refused_by_name():
    with pytest.raises(BadInput, match="close"):
        series.range_position(np.ones(30), np.ones(30), np.ones(29))
    for n in (2.5, np.nan, 0):
        with pytest.raises(BadInput, match="n must be a whole number"):
            series.sma(np.ones(30), n)
