"""Indicator kernels over (rows, time) blocks, seeded exactly as TA-Lib seeds them (QUANT.md 2).

Each writes NaN up to its first valid bar. The trap: leading NaNs only shift a row's start, but a NaN *inside* a row
poisons running sums from there on; panels never hold one (core/bars.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba.extending import register_jitable

from qmterm.core.bars import FloatArray
from qmterm.quant.kernel import kernel, piece

F = TypeVar("F", bound=Callable[..., Any])


def sum_piece(function: F) -> F:
    """As kernel.piece, for sums over a row: the order of additions is free, so that they use vector registers.

    Such a loop must begin at 0 (slice the row instead): numba cannot see that any other index is not negative, and
    the check for it turns every load into a gather.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc"}}
    registered: F = register_jitable(forceinline=True, **options)(function)
    return registered


@piece
def first_bar(row: FloatArray) -> int:
    """Index of the first number in a row, its length when there is none."""
    for t in range(row.size):
        if not math.isnan(row[t]):
            return t
    return int(row.size)


@kernel
def sma_rows(x: FloatArray, n: int, out: FloatArray) -> None:
    out[:] = np.nan
    for i in range(x.shape[0]):
        row = x[i]
        start = first_bar(row)
        total = 0.0
        for t in range(start, row.size):
            total += row[t]
            if t - start >= n - 1:
                out[i, t] = total / n
                total -= row[t - n + 1]


@kernel
def ema_rows(x: FloatArray, n: int, out: FloatArray) -> None:
    out[:] = np.nan
    k = 2.0 / (n + 1.0)
    for i in range(x.shape[0]):
        row = x[i]
        start = first_bar(row)
        seed = start + n - 1
        if seed >= row.size:
            continue
        value = 0.0
        for t in range(start, seed + 1):
            value += row[t]
        value /= n
        out[i, seed] = value
        for t in range(seed + 1, row.size):
            value += k * (row[t] - value)
            out[i, t] = value


@kernel
def rsi_rows(x: FloatArray, n: int, out: FloatArray) -> None:
    """NaN, not TA-Lib's 0, where neither gains nor losses exist."""
    out[:] = np.nan
    for i in range(x.shape[0]):
        row = x[i]
        start = first_bar(row)
        gain = 0.0
        loss = 0.0
        for t in range(start + 1, row.size):
            change = row[t] - row[t - 1]
            up = max(change, 0.0)
            down = max(-change, 0.0)
            if t - start <= n:
                gain += up / n
                loss += down / n
            else:
                gain = (gain * (n - 1) + up) / n
                loss = (loss * (n - 1) + down) / n
            if t - start >= n and gain + loss > 0.0:
                out[i, t] = 100.0 * gain / (gain + loss)


@kernel
def macd_rows(
    x: FloatArray, fast: int, slow: int, signal: int, line: FloatArray, signal_line: FloatArray, hist: FloatArray
) -> None:
    """Both averages are seeded at the slow one's first bar; the three outputs start together."""
    line[:] = np.nan
    signal_line[:] = np.nan
    hist[:] = np.nan
    k_fast = 2.0 / (fast + 1.0)
    k_slow = 2.0 / (slow + 1.0)
    k_signal = 2.0 / (signal + 1.0)
    for i in range(x.shape[0]):
        row = x[i]
        start = first_bar(row)
        seed = start + slow - 1
        begin = seed + signal - 1
        if begin >= row.size:
            continue
        slow_ema = 0.0
        for t in range(start, seed + 1):
            slow_ema += row[t] / slow
        fast_ema = 0.0
        for t in range(seed - fast + 1, seed + 1):
            fast_ema += row[t] / fast
        average = (fast_ema - slow_ema) / signal
        for t in range(seed + 1, row.size):
            fast_ema += k_fast * (row[t] - fast_ema)
            slow_ema += k_slow * (row[t] - slow_ema)
            gap = fast_ema - slow_ema
            if t <= begin:
                average += gap / signal
            else:
                average += k_signal * (gap - average)
            if t >= begin:
                line[i, t] = gap
                signal_line[i, t] = average
                hist[i, t] = gap - average
        if signal == 1:
            line[i, seed] = signal_line[i, seed] = average
            hist[i, seed] = 0.0


@kernel
def deviation_rows(x: FloatArray, n: int, out: FloatArray) -> None:
    """Population standard deviation of the last n, in two passes so that a flat window gives exactly 0."""
    out[:] = np.nan
    for i in range(x.shape[0]):
        row = x[i]
        for t in range(first_bar(row) + n - 1, row.size):
            mean = 0.0
            for j in range(t - n + 1, t + 1):
                mean += row[j]
            mean /= n
            total = 0.0
            for j in range(t - n + 1, t + 1):
                total += (row[j] - mean) * (row[j] - mean)
            out[i, t] = math.sqrt(total / n)


@kernel
def atr_rows(high: FloatArray, low: FloatArray, close: FloatArray, n: int, wilder: bool, out: FloatArray) -> None:
    """The first bar has no previous close and no true range."""
    out[:] = np.nan
    for i in range(close.shape[0]):
        start = max(first_bar(close[i]), max(first_bar(high[i]), first_bar(low[i])))
        ranges = np.empty(close.shape[1])
        average = 0.0
        for t in range(start + 1, close.shape[1]):
            before = close[i, t - 1]
            ranges[t] = max(high[i, t] - low[i, t], max(abs(high[i, t] - before), abs(low[i, t] - before)))
            if t - start <= n:
                average += ranges[t] / n
            elif wilder:
                average = (average * (n - 1) + ranges[t]) / n
            else:
                average += (ranges[t] - ranges[t - n]) / n
            if t - start >= n:
                out[i, t] = average


@kernel
def extreme_rows(x: FloatArray, n: int, sign: float, out: FloatArray) -> None:
    """Rolling maximum (sign +1) or minimum (−1); looks back only when the best bar has left the window."""
    out[:] = np.nan
    for i in range(x.shape[0]):
        row = x[i]
        start = first_bar(row)
        best = start
        for t in range(start, row.size):
            if sign * row[t] >= sign * row[best]:
                best = t
            elif t - best >= n:
                best = t - n + 1
                for j in range(best + 1, t + 1):
                    if sign * row[j] >= sign * row[best]:
                        best = j
            if t - start >= n - 1:
                out[i, t] = row[best]
