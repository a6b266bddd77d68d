"""Which quotes of a chain mean a price (QUANT.md 3.5).

The trap: a mid exists only between two real sides that stand near each other; a bid of zero is no side.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import BoolArray, FloatArray

WIDE_DOLLARS = 0.10
WIDE_SHARE = 0.50  # of the mid
_ROUNDING = 1e-9


def two_sided(bid: FloatArray, ask: FloatArray) -> BoolArray:
    """Both sides there and not crossed; a locked market (bid = ask) is two-sided."""
    return np.asarray((bid > 0) & (ask >= bid) & np.isfinite(ask))


def mid_prices(bid: FloatArray, ask: FloatArray) -> FloatArray:
    """The mid, NaN unless the quote is two-sided and no wider than $0.10 or half of the mid."""
    with np.errstate(invalid="ignore", over="ignore"):
        middle = (bid + ask) / 2
        narrow = ask - bid <= np.maximum(WIDE_DOLLARS, WIDE_SHARE * middle) + _ROUNDING
    return np.where(two_sided(bid, ask) & narrow, middle, np.nan)
