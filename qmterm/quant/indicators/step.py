"""One more bar on top of what carry.py left: every feature of every symbol, without looking at the history again.

Symbols lie side by side, so each short loop below fills one column for a block of symbols with vector instructions.
The trap: a loop that writes two columns, or branches, no longer vectorises.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.quant.elementary import log
from qmterm.quant.indicators import carry
from qmterm.quant.indicators import columns as at
from qmterm.quant.kernel import array_kernel, piece

# Symbols at a time: a dozen columns of one block stay in the first-level cache.
BLOCK = 256

_FOURTEENTH = 1.0 / 14.0

HIGH, LOW, CLOSE, VOLUME = range(4)


@piece
def _copy(x: FloatArray, out: FloatArray) -> None:
    for i in range(out.size):
        out[i] = x[i]


@piece
def _average(before: FloatArray, x: FloatArray, rate: float, out: FloatArray) -> None:
    for i in range(out.size):
        out[i] = before[i] + rate * (x[i] - before[i])


@piece
def _sum_mean(total: FloatArray, x: FloatArray, share: float, out: FloatArray) -> None:
    for i in range(out.size):
        out[i] = (total[i] + x[i]) * share


@piece
def _gap(fast: FloatArray, slow: FloatArray, x: FloatArray, out: FloatArray) -> None:
    for i in range(out.size):
        f = fast[i] + 2.0 / 13.0 * (x[i] - fast[i])
        s = slow[i] + 2.0 / 27.0 * (x[i] - slow[i])
        out[i] = f - s


@piece
def _difference(above: FloatArray, below: FloatArray, out: FloatArray) -> None:
    for i in range(out.size):
        out[i] = above[i] - below[i]


@piece
def _atr(
    average: FloatArray, previous: FloatArray, high: FloatArray, low: FloatArray, x: FloatArray, out: FloatArray
) -> None:
    for i in range(out.size):
        b = previous[i]
        reach = max(high[i] - low[i], max(abs(high[i] - b), abs(low[i] - b)))
        out[i] = average[i] + (reach - average[i]) * _FOURTEENTH


@piece
def _rsi(gain: FloatArray, loss: FloatArray, previous: FloatArray, x: FloatArray, out: FloatArray) -> None:
    for i in range(out.size):
        change = x[i] - previous[i]
        up = gain[i] * 13.0 + max(change, 0.0)
        both = up + loss[i] * 13.0 + max(-change, 0.0)
        value = 100.0 * up / both
        out[i] = value if both > 0.0 else np.nan


@piece
def _percent(above: FloatArray, below: FloatArray, out: FloatArray) -> None:
    for i in range(out.size):
        value = 100.0 * above[i] / below[i]
        out[i] = value if below[i] > 0.0 else np.nan


@piece
def _highest(before: FloatArray, high: FloatArray, out: FloatArray) -> None:
    for i in range(out.size):
        out[i] = high[i] if high[i] > before[i] else before[i]


@piece
def _lowest(before: FloatArray, low: FloatArray, out: FloatArray) -> None:
    for i in range(out.size):
        out[i] = low[i] if low[i] < before[i] else before[i]


@piece
def _place(x: FloatArray, low: FloatArray, high: FloatArray, scale: float, out: FloatArray) -> None:
    """Where x lies between low (0) and high (`scale`); NaN where they are one."""
    for i in range(out.size):
        value = scale * (x[i] - low[i]) / (high[i] - low[i])
        out[i] = value if high[i] > low[i] else np.nan


@piece
def _turnover(total: FloatArray, x: FloatArray, volume: FloatArray, out: FloatArray) -> None:
    for i in range(out.size):
        out[i] = (total[i] + x[i] * volume[i]) * 0.05


@piece
def _relative_volume(total: FloatArray, volume: FloatArray, out: FloatArray) -> None:
    for i in range(out.size):
        mean = (total[i] + volume[i]) * 0.05
        value = volume[i] / mean
        out[i] = value if mean > 0.0 else np.nan


@piece
def _volatility(mean: FloatArray, squares: FloatArray, previous: FloatArray, x: FloatArray, out: FloatArray) -> None:
    """The twentieth return joins nineteen: their squares grow by (r − mean)²·19/20."""
    for i in range(out.size):
        ratio = x[i] / previous[i]
        away = log(ratio) - mean[i]
        value = np.sqrt(at.TRADING_DAYS / 19.0 * (squares[i] + away * away * 0.95))
        out[i] = value if x[i] > 0.0 else np.nan


@piece
def _mean(mean: FloatArray, x: FloatArray, out: FloatArray) -> None:
    for i in range(out.size):
        out[i] = mean[i] + (x[i] - mean[i]) * 0.05


@piece
def _band(mid: FloatArray, mean: FloatArray, squares: FloatArray, x: FloatArray, sides: float, out: FloatArray) -> None:
    """Two population deviations above (`sides` +2) or below (−2) the mean of twenty."""
    for i in range(out.size):
        away = x[i] - mean[i]
        out[i] = mid[i] + sides * np.sqrt((squares[i] + away * away * 0.95) * 0.05)


@piece
def _width(low: FloatArray, mid: FloatArray, high: FloatArray, out: FloatArray) -> None:
    for i in range(out.size):
        value = (high[i] - low[i]) / mid[i]
        out[i] = value if mid[i] > 0.0 else np.nan


@piece
def _keep(old: FloatArray, present: BoolArray, out: FloatArray) -> None:
    for i in range(out.size):
        out[i] = out[i] if present[i] else old[i]


@piece
def _is_bar(high: FloatArray, low: FloatArray, close: FloatArray, present: BoolArray) -> int:
    """Marks the symbols that have a bar (three positive, finite prices), returns how many."""
    count = 0
    for i in range(present.size):
        whole = (high[i] > 0.0) & (high[i] < np.inf) & (low[i] > 0.0) & (low[i] < np.inf)
        present[i] = whole & (close[i] > 0.0) & (close[i] < np.inf)
        count += present[i]
    return count


@array_kernel(small=0, parallel_from=12_000)
def step_rows(
    begin: int, stop: int, bars: FloatArray, state: FloatArray, old: FloatArray, present: NDArray[np.bool_],
    out: FloatArray,
) -> None:  # fmt: skip
    """Fill `out` (columns.COUNT, symbols) for bars (4, symbols); without a bar the column is that of `old`.

    An `old` of no rows: every symbol is computed, present or not.
    """
    for low in range(begin, stop, BLOCK):
        high = min(low + BLOCK, stop)
        top, bottom = bars[HIGH, low:high], bars[LOW, low:high]
        x, volume = bars[CLOSE, low:high], bars[VOLUME, low:high]
        previous = state[carry.PREVIOUS, low:high]
        _copy(x, out[at.CLOSE, low:high])
        _copy(volume, out[at.VOLUME, low:high])
        _average(state[carry.EMA10, low:high], x, 2.0 / 11.0, out[at.EMA10, low:high])
        _average(state[carry.EMA20, low:high], x, 2.0 / 21.0, out[at.EMA20, low:high])
        _sum_mean(state[carry.SUM49, low:high], x, 0.02, out[at.SMA50, low:high])
        _sum_mean(state[carry.SUM99, low:high], x, 0.01, out[at.SMA100, low:high])
        _sum_mean(state[carry.SUM199, low:high], x, 0.005, out[at.SMA200, low:high])
        _copy(state[carry.SMA20_5AGO, low:high], out[at.SMA20_5AGO, low:high])

        macd, signal = out[at.MACD, low:high], out[at.MACD_SIGNAL, low:high]
        _gap(state[carry.FAST, low:high], state[carry.SLOW, low:high], x, macd)
        _average(state[carry.SIGNAL, low:high], macd, 0.2, signal)
        _difference(macd, signal, out[at.MACD_HIST, low:high])

        _atr(state[carry.ATR, low:high], previous, top, bottom, x, out[at.ATR14, low:high])
        _percent(out[at.ATR14, low:high], x, out[at.ATR_PCT, low:high])
        _rsi(state[carry.GAIN, low:high], state[carry.LOSS, low:high], previous, x, out[at.RSI14, low:high])

        _highest(state[carry.HIGH19, low:high], top, out[at.HIGH20, low:high])
        _lowest(state[carry.LOW19, low:high], bottom, out[at.LOW20, low:high])
        _place(x, out[at.LOW20, low:high], out[at.HIGH20, low:high], 100.0, out[at.POS20, low:high])
        _turnover(state[carry.TURNOVER19, low:high], x, volume, out[at.DOLLAR_VOLUME20, low:high])
        _relative_volume(state[carry.VOLUME19, low:high], volume, out[at.RVOL20, low:high])
        _volatility(
            state[carry.RETURN19, low:high], state[carry.RETURN_SQUARES19, low:high], previous, x,
            out[at.HV20, low:high],
        )  # fmt: skip

        mid, mean, squares = out[at.SMA20, low:high], state[carry.MEAN19, low:high], state[carry.SQUARES19, low:high]
        upper, lower = out[at.BB_UPPER, low:high], out[at.BB_LOWER, low:high]
        _mean(mean, x, mid)
        _band(mid, mean, squares, x, 2.0, upper)
        _band(mid, mean, squares, x, -2.0, lower)
        _place(x, lower, upper, 1.0, out[at.PERCENT_B, low:high])
        _width(lower, mid, upper, out[at.BANDWIDTH, low:high])

        if old.shape[0] == 0:
            continue
        if _is_bar(top, bottom, x, present[low:high]) < high - low:
            for column in range(at.COUNT):
                _keep(old[column, low:high], present[low:high], out[column, low:high])
