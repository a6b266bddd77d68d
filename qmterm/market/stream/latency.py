"""How late data arrive: exchange stamp to board, in real milliseconds, over the latest frames.

The trap: where market time runs faster than real time, a market second of lateness is not a real one; the market
clock's rate turns one into the other, and where market time only steps there is no latency at all.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qmterm.core.bars import FloatArray

WINDOW = 4_096
APART_MS = -1_000.0  # nothing arrives this long before it was made: then the clocks disagree
_LOOK = 512  # samples between two comparisons of the clocks


class FeedLatency:
    """`tell` hears, once, that this machine's clock is behind the exchanges'."""

    def __init__(self, tell: Callable[[str], None] = lambda text: None) -> None:
        self._tell = tell
        self._told = False
        self._ring: FloatArray = np.full(WINDOW, np.nan)
        self._next = 0
        self.samples = 0

    def add(self, stamp_ns: int, arrival_ns: int, rate: float | None) -> None:
        """`rate` is market seconds per real second; None when market time has no speed."""
        if not rate or stamp_ns <= 0:
            return
        self._ring[self._next] = (arrival_ns - stamp_ns) / rate / 1e6
        self._next = (self._next + 1) % WINDOW
        self.samples += 1
        if not self._told and self.samples % _LOOK == 0:
            self._compare_clocks()

    def percentiles(self) -> tuple[float, float] | None:
        """(p50, p99) in real ms, None before the first sample. Below zero means that the clocks disagree."""
        if not self.samples:
            return None
        p50, p99 = np.nanpercentile(self._ring[: min(self.samples, WINDOW)], (50, 99))
        return float(p50), float(p99)

    def _compare_clocks(self) -> None:
        """Ages are too small by what the clock is behind, so it is worth a line."""
        found = self.percentiles()
        if found is not None and found[0] <= APART_MS:
            self._told = True
            behind_s = -found[0] / 1e3
            self._tell(f"this machine's clock is {behind_s:.1f} s behind the exchanges': ages are too small; set it")
