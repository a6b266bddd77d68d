"""How easily a contract trades, 0 to 100, from its spread, open interest, volume and sizes (QUANT.md 1.5)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import FloatArray

WIDEST_SPREAD = 0.10
FULL_OPEN_INTEREST = 5000
FULL_VOLUME = 1000
FULL_SIZE = 50.0


def spread_pct(bid: ArrayLike, ask: ArrayLike) -> FloatArray:
    """(ask − bid)/mid as a decimal; NaN unless both sides are there."""
    low, high = np.asarray(bid, dtype=np.float64), np.asarray(ask, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((low > 0) & (high > low), 2.0 * (high - low) / (high + low), np.nan)


def liquidity_score(
    bid: ArrayLike,
    ask: ArrayLike,
    bid_size: ArrayLike,
    ask_size: ArrayLike,
    open_interest: ArrayLike,
    volume: ArrayLike,
) -> FloatArray:
    """The score; 0 without a two-sided market. Unknown (negative) open interest or volume counts as none."""
    spread = spread_pct(bid, ask)
    contracts = np.maximum(np.asarray(open_interest, dtype=np.float64), 0.0)
    traded = np.maximum(np.asarray(volume, dtype=np.float64), 0.0)
    shown = np.minimum(np.asarray(bid_size, dtype=np.float64), np.asarray(ask_size, dtype=np.float64))
    score = 100.0 * (
        0.45 * np.clip(1.0 - spread / WIDEST_SPREAD, 0.0, 1.0)
        + 0.25 * np.clip(np.log10(1.0 + contracts) / np.log10(1.0 + FULL_OPEN_INTEREST), 0.0, 1.0)
        + 0.20 * np.clip(np.log10(1.0 + traded) / np.log10(1.0 + FULL_VOLUME), 0.0, 1.0)
        + 0.10 * np.clip(shown / FULL_SIZE, 0.0, 1.0)
    )
    return np.asarray(np.nan_to_num(score, nan=0.0))
