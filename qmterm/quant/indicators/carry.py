"""What completed bars leave behind for the next one: averages, sums and extremes, one column each, for all symbols.

Exponential and Wilder averages are linear in the bars, so a whole history is a few dot products with fixed weights
instead of chains of dependent steps (QUANT.md 2 for the seeds). The trap: the weights hold from SEED bars on; rows
with fewer are left NaN here and computed by young.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import FloatArray, IntArray
from qmterm.quant.elementary import log
from qmterm.quant.indicators.kernels import first_bar, sum_piece
from qmterm.quant.indicators.weights import SEED, weights
from qmterm.quant.kernel import array_kernel, piece

(
    PREVIOUS,  # close
    EMA10,
    EMA20,
    FAST,
    SLOW,
    SIGNAL,
    GAIN,
    LOSS,
    ATR,
    MEAN19,  # of closes; NaN-free from SEED bars on, as all but the three long sums
    SQUARES19,  # Σ(close − mean)², exactly 0 on a flat window
    SUM49,
    SUM99,
    SUM199,
    SMA20_5AGO,  # as the next bar will see it
    HIGH19,
    LOW19,
    VOLUME19,
    TURNOVER19,  # Σ close·volume
    RETURN19,  # mean log return
    RETURN_SQUARES19,
) = range(21)
COLUMNS = 21


class Carried(NamedTuple):
    """State after the completed bars, and the bars left out of it."""

    state: FloatArray  # (COLUMNS, symbols)
    counts: IntArray  # completed bars
    latest: FloatArray  # (4, symbols) high, low, close, volume of the bar left out


def carry(high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray, skip: int) -> Carried:
    """The state after all but the last `skip` (0 or 1) bars of right-aligned (symbols, bars) blocks."""
    rows, width = close.shape
    state = np.empty((COLUMNS, rows))
    counts: IntArray = np.zeros(rows, dtype=np.int64)
    latest = np.empty((4, rows))
    tables = weights(width)
    if rows and width:
        _carry_rows(
            rows, high, low, close, volume, skip, 24, tables.lead, tables.tail, tables.decay, state, counts, latest
        )
    return Carried(state, counts, latest)


@sum_piece
def _dots(
    x: FloatArray, near: float, a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray, e: FloatArray
) -> tuple[float, float, float, float, float]:
    """Five weighted sums of one series, counted from `near`, in one pass."""
    first = second = third = fourth = fifth = 0.0
    for t in range(x.size):
        v = x[t] - near
        first += a[t] * v
        second += b[t] * v
        third += c[t] * v
        fourth += d[t] * v
        fifth += e[t] * v
    return first, second, third, fourth, fifth


@sum_piece
def _moves(
    high: FloatArray, low: FloatArray, close: FloatArray, before: FloatArray, weight: FloatArray
) -> tuple[float, float, float]:
    """Weighted gains, losses and true ranges."""
    gain = loss = reach = 0.0
    for t in range(close.size):
        w = weight[t]
        b = before[t]
        change = close[t] - b
        up = change if change > 0.0 else 0.0
        above = abs(high[t] - b)
        below = abs(low[t] - b)
        farther = above if above > below else below
        inside = high[t] - low[t]
        gain += w * up
        loss += w * (up - change)
        reach += w * (inside if inside > farther else farther)
    return gain, loss, reach


@sum_piece
def _sum(x: FloatArray, n: int) -> float:
    """Of the first n; a literal n, a multiple of 8, leaves no rest that is added one by one."""
    total = 0.0
    for t in range(n):
        total += x[t]
    return total


@sum_piece
def _closes(x: FloatArray, near: float) -> tuple[float, float, float]:
    """Of 24 closes: mean and Σ(x − mean)² of the last 19, and the mean of the first 20.

    `near` is the last of them: a flat window then has exactly that mean, and squares of exactly 0.
    """
    late = early = 0.0
    for t in range(24):
        away = x[t] - near
        late += away if t >= 5 else 0.0
        early += away if t < 20 else 0.0
    mean = near + late / 19.0
    squares = 0.0
    for t in range(24):
        away = x[t] - mean
        squares += away * away if t >= 5 else 0.0
    return mean, squares, near + early * 0.05


@sum_piece
def _volumes(volume: FloatArray, close: FloatArray) -> tuple[float, float]:
    """Of 24 bars, for the last 19: Σ volume and Σ close·volume."""
    shares = dollars = 0.0
    for t in range(24):
        shares += volume[t] if t >= 5 else 0.0
        dollars += close[t] * volume[t] if t >= 5 else 0.0
    return shares, dollars


@sum_piece
def _returns(x: FloatArray, before: FloatArray, scratch: FloatArray) -> tuple[float, float]:
    """Of 24 closes, for the last 19: mean log return and Σ(r − mean)²; NaN when a price is not positive."""
    for t in range(scratch.size):
        scratch[t] = log(x[t] / before[t])
    total = good = 0.0
    for t in range(24):
        total += scratch[t] if t >= 5 else 0.0
        good += 1.0 if (t >= 5) & (x[t] > 0.0) & (before[t] > 0.0) else 0.0
    mean = total / 19.0 if good == 19.0 else np.nan
    squares = 0.0
    for t in range(24):
        away = scratch[t] - mean
        squares += away * away if t >= 5 else 0.0
    return mean, squares


@piece
def _extremes(high: FloatArray, low: FloatArray) -> tuple[float, float]:
    """Highest and lowest of 19, in three chains at a time."""
    a, b, c = high[0], high[6], high[12]
    d, e, f = low[0], low[6], low[12]
    for t in range(1, 7):
        a, b, c = max(a, high[t]), max(b, high[t + 6]), max(c, high[t + 12])
        d, e, f = min(d, low[t]), min(e, low[t + 6]), min(f, low[t + 12])
    return max(a, max(b, c)), min(d, min(e, f))


@piece
def _weigh(n: int, lead: FloatArray, tail: FloatArray, decay: FloatArray, own: FloatArray) -> None:
    """The weights of a history of n bars, into the first n columns of `own`."""
    k = n - SEED
    at = tail.shape[1] - k
    for row in range(6):
        for t in range(SEED):
            own[row, t] = lead[row, t] * decay[row, k]
        for t in range(k):
            own[row, SEED + t] = tail[row, at + t]
    for t in range(SEED):
        own[4, t] += lead[2, t] * decay[6, k] + lead[3, t] * decay[7, k]


@piece
def _averages(
    high: FloatArray, low: FloatArray, close: FloatArray, weight: FloatArray, state: FloatArray, i: int
) -> None:
    """What goes back to the first bar."""
    n = close.size
    near = close[n - 1]  # a row that never moved then has averages of exactly its price and a MACD of 0
    ema10, ema20, fast, slow, signal = _dots(
        close, near, weight[0, :n], weight[1, :n], weight[2, :n], weight[3, :n], weight[4, :n]
    )
    state[EMA10, i] = near + ema10
    state[EMA20, i] = near + ema20
    state[FAST, i] = near + fast
    state[SLOW, i] = near + slow
    state[SIGNAL, i] = signal
    state[GAIN, i], state[LOSS, i], state[ATR, i] = _moves(high[1:], low[1:], close[1:], close[: n - 1], weight[5, 1:n])


@piece
def _windows(
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    volume: FloatArray,
    scratch: FloatArray,
    state: FloatArray,
    i: int,
) -> None:
    """What 19 bars (and for the long averages 49, 99, 199) say to the one that will complete the window."""
    n = close.size
    recent = close[n - 24 :]
    mean, squares, five_ago = _closes(recent, close[n - 1])
    state[MEAN19, i] = mean
    state[SQUARES19, i] = squares
    state[SMA20_5AGO, i] = five_ago
    state[HIGH19, i], state[LOW19, i] = _extremes(high[n - 19 :], low[n - 19 :])
    state[VOLUME19, i], state[TURNOVER19, i] = _volumes(volume[n - 24 :], recent)
    state[RETURN19, i], state[RETURN_SQUARES19, i] = _returns(recent, close[n - 25 : n - 1], scratch)
    state[SUM49, i] = state[SUM99, i] = state[SUM199, i] = np.nan
    if n >= 49:
        total = _sum(close[n - 48 :], 48) + close[n - 49]
        state[SUM49, i] = total
        if n >= 99:
            total += _sum(close[n - 97 :], 48) + (close[n - 98] + close[n - 99])
            state[SUM99, i] = total
            if n >= 199:
                total += _sum(close[n - 195 :], 96)
                total += (close[n - 196] + close[n - 197]) + (close[n - 198] + close[n - 199])
                state[SUM199, i] = total


@array_kernel(small=0, parallel_from=2000)
def _carry_rows(
    begin: int,
    stop: int,
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    volume: FloatArray,
    skip: int,
    window: int,
    lead: FloatArray,
    tail: FloatArray,
    decay: FloatArray,
    state: FloatArray,
    counts: NDArray[np.int64],
    latest: FloatArray,
) -> None:
    end = close.shape[1] - skip
    # Its size is an argument: a loop of known length is unrolled into scalar logarithms, one of unknown is vectorised.
    scratch = np.empty(window)
    weight = np.empty((6, max(end, SEED)))
    weighed = 0  # bars the weights are made for: mostly those of the row before
    for i in range(begin, stop):
        if skip == 1:
            latest[0, i] = high[i, end]
            latest[1, i] = low[i, end]
            latest[2, i] = close[i, end]
            latest[3, i] = volume[i, end]
        start = max(first_bar(close[i]), max(first_bar(high[i]), first_bar(low[i])))
        n = max(end - start, 0)
        counts[i] = n
        if n < SEED:
            for column in range(COLUMNS):
                state[column, i] = np.nan
            continue
        row = close[i, start:end]
        state[PREVIOUS, i] = row[n - 1]
        if n != weighed:
            _weigh(n, lead, tail, decay, weight)
            weighed = n
        _averages(high[i, start:end], low[i, start:end], row, weight, state, i)
        _windows(high[i, start:end], low[i, start:end], row, volume[i, start:end], scratch, state, i)
