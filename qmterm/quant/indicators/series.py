"""Indicators on arrays of any shape whose last axis is time, oldest first; equal to TA-Lib (QUANT.md 2).

Bars without a value are NaN: those before an indicator's first valid bar, and an RSI of a series that never moved.
The trap: values of EMA and Wilder averages depend on where the history begins; give them 250 bars more than they need.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import FloatArray
from qmterm.core.errors import BadInput
from qmterm.quant.arrays import rows_of, window
from qmterm.quant.indicators.kernels import (
    atr_rows,
    deviation_rows,
    ema_rows,
    extreme_rows,
    macd_rows,
    rsi_rows,
    sma_rows,
)


class Macd(NamedTuple):
    line: FloatArray
    signal: FloatArray
    hist: FloatArray


class Bollinger(NamedTuple):
    upper: FloatArray
    mid: FloatArray
    lower: FloatArray
    percent_b: FloatArray  # NaN where the bands have no width
    bandwidth: FloatArray


def sma(x: ArrayLike, n: int) -> FloatArray:
    """Simple moving average of the last n bars; first valid bar n − 1."""
    shape, (rows,) = rows_of(x=x)
    out = np.empty_like(rows)
    sma_rows(rows, window("n", n), out)
    return out.reshape(shape)


def ema(x: ArrayLike, n: int) -> FloatArray:
    """Exponential average with k = 2/(n+1), seeded by the mean of the first n bars; first valid bar n − 1."""
    shape, (rows,) = rows_of(x=x)
    out = np.empty_like(rows)
    ema_rows(rows, window("n", n), out)
    return out.reshape(shape)


def rsi(close: ArrayLike, n: int = 14) -> FloatArray:
    """Wilder's relative strength index, 0 to 100; first valid bar n."""
    shape, (rows,) = rows_of(close=close)
    out = np.empty_like(rows)
    rsi_rows(rows, window("n", n, 2), out)
    return out.reshape(shape)


def macd(close: ArrayLike, fast: int = 12, slow: int = 26, signal: int = 9) -> Macd:
    """MACD line, signal and histogram, all three from bar slow + signal − 2 on."""
    window("fast", fast, 2)
    window("signal", signal)
    if slow <= fast:
        raise BadInput(f"MACD needs slow ({slow}) longer than fast ({fast})")
    shape, (rows,) = rows_of(close=close)
    line, signal_line, hist = np.empty_like(rows), np.empty_like(rows), np.empty_like(rows)
    macd_rows(rows, fast, slow, signal, line, signal_line, hist)
    return Macd(line.reshape(shape), signal_line.reshape(shape), hist.reshape(shape))


def bollinger(close: ArrayLike, n: int = 20, k: float = 2.0) -> Bollinger:
    """Bands k population deviations around the SMA, the close's place in them (0 lower, 1 upper), and their width."""
    shape, (rows,) = rows_of(close=close)
    deviation = np.empty_like(rows)
    deviation_rows(rows, window("n", n, 2), deviation)
    mid = sma(rows, n)
    with np.errstate(all="ignore"):  # prices near the largest number there is
        upper, lower = mid + k * deviation, mid - k * deviation
        width = upper - lower
        place, relative = _ratio(rows - lower, width), _ratio(width, mid)
    return Bollinger(
        upper.reshape(shape), mid.reshape(shape), lower.reshape(shape), place.reshape(shape), relative.reshape(shape)
    )


def atr(high: ArrayLike, low: ArrayLike, close: ArrayLike, n: int = 14, method: str = "wilder") -> FloatArray:
    """Average true range, Wilder's or ("sma") a plain mean of n true ranges; first valid bar n."""
    if method not in ("wilder", "sma"):
        raise BadInput(f"ATR method {method!r} is not known: wilder or sma")
    shape, (highs, lows, closes) = rows_of(high=high, low=low, close=close)
    out = np.empty_like(closes)
    atr_rows(highs, lows, closes, window("n", n), method == "wilder", out)
    return out.reshape(shape)


def natr(high: ArrayLike, low: ArrayLike, close: ArrayLike, n: int = 14) -> FloatArray:
    """ATR in percent of the close."""
    return 100.0 * _ratio(atr(high, low, close, n), np.asarray(close, dtype=np.float64))


def rolling_max(x: ArrayLike, n: int) -> FloatArray:
    """Highest of the last n bars, the current one included."""
    return _extreme(x, n, 1.0)


def rolling_min(x: ArrayLike, n: int) -> FloatArray:
    """Lowest of the last n bars, the current one included."""
    return _extreme(x, n, -1.0)


def range_position(high: ArrayLike, low: ArrayLike, close: ArrayLike, n: int = 20) -> FloatArray:
    """Where the close lies in the range of the last n bars, 0 low to 100 high; NaN where there was no range."""
    shape, (highs, lows, closes) = rows_of(high=high, low=low, close=close)
    top, bottom = rolling_max(highs, n), rolling_min(lows, n)
    with np.errstate(all="ignore"):
        return (100.0 * _ratio(closes - bottom, top - bottom)).reshape(shape)


def rvol(volume: ArrayLike, n: int = 20) -> FloatArray:
    """Volume relative to its n-bar mean, the current bar included; NaN where nothing traded in n bars."""
    return _ratio(np.asarray(volume, dtype=np.float64), sma(volume, n))


def _extreme(x: ArrayLike, n: int, sign: float) -> FloatArray:
    shape, (rows,) = rows_of(x=x)
    out = np.empty_like(rows)
    extreme_rows(rows, window("n", n), sign, out)
    return out.reshape(shape)


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    """above/below, NaN where below is not positive."""
    out = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    with np.errstate(all="ignore"):
        np.divide(above, below, out=out, where=below > 0)
    return out
