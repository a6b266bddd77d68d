"""Which rows of daily bars cannot be used, by name and count: shared by every reader of bars.

Trap: an indicator is poisoned for ever by one NaN inside a series, so a bad row leaves before anything is computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from qmterm.core.bars import BoolArray, FloatArray

PRICE_COLUMNS = ("open", "high", "low", "close")
BAR_COLUMNS = (*PRICE_COLUMNS, "volume")


@dataclass(frozen=True, slots=True)
class BarReport:
    """What a file held: rows read, rows kept, and rows dropped by the name of their fault."""

    rows: int
    kept: int
    dropped: Mapping[str, int] = field(default_factory=dict)

    def sentence(self) -> str:
        """One line for a log or the screen."""
        if not self.dropped:
            return f"{self.kept:,} rows, all usable"
        faults = ", ".join(f"{count:,} {name}" for name, count in self.dropped.items())
        return f"{self.kept:,} of {self.rows:,} rows usable; dropped: {faults}"


def usable(columns: Mapping[str, FloatArray]) -> tuple[BoolArray, dict[str, int]]:
    """Mask of usable rows and the count of each fault; a row counts once, under its first fault."""
    size = len(columns["close"])
    good = np.ones(size, dtype=np.bool_)
    faults: dict[str, int] = {}
    prices = [columns[name] for name in PRICE_COLUMNS]
    volume = columns["volume"]
    with np.errstate(invalid="ignore"):
        checks = (
            ("without a number", ~np.logical_and.reduce([np.isfinite(column) for column in (*prices, volume)])),
            ("with a price of zero or less", np.logical_or.reduce([column <= 0 for column in prices])),
            ("with a negative volume", volume < 0),
            ("with the high below the low", columns["high"] < columns["low"]),
            ("with open or close outside high and low", _outside(columns)),
        )
    for name, bad in checks:
        count = int(np.count_nonzero(bad & good))
        if count:
            faults[name] = count
            good &= ~bad
    return good, faults


def _outside(columns: Mapping[str, FloatArray]) -> BoolArray:
    first, last = columns["open"], columns["close"]
    outside = (np.minimum(first, last) < columns["low"]) | (np.maximum(first, last) > columns["high"])
    return np.asarray(outside, dtype=np.bool_)
