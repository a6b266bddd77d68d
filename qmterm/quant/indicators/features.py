"""The latest value of every daily indicator the scanner needs, for all symbols in one pass over the panel.

Equal to the full forms of indicators.py and volatility.py to 1e-9, at a fraction of their cost (no series are kept).
The trap: NaN means "too few bars" and nothing else here, except rsi14 of a row without any move, pos20 of a row
without any range and rvol20 of a row without any volume.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from qmterm.core.bars import DailyPanel, FloatArray, IntArray
from qmterm.quant.indicators.kernels import first_bar
from qmterm.quant.kernel import array_kernel, piece

TRADING_DAYS = 252.0


@dataclass(frozen=True, slots=True)
class Features:
    """One number a symbol, in the panel's order; prices in dollars per share, percents as percents."""

    symbols: tuple[str, ...]
    bars: IntArray
    stale: IntArray
    close: FloatArray
    volume: FloatArray
    ema10: FloatArray
    ema20: FloatArray
    sma20: FloatArray
    sma50: FloatArray
    sma100: FloatArray
    sma200: FloatArray
    sma20_5ago: FloatArray  # SMA20 five bars earlier
    atr14: FloatArray
    atr_pct: FloatArray  # 100·ATR14/close
    high20: FloatArray  # highest high of 20 bars, the latest included
    low20: FloatArray
    pos20: FloatArray  # 0 at low20, 100 at high20
    dollar_volume20: FloatArray  # mean of close·volume
    rvol20: FloatArray  # volume over its 20-bar mean, the latest bar included in it
    hv20: FloatArray  # annual, decimal
    rsi14: FloatArray
    macd_hist: FloatArray

    def __len__(self) -> int:
        return len(self.symbols)


_COLUMNS = (
    "close",
    "volume",
    "ema10",
    "ema20",
    "sma20",
    "sma50",
    "sma100",
    "sma200",
    "sma20_5ago",
    "atr14",
    "atr_pct",
    "high20",
    "low20",
    "pos20",
    "dollar_volume20",
    "rvol20",
    "hv20",
    "rsi14",
    "macd_hist",
)
(
    _CLOSE,
    _VOLUME,
    _EMA10,
    _EMA20,
    _SMA20,
    _SMA50,
    _SMA100,
    _SMA200,
    _SMA20_5AGO,
    _ATR14,
    _ATR_PCT,
    _HIGH20,
    _LOW20,
    _POS20,
    _DOLLAR_VOLUME20,
    _RVOL20,
    _HV20,
    _RSI14,
    _MACD_HIST,
) = range(len(_COLUMNS))


def last_features(panel: DailyPanel) -> Features:
    """Every feature at each symbol's latest bar."""
    out = np.full((len(_COLUMNS), len(panel)), np.nan)
    if len(panel):
        _fill(
            len(panel),
            np.ascontiguousarray(panel.high, dtype=np.float64),
            np.ascontiguousarray(panel.low, dtype=np.float64),
            np.ascontiguousarray(panel.close, dtype=np.float64),
            np.ascontiguousarray(panel.volume, dtype=np.float64),
            out,
        )
    return Features(panel.symbols, panel.bars, panel.stale, **dict(zip(_COLUMNS, out, strict=True)))


@piece
def _mean(row: FloatArray, n: int, end: int) -> float:
    total = 0.0
    for t in range(end - n, end):
        total += row[t]
    return total / n


@piece
def _chains(high: FloatArray, low: FloatArray, close: FloatArray, start: int, out: FloatArray, i: int) -> None:
    """What must be carried from the first bar on: exponential and Wilder averages (seeds as in indicator_kernels)."""
    ema10 = ema20 = fast = slow = signal = gap = gain = loss = atr = 0.0
    before = close[start]
    last = close.size - 1 - start
    for k in range(last + 1):
        x = close[start + k]
        ema10 = ema10 + x / 10.0 if k < 10 else ema10 + 2.0 / 11.0 * (x - ema10)
        ema20 = ema20 + x / 20.0 if k < 20 else ema20 + 2.0 / 21.0 * (x - ema20)
        if k <= 25:
            slow += x / 26.0
            if k >= 14:
                fast += x / 12.0
        else:
            slow += 2.0 / 27.0 * (x - slow)
            fast += 2.0 / 13.0 * (x - fast)
        gap = fast - slow
        if k > 33:
            signal += 0.2 * (gap - signal)
        elif k >= 25:
            signal += gap / 9.0
        if k == 0:
            continue
        up = max(x - before, 0.0)
        down = max(before - x, 0.0)
        h = high[start + k]
        lo = low[start + k]
        reach = max(h - lo, max(abs(h - before), abs(lo - before)))
        if k <= 14:
            gain += up / 14.0
            loss += down / 14.0
            atr += reach / 14.0
        else:
            gain = (gain * 13.0 + up) / 14.0
            loss = (loss * 13.0 + down) / 14.0
            atr = (atr * 13.0 + reach) / 14.0
        before = x
    if last >= 9:
        out[_EMA10, i] = ema10
    if last >= 19:
        out[_EMA20, i] = ema20
    if last >= 14:
        out[_ATR14, i] = atr
        if before > 0.0:
            out[_ATR_PCT, i] = 100.0 * atr / before
        if gain + loss > 0.0:
            out[_RSI14, i] = 100.0 * gain / (gain + loss)
    if last >= 33:
        out[_MACD_HIST, i] = gap - signal


@piece
def _windows(high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray, out: FloatArray, i: int) -> None:
    """What the last 20 bars say; the caller has checked that there are 20."""
    end = close.size
    top = high[end - 1]
    bottom = low[end - 1]
    turnover = 0.0
    for t in range(end - 20, end):
        top = max(top, high[t])
        bottom = min(bottom, low[t])
        turnover += close[t] * volume[t]
    out[_HIGH20, i] = top
    out[_LOW20, i] = bottom
    if top > bottom:
        out[_POS20, i] = 100.0 * (close[end - 1] - bottom) / (top - bottom)
    out[_DOLLAR_VOLUME20, i] = turnover / 20.0
    mean_volume = _mean(volume, 20, end)
    if mean_volume > 0.0:
        out[_RVOL20, i] = volume[end - 1] / mean_volume


@piece
def _volatility(close: FloatArray) -> float:
    """Close-to-close volatility of the last 20 returns."""
    returns = np.empty(20)
    mean = 0.0
    for j in range(20):
        t = close.size - 20 + j
        returns[j] = math.log(close[t] / close[t - 1])
        mean += returns[j] / 20.0
    total = 0.0
    for j in range(20):
        total += (returns[j] - mean) * (returns[j] - mean)
    return math.sqrt(TRADING_DAYS * total / 19.0)


@array_kernel(small=0, parallel_from=2000)
def _fill(
    begin: int, stop: int, high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray, out: FloatArray
) -> None:
    end = close.shape[1]
    for i in range(begin, stop):
        row = close[i]
        start = max(first_bar(row), max(first_bar(high[i]), first_bar(low[i])))
        bars = end - start
        if bars == 0:
            continue
        out[_CLOSE, i] = row[end - 1]
        out[_VOLUME, i] = volume[i, end - 1]
        _chains(high[i], low[i], row, start, out, i)
        if bars >= 20:
            out[_SMA20, i] = _mean(row, 20, end)
            _windows(high[i], low[i], row, volume[i], out, i)
        if bars >= 21:
            out[_HV20, i] = _volatility(row)
        if bars >= 25:
            out[_SMA20_5AGO, i] = _mean(row, 20, end - 5)
        if bars >= 50:
            out[_SMA50, i] = _mean(row, 50, end)
        if bars >= 100:
            out[_SMA100, i] = _mean(row, 100, end)
        if bars >= 200:
            out[_SMA200, i] = _mean(row, 200, end)
