"""What today's implied volatility means against its own past (QUANT.md 3.6).

The trap: rank and percentile compare today with earlier closes only; with too few of them there is no number.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import FloatArray
from qmterm.quant.arrays import to_float

TRADING_DAYS = 252
MIN_IV_OBSERVATIONS = 60


def iv_rank(current: float, history: ArrayLike, minimum: int = MIN_IV_OBSERVATIONS) -> float | None:
    """Place of today's IV between the lowest and highest of the last 252 closes (today's excluded), 0 to 100.

    None with fewer than `minimum` observations, or when all were equal.
    """
    past = _past(current, history, minimum)
    if past is None or past.max() <= past.min():
        return None
    place = (current - past.min()) / (past.max() - past.min())
    return float(100.0 * min(1.0, max(0.0, place)))


def iv_percentile(current: float, history: ArrayLike, minimum: int = MIN_IV_OBSERVATIONS) -> float | None:
    """Percent of the last 252 closes (today's excluded) with an IV below today's; None with too few."""
    past = _past(current, history, minimum)
    return None if past is None else float(100.0 * np.mean(past < current))


def observations(history: ArrayLike) -> int:
    """How many of the last 252 closes have an IV: what is shown as n/252 until there are enough."""
    return int(_window(history).size)


def _window(history: ArrayLike) -> FloatArray:
    past = to_float("history", history).reshape(-1)[-TRADING_DAYS:]
    return past[np.isfinite(past)]


def _past(current: float, history: ArrayLike, minimum: int) -> FloatArray | None:
    past = _window(history)
    return past if math.isfinite(current) and past.size >= max(1, minimum) else None
