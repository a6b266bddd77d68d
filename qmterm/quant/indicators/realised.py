"""Realised volatility of bars (QUANT.md 3.6).

All measures are annual decimals over 252 sessions, as series along the last axis: the value at t uses the last n
returns or bars, NaN before there are enough. The trap: close-to-close and Yang–Zhang need n + 1 bars, the others n.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import FloatArray
from qmterm.quant.arrays import rows_of, window
from qmterm.quant.indicators.kernels import deviation_rows, sma_rows

TRADING_DAYS = 252


def close_to_close(close: ArrayLike, n: int = 20) -> FloatArray:
    """HV_n: sample deviation of the last n log returns."""
    shape, (closes,) = rows_of(close=close)
    return np.sqrt(TRADING_DAYS * _variance(_log_change(closes), window("n", n, 2))).reshape(shape)


hv = close_to_close


def parkinson(high: ArrayLike, low: ArrayLike, n: int = 20) -> FloatArray:
    """From the ranges of n bars; assumes no drift and no opening gaps."""
    shape, (highs, lows) = rows_of(high=high, low=low)
    mean = _mean(_log(highs, lows) ** 2, window("n", n))
    return np.sqrt(TRADING_DAYS * mean / (4 * math.log(2))).reshape(shape)


def rogers_satchell(open_: ArrayLike, high: ArrayLike, low: ArrayLike, close: ArrayLike, n: int = 20) -> FloatArray:
    """From n whole bars; unbiased under drift, blind to opening gaps."""
    shape, bars = rows_of(open_=open_, high=high, low=low, close=close)
    return np.sqrt(TRADING_DAYS * _mean(_rogers_satchell(*_four(bars)), window("n", n))).reshape(shape)


def yang_zhang(open_: ArrayLike, high: ArrayLike, low: ArrayLike, close: ArrayLike, n: int = 20) -> FloatArray:
    """Overnight, open-to-close and range parts of n bars together."""
    shape, bars = rows_of(open_=open_, high=high, low=low, close=close)
    opens, highs, lows, closes = _four(bars)
    window("n", n, 2)
    overnight = np.full_like(closes, np.nan)
    overnight[:, 1:] = _log(opens[:, 1:], closes[:, :-1])
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    inside = k * _variance(_log(closes, opens), n) + (1 - k) * _mean(_rogers_satchell(opens, highs, lows, closes), n)
    return np.sqrt(TRADING_DAYS * (_variance(overnight, n) + inside)).reshape(shape)


def _four(bars: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    opens, highs, lows, closes = bars
    return opens, highs, lows, closes


def _log(above: FloatArray, below: FloatArray) -> FloatArray:
    """ln(above/below), NaN where a price is not positive."""
    out = np.full_like(above, np.nan)
    usable = (above > 0) & (below > 0)
    np.divide(above, below, out=out, where=usable)
    np.log(out, out=out, where=usable)
    return out


def _log_change(closes: FloatArray) -> FloatArray:
    out = np.full_like(closes, np.nan)
    out[:, 1:] = _log(closes[:, 1:], closes[:, :-1])
    return out


def _rogers_satchell(opens: FloatArray, highs: FloatArray, lows: FloatArray, closes: FloatArray) -> FloatArray:
    up, down, change = _log(highs, opens), _log(lows, opens), _log(closes, opens)
    return np.asarray(up * (up - change) + down * (down - change))


def _mean(rows: FloatArray, n: int) -> FloatArray:
    out = np.empty_like(rows)
    sma_rows(rows, n, out)
    return np.maximum(out, 0.0)  # the running sum may end a rounding error below nothing


def _variance(rows: FloatArray, n: int) -> FloatArray:
    """Sample variance (ddof 1) of the last n."""
    out = np.empty_like(rows)
    deviation_rows(rows, n, out)
    return np.asarray(out * out * (n / (n - 1)))
