"""Probabilities of a price and of its path: where it ends, what it touches, and what first (QUANT.md 1.5, 3.7).

Geometric Brownian motion with constant volatility. `drift` is the annual drift of the price: rate − dividend yield
makes a risk-neutral probability, a view `mu` (with its own volatility) a physical one. The trap: far targets look
generous in risk-to-reward and are touched in a few percent of paths; the expected P/L says whether there is an edge.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import FloatArray
from qmterm.quant.arrays import flatten
from qmterm.quant.kernel import array_kernel, piece
from qmterm.quant.normal import SQRT_HALF, cdf, erfcx, pdf
from qmterm.quant.options.black_scholes import probability_in_the_money

REACH = 9.0  # standard deviations: images further away than this add nothing
# A corridor this many times narrower than a standard deviation is left for certain (all but e⁻⁴⁴ of the paths).
CERTAIN_EXIT = 3.0
# Volatilities, years and drifts further from 1 than this (its inverse) are no market: their powers would overflow.
LIMIT = 1e60
# A smile may push a probability past 0 or 1 by its own noise; further than this it is no distribution at all.
SMILE_NOISE = 0.01


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


def touch(spot: ArrayLike, barrier: ArrayLike, years: ArrayLike, drift: ArrayLike, vol: ArrayLike) -> FloatArray:
    """Probability that the price is at or beyond `barrier`, above or below the spot, at any time within `years`.

    1 where the barrier is the spot; NaN where an input makes no sense.
    """
    shape, numbers = flatten(spot=spot, barrier=barrier, years=years, drift=drift, vol=vol)
    out = np.empty(numbers.shape[1])
    _touch(out.size, numbers, out)
    return out.reshape(shape)


def probability_above(
    spot: ArrayLike,
    level: ArrayLike,
    years: ArrayLike,
    drift: ArrayLike,
    vol: ArrayLike,
    skew_slope: ArrayLike = 0.0,
) -> FloatArray:
    """P(S_T > level) = N(d2) − level·n(d2)·√T·dσ/dK, with `skew_slope` dσ/dK per dollar of strike (QUANT.md 3.7).

    `vol` is the volatility at the level when a slope is given. A level of 0 or infinity answers 1 or 0, no time left
    answers 1 or 0 by where the spot is. NaN where an input makes no sense, and where the slope is so steep that the
    smile is no distribution (outside [0, 1] by more than `SMILE_NOISE`; nearer it is cut to 0 or 1).
    """
    shape, numbers = flatten(spot=spot, level=level, years=years, drift=drift, vol=vol, skew_slope=skew_slope)
    out = np.empty(numbers.shape[1])
    _above(out.size, numbers, out)
    return out.reshape(shape)


def probability_below(
    spot: ArrayLike,
    level: ArrayLike,
    years: ArrayLike,
    drift: ArrayLike,
    vol: ArrayLike,
    skew_slope: ArrayLike = 0.0,
) -> FloatArray:
    """The distribution function over the final price: P(S_T ≤ level); see `probability_above`."""
    return 1.0 - probability_above(spot, level, years, drift, vol, skew_slope)


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
def _makes_sense(spot: float, years: float, drift: float, vol: float) -> bool:
    """False for numbers of no market, and for NaN."""
    return bool((spot > 0.0) & (0.0 <= years < LIMIT) & (abs(drift) < LIMIT) & (1.0 / LIMIT < vol < LIMIT))


@array_kernel()
def _above(low: int, high: int, numbers: FloatArray, out: FloatArray) -> None:
    for i in range(low, high):
        spot, level, years = numbers[0, i], numbers[1, i], numbers[2, i]
        drift, vol, slope = numbers[3, i], numbers[4, i], numbers[5, i]
        out[i] = np.nan
        if not (_makes_sense(spot, years, drift, vol) and level >= 0.0 and np.isfinite(spot + slope)):
            continue
        if level == 0.0 or level == np.inf:
            out[i] = 1.0 if level == 0.0 else 0.0
        elif years == 0.0:
            out[i] = 1.0 if spot > level else 0.0
        else:
            root = np.sqrt(years)
            d2 = ((np.log(spot) - np.log(level)) + drift * years) / (vol * root) - 0.5 * vol * root
            chance = cdf(d2) - level * pdf(d2) * root * slope
            if -SMILE_NOISE <= chance <= 1.0 + SMILE_NOISE:
                out[i] = min(1.0, max(0.0, chance))


@piece
def _single(near: float, away: float, drift: float, vol: float, years: float) -> float:
    """e^{drift·(near − away)/vol²} times the chance of ever being `away` up (in logs) within `years`.

    With away = near, the chance of touching one barrier; the other images follow from the reflection principle.
    Every exponent is ≤ 0, so strong drifts neither overflow nor cancel.
    """
    variance = vol * vol
    spread = vol * np.sqrt(years)
    speed = abs(drift)
    carried = np.exp((drift * near - speed * away) / variance) * cdf((speed * years - away) / spread)
    exponent = drift * near / variance - 0.5 * (away * away / years + drift * drift * years) / variance
    return float(carried + 0.5 * np.exp(exponent) * erfcx((away + speed * years) / spread * SQRT_HALF))


@piece
def _ever(near: float, width: float, drift: float, vol: float) -> float:
    """The chance of leaving a corridor at the barrier `near` away, when it is left for certain."""
    steepness = 2.0 * drift / (vol * vol)
    if abs(steepness * width) < 1e-12:
        return (width - near) / width
    # Written so that no exponent is positive.
    ahead = -abs(steepness)
    share = np.expm1(ahead * (width - near)) / np.expm1(ahead * width)
    return float(share if drift > 0.0 else 1.0 - np.expm1(ahead * near) / np.expm1(ahead * width))


@piece
def _touches(near: float, width: float, drift: float, vol: float, years: float) -> float:
    """Probability of touching a barrier `near` away (in logs) first, before one on the other side, `width` from it.

    `drift` of the log price is positive towards the barrier. Images of the start beyond both barriers, each a
    first-passage integral in closed form (the sine series of QUANT.md 1.5 is the same number and overflows).
    """
    spread = vol * np.sqrt(years)
    if spread > CERTAIN_EXIT * width:
        return _ever(near, width, drift, vol)
    images = math.ceil(REACH * spread / (2.0 * width)) + 1
    total = 0.0
    for k in range(images):
        for side in range(2):
            away = near + 2.0 * k * width if side == 0 else 2.0 * (k + 1) * width - near
            carried = _single(near, away, drift, vol, years)
            total += carried if side == 0 else -carried
    return min(1.0, max(0.0, total))


@array_kernel()
def _touch(low: int, high: int, numbers: FloatArray, out: FloatArray) -> None:
    for i in range(low, high):
        spot, barrier, years = numbers[0, i], numbers[1, i], numbers[2, i]
        drift, vol = numbers[3, i], numbers[4, i]
        out[i] = np.nan
        if not (_makes_sense(spot, years, drift, vol) and barrier > 0.0 and np.isfinite(spot + barrier)):
            continue
        near = abs(np.log(barrier / spot))
        if near == 0.0:
            out[i] = 1.0
        elif years == 0.0:
            out[i] = 0.0
        else:
            towards = drift - 0.5 * vol * vol
            towards = towards if barrier > spot else -towards
            out[i] = min(1.0, _single(near, near, towards, vol, years))


@array_kernel()
def _first_passage(low: int, high: int, numbers: FloatArray, out: FloatArray) -> None:
    for i in range(low, high):
        spot, target, stop = numbers[0, i], numbers[1, i], numbers[2, i]
        vol, years, mu = numbers[3, i], numbers[4, i], numbers[5, i]
        out[:, i] = np.nan
        if not (_makes_sense(spot, years, mu, vol) and target > 0.0 and stop > 0.0 and target != stop):
            continue
        if not np.isfinite(spot + target + stop):
            continue
        long = target > stop
        above = np.log((target if long else stop) / spot)
        below = -np.log((stop if long else target) / spot)
        up = 1.0 if above <= 0.0 else 0.0
        down = 1.0 if below <= 0.0 and above > 0.0 else 0.0
        if above > 0.0 and below > 0.0 and years > 0.0:
            drift = mu - 0.5 * vol * vol
            # One call in a loop: the piece is long, and every call compiles it again.
            for side in range(2):
                near = above if side == 0 else below
                chance = _touches(near, above + below, drift if side == 0 else -drift, vol, years)
                up = chance if side == 0 else up
                down = min(1.0 - up, chance) if side == 1 else down
        out[0, i] = up if long else down
        out[1, i] = down if long else up
        out[2, i] = max(0.0, 1.0 - up - down)
