"""Features of rows with few bars, computed bar by bar as they are defined: recent listings, where averages are seeded.

Right for a row of any length. The trap: it walks dependent chains, four times slower than carry.py and step.py.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import FloatArray
from qmterm.quant.indicators import columns as at
from qmterm.quant.indicators.kernels import first_bar
from qmterm.quant.kernel import array_kernel, piece


@piece
def _mean(row: FloatArray, n: int, end: int) -> float:
    total = 0.0
    for t in range(end - n, end):
        total += row[t]
    return total / n


@piece
def _chains(high: FloatArray, low: FloatArray, close: FloatArray, out: FloatArray, i: int) -> None:
    """What must be carried from the first bar on: exponential and Wilder averages, seeded as kernels.py seeds them."""
    ema10 = ema20 = fast = slow = signal = gap = gain = loss = atr = 0.0
    before = close[0]
    for k in range(close.size):
        x = close[k]
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
        reach = max(high[k] - low[k], max(abs(high[k] - before), abs(low[k] - before)))
        if k <= 14:
            gain += up / 14.0
            loss += down / 14.0
            atr += reach / 14.0
        else:
            gain = (gain * 13.0 + up) / 14.0
            loss = (loss * 13.0 + down) / 14.0
            atr = (atr * 13.0 + reach) / 14.0
        before = x
    if close.size >= 10:
        out[at.EMA10, i] = ema10
    if close.size >= 20:
        out[at.EMA20, i] = ema20
    if close.size >= 15:
        out[at.ATR14, i] = atr
        if before > 0.0:
            out[at.ATR_PCT, i] = 100.0 * atr / before
        if gain + loss > 0.0:
            out[at.RSI14, i] = 100.0 * gain / (gain + loss)
    if close.size >= 34:
        out[at.MACD, i] = gap
        out[at.MACD_SIGNAL, i] = signal
        out[at.MACD_HIST, i] = gap - signal


@piece
def _windows(high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray, out: FloatArray, i: int) -> None:
    """What the last 20 bars say; the caller has checked that there are 20."""
    end = close.size
    last = close[end - 1]
    top = high[end - 1]
    bottom = low[end - 1]
    turnover = 0.0
    away = 0.0  # from the last close: a flat window has no deviation at all
    for t in range(end - 20, end):
        top = max(top, high[t])
        bottom = min(bottom, low[t])
        turnover += close[t] * volume[t]
        away += close[t] - last
    mean = last + away / 20.0
    squares = 0.0
    for t in range(end - 20, end):
        squares += (close[t] - mean) * (close[t] - mean)
    width = 4.0 * math.sqrt(squares / 20.0)
    out[at.SMA20, i] = mean
    out[at.BB_UPPER, i] = mean + 0.5 * width
    out[at.BB_LOWER, i] = mean - 0.5 * width
    if width > 0.0:
        out[at.PERCENT_B, i] = (last - (mean - 0.5 * width)) / width
    if mean > 0.0:
        out[at.BANDWIDTH, i] = width / mean
    out[at.HIGH20, i] = top
    out[at.LOW20, i] = bottom
    if top > bottom:
        out[at.POS20, i] = 100.0 * (last - bottom) / (top - bottom)
    out[at.DOLLAR_VOLUME20, i] = turnover / 20.0
    mean_volume = _mean(volume, 20, end)
    if mean_volume > 0.0:
        out[at.RVOL20, i] = volume[end - 1] / mean_volume


@piece
def _volatility(close: FloatArray) -> float:
    """Close-to-close volatility of the last 20 returns; NaN when a price is not positive."""
    returns = np.empty(20)
    mean = 0.0
    for j in range(20):
        t = close.size - 20 + j
        ratio = close[t] / close[t - 1]
        if not (close[t - 1] > 0.0 and ratio > 0.0):
            return np.nan
        returns[j] = math.log(ratio)
        mean += returns[j] / 20.0
    total = 0.0
    for j in range(20):
        total += (returns[j] - mean) * (returns[j] - mean)
    return math.sqrt(at.TRADING_DAYS * total / 19.0)


@piece
def young_row(
    high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray, out: FloatArray, i: int
) -> None:
    """All features of one right-aligned row into column i of `out`; NaN for those it is too short for."""
    for column in range(at.COUNT):
        out[column, i] = np.nan
    start = max(first_bar(close), max(first_bar(high), first_bar(low)))
    end = close.size
    bars = end - start
    if bars == 0:
        return
    out[at.CLOSE, i] = close[end - 1]
    out[at.VOLUME, i] = volume[end - 1]
    _chains(high[start:], low[start:], close[start:], out, i)
    if bars >= 20:
        _windows(high, low, close, volume, out, i)
    if bars >= 21:
        out[at.HV20, i] = _volatility(close)
    if bars >= 25:
        out[at.SMA20_5AGO, i] = _mean(close, 20, end - 5)
    if bars >= 50:
        out[at.SMA50, i] = _mean(close, 50, end)
    if bars >= 100:
        out[at.SMA100, i] = _mean(close, 100, end)
    if bars >= 200:
        out[at.SMA200, i] = _mean(close, 200, end)


@array_kernel(small=0, parallel_from=2000)
def young_rows(
    begin: int,
    stop: int,
    rows: NDArray[np.int64],
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    volume: FloatArray,
    out: FloatArray,
) -> None:
    """The features of the symbols listed in `rows`."""
    for number in range(begin, stop):
        i = rows[number]
        young_row(high[i], low[i], close[i], volume[i], out, i)


@array_kernel(small=0, parallel_from=2000)
def young_steps(
    begin: int,
    stop: int,
    rows: NDArray[np.int64],
    slots: NDArray[np.int64],
    bars: FloatArray,
    present: NDArray[np.bool_],
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    volume: FloatArray,
    out: FloatArray,
) -> None:
    """The features of column rows[k] of `out`, whose completed bars stand in row slots[k] of the four blocks.

    The running bar, column rows[k] of `bars` (4, symbols), goes into the blocks' last place.
    """
    last = close.shape[1] - 1
    for number in range(begin, stop):
        i, j = rows[number], slots[number]
        if present[i]:
            high[j, last] = bars[0, i]
            low[j, last] = bars[1, i]
            close[j, last] = bars[2, i]
            volume[j, last] = bars[3, i]
            young_row(high[j], low[j], close[j], volume[j], out, i)
