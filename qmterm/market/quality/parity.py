"""A call and a put of one strike that contradict what the strikes around them say about the forward.

C − P + K·e^(−rT) is the same at every strike of European options, and changes slowly along the strikes of American
ones; so each strike is held against the median of its neighbours, and neither dividends nor borrowing cost nor early
exercise need be known. The trap: parity condemns a pair, and one of the two is usually good. The one that its own
neighbours did not expect is refused.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.quant.surface.ladder import Ladder

WINDOW = 3  # strikes on each side
FEWEST = 3  # neighbours that make a median
TOLERANCE = 0.02  # dollars per share
SPOT_SHARE = 0.001  # of the stock's price
SCATTER = 3.0  # times how far the neighbours themselves lie apart: early exercise makes a slope, worst at the ends


def off_parity(
    ladder: Ladder,
    rate: FloatArray,
    spot: float,
    low: FloatArray,
    high: FloatArray,
    middle: FloatArray,
    usable: BoolArray,
) -> BoolArray:
    """True for the contracts to refuse; `rate` one a contract, `low` and `high` what each can be sold, bought for."""
    refused = np.zeros(ladder.contracts, dtype=np.bool_)
    rows = np.flatnonzero((ladder.call >= 0) & (ladder.put >= 0))
    rows = rows[usable[ladder.call[rows]] & usable[ladder.put[rows]]]
    if rows.size <= FEWEST:
        return refused
    expiry, strike = ladder.expiry[rows], ladder.strike[rows]
    call, put = ladder.call[rows], ladder.put[rows]
    # A price at its intrinsic value waits to be exercised: it follows the stock alone, and parity says nothing of it.
    inside = np.where(strike < spot, call, put)
    exercised = middle[inside] - np.abs(spot - strike) <= high[inside] - low[inside] + SPOT_SHARE * spot
    level = strike * np.exp(-rate[call] * ladder.years[expiry])
    expected, scatter = _around(middle[call] - middle[put] + level, expiry)
    allowed = TOLERANCE + SPOT_SHARE * spot + SCATTER * scatter
    with np.errstate(invalid="ignore"):
        dear = low[call] - high[put] + level > expected + allowed
        cheap = high[call] - low[put] + level < expected - allowed
    for row in np.flatnonzero((dear | cheap) & ~exercised).tolist():
        others = _nearest(row, expiry)
        if others.size < FEWEST:
            refused[[call[row], put[row]]] = True
            continue
        surprise = [
            abs(middle[side[row]] - _through(strike[others], middle[side[others]], strike[row])) for side in (call, put)
        ]
        refused[call[row] if surprise[0] >= surprise[1] else put[row]] = True
    return refused


def _around(value: FloatArray, expiry: IntArray) -> tuple[FloatArray, FloatArray]:
    """Median of the neighbours' values, and the median of how far they lie from it; NaN with fewer than FEWEST."""
    offsets = [step for step in range(-WINDOW, WINDOW + 1) if step]
    values = np.full((value.size, len(offsets)), np.nan)
    for column, step in enumerate(offsets):
        mine = slice(max(0, -step), value.size - max(0, step))
        theirs = slice(max(0, step), value.size + min(0, step))
        values[mine, column] = np.where(expiry[mine] == expiry[theirs], value[theirs], np.nan)
    median = _median(values)
    return median, _median(np.abs(values - median[:, None]))


def _median(values: FloatArray) -> FloatArray:
    """Along each row, of the known ones; NaN with fewer than FEWEST."""
    count = np.isfinite(values).sum(axis=1)
    ordered = np.sort(values, axis=1)  # NaN last
    row = np.arange(count.size)
    middle = (
        ordered[row, np.maximum(count - 1, 0) // 2] + ordered[row, np.minimum(count // 2, values.shape[1] - 1)]
    ) / 2
    return np.where(count >= FEWEST, middle, np.nan)


def _nearest(row: int, expiry: IntArray) -> IntArray:
    """Up to two rows on each side, more of one where the other has none."""
    around = np.arange(max(0, row - 4), min(expiry.size, row + 5))
    around = around[(around != row) & (expiry[around] == expiry[row])]
    return np.sort(around[np.argsort(np.abs(around - row), kind="stable")][:4])


def _through(strike: FloatArray, price: FloatArray, at: float) -> float:
    """The curve through a few prices, at another strike (Lagrange)."""
    total = 0.0
    for number in range(strike.size):
        others = np.delete(strike, number)
        total += float(price[number] * np.prod((at - others) / (strike[number] - others)))
    return total
