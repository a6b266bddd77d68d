"""Daily bars before the start: trends, mean reversion, jumps, market and sector moves, for all symbols at once.

Prices are kept in cents, split-adjusted as of now, one row of columns a session, so that a grouped day is one row.
The trap: an intraday range must contain open and close and still look like one (Brownian-bridge extremes).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import FloatArray
from qmterm.sim.companies import SECTORS
from qmterm.sim.randomness import generator
from qmterm.sim.universe import MARKET_VOLATILITY, RUNAWAY, SECTOR_VOLATILITY, Universe

CentsArray = NDArray[np.int32]
PriceArray = NDArray[Any]  # int32 cents in a world made up, float64 dollars in a replay
YEAR = 252.0
ATR_PER_VOLATILITY = 1.45  # a 14-day ATR in daily standard deviations of this world
OVERNIGHT_SHARE = 0.3  # of a day's move that happens before the open


@dataclass(slots=True)
class DayBars:
    """One session of all symbols: prices in the world's unit, and shares."""

    day: date
    open: PriceArray
    high: PriceArray
    low: PriceArray
    close: PriceArray
    volume: NDArray[Any]
    vwap: PriceArray  # 0 = not known


@dataclass
class DailyHistory:
    """Completed sessions, oldest first; the running session is appended at its close."""

    rows: list[DayBars] = field(default_factory=list)
    index: dict[date, int] = field(default_factory=dict)

    def append(self, bars: DayBars) -> None:
        self.index[bars.day] = len(self.rows)
        self.rows.append(bars)

    def on(self, day: date) -> DayBars | None:
        number = self.index.get(day)
        return None if number is None else self.rows[number]

    def before(self, day: date) -> DayBars | None:
        """The latest completed session before a day."""
        for bars in reversed(self.rows):
            if bars.day < day:
                return bars
        return None

    def closes(self, last: int) -> FloatArray:
        """Closes in dollars of the last sessions, shape (sessions, symbols)."""
        return np.stack([bars.close for bars in self.rows[-last:]]) / 100.0


def _mean_reverting(rng: np.random.Generator, steps: int, width: int, daily: float, keep: float) -> FloatArray:
    """AR(1) levels whose steps have a standard deviation of about `daily`; one column each."""
    shocks = rng.standard_normal((steps, width)) * daily
    level = np.zeros(width)
    out = np.empty((steps, width))
    for t in range(steps):
        level = keep * level + shocks[t]
        out[t] = level
    return out


def make_history(
    universe: Universe, days: tuple[date, ...], seed: int, ex_dividend: dict[date, FloatArray]
) -> DailyHistory:
    """Bars of all sessions in `days`; `ex_dividend` gives dollars per share that fall off on a day."""
    count, steps = len(universe), len(days)
    rng = generator(seed, "history")
    market = _mean_reverting(rng, steps, 1, MARKET_VOLATILITY / YEAR**0.5, 0.97)[:, 0]
    market += np.arange(steps) * 0.0004
    sectors = _mean_reverting(rng, steps, len(SECTORS), SECTOR_VOLATILITY / YEAR**0.5, 0.96)
    sectors[:, -1] = 0.0

    sigma = (universe.volatility / YEAR**0.5).astype(np.float32)
    own_sigma = (universe.own_volatility / YEAR**0.5).astype(np.float32)
    # A steady trend of g a day holds a close about 25·g above its 50-day mean; runaways only took off lately.
    slope = (universe.atr_distance * ATR_PER_VOLATILITY * sigma / 25.0).astype(np.float32)
    runaway = universe.regime == RUNAWAY
    early = np.where(runaway, slope * 0.25, slope)

    levels = np.empty((steps, count), dtype=np.float32)
    wobble = np.zeros(count, dtype=np.float32)
    walk = np.zeros(count, dtype=np.float32)
    for t in range(steps):
        shock = rng.standard_normal(count, dtype=np.float32)
        wobble = np.float32(0.93) * wobble + np.float32(0.88) * own_sigma * shock
        walk += np.float32(0.35) * own_sigma * rng.standard_normal(count, dtype=np.float32)
        jumps = rng.poisson(count / 90.0)
        who = rng.integers(0, count, jumps)
        np.add.at(walk, who, sigma[who] * rng.normal(0, 3.0, jumps).astype(np.float32))
        trend = np.where(t >= steps - 45, slope, early)
        walk += trend
        levels[t] = universe.beta * market[t] + sectors[t][universe.sector] + wobble + walk
        fall = ex_dividend.get(days[t])
        if fall is not None:
            walk -= (fall / universe.price).astype(np.float32)
    levels += (np.log(universe.price) - levels[-1]).astype(np.float32)

    history = DailyHistory()
    previous = levels[0] - np.float32(0.3) * sigma * rng.standard_normal(count, dtype=np.float32)
    for t, day in enumerate(days):
        history.append(_one_day(rng, day, universe, previous, levels[t], sigma))
        previous = levels[t]
    return history


def _one_day(
    rng: np.random.Generator,
    day: date,
    universe: Universe,
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    sigma: NDArray[np.float32],
) -> DayBars:
    count = len(universe)
    move = after - before
    gap = OVERNIGHT_SHARE * move + 0.3 * sigma * rng.standard_normal(count, dtype=np.float32)
    start = before + gap
    inside = after - start
    variance = (0.85 * sigma) ** 2
    # The maximum of a Brownian bridge from 0 to x: (x + sqrt(x² − 2·variance·ln U)) / 2.
    up = -2.0 * variance * np.log(1.0 - rng.random(count, dtype=np.float32))
    down = -2.0 * variance * np.log(1.0 - rng.random(count, dtype=np.float32))
    high = start + 0.5 * (inside + np.sqrt(inside**2 + up))
    low = start + 0.5 * (inside - np.sqrt(inside**2 + down))
    unusual = np.abs(move) / sigma
    shares = universe.volume * np.exp(0.3 * rng.standard_normal(count, dtype=np.float32) - 0.12)
    shares *= 0.75 + 0.3 * unusual
    opened, closed = to_cents(np.exp(start)), to_cents(np.exp(after))
    highest = np.maximum(to_cents(np.exp(high)), np.maximum(opened, closed))
    lowest = np.minimum(to_cents(np.exp(low)), np.minimum(opened, closed))
    vwap = ((highest + lowest + 2 * closed.astype(np.int64)) // 4).astype(np.int32)
    return DayBars(day, opened, highest, lowest, closed, np.maximum(shares, 100).astype(np.int64), vwap)


def to_cents(dollars: NDArray[np.floating]) -> CentsArray:
    """Whole cents, at least one."""
    return np.asarray(np.maximum(np.rint(dollars * 100.0), 1), dtype=np.int32)
