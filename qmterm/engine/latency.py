"""Percentiles of what happened lately, in real milliseconds: loop lag, signal to acknowledgement."""

from __future__ import annotations

import asyncio
from collections import deque

import numpy as np

from qmterm.core.clock import Clock


class Percentiles:
    """The newest `size` measurements; `counted` goes on counting."""

    def __init__(self, size: int = 20_000) -> None:
        self._values: deque[float] = deque(maxlen=size)
        self.counted = 0

    def add(self, milliseconds: float) -> None:
        self._values.append(milliseconds)
        self.counted += 1

    def at(self, percent: float) -> float | None:
        """The percentile in ms, None before the first measurement."""
        return float(np.percentile(np.fromiter(self._values, float), percent)) if self._values else None

    @property
    def recent_p99(self) -> float | None:
        """Of the newest 200 measurements: what the ladder looks at."""
        newest = [self._values[i] for i in range(max(0, len(self._values) - 200), len(self._values))]
        return float(np.percentile(newest, 99)) if len(newest) >= 50 else None

    def summary(self) -> dict[str, float | None]:
        """`{"p50", "p99"}`, rounded to a microsecond."""
        return {f"p{p}": None if (v := self.at(p)) is None else round(v, 3) for p in (50, 99)}


async def measure_loop_lag(clock: Clock, into: Percentiles, every_s: float = 0.02) -> None:
    """Sleep and see how late we wake: that is what an order would have waited. Runs until cancelled."""
    while True:
        due = clock.monotonic() + every_s
        await asyncio.sleep(every_s)
        into.add(max(0.0, clock.monotonic() - due) * 1000)
