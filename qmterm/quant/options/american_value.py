"""What an American option is worth, and how that moves, once its exercise boundary is known.

The European put plus the value of exercising early (Kim 1990), on a strike of 1:

    p = e^{−A}Φ(−d−) − s·e^{−C}Φ(−d+) + ∫ [A·e^{−Aa²}Φ(−d−(s/B)) − C·s·e^{−Ca²}Φ(−d+(s/B))] d(a²),  a from 0 to 1

The trap: these are the numbers of an option held on; at or below the boundary the caller must put exercise instead.
"""

from __future__ import annotations

from qmterm.core.bars import FloatArray
from qmterm.quant.elementary import exp
from qmterm.quant.kernel import piece
from qmterm.quant.normal import cdf, pdf
from qmterm.quant.options.american_curve import (
    DA,
    DC,
    DX,
    INV_SQRT_TWO_PI,
    LANES,
    LOG_SPOT,
    SPOT,
    A,
    C,
    V,
    X,
    discounted_cdf,
    quick_exp,
)
from qmterm.quant.options.american_rule import NODES, SPOT_POINTS, SPOT_RULE, SPOT_WEIGHTS

# Where the rows of a block's `found` begin: of the European part and of the premium, the value and its slopes.
FOUND_SIZE = 10 * LANES
EUROPEAN, EUROPEAN_X, EUROPEAN_XX, EUROPEAN_VOL, EUROPEAN_RATE = range(0, 5 * LANES, LANES)
PREMIUM, PREMIUM_X, PREMIUM_XX, PREMIUM_VOL, PREMIUM_RATE = range(5 * LANES, FOUND_SIZE, LANES)


@piece
def european_and_slopes(lane: FloatArray, found: FloatArray) -> None:
    """The European rows of `found`, to the last digits: no American price may lie a hair below its European."""
    for w in range(LANES):
        v = lane[V + w]
        d = (lane[LOG_SPOT + w] + lane[A + w] - lane[C + w]) / v + 0.5 * v
        cash = exp(-lane[A + w])
        stock = lane[SPOT + w] * exp(-lane[C + w])
        density = stock * pdf(d)
        paid = cash * cdf(v - d)
        given = stock * cdf(-d)
        found[EUROPEAN + w] = paid - given
        found[EUROPEAN_X + w] = -given
        found[EUROPEAN_XX + w] = density / v - given
        found[EUROPEAN_VOL + w] = density
        found[EUROPEAN_RATE + w] = lane[DC + w] * given - lane[DA + w] * paid


@piece
def premium_and_slopes(lane: FloatArray, at: FloatArray, found: FloatArray, by_curve: FloatArray) -> None:
    """The premium's rows of `found`, and its slopes at the nodes; `at`, the curve at SPOT_RULE's points, is used up."""
    for cell in range(PREMIUM, FOUND_SIZE):
        found[cell] = 0.0
    for j in range(SPOT_POINTS):
        a, over_a, a2, weight = SPOT_RULE[j]
        _add_point(lane, at[j], a, over_a, a2, weight, found)
    for cell in range(NODES * LANES):
        by_curve[cell] = 0.0
    for j in range(SPOT_POINTS):
        m0, m1, m2, m3, m4, m5 = SPOT_WEIGHTS[j]
        move = at[j]
        for w in range(LANES):
            step = move[w]
            by_curve[w] += m0 * step
            by_curve[LANES + w] += m1 * step
            by_curve[2 * LANES + w] += m2 * step
            by_curve[3 * LANES + w] += m3 * step
            by_curve[4 * LANES + w] += m4 * step
            by_curve[5 * LANES + w] += m5 * step


@piece
def _add_point(
    lane: FloatArray, there: FloatArray, a: float, over_a: float, a2: float, weight: float, found: FloatArray
) -> None:
    """One point of the premium's integral; the boundary `there` is replaced by what its logarithm adds to the price."""
    for w in range(LANES):
        v = lane[V + w]
        rate = lane[A + w]
        c = lane[C + w]
        over_v = 1.0 / v
        inv = over_v * over_a
        y = there[w] + lane[X + w]
        d = (lane[LOG_SPOT + w] - y) * inv + ((rate - c) * over_v + 0.5 * v) * a
        other = d - v * a
        over_boundary = quick_exp(-y)
        cash = quick_exp(-rate * a2)
        stock = lane[SPOT + w] * quick_exp(-c * a2)
        density = lane[SPOT + w] * INV_SQRT_TWO_PI * quick_exp(-c * a2 - 0.5 * d * d)
        paid = weight * discounted_cdf(-other, density * over_boundary, cash)
        given = weight * discounted_cdf(-d, density, stock)
        density = weight * density
        rate_over = rate * over_boundary
        gain = rate_over - c
        move = gain * density * inv
        turn = (lane[DA + w] - lane[DC + w]) * a * over_v - lane[DX + w] * inv
        by_rate = lane[DA + w] * (1.0 - rate * a2) * paid - lane[DC + w] * (1.0 - c * a2) * given
        found[PREMIUM + w] += rate * paid - c * given
        found[PREMIUM_X + w] -= move + c * given
        found[PREMIUM_XX + w] += density * inv * ((rate_over * other - c * d) * inv + 2.0 * c) - c * given
        found[PREMIUM_VOL + w] += density * (rate_over * d - c * other) * over_v
        found[PREMIUM_RATE + w] += by_rate - gain * density * turn
        there[w] = move


@piece
def held_value(lane: FloatArray, at: FloatArray, value: FloatArray, premium: FloatArray) -> None:
    """The European value and the premium alone, without slopes; `at` = the curve at SPOT_RULE's points."""
    for w in range(LANES):
        v = lane[V + w]
        d = (lane[LOG_SPOT + w] + lane[A + w] - lane[C + w]) / v + 0.5 * v
        value[w] = exp(-lane[A + w]) * cdf(v - d) - lane[SPOT + w] * exp(-lane[C + w]) * cdf(-d)
        premium[w] = 0.0
    for j in range(SPOT_POINTS):
        a, over_a, a2, weight = SPOT_RULE[j]
        there = at[j]
        for w in range(LANES):
            v = lane[V + w]
            rate = lane[A + w]
            c = lane[C + w]
            over_v = 1.0 / v
            y = there[w] + lane[X + w]
            d = (lane[LOG_SPOT + w] - y) * over_v * over_a + ((rate - c) * over_v + 0.5 * v) * a
            cash = quick_exp(-rate * a2)
            stock = lane[SPOT + w] * quick_exp(-c * a2)
            density = stock * INV_SQRT_TWO_PI * quick_exp(-0.5 * d * d)
            paid = discounted_cdf(v * a - d, density * quick_exp(-y), cash)
            given = discounted_cdf(-d, density, stock)
            premium[w] += weight * (rate * paid - c * given)
