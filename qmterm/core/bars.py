"""Daily bars of many symbols as one block of arrays: what indicators, scanner and backtests read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DailyPanel:
    """Split-adjusted daily bars, shape (symbols, bars), time along the last axis.

    Rows are **right-aligned without gaps**: the last column is each symbol's own latest bar, days without a bar
    (halts, before the listing) are absent, so NaN only ever leads. Prices in dollars per share, volume in shares.
    """

    symbols: tuple[str, ...]
    last_session: date  # the latest completed session the panel covers
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    bars: IntArray  # (symbols,) how many real bars each row holds
    stale: IntArray  # (symbols,) sessions missing between a row's last bar and last_session
    days: NDArray[np.datetime64]  # (symbols, bars) the date of each bar, NaT where there is none

    def __len__(self) -> int:
        return len(self.symbols)
