"""Chains with a known truth: every contract priced by Black–Scholes from one volatility surface."""

from typing import NamedTuple

import numpy as np

from qmterm.quant.options.black_scholes import greeks, price
from qmterm.quant.surface.ladder import Ladder

SPOT, RATE, YIELD = 100.0, 0.04, 0.015
YEARS = np.array([10, 24, 45, 80, 200]) / 365.0
STRIKES = np.arange(60.0, 150.0, 2.5)


class Columns(NamedTuple):
    """One entry a contract."""

    years: np.ndarray
    strike: np.ndarray
    is_call: np.ndarray
    value: np.ndarray
    iv: np.ndarray
    delta: np.ndarray

    def ladder(self):
        return Ladder.arrange(self.years, self.strike, self.is_call)

    def take(self, rows):
        return Columns(*(column[rows] for column in self))


def forward_of(years, rate=RATE, dividend_yield=YIELD, spot=SPOT):
    return spot * np.exp((rate - dividend_yield) * np.asarray(years))


def chain(vol=0.3, years=YEARS, strikes=STRIKES, rate=RATE, dividend_yield=YIELD, spot=SPOT):
    """`vol` is one number or a function (k = ln(K/F), years) -> volatility."""
    t, k, right = (
        grid.ravel() for grid in np.meshgrid(np.asarray(years), np.asarray(strikes), [True, False], indexing="ij")
    )
    is_call = right.astype(bool)
    moneyness = np.log(k / forward_of(t, rate, dividend_yield, spot))
    iv = vol(moneyness, t) if callable(vol) else np.full(t.size, float(vol))
    value = price(spot, k, t, rate, dividend_yield, iv, is_call)
    delta = greeks(spot, k, t, rate, dividend_yield, iv, is_call).delta
    return Columns(t, k, is_call, value, iv, delta)
