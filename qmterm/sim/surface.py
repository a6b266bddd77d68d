"""The volatility surface of every name: a level tied to realised volatility, term structure, skew, earnings.

Implied volatility = √(term variance + earnings variance) · (1 + skew·m + smile·m²), m = log-moneyness in deviations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qmterm.core.bars import FloatArray, IntArray
from qmterm.sim.companies import FUND
from qmterm.sim.past import YEAR, DailyHistory
from qmterm.sim.randomness import chance
from qmterm.sim.universe import Universe

REVERSION = 3.0  # per year: how fast the term structure goes back to the long level
LEVERAGE = 1.1  # implied volatility falls by this share of a rally
MAX_DEVIATIONS = 3.5


@dataclass(frozen=True)
class Surface:
    """Parameters of the day, one a symbol; `spot` of the moment comes with the question."""

    short: FloatArray  # annual, at the reference price
    long: FloatArray
    skew: FloatArray
    smile: FloatArray
    earnings_days: FloatArray  # from `day_ns`, infinite for none
    earnings_variance: FloatArray
    reference: FloatArray  # dollars: yesterday's close
    day_ns: int

    def implied(
        self, symbol: IntArray, spot: FloatArray, forward: FloatArray, strike: FloatArray, years: FloatArray
    ) -> FloatArray:
        """Annual implied volatility of each contract (years > 0)."""
        move = np.clip(np.log(spot / self.reference[symbol]), -0.3, 0.3)
        short = self.short[symbol] * np.exp(-LEVERAGE * move)
        blend = -np.expm1(-REVERSION * years) / (REVERSION * years)
        long = self.long[symbol]
        variance = long**2 + (short**2 - long**2) * blend
        covered = self.earnings_days[symbol] / 365.0 <= years
        total = variance * years + np.where(covered, self.earnings_variance[symbol], 0.0)
        level = np.sqrt(total / years)
        deviations = np.clip(np.log(strike / forward) / (level * np.sqrt(years)), -MAX_DEVIATIONS, MAX_DEVIATIONS)
        shape = 1.0 + self.skew[symbol] * deviations + self.smile[symbol] * deviations**2
        return np.asarray(np.clip(level * np.maximum(shape, 0.35), 0.04, 4.0))


def make_surface(
    universe: Universe, history: DailyHistory, earnings_days: FloatArray, seed: int, day_ns: int
) -> Surface:
    """The day's surface from the closes before it (20 returns)."""
    closes = history.closes(21)
    realised = np.std(np.diff(np.log(closes), axis=0), axis=0, ddof=1) * YEAR**0.5
    number = np.arange(len(universe))
    fund = universe.sector == FUND
    richness = 0.98 + 0.16 * chance(seed, 51, number)
    short = (0.6 * realised + 0.4 * universe.volatility) * richness
    return Surface(
        short=np.clip(short, 0.08, 2.5),
        long=np.clip(universe.volatility * 1.04, 0.09, 2.0),
        skew=np.where(fund, -0.11, -0.055 + 0.03 * chance(seed, 52, number)),
        smile=0.018 + 0.012 * chance(seed, 53, number),
        earnings_days=earnings_days,
        earnings_variance=(universe.volatility * YEAR**-0.5 * (1.5 + chance(seed, 54, number))) ** 2,
        reference=closes[-1],
        day_ns=day_ns,
    )
