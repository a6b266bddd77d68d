"""The dollar yield curve the world discounts with and serves as treasury yields (percent, bond-equivalent)."""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import FloatArray

YIELDS: dict[str, tuple[float, float]] = {
    # field of the reply: (years, percent)
    "yield_1_month": (1 / 12, 3.72),
    "yield_3_month": (0.25, 3.70),
    "yield_6_month": (0.5, 3.63),
    "yield_1_year": (1.0, 3.52),
    "yield_2_year": (2.0, 3.48),
    "yield_5_year": (5.0, 3.68),
    "yield_10_year": (10.0, 4.05),
    "yield_30_year": (30.0, 4.68),
}
_YEARS = np.array([years for years, _ in YIELDS.values()])
_RATES = 2.0 * np.log1p(np.array([percent for _, percent in YIELDS.values()]) / 200.0)


def rate(years: FloatArray) -> FloatArray:
    """Continuously compounded rate by year fraction, linear between nodes, flat outside (QUANT.md 3.2)."""
    return np.asarray(np.interp(years, _YEARS, _RATES), dtype=np.float64)
