"""Probabilities of a price path: which barrier is touched first, and where it ends (QUANT.md 1.5).

Geometric Brownian motion with constant volatility. The trap: far targets look generous in risk-to-reward and are
touched in a few percent of paths; the expected P/L, not the ratio, says whether there is an edge.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import FloatArray
from qmterm.quant.arrays import flatten
from qmterm.quant.black_scholes import probability_in_the_money
from qmterm.quant.kernel import kernel

MIN_TERMS = 200
MAX_TERMS = 20_000


class FirstPassage(NamedTuple):
    """Sum to 1; NaN where an input makes no sense."""

    p_target: FloatArray
    p_stop: FloatArray
    p_neither: FloatArray


def first_passage(
    spot: ArrayLike, target: ArrayLike, stop: ArrayLike, vol: ArrayLike, years: ArrayLike, mu: ArrayLike = 0.0
) -> FirstPassage:
    """Probability of touching the target first, the stop first, or neither within `years`.

    `vol` annual decimal, `mu` annual drift of the price. The target may lie below the stop (short trades). A spot at
    or beyond a barrier has touched it.
    """
    shape, numbers = flatten(spot=spot, target=target, stop=stop, vol=vol, years=years, mu=mu)
    out = np.empty((3, numbers.shape[1]))
    _first_passage(numbers, out)
    return FirstPassage(*out.reshape(3, *shape))


def probability_of_profit(
    spot: ArrayLike,
    breakeven: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    vol: ArrayLike,
    is_call: ArrayLike,
) -> FloatArray:
    """Risk-neutral probability that a bought option ends beyond its break-even (POP)."""
    return probability_in_the_money(spot, breakeven, years, rate, dividend_yield, vol, is_call)


pop = probability_of_profit


@kernel
def _up_forever(nu: float, variance: float, below: float, width: float) -> float:
    """Probability of ever reaching the upper barrier first, from `below` above the lower one."""
    k = 2.0 * nu / variance
    if abs(k * width) < 1e-12:
        return below / width
    if k > 0.0:
        return math.expm1(-k * below) / math.expm1(-k * width)
    return math.exp(k * (width - below)) * math.expm1(k * below) / math.expm1(k * width)


@kernel
def _first_passage(numbers: FloatArray, out: FloatArray) -> None:
    for i in range(out.shape[1]):
        spot, target, stop = numbers[0, i], numbers[1, i], numbers[2, i]
        vol, years, mu = numbers[3, i], numbers[4, i], numbers[5, i]
        out[:, i] = np.nan
        if not (spot > 0.0 and target > 0.0 and stop > 0.0 and vol > 0.0 and years >= 0.0 and target != stop):
            continue
        if not (math.isfinite(spot + target + stop) and math.isfinite(vol + years + mu)):
            continue
        long = target > stop
        above = math.log((target if long else stop) / spot)
        below = -math.log((stop if long else target) / spot)
        up = down = 0.0
        if above <= 0.0:
            up = 1.0
        elif below <= 0.0:
            down = 1.0
        elif years > 0.0:
            width = above + below
            variance = vol * vol
            nu = mu - 0.5 * variance
            # Short times need more terms: they end once exp(−λH) has.
            terms = math.ceil(8.0 * width / (math.pi * vol * math.sqrt(years)))
            terms = min(MAX_TERMS, max(MIN_TERMS, terms))
            rises = falls = 0.0
            for n in range(1, terms + 1):
                rate = 0.5 * nu * nu / variance + 0.5 * (n * math.pi * vol / width) ** 2
                term = n * math.sin(n * math.pi * below / width) * math.exp(-rate * years) / rate
                falls += term
                rises += term if n % 2 == 1 else -term
            factor = variance * math.pi / (width * width)
            ever = _up_forever(nu, variance, below, width)
            up = ever - factor * math.exp(nu * above / variance) * rises
            down = 1.0 - ever - factor * math.exp(-nu * below / variance) * falls
            up = min(1.0, max(0.0, up))
            down = min(1.0 - up, max(0.0, down))
        out[0, i] = up if long else down
        out[1, i] = down if long else up
        out[2, i] = max(0.0, 1.0 - up - down)
