"""Realised volatility of bars (QUANT.md 3.6).

All measures are annual decimals over 252 sessions, as series along the last axis: the value at t uses the last n
returns or bars, NaN before there are enough. A bar that cannot be (a price that is not positive, a high below the low,
the open or the close) makes the windows that hold it unknown, and no others. The trap: close-to-close and Yang–Zhang
need n + 1 bars, the others n.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import FloatArray
from qmterm.quant.arrays import rows_of, window
from qmterm.quant.elementary import log
from qmterm.quant.kernel import array_kernel, piece

TRADING_DAYS = 252
PARALLEL_ROWS = 400
SMALL_ROWS = 2  # one history is a few milliseconds of plain Python, less than compiling
_TINY = 1e-300  # below it a ratio of prices is no price


def close_to_close(close: ArrayLike, n: int = 20) -> FloatArray:
    """HV_n: sample deviation of the last n log returns."""
    shape, (closes,) = rows_of(close=close)
    daily = np.zeros_like(closes)
    _add_variances(closes.shape[0], closes, closes, 1, window("n", n, 2), 1.0, daily)
    return _annual(daily).reshape(shape)


hv = close_to_close


def parkinson(high: ArrayLike, low: ArrayLike, n: int = 20) -> FloatArray:
    """From the ranges of n bars; assumes no drift and no opening gaps."""
    shape, (highs, lows) = rows_of(high=high, low=low)
    daily = np.empty_like(highs)
    _range_means(highs.shape[0], highs, lows, window("n", n), 1.0 / (4.0 * math.log(2.0)), daily)
    return _annual(daily).reshape(shape)


def rogers_satchell(open_: ArrayLike, high: ArrayLike, low: ArrayLike, close: ArrayLike, n: int = 20) -> FloatArray:
    """From n whole bars; unbiased under drift, blind to opening gaps."""
    shape, (opens, highs, lows, closes) = rows_of(open_=open_, high=high, low=low, close=close)
    daily = np.empty_like(closes)
    _bar_means(closes.shape[0], opens, highs, lows, closes, window("n", n), 1.0, daily)
    return _annual(daily).reshape(shape)


def yang_zhang(open_: ArrayLike, high: ArrayLike, low: ArrayLike, close: ArrayLike, n: int = 20) -> FloatArray:
    """Overnight, open-to-close and range parts of n bars together."""
    shape, (opens, highs, lows, closes) = rows_of(open_=open_, high=high, low=low, close=close)
    rows = closes.shape[0]
    window("n", n, 2)
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    daily = np.empty_like(closes)
    _bar_means(rows, opens, highs, lows, closes, n, 1.0 - k, daily)
    _add_variances(rows, opens, closes, 1, n, 1.0, daily)
    _add_variances(rows, closes, opens, 0, n, k, daily)
    return _annual(daily).reshape(shape)


def _annual(daily: FloatArray) -> FloatArray:
    # A rounding error may lie below nothing.
    return np.asarray(np.sqrt(TRADING_DAYS * np.maximum(daily, 0.0)))


@piece
def _log_ratio(above: float, below: float, sound: bool) -> float:
    """ln(above/below), NaN unless both are prices of a sound bar."""
    ratio = above / below
    usable = sound & (above > 0.0) & (below > 0.0) & (ratio > _TINY) & (ratio < np.inf)
    return log(ratio if usable else 1.0) if usable else np.nan


# Each window is summed anew: an unknown number leaves with its window, and a flat window gives exactly 0. The loop over
# time is the inner one and runs over slices from 0, without which it would not vectorise.


@piece
def _window_means(x: FloatArray, n: int, weight: float, out: FloatArray) -> None:
    out[: n - 1] = np.nan
    known = out[n - 1 :]
    known[:] = 0.0
    share = weight / n
    for back in range(n):
        past = x[n - 1 - back : x.size - back]
        for t in range(known.size):
            known[t] += share * past[t]


@array_kernel(small=SMALL_ROWS, parallel_from=PARALLEL_ROWS)
def _add_variances(
    low: int, high: int, now: FloatArray, before: FloatArray, lag: int, n: int, weight: float, out: FloatArray
) -> None:
    """Adds weight × the sample variance (ddof 1) of the last n ln(now/`before` of `lag` bars ago)."""
    days = now.shape[1]
    daily, means, total = np.full(days, np.nan), np.empty(days), np.empty(days)
    mean, gaps = means[n - 1 :], total[n - 1 :]
    share = weight / (n - 1)
    for i in range(low, high):
        above, below, changes = now[i, lag:], before[i, : max(0, days - lag)], daily[lag:]
        for t in range(changes.size):
            changes[t] = _log_ratio(above[t], below[t], True)
        _window_means(daily, n, 1.0, means)
        total[:] = np.nan
        gaps[:] = 0.0
        for back in range(n):
            past = daily[n - 1 - back : days - back]
            for t in range(gaps.size):
                gap = past[t] - mean[t]
                gaps[t] += gap * gap
        for t in range(days):
            out[i, t] += share * total[t]


@array_kernel(small=SMALL_ROWS, parallel_from=PARALLEL_ROWS)
def _range_means(
    low: int, high: int, highs: FloatArray, lows: FloatArray, n: int, weight: float, out: FloatArray
) -> None:
    """weight × the mean of the last n squared ln(high/low)."""
    daily = np.empty(highs.shape[1])
    for i in range(low, high):
        for t in range(daily.size):
            width = _log_ratio(highs[i, t], lows[i, t], highs[i, t] >= lows[i, t])
            daily[t] = width * width
        _window_means(daily, n, weight, out[i])


@array_kernel(small=SMALL_ROWS, parallel_from=PARALLEL_ROWS)
def _bar_means(
    low: int,
    high: int,
    opens: FloatArray,
    highs: FloatArray,
    lows: FloatArray,
    closes: FloatArray,
    n: int,
    weight: float,
    out: FloatArray,
) -> None:
    """weight × the mean of the last n of Rogers and Satchell's u(u − c) + d(d − c)."""
    daily = np.empty(closes.shape[1])
    for i in range(low, high):
        for t in range(daily.size):
            first, top, bottom, last = opens[i, t], highs[i, t], lows[i, t], closes[i, t]
            sound = (top >= first) & (top >= last) & (bottom <= first) & (bottom <= last)
            up = _log_ratio(top, first, sound)
            down = _log_ratio(bottom, first, sound)
            change = _log_ratio(last, first, sound)
            daily[t] = up * (up - change) + down * (down - change)
        _window_means(daily, n, weight, out[i])
