"""The 30-day implied volatility, and what it means against its own past (QUANT.md 3.6).

The trap: rank and percentile compare today with earlier closes only; with too few of them there is no number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import FloatArray
from qmterm.core.errors import BadInput
from qmterm.quant.arrays import to_float

TRADING_DAYS = 252
MIN_IV_OBSERVATIONS = 60
IV_YEARS = 30 / 365


class Iv30(NamedTuple):
    """`interpolated` is False when only one side of 30 days had an expiry and its IV was taken as it is."""

    value: float
    interpolated: bool


def iv30(years: Sequence[float], vols: Sequence[float]) -> Iv30 | None:
    """30-day implied volatility: total variance, linear in time between the expiries around 30 days.

    Leave out expiries under 7 DTE before. None when no expiry has a volatility.
    """
    if len(years) != len(vols):
        raise BadInput(f"iv30: {len(years)} expiries but {len(vols)} volatilities")
    points = sorted((t, v) for t, v in zip(years, vols, strict=True) if t > 0 and v > 0)
    if not points:
        return None
    before = [point for point in points if point[0] <= IV_YEARS]
    after = [point for point in points if point[0] >= IV_YEARS]
    if not before or not after:
        return Iv30((before[-1] if before else after[0])[1], interpolated=False)
    (t1, v1), (t2, v2) = before[-1], after[0]
    if t1 == t2:
        return Iv30(v1, interpolated=True)
    w1, w2 = v1 * v1 * t1, v2 * v2 * t2
    return Iv30(math.sqrt((w1 + (w2 - w1) * (IV_YEARS - t1) / (t2 - t1)) / IV_YEARS), interpolated=True)


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


def _past(current: float, history: ArrayLike, minimum: int) -> FloatArray | None:
    past = to_float("history", history).reshape(-1)[-TRADING_DAYS:]
    past = past[np.isfinite(past)]
    return past if math.isfinite(current) and past.size >= max(1, minimum) else None
