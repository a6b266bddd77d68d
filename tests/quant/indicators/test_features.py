"""The fused pass gives what the full forms give, and stays fast enough for the whole market."""

import time
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import talib

from qmterm.quant.indicators import realised, series
from qmterm.quant.indicators.features import last_features
from tests.quant.panels import random_panel

FULL = {
    "close": lambda p: p.close,
    "volume": lambda p: p.volume,
    "ema10": lambda p: series.ema(p.close, 10),
    "ema20": lambda p: series.ema(p.close, 20),
    "sma20": lambda p: series.sma(p.close, 20),
    "sma50": lambda p: series.sma(p.close, 50),
    "sma100": lambda p: series.sma(p.close, 100),
    "sma200": lambda p: series.sma(p.close, 200),
    "sma20_5ago": lambda p: np.roll(series.sma(p.close, 20), 5, axis=1),
    "atr14": lambda p: series.atr(p.high, p.low, p.close),
    "atr_pct": lambda p: series.natr(p.high, p.low, p.close),
    "high20": lambda p: series.rolling_max(p.high, 20),
    "low20": lambda p: series.rolling_min(p.low, 20),
    "pos20": lambda p: series.range_position(p.high, p.low, p.close),
    "dollar_volume20": lambda p: series.sma(p.close * p.volume, 20),
    "rvol20": lambda p: series.rvol(p.volume),
    "hv20": lambda p: realised.hv(p.close),
    "rsi14": lambda p: series.rsi(p.close),
    "macd": lambda p: series.macd(p.close).line,
    "macd_signal": lambda p: series.macd(p.close).signal,
    "macd_hist": lambda p: series.macd(p.close).hist,
    "bb_upper": lambda p: series.bollinger(p.close).upper,
    "bb_lower": lambda p: series.bollinger(p.close).lower,
    "percent_b": lambda p: series.bollinger(p.close).percent_b,
    "bandwidth": lambda p: series.bollinger(p.close).bandwidth,
}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", FULL)
def test_equals_the_last_bar_of_the_full_form(name, seed):
    panel = random_panel(symbols=300, seed=seed)
    np.testing.assert_allclose(
        getattr(last_features(panel), name), FULL[name](panel)[:, -1], rtol=1e-9, atol=1e-9, equal_nan=True
    )


@pytest.mark.parametrize("bars", [1, 10, 14, 15, 20, 21, 24, 25, 33, 34, 50, 100, 199, 200])
def test_each_feature_begins_where_its_full_form_does(bars):
    panel = random_panel(symbols=2, bars=bars, ragged=False)
    features = last_features(panel)
    for name, full in FULL.items():
        if name == "sma20_5ago":
            assert np.isnan(features.sma20_5ago).all() == (bars < 25)
            continue
        expected = np.isnan(full(panel)[:, -1])
        np.testing.assert_array_equal(np.isnan(getattr(features, name)), expected, err_msg=name)


TALIB = {
    "sma20": lambda high, low, close: talib.SMA(close, 20),
    "sma50": lambda high, low, close: talib.SMA(close, 50),
    "sma100": lambda high, low, close: talib.SMA(close, 100),
    "sma200": lambda high, low, close: talib.SMA(close, 200),
    "ema10": lambda high, low, close: talib.EMA(close, 10),
    "rsi14": lambda high, low, close: talib.RSI(close, 14),
    "macd": lambda high, low, close: talib.MACD(close)[0],
    "macd_signal": lambda high, low, close: talib.MACD(close)[1],
    "bb_upper": lambda high, low, close: talib.BBANDS(close, 20, 2, 2)[0],
    "bb_lower": lambda high, low, close: talib.BBANDS(close, 20, 2, 2)[2],
    "atr14": lambda high, low, close: talib.ATR(high, low, close, 14),
    "atr_pct": lambda high, low, close: talib.NATR(high, low, close, 14),
    "high20": lambda high, low, close: talib.MAX(high, 20),
    "low20": lambda high, low, close: talib.MIN(low, 20),
}


@pytest.mark.parametrize("name", TALIB)
def test_a_market_of_talib_values(name):
    panel = random_panel(symbols=90, seed=5)
    ours = getattr(last_features(panel), name)
    for row in np.flatnonzero(panel.bars > 1):
        kept = slice(panel.close.shape[1] - panel.bars[row], None)
        theirs = TALIB[name](panel.high[row, kept], panel.low[row, kept], panel.close[row, kept])[-1]
        # A MACD is a difference of averages: nine digits of the averages, not of what is left of them.
        least = 1e-9 * panel.close[row, -1] if name.startswith("macd") else 0.0
        assert ours[row] == pytest.approx(theirs, rel=1e-9, abs=least, nan_ok=True)


@pytest.mark.parametrize("bars", [250, 1_300, 12_000])
def test_a_long_history_counts_to_its_first_bar(bars):
    panel = random_panel(symbols=2, bars=300, ragged=False)
    longer = {
        name: np.tile(getattr(panel, name), (1, bars // 300 + 1))[:, :bars]
        for name in ("open", "high", "low", "close", "volume")
    }
    longer = replace(panel, **longer, bars=np.full(2, bars))
    features = last_features(longer)
    for name in ("ema10", "ema20", "rsi14", "macd_hist", "atr14", "sma200", "bb_upper", "hv20"):
        np.testing.assert_allclose(
            getattr(features, name), FULL[name](longer)[:, -1], rtol=1e-9, atol=1e-9, err_msg=name
        )


@pytest.mark.parametrize("price", [25.1, 0.0007, 612_345.67])
def test_a_flat_row_is_exactly_flat_however_many_bars_it_has(price):
    for bars in (30, 60, 260):
        panel = random_panel(symbols=1, bars=bars, ragged=False)
        flat = np.full_like(panel.close, price)
        features = last_features(replace(panel, open=flat, high=flat, low=flat, close=flat))
        assert (features.bb_upper[0], features.bb_lower[0], features.sma20[0]) == (price, price, price)
        assert (features.bandwidth[0], features.hv20[0], features.atr14[0]) == (0.0, 0.0, 0.0)
        assert np.isnan([features.percent_b[0], features.rsi14[0], features.pos20[0]]).all()


def test_prices_that_are_not_positive_have_no_volatility():
    panel = random_panel(symbols=3, ragged=False)
    close = panel.close.copy()
    close[0, -7] = 0.0
    close[1, -19] = -2.0
    features = last_features(replace(panel, close=close))
    assert np.isnan(features.hv20).tolist() == [True, True, False]
    assert np.isfinite(features.sma20).all()


def test_an_empty_market_and_rows_without_bars_are_not_an_error():
    assert len(last_features(random_panel(symbols=0))) == 0
    features = last_features(random_panel(symbols=4, ragged=True))
    assert features.bars[0] == 0
    assert np.isnan(features.close[0])


def test_rows_that_never_moved_say_so_with_nan():
    panel = random_panel(symbols=1, ragged=False)
    flat = np.full_like(panel.close, 30.0)
    features = last_features(replace(panel, open=flat, high=flat, low=flat, close=flat, volume=flat * 0))
    assert np.isnan([features.rsi14[0], features.pos20[0], features.rvol20[0]]).all()
    assert (features.atr14[0], features.hv20[0], features.macd_hist[0]) == (0.0, 0.0, 0.0)


def test_a_panel_in_another_memory_order_reads_the_same():
    panel = random_panel(symbols=20, ragged=False)
    turned = replace(panel, **{name: np.asfortranarray(getattr(panel, name)) for name in ("high", "low", "close")})
    np.testing.assert_array_equal(last_features(panel).atr14, last_features(turned).atr14)


def test_the_whole_market_takes_well_under_a_second():
    small = random_panel(symbols=2_500, last=date(2026, 3, 4), ragged=False)
    last_features(small)
    begun = time.perf_counter()
    last_features(small)
    # 32,345 symbols take 13 times as long; measured 0.07 s, the allowance is for a slow shared core.
    assert (time.perf_counter() - begun) * 32_345 / 2_500 < 1.0
