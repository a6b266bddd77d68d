"""Continuously compounded rates from the Treasury curve (QUANT.md 3.2).

The trap: the vendor's yields are percent and bond-equivalent (two coupons a year): r = 2·ln(1 + y/200).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import FloatArray
from qmterm.quant.arrays import to_float

# Field names of Polygon's /fed/v1/treasury-yields.
NODES: Mapping[str, float] = {
    "yield_1_month": 1 / 12,
    "yield_3_month": 0.25,
    "yield_6_month": 0.5,
    "yield_1_year": 1.0,
    "yield_2_year": 2.0,
    "yield_3_year": 3.0,
    "yield_5_year": 5.0,
    "yield_7_year": 7.0,
    "yield_10_year": 10.0,
    "yield_20_year": 20.0,
    "yield_30_year": 30.0,
}


def curve_rate(yields: Mapping[str, float | None], years: ArrayLike) -> FloatArray:
    """The rate at each maturity: linear between nodes, flat outside, missing nodes skipped; NaN without any node."""
    maturities = to_float("years", years)
    nodes: list[tuple[float, float]] = []
    for name, at in NODES.items():
        percent = yields.get(name)
        if percent is not None and math.isfinite(percent) and percent > -200.0:
            nodes.append((at, 2.0 * math.log1p(percent / 200.0)))
    if not nodes:
        return np.full(maturities.shape, np.nan)
    return np.asarray(np.interp(maturities, [node[0] for node in nodes], [node[1] for node in nodes]))
