"""Seeded options for the benchmarks, drawn as PERF.md's baseline drew them.

The trap: prices come from scipy's normal distribution, not from our own, so that our error is not measured with itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from qmterm.core.bars import BoolArray, FloatArray, IntArray

SPOT = 100.0
LEAST_TIME_VALUE = 0.005


class Options(NamedTuple):
    """Arrays of one length; years, decimals, dollars per share."""

    spot: FloatArray
    strike: FloatArray
    years: FloatArray
    rate: FloatArray
    dividend_yield: FloatArray
    vol: FloatArray
    is_call: BoolArray

    def first(self, count: int) -> Options:
        return self.take(np.arange(min(count, self.size)))

    def take(self, rows: BoolArray | IntArray) -> Options:
        """Some of the options, by number or mask."""
        return Options._make(np.ascontiguousarray(column[rows]) for column in self)

    @property
    def size(self) -> int:
        return len(self.spot)


def black_scholes(options: Options) -> FloatArray:
    """European values by the textbook formula, out-of-the-money side first and parity for the other."""
    total = options.vol * np.sqrt(options.years)
    forward = options.spot * np.exp(-options.dividend_yield * options.years)
    cash = options.strike * np.exp(-options.rate * options.years)
    d1 = np.log(forward / cash) / total + 0.5 * total
    sign = np.where(forward < cash, 1.0, -1.0)
    outside = sign * (forward * ndtr(sign * d1) - cash * ndtr(sign * (d1 - total)))
    intrinsic = np.maximum(0.0, np.where(options.is_call, forward - cash, cash - forward))
    return np.asarray(outside + intrinsic)


def european(count: int, seed: int = 1) -> tuple[Options, FloatArray]:
    """(options, prices): r 4 %, q 0, K/S 0.5-1.7, 1-700 days, vol 8-200 %, out-of-the-money value at least $0.005."""
    random = np.random.default_rng(seed)
    kept: list[Options] = []
    have = 0
    while have < count:
        size = max(1000, int(1.3 * (count - have)))
        drawn = Options(
            spot=np.full(size, SPOT),
            strike=SPOT * random.uniform(0.5, 1.7, size),
            years=random.uniform(1.0, 700.0, size) / 365.0,
            rate=np.full(size, 0.04),
            dividend_yield=np.zeros(size),
            vol=random.uniform(0.08, 2.0, size),
            is_call=random.random(size) < 0.5,
        )
        forward, cash = drawn.spot, drawn.strike * np.exp(-drawn.rate * drawn.years)
        intrinsic = np.maximum(0.0, np.where(drawn.is_call, forward - cash, cash - forward))
        enough = black_scholes(drawn) - intrinsic >= LEAST_TIME_VALUE
        kept.append(drawn.take(enough))
        have += int(enough.sum())
    options = Options._make(np.concatenate(columns) for columns in zip(*kept, strict=True)).first(count)
    return options, black_scholes(options)


def american(count: int, seed: int = 2) -> Options:
    """S = 100, K 70-140, 7-700 whole days, vol 10-100 %, r 4 %, q 2 %, calls and puts."""
    random = np.random.default_rng(seed)
    return Options(
        spot=np.full(count, SPOT),
        strike=random.uniform(70.0, 140.0, count),
        years=random.integers(7, 701, count) / 365.0,
        rate=np.full(count, 0.04),
        dividend_yield=np.full(count, 0.02),
        vol=random.uniform(0.10, 1.0, count),
        is_call=random.random(count) < 0.5,
    )


def chain(count: int, seed: int = 6) -> Options:
    """One underlying's chain: 20 expiries of 7-700 days, strikes 70-140, calls and puts, a skewed smile, q 2 %."""
    random = np.random.default_rng(seed)
    number = np.arange(count)
    expiries = np.linspace(7, 700, 20).astype(int)
    per_expiry = max(1, -(-count // (2 * len(expiries))))
    strikes = np.linspace(70.0, 140.0, per_expiry)
    strike = strikes[(number // 2) % per_expiry]
    years = expiries[np.minimum(number // (2 * per_expiry), len(expiries) - 1)] / 365.0
    away = np.log(strike / SPOT) / np.sqrt(years + 0.1)
    vol = 0.25 - 0.10 * away + 0.08 * away * away + random.normal(0.0, 0.002, count)
    return Options(
        spot=np.full(count, SPOT),
        strike=strike,
        years=years,
        rate=np.full(count, 0.04),
        dividend_yield=np.full(count, 0.02),
        vol=np.maximum(vol, 0.08),
        is_call=number % 2 == 0,
    )
