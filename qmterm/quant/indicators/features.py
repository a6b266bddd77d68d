"""The latest value of every daily indicator the scanner needs, for all symbols in one pass over the panel.

Equal to the full forms of series.py and realised.py to 1e-9, at a fraction of their cost: carry.py says what all bars
but the last leave behind, step.py adds the last one. The trap: NaN means "too few bars" and nothing else here, except
rsi14 of a row without any move, pos20 and percent_b of a row without any range, rvol20 of a row without any volume.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from qmterm.core.bars import FloatArray, IntArray
from qmterm.quant.indicators import columns as at
from qmterm.quant.indicators.carry import carry
from qmterm.quant.indicators.step import step_rows
from qmterm.quant.indicators.weights import SEED
from qmterm.quant.indicators.young import young_rows


class BarRows(Protocol):
    """Right-aligned bars of many symbols: core.bars.DailyPanel, or the intraday panel."""

    @property
    def symbols(self) -> tuple[str, ...]: ...
    @property
    def high(self) -> FloatArray: ...
    @property
    def low(self) -> FloatArray: ...
    @property
    def close(self) -> FloatArray: ...
    @property
    def volume(self) -> FloatArray: ...
    @property
    def bars(self) -> IntArray: ...
    @property
    def stale(self) -> IntArray: ...


@dataclass(frozen=True, slots=True)
class Features:
    """One number a symbol, in the panel's order; prices in dollars per share, percents as percents."""

    symbols: tuple[str, ...]
    bars: IntArray
    stale: IntArray
    close: FloatArray
    volume: FloatArray
    ema10: FloatArray
    ema20: FloatArray
    sma20: FloatArray  # also the middle Bollinger band
    sma50: FloatArray
    sma100: FloatArray
    sma200: FloatArray
    sma20_5ago: FloatArray  # SMA20 five bars earlier
    atr14: FloatArray
    atr_pct: FloatArray  # 100·ATR14/close
    high20: FloatArray  # highest high of 20 bars, the latest included
    low20: FloatArray
    pos20: FloatArray  # 0 at low20, 100 at high20
    dollar_volume20: FloatArray  # mean of close·volume
    rvol20: FloatArray  # volume over its 20-bar mean, the latest bar included in it
    hv20: FloatArray  # annual, decimal
    rsi14: FloatArray
    macd: FloatArray  # 12, 26, 9
    macd_signal: FloatArray
    macd_hist: FloatArray
    bb_upper: FloatArray  # two population deviations of 20 closes above sma20
    bb_lower: FloatArray
    percent_b: FloatArray  # 0 at the lower band, 1 at the upper
    bandwidth: FloatArray  # (upper − lower)/middle

    def __len__(self) -> int:
        return len(self.symbols)


def last_features(panel: BarRows) -> Features:
    """Every feature at each symbol's latest bar."""
    high, low, close, volume = (
        np.ascontiguousarray(block, dtype=np.float64) for block in (panel.high, panel.low, panel.close, panel.volume)
    )
    return features_of(panel.symbols, panel.bars, panel.stale, latest_block(high, low, close, volume))


def latest_block(high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray) -> FloatArray:
    """The features as (columns.COUNT, symbols), from contiguous right-aligned (symbols, bars) blocks."""
    rows, width = close.shape
    out = np.empty((at.COUNT, rows))
    if rows and width:
        carried = carry(high, low, close, volume, skip=1)
        step_rows(rows, carried.latest, carried.state, _NOTHING, _NOBODY, out)
        young = np.flatnonzero(carried.counts < SEED)
        if young.size:
            young_rows(young.size, young, high, low, close, volume, out)
    else:
        out[:] = np.nan
    return out


def features_of(symbols: tuple[str, ...], bars: IntArray, stale: IntArray, block: FloatArray) -> Features:
    """Features whose columns are the rows of a (columns.COUNT, symbols) block: views, not copies."""
    return Features(symbols, bars, stale, **dict(zip(at.NAMES, block, strict=True)))


_NOTHING = np.empty((0, 0))
_NOBODY = np.empty(0, dtype=np.bool_)
