"""Value at risk and expected shortfall over one day (QUANT.md 5.3): historical, delta-normal, Cornish–Fisher.

Losses are positive numbers of dollars. The trap: historical figures move the spot only and hold volatility still, so
they understate a short-vega book (the stress matrix stands beside them); Cornish–Fisher breaks down at |skew| > 1,
and delta-normal misses gamma altogether and is never shown alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import FloatArray, IntArray
from qmterm.core.errors import BadInput
from qmterm.core.reasons import Reason
from qmterm.quant.arrays import to_float
from qmterm.quant.arrays import window as checked_window
from qmterm.quant.book.positions import Positions, Unvalued, unvalued, value_grid, value_now

WINDOW = 500  # daily returns
# With fewer, the 99 % tail holds no whole observation.
LEAST_RETURNS = 100
MOST_SKEW = 1.0
# Dollars²: a P/L that moves less does not move, and its skew could not be computed.
NO_VARIANCE = 1e-60

_NORMAL = NormalDist()


class TailRisk(NamedTuple):
    """Dollars lost; None with the reason when there is no answer."""

    var: float | None
    es: float | None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class CornishFisher:
    """Moments of one day's P/L and the tail they imply; with `historical_only` the tail is not to be shown."""

    var: float
    es: float
    mean: float
    deviation: float
    skew: float
    excess_kurtosis: float
    historical_only: bool


@dataclass(frozen=True, slots=True, eq=False)
class HistoricalPnl:
    """`total` (days,) is NaN throughout when a position has no value; `known_total` leaves those in `unknown` out."""

    per_position: FloatArray  # (n, days)
    total: FloatArray
    known_total: FloatArray
    unknown: tuple[Unvalued, ...]


def historical(pnl: ArrayLike, alpha: float, least: int = LEAST_RETURNS) -> TailRisk:
    """From the P/L of past days (…): the k-th largest loss and the mean of the first k, k = ceil((1 − α)n − 1e-9).

    NO_HISTORY below `least` days, NO_DATA when a day's P/L is unknown.
    """
    _level(alpha)
    days = to_float("pnl", pnl).reshape(-1)
    if days.size < max(1, least):
        return TailRisk(None, None, Reason.NO_HISTORY)
    if not np.isfinite(days).all():
        return TailRisk(None, None, Reason.NO_DATA)
    count = max(1, math.ceil((1.0 - alpha) * days.size - 1e-9))
    worst = 0.0 - np.partition(days, count - 1)[:count]
    return TailRisk(float(worst.min()), float(worst.mean()))


@np.errstate(all="ignore")
def historical_pnl(
    book: Positions, returns: ArrayLike, column: ArrayLike, *, window: int = WINDOW, days: float = 0.0
) -> HistoricalPnl:
    """Full revaluation of every position at S(1 + return) of the last `window` joint days, volatility unchanged.

    `returns` (days, underlyings) simple daily returns, oldest first; `column` (n,) each position's column. A day on
    which an underlying held has no return is not joint and is left out, so `total` may be shorter than the window.
    """
    table, which = to_float("returns", returns), np.asarray(column)
    if table.ndim != 2:
        raise BadInput(f"argument returns must be (days, underlyings), not {table.shape}")
    if which.shape != (len(book),) or (which.size and which.dtype.kind not in "iu"):
        raise BadInput(f"argument column must name a column of returns for each of {len(book)} positions")
    if which.size and (which.min() < 0 or which.max() >= table.shape[1]):
        raise BadInput(f"argument column names a column outside 0 … {table.shape[1] - 1}")
    moves = _joint(table, which.astype(np.int64), checked_window("window", window))
    spots = book.spot[:, np.newaxis] * (1.0 + moves.T)
    now = value_now(book)[:, np.newaxis]
    pnl = (value_grid(book, spots, book.vol[:, np.newaxis], days)[:, :, 0] - now) * book.size[:, np.newaxis]
    return HistoricalPnl(pnl, pnl.sum(axis=0), np.nansum(pnl, axis=0), unvalued(book, np.hstack((pnl, now))))


def _joint(table: FloatArray, which: IntArray, window: int) -> FloatArray:
    """(days, n) returns of the last `window` days on which every column in use has one above −1."""
    used = np.unique(which)
    complete = (np.isfinite(table[:, used]) & (table[:, used] > -1.0)).all(axis=1)
    return table[complete][-window:][:, which]


def delta_normal(delta: float, theta: float, deviation: float, alpha: float) -> TailRisk:
    """VaR = −(θ + z·s·|δ|), ES = −θ + |δ|·s·φ(z)/(1 − α), z = Φ⁻¹(1 − α).

    `delta` dollars per unit return, `theta` dollars a day, `deviation` of the daily return. BAD_INPUT when one is no
    number or the deviation is negative.
    """
    z = _NORMAL.inv_cdf(1.0 - _level(alpha))
    if not (math.isfinite(delta + theta + deviation) and deviation >= 0.0):
        return TailRisk(None, None, Reason.BAD_INPUT)
    spread = abs(delta) * deviation
    return TailRisk(-(theta + z * spread), -theta + spread * _NORMAL.pdf(z) / (1.0 - alpha))


def cornish_fisher(delta: float, gamma: float, theta: float, deviation: float, alpha: float) -> CornishFisher:
    """One underlying: `delta` dollars per unit return, `gamma` dollar gamma ΓS²; see `cornish_fisher_many`."""
    return cornish_fisher_many([delta], [[gamma]], theta, [[deviation * deviation]], alpha)


def cornish_fisher_many(
    delta: ArrayLike, gamma: ArrayLike, theta: float, covariance: ArrayLike, alpha: float
) -> CornishFisher:
    """Several underlyings: `delta` (k,), `gamma` and daily `covariance` (k, k); P/L = θ + δ·r + ½ r·Γr, r normal.

    The tail is read from the first four moments; ES integrates the same quantile to the end of the tail. NaN, and
    `historical_only`, where an input is no number; BadInput when shapes do not fit.
    """
    z = _NORMAL.inv_cdf(1.0 - _level(alpha))
    d, g, s = to_float("delta", delta), to_float("gamma", gamma), to_float("covariance", covariance)
    if d.ndim != 1 or g.shape != (d.size, d.size) or s.shape != g.shape:
        raise BadInput(
            f"delta {d.shape}, gamma {g.shape} and covariance {s.shape} do not fit: (k,), (k, k) and (k, k) are needed"
        )
    with np.errstate(all="ignore"):
        gs = g @ s
        square = gs @ gs
        mean = float(theta + 0.5 * np.trace(gs))
        variance = float(d @ s @ d + 0.5 * np.trace(square))
        third = float(3.0 * d @ s @ gs @ d + np.trace(square @ gs))
        fourth = float(12.0 * d @ s @ square @ d + 3.0 * np.trace(square @ square))
    if not math.isfinite(mean + variance + third + fourth) or variance < 0.0:
        return CornishFisher(math.nan, math.nan, math.nan, math.nan, math.nan, math.nan, True)
    deviation = math.sqrt(variance)
    if variance < NO_VARIANCE:
        return CornishFisher(-mean, -mean, mean, 0.0, 0.0, 0.0, False)
    skew, kurtosis = third / deviation**3, fourth / variance**2
    # Moments of z below the quantile: E[zⁿ | z ≤ z_α], whose mixture is the mean of the expanded quantile there.
    share = _NORMAL.pdf(z) / (1.0 - alpha)
    first, second, cube = -share, 1.0 - z * share, -(z * z + 2.0) * share
    at = _expanded(z, z * z, z**3, skew, kurtosis)
    beyond = _expanded(first, second, cube, skew, kurtosis)
    return CornishFisher(
        var=-(mean + deviation * at),
        es=-(mean + deviation * beyond),
        mean=mean,
        deviation=deviation,
        skew=skew,
        excess_kurtosis=kurtosis,
        # Past the skew, or where the expanded quantile turns back in the tail, the numbers mean nothing.
        historical_only=abs(skew) > MOST_SKEW or beyond > at,
    )


def _expanded(z: float, z2: float, z3: float, skew: float, kurtosis: float) -> float:
    """z + (z² − 1)s/6 + (z³ − 3z)k/24 − (2z³ − 5z)s²/36, for z itself or its moments."""
    return z + (z2 - 1.0) * skew / 6.0 + (z3 - 3.0 * z) * kurtosis / 24.0 - (2.0 * z3 - 5.0 * z) * skew * skew / 36.0


def _level(alpha: float) -> float:
    if not 0.5 < alpha < 1.0:
        raise BadInput(f"argument alpha must lie between 0.5 and 1, not {alpha}")
    return alpha
