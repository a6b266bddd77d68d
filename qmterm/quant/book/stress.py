"""The stress matrix: every position revalued in full at shifted spots and volatilities (QUANT.md 5.3).

The trap: a total that silently leaves a position out looks like a hedge. `total` is NaN as soon as one position has
no value; `known_total` is without those, which `unknown` names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.core.errors import BadInput
from qmterm.quant.arrays import to_float
from qmterm.quant.book.positions import Positions, Unvalued, unvalued, value_grid, value_now

SPOT_SHIFTS = (-0.20, -0.15, -0.10, -0.05, -0.02, 0.0, 0.02, 0.05, 0.10, 0.15, 0.20)
VOL_SHIFTS = (-0.25, 0.0, 0.25, 0.50)
LEAST_VOL = 0.01
# A stock of high beta cannot fall by more than this share when the market falls.
MOST_FALL = 0.99


class SpotMode(StrEnum):
    """What a spot shift moves: every underlying by itself alike, or the market, and each underlying by its beta."""

    EACH = "each"
    MARKET = "market"


@dataclass(frozen=True, slots=True, eq=False)
class StressMatrix:
    """P/L in dollars against now; `per_position` (n, spots, vols), `total` and `known_total` (spots, vols)."""

    spot_shifts: FloatArray
    vol_shifts: FloatArray
    per_position: FloatArray
    total: FloatArray
    known_total: FloatArray
    unknown: tuple[Unvalued, ...]


@np.errstate(all="ignore")
def stress(
    book: Positions,
    spot_shifts: Sequence[float] | FloatArray = SPOT_SHIFTS,
    vol_shifts: Sequence[float] | FloatArray = VOL_SHIFTS,
    *,
    mode: SpotMode = SpotMode.EACH,
    days: float = 0.0,
) -> StressMatrix:
    """quantity·multiplier·[V(S(1 + ds), max(1 %, σ(1 + dv)), `days` later) − V(S, σ)] for every pair of shifts.

    Shifts are relative (−0.2: 20 % lower). In market mode ds is scaled by each position's beta, to a fall of 99 % at
    most. BadInput for a shift of −1 or less, a shift that is no number, or negative days.
    """
    spots, vols = _shifts("spot_shifts", spot_shifts), _shifts("vol_shifts", vol_shifts)
    if not (math.isfinite(days) and days >= 0.0):
        raise BadInput(f"argument days must be 0 or more, not {days}")
    scale = book.beta if mode is SpotMode.MARKET else np.ones(len(book))
    moved = book.spot[:, np.newaxis] * np.maximum(1.0 - MOST_FALL, 1.0 + scale[:, np.newaxis] * spots)
    tossed = np.maximum(LEAST_VOL, book.vol[:, np.newaxis] * (1.0 + vols))
    values = value_grid(book, moved, tossed, days)
    now = _unmoved(book, spots, vols, values) if days == 0.0 else value_now(book)
    pnl = (values - now[:, np.newaxis, np.newaxis]) * book.size[:, np.newaxis, np.newaxis]
    return StressMatrix(spots, vols, pnl, pnl.sum(axis=0), np.nansum(pnl, axis=0), unvalued(book, pnl))


def _unmoved(book: Positions, spots: FloatArray, vols: FloatArray, values: FloatArray) -> FloatArray:
    """Values as they stand: the cell without a shift where the matrix has one, computed apart otherwise."""
    spot, vol = np.flatnonzero(spots == 0.0), np.flatnonzero(vols == 0.0)
    if not (spot.size and vol.size) or (book.vol < LEAST_VOL).any():
        return value_now(book)
    return values[:, spot[0], vol[0]]


def _shifts(name: str, values: Sequence[float] | FloatArray) -> FloatArray:
    shifts = to_float(name, values)
    if shifts.ndim != 1 or not np.isfinite(shifts).all() or (shifts <= -1.0).any():
        raise BadInput(f"argument {name} must be a row of numbers above −1, not {values}")
    return shifts
