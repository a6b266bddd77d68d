"""How narrow the Bollinger bands are by their own standards: the squeeze that breakouts are looked for in.

The percentile counts as IV percentile does (QUANT.md 3.6): the share of earlier values that lie below, today's
excluded. The trap: the first one therefore needs 120 bandwidths before it, 140 bars in all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.quant.arrays import rows_of, window
from qmterm.quant.indicators.kernels import sum_piece
from qmterm.quant.indicators.series import bollinger
from qmterm.quant.kernel import array_kernel

OVER = 120


def bandwidth_percentile(close: ArrayLike, n: int = 20, k: float = 2.0, over: int = OVER) -> FloatArray:
    """Percent of the `over` bandwidths before each bar that lie below its own; NaN without so many."""
    shape, (rows,) = rows_of(close=close)
    window("over", over)
    widths = bollinger(rows, n, k).bandwidth
    out = np.full(rows.shape, np.nan)
    if rows.shape[1] > over:
        _ranks(rows.shape[0], widths, over, out)
    return out.reshape(shape)


def last_bandwidth_percentile(close: FloatArray) -> FloatArray:
    """The latest value of `bandwidth_percentile` for (symbols, bars), at a fraction of its cost."""
    widths = last_bandwidths(close, OVER + 1)
    return share_below(widths, widths[:, -1], np.zeros(len(widths), dtype=np.bool_))


def last_bandwidths(close: FloatArray, count: int) -> FloatArray:
    """The last `count` Bollinger bandwidths (20, 2) of every row, right-aligned; NaN where there is none."""
    recent = np.ascontiguousarray(close[:, max(close.shape[1] - count - 19, 0) :])
    widths = np.full((close.shape[0], count), np.nan)
    found = bollinger(recent).bandwidth[:, -count:]
    widths[:, count - found.shape[1] :] = found
    return widths


def share_below(widths: FloatArray, latest: FloatArray, present: BoolArray) -> FloatArray:
    """Percent of widths below `latest`, of (rows, count + 1): the last `count` where present, else the first."""
    out = np.full(len(widths), np.nan)
    if len(widths):
        _share(len(widths), widths, np.ascontiguousarray(latest), present, out)
    return out


@sum_piece
def _below(values: FloatArray, border: float) -> tuple[float, float]:
    """How many lie below by more than rounding, how many are numbers at all."""
    low = known = 0.0
    least = border * (1.0 - 1e-9)
    for t in range(values.size):
        low += 1.0 if values[t] < least else 0.0
        known += 1.0 if values[t] == values[t] else 0.0
    return low, known


@array_kernel(small=0, parallel_from=4000)
def _share(begin: int, stop: int, widths: FloatArray, latest: FloatArray, present: BoolArray, out: FloatArray) -> None:
    count = widths.shape[1] - 1
    for i in range(begin, stop):
        first = 1 if present[i] else 0
        low, known = _below(widths[i, first : first + count], latest[i])
        if known == count and latest[i] == latest[i]:
            out[i] = 100.0 * low / count


@array_kernel(small=0, parallel_from=200)
def _ranks(begin: int, stop: int, widths: FloatArray, over: int, out: FloatArray) -> None:
    for i in range(begin, stop):
        for t in range(over, widths.shape[1]):
            if np.isnan(widths[i, t]):
                continue
            low, known = _below(widths[i, t - over : t], widths[i, t])
            if known == over:
                out[i, t] = 100.0 * low / over
