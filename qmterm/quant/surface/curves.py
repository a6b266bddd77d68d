"""One curve for each expiry, all of them read at many points at once: linear between known points, flat beyond.

The trap: "flat beyond" is a guess. `inside` tells which answers lie between known points of their own expiry.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qmterm.core.bars import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Curves:
    """Points (x, y) of all curves, sorted by curve, then x; made by `through`."""

    x: FloatArray
    y: FloatArray
    starts: IntArray  # (curves + 1,) where each curve's points begin
    _key: FloatArray  # increases over all points of all curves
    _low: float
    _span: float

    @classmethod
    def through(cls, count: int, curve: IntArray, x: FloatArray, y: FloatArray) -> Curves:
        """`count` curves; point i belongs to number curve[i], ascending. Points that are not finite are left out."""
        known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        curve, x, y = curve[known], x[known], y[known]
        low = float(x.min()) if x.size else 0.0
        # Twice the range apart, so that a point before or after all others still stays with its own curve.
        span = 4.0 * (float(x.max()) - low) + 1.0 if x.size else 1.0
        key = curve * span + (x - low)
        if key.size and (key[1:] < key[:-1]).any():
            order = np.argsort(key, kind="stable")
            curve, x, y, key = curve[order], x[order], y[order], key[order]
        return cls(x, y, np.searchsorted(curve, np.arange(count + 1)), key, low, span)

    @property
    def sizes(self) -> IntArray:
        """Known points of each curve."""
        return np.diff(self.starts)

    def at(self, curve: IntArray, x: FloatArray) -> tuple[FloatArray, BoolArray]:
        """(y, inside) at points x of the given curves; y is NaN where the curve has no point or x is NaN."""
        if not self.x.size:
            return np.full(x.shape, np.nan), np.zeros(x.shape, dtype=np.bool_)
        top = self.x.size - 1
        known = self.sizes[curve] > 0
        first = np.minimum(self.starts[curve], top)
        last = np.maximum(self.starts[curve + 1] - 1, first)
        within = np.clip(x - self._low, -0.25 * self._span, 0.5 * self._span)
        above = np.minimum(np.maximum(np.searchsorted(self._key, curve * self._span + within), first + 1), last)
        below = np.maximum(above - 1, first)
        left, right = self.x[below], self.x[above]
        with np.errstate(invalid="ignore"):
            share = np.clip((x - left) / np.where(right > left, right - left, 1.0), 0.0, 1.0)
        share = np.where((right > left) | np.isnan(x), share, 0.0)
        value = self.y[below] + share * (self.y[above] - self.y[below])
        inside = known & (x >= self.x[first]) & (x <= self.x[last])
        return np.where(known, value, np.nan), inside
