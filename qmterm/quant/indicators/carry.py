"""What completed bars leave behind for the next one: averages, sums and extremes, one column each, for all symbols.

Exponential and Wilder averages are linear in the bars, so a whole history is a few dot products with fixed weights
instead of chains of dependent steps (QUANT.md 2 for the seeds). The trap: the weights hold from SEED bars on; rows
with fewer are left NaN here and computed by young.py.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import FloatArray, IntArray
from qmterm.quant.elementary import log
from qmterm.quant.indicators.kernels import first_bar, sum_piece
from qmterm.quant.kernel import array_kernel, piece

SEED = 34  # bars until all averages run: the signal line of MACD 12, 26, 9 is the last to begin
WILDER = 13.0 / 14.0

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

# Keeps products with weights of very old bars from becoming subnormal, which costs a hundred times a normal product.
_NEGLIGIBLE = 1e-290


class Weights(NamedTuple):
    """What a bar counts for at the end of a history, by its place from the start and by its age."""

    lead: FloatArray  # (6, SEED) EMA10, EMA20, fast, slow, signal and Wilder at bar SEED − 1
    tail: FloatArray  # (6, width), the newest bar in the last column
    decay: FloatArray  # (8, width) the six after k more bars, then what fast and slow at SEED − 1 add to the signal


@cache
def weights(width: int) -> Weights:
    """Tables for histories of up to `width` bars."""
    identity = np.eye(SEED)
    lead = np.zeros((6, SEED))
    for number, n in ((0, 10), (1, 20), (3, 26)):
        lead[number] = _average(identity, n, 0)[-1]
    fast, slow = _average(identity, 12, 14), _average(identity, 26, 0)
    lead[2] = fast[-1]
    lead[4] = np.mean([f - s for f, s in zip(fast[-9:], slow[-9:], strict=True)], axis=0)
    # The first true range, gain and loss belong to bar 1.
    lead[5, 1:] = _average(np.eye(SEED - 1), 14, 0, WILDER)[-1]

    rates = np.array([2 / 11, 2 / 21, 2 / 13, 2 / 27, 0.2, 1 - WILDER])
    step = np.diag(1 - rates)
    step[4, 2], step[4, 3] = 0.2 * (1 - rates[2]), -0.2 * (1 - rates[3])
    impulse = rates.copy()
    impulse[4] = 0.2 * (rates[2] - rates[3])
    tail = np.empty((6, width))
    decay = np.empty((8, width))
    left = np.eye(6)
    for age in range(width):
        tail[:, width - 1 - age] = impulse
        decay[:6, age] = np.diag(left)
        decay[6, age], decay[7, age] = left[4, 2], left[4, 3]
        impulse, left = step @ impulse, step @ left
    for table in (tail, decay):
        table[np.abs(table) < _NEGLIGIBLE] = 0.0
    return Weights(lead, tail, decay)


def _average(bars: FloatArray, n: int, begin: int, decay: float | None = None) -> list[FloatArray]:
    """An exponential average over impulses, bar by bar from its seed (the mean of n bars from `begin`) on."""
    kept = 1 - 2 / (n + 1) if decay is None else decay
    values = [bars[begin : begin + n].mean(axis=0)]
    for bar in bars[begin + n :]:
        values.append(kept * values[-1] + (1 - kept) * bar)
    return values


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
        _carry_rows(rows, high, low, close, volume, skip, tables.lead, tables.tail, tables.decay, state, counts, latest)
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
        gain += w * max(change, 0.0)
        loss += w * max(-change, 0.0)
        reach += w * max(high[t] - low[t], max(abs(high[t] - b), abs(low[t] - b)))
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
    total = bad = 0.0
    for t in range(24):
        r = log(x[t] / before[t])
        scratch[t] = r
        total += r if t >= 5 else 0.0
        bad += 0.0 if (t < 5) | ((x[t] > 0.0) & (before[t] > 0.0)) else 1.0
    mean = total / 19.0 if bad == 0.0 else np.nan
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
def _chains(
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    lead: FloatArray,
    tail: FloatArray,
    decay: FloatArray,
    state: FloatArray,
    i: int,
) -> None:
    """The averages that go back to the first bar: those at SEED − 1 decay by k bars, the k bars come on top."""
    k = close.size - SEED
    at = tail.shape[1] - k
    near = close[close.size - 1]  # a row that never moved then has averages of exactly its price and a MACD of 0
    head = close[:SEED]
    ema10, ema20, fast, slow, signal = _dots(head, near, lead[0], lead[1], lead[2], lead[3], lead[4])
    rest = close[SEED:]
    a, b, c, d, e = _dots(rest, near, tail[0, at:], tail[1, at:], tail[2, at:], tail[3, at:], tail[4, at:])
    state[EMA10, i] = near + a + decay[0, k] * ema10
    state[EMA20, i] = near + b + decay[1, k] * ema20
    state[FAST, i] = near + c + decay[2, k] * fast
    state[SLOW, i] = near + d + decay[3, k] * slow
    state[SIGNAL, i] = e + decay[4, k] * signal + decay[6, k] * fast + decay[7, k] * slow
    gain, loss, reach = _moves(high[1:SEED], low[1:SEED], close[1:SEED], close[: SEED - 1], lead[5, 1:])
    up, down, far = _moves(high[SEED:], low[SEED:], rest, close[SEED - 1 : close.size - 1], tail[5, at:])
    state[GAIN, i] = up + decay[5, k] * gain
    state[LOSS, i] = down + decay[5, k] * loss
    state[ATR, i] = far + decay[5, k] * reach


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
    lead: FloatArray,
    tail: FloatArray,
    decay: FloatArray,
    state: FloatArray,
    counts: NDArray[np.int64],
    latest: FloatArray,
) -> None:
    end = close.shape[1] - skip
    scratch = np.empty(24)
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
        _chains(high[i, start:end], low[i, start:end], row, lead, tail, decay, state, i)
        _windows(high[i, start:end], low[i, start:end], row, volume[i, start:end], scratch, state, i)
