"""Features of the running day: today's bar of every symbol moves, nothing of the history is read again.

Equal to `last_features` of the panel with today's bar appended, to 1e-9. The trap: the columns it hands out are
rewritten in place by the next update; copy what must stay. One thread writes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import BoolArray, DailyPanel, FloatArray, IntArray
from qmterm.core.errors import BadInput
from qmterm.quant.arrays import to_float
from qmterm.quant.indicators import columns as at
from qmterm.quant.indicators.bandwidth import OVER, last_bandwidths, share_below
from qmterm.quant.indicators.carry import carry
from qmterm.quant.indicators.features import Features, features_of, latest_block
from qmterm.quant.indicators.step import step_rows
from qmterm.quant.indicators.weights import SEED
from qmterm.quant.indicators.young import young_steps

_NAMES = ("open_", "high", "low", "close", "volume")


class LiveFeatures:
    """Completed bars plus one running bar a symbol; a symbol without one keeps the values of its last bar."""

    def __init__(self, panel: DailyPanel) -> None:
        self._load(panel)

    def _load(self, panel: DailyPanel) -> None:
        high, low, close, volume = (
            np.ascontiguousarray(block, dtype=np.float64)
            for block in (panel.high, panel.low, panel.close, panel.volume)
        )
        self.panel = panel  # of completed bars
        carried = carry(high, low, close, volume, skip=0)
        self._state = carried.state
        self._completed = latest_block(high, low, close, volume)
        self._out = self._completed.copy()
        self._today = np.full((5, len(panel)), np.nan)  # open, high, low, close, volume
        self._present: BoolArray = np.zeros(len(panel), dtype=np.bool_)
        self._bandwidths: FloatArray | None = None
        # Rows too short for the fast step keep their few bars, with one free place for today's.
        self._young: IntArray = np.flatnonzero(carried.counts < SEED)
        self._slot: IntArray = np.full(len(panel), -1, dtype=np.int64)
        self._slot[self._young] = np.arange(self._young.size)
        self._short = np.full((4, self._young.size, SEED), np.nan)
        kept = min(SEED - 1, close.shape[1])
        for block, bars in zip(self._short, (high, low, close, volume), strict=True):
            block[:, SEED - 1 - kept : SEED - 1] = bars[self._young, close.shape[1] - kept :]
        self.features: Features = features_of(panel.symbols, panel.bars.copy(), panel.stale.copy(), self._out)

    def __len__(self) -> int:
        return len(self.panel)

    @property
    def present(self) -> BoolArray:
        """Which symbols have a running bar (a copy)."""
        return self._present.copy()

    def update(
        self, open_: ArrayLike, high: ArrayLike, low: ArrayLike, close: ArrayLike, volume: ArrayLike
    ) -> Features:
        """Today's bar of all symbols, each of shape (symbols,); one without three positive prices has none."""
        for row, name, values in zip(self._today, _NAMES, (open_, high, low, close, volume), strict=True):
            row[:] = self._column(name, values, len(self))
        if len(self):
            self._step(self._today[1:], self._state, self._completed, self._present, self._out, self._young, None)
            np.add(self.panel.bars, self._present, out=self.features.bars)
            np.multiply(self.panel.stale, ~self._present, out=self.features.stale)
        return self.features

    def update_some(
        self,
        indices: ArrayLike,
        open_: ArrayLike,
        high: ArrayLike,
        low: ArrayLike,
        close: ArrayLike,
        volume: ArrayLike,
    ) -> Features:
        """Today's bar of the symbols at `indices` (rows of the panel, each once); the others stay as they are."""
        rows = np.asarray(indices)
        if rows.size == 0:
            return self.features
        if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer):
            raise BadInput(f"indices must be a list of row numbers, not {rows.dtype} of shape {rows.shape}")
        if rows.min() < 0 or rows.max() >= len(self):
            raise BadInput(
                f"indices from {rows.min()} to {rows.max()} do not all lie in a panel of {len(self)} symbols"
            )
        bars = np.empty((5, rows.size))
        for row, name, values in zip(bars, _NAMES, (open_, high, low, close, volume), strict=True):
            row[:] = self._column(name, values, rows.size)
        present: BoolArray = np.zeros(rows.size, dtype=np.bool_)
        out = np.empty((at.COUNT, rows.size))
        young = np.flatnonzero(self._slot[rows] >= 0)
        old = np.ascontiguousarray(self._completed[:, rows])
        self._step(bars[1:], np.ascontiguousarray(self._state[:, rows]), old, present, out, young, rows)
        self._today[:, rows] = bars
        self._present[rows] = present
        self._out[:, rows] = out
        self.features.bars[rows] = self.panel.bars[rows] + present
        self.features.stale[rows] = np.where(present, 0, self.panel.stale[rows])
        return self.features

    def bandwidth_percentile(self) -> FloatArray:
        """Percent of the last 120 completed bandwidths below the running one's; NaN without 120.

        For a symbol without a running bar: of its last completed bandwidth among the 120 before it.
        """
        if self._bandwidths is None:
            self._bandwidths = last_bandwidths(self.panel.close, OVER + 1)
        return share_below(self._bandwidths, self.features.bandwidth, self._present)

    def roll(self, day: date) -> DailyPanel:
        """Close the running day: today's bars join the completed ones and a new day begins without bars.

        The panel keeps its width, so a full row loses its oldest bar; BadInput when `day` is not a later one.
        """
        panel = self.panel
        if day <= panel.last_session:
            raise BadInput(f"the panel already ends at {panel.last_session}; {day} cannot follow it")
        present = self._present
        moved = present[:, None]
        days = np.where(moved, np.roll(panel.days, -1, axis=1), panel.days)
        days[present, -1] = np.datetime64(day)
        self._load(
            replace(
                panel,
                last_session=day,
                open=_appended(panel.open, moved, self._today[0]),
                high=_appended(panel.high, moved, self._today[1]),
                low=_appended(panel.low, moved, self._today[2]),
                close=_appended(panel.close, moved, self._today[3]),
                volume=_appended(panel.volume, moved, self._today[4]),
                days=days,
                bars=np.minimum(panel.bars + present, panel.close.shape[1]),
                stale=np.where(present, 0, panel.stale + 1),
            )
        )
        return self.panel

    def _step(
        self,
        bars: FloatArray,
        state: FloatArray,
        old: FloatArray,
        present: BoolArray,
        out: FloatArray,
        young: IntArray,
        rows: IntArray | None,
    ) -> None:
        """`young` are columns of `out` whose symbol (`rows` of them) has too few bars for the fast step."""
        step_rows(out.shape[1], bars, state, old, present, out)
        if young.size:
            slots = self._slot[young if rows is None else rows[young]]
            short = self._short
            young_steps(young.size, young, slots, bars, present, short[0], short[1], short[2], short[3], out)

    @staticmethod
    def _column(name: str, values: ArrayLike, size: int) -> FloatArray:
        column = to_float(name, values)
        if column.shape != (size,):
            raise BadInput(f"argument {name} has shape {column.shape}, one value for each of {size} symbols is needed")
        return column


def _appended(block: FloatArray, moved: BoolArray, today: FloatArray) -> FloatArray:
    longer = np.where(moved, np.roll(block, -1, axis=1), block)
    longer[:, -1] = np.where(moved[:, 0], today, block[:, -1])
    return longer
