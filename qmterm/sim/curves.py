"""How a trading day breathes: shares of volume and of variance by second, both high at the open and the close."""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import FloatArray


def _bathtub(seconds: int, open_weight: float, close_weight: float) -> FloatArray:
    """Weights per second that sum to one: a floor, a burst decaying after the open, a rise into the close."""
    x = (np.arange(seconds) + 0.5) / seconds
    weight = 1.0 + open_weight * np.exp(-x / 0.06) + close_weight * np.exp(-(1.0 - x) / 0.05)
    return np.asarray(weight / weight.sum(), dtype=np.float64)


def volume_curve(seconds: int) -> FloatArray:
    return _bathtub(seconds, 3.2, 3.6)


def variance_curve(seconds: int) -> FloatArray:
    return _bathtub(seconds, 5.0, 0.8)


def cumulative(curve: FloatArray) -> FloatArray:
    """Share done after k seconds, k = 0 … n."""
    return np.concatenate([[0.0], np.cumsum(curve)])
