"""What each bar of a history counts for in the exponential and Wilder averages at its end (seeds: QUANT.md 2).

The averages are linear in the bars, so their last values are weighted sums. The trap: the weights of the first SEED
bars go by place, those of later ones by age; a history shorter than SEED has none.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from qmterm.core.bars import FloatArray

SEED = 34  # bars until all averages run: the signal line of MACD 12, 26, 9 is the last to begin
_WILDER = 13.0 / 14.0

# Keeps products with weights of very old bars from becoming subnormal, which costs a hundred times a normal product.
_NEGLIGIBLE = 1e-290
# No weight is left at this age: the slowest average keeps 25/27 a bar.
_OLDEST = 9000


class Weights(NamedTuple):
    """What a bar counts for at the end of a history, by its place from the start and by its age."""

    lead: FloatArray  # (6, SEED) EMA10, EMA20, fast, slow, signal and Wilder at bar SEED − 1
    tail: FloatArray  # (6, width), the newest bar in the last column
    decay: FloatArray  # (8, width) the six after k more bars, then what fast and slow at SEED − 1 add to the signal


@lru_cache(maxsize=8)
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
    lead[5, 1:] = _average(np.eye(SEED - 1), 14, 0, _WILDER)[-1]

    rates = np.array([2 / 11, 2 / 21, 2 / 13, 2 / 27, 0.2, 1 - _WILDER])
    step = np.diag(1 - rates)
    step[4, 2], step[4, 3] = 0.2 * (1 - rates[2]), -0.2 * (1 - rates[3])
    impulse = rates.copy()
    impulse[4] = 0.2 * (rates[2] - rates[3])
    tail = np.zeros((6, width))
    decay = np.zeros((8, width))
    left = np.eye(6)
    for age in range(min(width, _OLDEST)):
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
