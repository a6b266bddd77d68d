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
from qmterm.quant.kernel import array_kernel, piece
from qmterm.quant.normal import SQRT_HALF, cdf, erfcx
from qmterm.quant.options.black_scholes import probability_in_the_money

REACH = 9.0  # standard deviations: images further away than this add nothing
MAX_IMAGES = 10_000


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
    _first_passage(out.shape[1], numbers, out)
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


@piece
def _touches(near: float, width: float, drift: float, vol: float, years: float) -> float:
    """Probability of touching a barrier `near` away (in logs) first, before one on the other side, `width` from it.

    `drift` of the log price is positive towards the barrier. Images of the start beyond both barriers, each a
    first-passage integral in closed form; every exponent is ≤ 0, so strong drifts neither overflow nor cancel (the
    sine series of QUANT.md 1.5 is the same number and does).
    """
    variance = vol * vol
    spread = vol * math.sqrt(years)
    speed = abs(drift)
    images = min(MAX_IMAGES, math.ceil(REACH * spread / (2.0 * width)) + 1)
    total = 0.0
    for k in range(images):
        for side in range(2):
            away = near + 2.0 * k * width if side == 0 else 2.0 * (k + 1) * width - near
            carried = math.exp((drift * near - speed * away) / variance) * cdf((speed * years - away) / spread)
            exponent = drift * near / variance - 0.5 * (away * away / years + drift * drift * years) / variance
            carried += 0.5 * math.exp(exponent) * erfcx((away + speed * years) / spread * SQRT_HALF)
            total += carried if side == 0 else -carried
    return min(1.0, max(0.0, total))


@array_kernel()
def _first_passage(low: int, high: int, numbers: FloatArray, out: FloatArray) -> None:
    for i in range(low, high):
        spot, target, stop = numbers[0, i], numbers[1, i], numbers[2, i]
        vol, years, mu = numbers[3, i], numbers[4, i], numbers[5, i]
        out[:, i] = np.nan
        if not (spot > 0.0 and target > 0.0 and stop > 0.0 and vol > 0.0 and years >= 0.0 and target != stop):
            continue
        if not (np.isfinite(spot + target + stop) and np.isfinite(vol + years + mu)):
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
            drift = mu - 0.5 * vol * vol
            up = _touches(above, above + below, drift, vol, years)
            down = min(1.0 - up, _touches(below, above + below, -drift, vol, years))
        out[0, i] = up if long else down
        out[1, i] = down if long else up
        out[2, i] = max(0.0, 1.0 - up - down)
