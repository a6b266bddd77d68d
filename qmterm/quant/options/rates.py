"""Continuously compounded rates from the Treasury curve (QUANT.md 3.2).

The trap: the vendor's yields are percent and bond-equivalent (two coupons a year): r = 2·ln(1 + y/200). A curve that
is old, or not there, is answered with the fallback rate and a mark that the screen must show.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

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

FALLBACK_RATE = 0.04
CURVE_MAX_DAYS = 7  # calendar days; older yields are not believed


class Rates(NamedTuple):
    """`rate` has the shape of the maturities; `mark` is empty unless the fallback stands in, and then says why."""

    rate: FloatArray
    mark: str

    @property
    def is_fallback(self) -> bool:
        return bool(self.mark)


def rates_for(
    yields: Mapping[str, float | None] | None,
    curve_day: date | None,
    as_of: date,
    years: ArrayLike,
    fallback_rate: float = FALLBACK_RATE,
) -> Rates:
    """The curve's rate at each maturity, or the fallback with a visible mark when the curve cannot be believed.

    `as_of` is the New York date of the valuation. A curve from after it is not used: nobody knew it then. A NaN
    maturity has no rate either way.
    """
    doubt = _doubt(yields, curve_day, as_of)
    if doubt is None and yields is not None:
        return Rates(curve_rate(yields, years), "")
    maturities = to_float("years", years)
    flat = np.where(np.isnan(maturities), np.nan, fallback_rate)
    return Rates(flat, f"fallback {fallback_rate:.2%}: {doubt}")


def curve_rate(yields: Mapping[str, float | None], years: ArrayLike) -> FloatArray:
    """The rate at each maturity: linear between nodes, flat outside, missing nodes skipped; NaN without any node."""
    maturities = to_float("years", years)
    nodes = _nodes(yields)
    if not nodes:
        return np.full(maturities.shape, np.nan)
    rates = np.interp(maturities, [node[0] for node in nodes], [node[1] for node in nodes])
    # numpy answers NaN with a number when there is one node only.
    return np.where(np.isnan(maturities), np.nan, rates)


def _nodes(yields: Mapping[str, float | None]) -> list[tuple[float, float]]:
    """(years, continuous rate) of every yield that is there."""
    nodes: list[tuple[float, float]] = []
    for name, at in NODES.items():
        percent = yields.get(name)
        if percent is not None and math.isfinite(percent) and percent > -200.0:
            nodes.append((at, 2.0 * math.log1p(percent / 200.0)))
    return nodes


def _doubt(yields: Mapping[str, float | None] | None, curve_day: date | None, as_of: date) -> str | None:
    if yields is None or curve_day is None:
        return "no Treasury curve"
    age = (as_of - curve_day).days
    if age > CURVE_MAX_DAYS:
        return f"the Treasury curve of {curve_day} is {age} days old"
    if age < 0:
        return f"the Treasury curve of {curve_day} lies after {as_of}"
    return None if _nodes(yields) else f"the Treasury curve of {curve_day} has no yield"
