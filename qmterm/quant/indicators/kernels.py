"""Indicator kernels over (rows, time) blocks, seeded exactly as TA-Lib seeds them (QUANT.md 2).

Each writes NaN up to its first valid bar; many rows are spread over the cores. The trap: leading NaNs only shift a
row's start, but a NaN *inside* a row poisons running sums from there on (extremes only while it is in the window);
panels never hold one (core/bars.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba.extending import register_jitable

from qmterm.core.bars import FloatArray
from qmterm.quant.kernel import array_kernel, piece

# From this many rows on all cores work; and bars at a time where every window of a row advances together.
PARALLEL_ROWS = 200
BLOCK = 512

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


def sma_rows(x: FloatArray, n: int, out: FloatArray) -> None:
    _sma(x.shape[0], x, n, out)


def ema_rows(x: FloatArray, n: int, out: FloatArray) -> None:
    _ema(x.shape[0], x, n, out)


def rsi_rows(x: FloatArray, n: int, out: FloatArray) -> None:
    """NaN, not TA-Lib's 0, where neither gains nor losses exist."""
    _rsi(x.shape[0], x, n, out)


def macd_rows(
    x: FloatArray, fast: int, slow: int, signal: int, line: FloatArray, signal_line: FloatArray, hist: FloatArray
) -> None:
    """Both averages are seeded at the slow one's first bar; the three outputs start together."""
    _macd(x.shape[0], x, fast, slow, signal, line, signal_line, hist)


def deviation_rows(x: FloatArray, n: int, out: FloatArray) -> None:
    """Population standard deviation of the last n, around their own mean: exactly 0 for a flat window."""
    _deviation(x.shape[0], x, n, out)


def atr_rows(high: FloatArray, low: FloatArray, close: FloatArray, n: int, wilder: bool, out: FloatArray) -> None:
    """The first bar has no previous close and no true range."""
    _atr(close.shape[0], high, low, close, n, wilder, out)


def extreme_rows(x: FloatArray, n: int, sign: float, out: FloatArray) -> None:
    """Rolling maximum (sign +1) or minimum (−1)."""
    _extreme(x.shape[0], x, n, sign, out)


@array_kernel(small=0, parallel_from=PARALLEL_ROWS)
def _sma(begin: int, stop: int, x: FloatArray, n: int, out: FloatArray) -> None:
    for i in range(begin, stop):
        row = x[i]
        start = first_bar(row)
        out[i, : min(start + n - 1, row.size)] = np.nan
        total = 0.0
        for t in range(start, row.size):
            total += row[t]
            if t - start >= n - 1:
                out[i, t] = total / n
                total -= row[t - n + 1]


@array_kernel(small=0, parallel_from=PARALLEL_ROWS)
def _ema(begin: int, stop: int, x: FloatArray, n: int, out: FloatArray) -> None:
    k = 2.0 / (n + 1.0)
    for i in range(begin, stop):
        row = x[i]
        start = first_bar(row)
        seed = start + n - 1
        out[i, : min(seed, row.size)] = np.nan
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


@array_kernel(small=0, parallel_from=PARALLEL_ROWS)
def _rsi(begin: int, stop: int, x: FloatArray, n: int, out: FloatArray) -> None:
    for i in range(begin, stop):
        row = x[i]
        start = first_bar(row)
        out[i] = np.nan
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


@array_kernel(small=0, parallel_from=PARALLEL_ROWS)
def _macd(
    begin: int,
    stop: int,
    x: FloatArray,
    fast: int,
    slow: int,
    signal: int,
    line: FloatArray,
    signal_line: FloatArray,
    hist: FloatArray,
) -> None:
    k_fast = 2.0 / (fast + 1.0)
    k_slow = 2.0 / (slow + 1.0)
    k_signal = 2.0 / (signal + 1.0)
    for i in range(begin, stop):
        row = x[i]
        start = first_bar(row)
        seed = start + slow - 1
        first = seed + signal - 1
        for lines in (line, signal_line, hist):
            lines[i, : min(first, row.size)] = np.nan
        if first >= row.size:
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
            if t <= first:
                average += gap / signal
            else:
                average += k_signal * (gap - average)
            if t >= first:
                line[i, t] = gap
                signal_line[i, t] = average
                hist[i, t] = gap - average
        if signal == 1:
            line[i, seed] = signal_line[i, seed] = average
            hist[i, seed] = 0.0


@piece
def _away(x: FloatArray, last: FloatArray, out: FloatArray) -> None:
    for t in range(out.size):
        out[t] += x[t] - last[t]


@piece
def _square(x: FloatArray, mean: FloatArray, out: FloatArray) -> None:
    for t in range(out.size):
        out[t] += (x[t] - mean[t]) * (x[t] - mean[t])


@array_kernel(small=0, parallel_from=PARALLEL_ROWS)
def _deviation(begin: int, stop: int, x: FloatArray, n: int, out: FloatArray) -> None:
    """Window by window this would be sums of n that wait for each other; place by place all windows advance at once."""
    means = np.empty(BLOCK)
    squares = np.empty(BLOCK)
    for i in range(begin, stop):
        first = first_bar(x[i])
        out[i, : min(first + n - 1, x.shape[1])] = np.nan
        for at in range(first, x.shape[1] - n + 1, BLOCK):
            size = min(BLOCK, x.shape[1] - n + 1 - at)
            mean, total = means[:size], squares[:size]
            last = x[i, at + n - 1 : at + n - 1 + size]
            mean[:] = 0.0
            total[:] = 0.0
            for j in range(n):
                _away(x[i, at + j : at + j + size], last, mean)
            for t in range(size):
                mean[t] = last[t] + mean[t] / n
            for j in range(n):
                _square(x[i, at + j : at + j + size], mean, total)
            for t in range(size):
                out[i, at + n - 1 + t] = np.sqrt(total[t] / n)


@array_kernel(small=0, parallel_from=PARALLEL_ROWS)
def _atr(
    begin: int, stop: int, high: FloatArray, low: FloatArray, close: FloatArray, n: int, wilder: bool, out: FloatArray
) -> None:
    ranges = np.empty(close.shape[1])
    for i in range(begin, stop):
        start = max(first_bar(close[i]), max(first_bar(high[i]), first_bar(low[i])))
        out[i, : min(start + n, close.shape[1])] = np.nan
        average = 0.0
        for t in range(start + 1, close.shape[1]):
            before = close[i, t - 1]
            reach = max(high[i, t] - low[i, t], max(abs(high[i, t] - before), abs(low[i, t] - before)))
            ranges[t] = reach if before == before else np.nan  # max() drops a NaN on its other side
            if t - start <= n:
                average += ranges[t] / n
            elif wilder:
                average = (average * (n - 1) + ranges[t]) / n
            else:
                average += (ranges[t] - ranges[t - n]) / n
            if t - start >= n:
                out[i, t] = average


# An unknown bar makes the windows that hold it unknown: once NaN, an extreme stays NaN.


@piece
def _greater(x: FloatArray, out: FloatArray) -> None:
    for t in range(out.size):
        out[t] = x[t] if (x[t] > out[t]) | (x[t] != x[t]) else out[t]


@piece
def _smaller(x: FloatArray, out: FloatArray) -> None:
    for t in range(out.size):
        out[t] = x[t] if (x[t] < out[t]) | (x[t] != x[t]) else out[t]


@array_kernel(small=0, parallel_from=PARALLEL_ROWS)
def _extreme(begin: int, stop: int, x: FloatArray, n: int, sign: float, out: FloatArray) -> None:
    for i in range(begin, stop):
        first = first_bar(x[i])
        out[i, : min(first + n - 1, x.shape[1])] = np.nan
        for at in range(first, x.shape[1] - n + 1, BLOCK):
            size = min(BLOCK, x.shape[1] - n + 1 - at)
            best = out[i, at + n - 1 : at + n - 1 + size]
            best[:] = sign * -np.inf
            for j in range(n):
                if sign > 0.0:
                    _greater(x[i, at + j : at + j + size], best)
                else:
                    _smaller(x[i, at + j : at + j + size], best)
