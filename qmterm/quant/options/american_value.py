"""What an American option is worth, and how that moves, once its exercise boundary is known.

The European put plus the value of exercising early (Kim 1990), on a strike of 1:

    p = e^{−A}Φ(−d−) − s·e^{−C}Φ(−d+) + ∫ [A·e^{−Aa²}Φ(−d−(s/B)) − C·s·e^{−Ca²}Φ(−d+(s/B))] d(a²),  a from 0 to 1

The trap: these are the numbers of an option held on; at or below the boundary the caller must put exercise instead.
"""

from __future__ import annotations

from qmterm.core.bars import FloatArray
from qmterm.quant.kernel import piece
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

# Rows of a block's `found`: the European part, then the premium, each: value, ∂/∂ln s, ∂²/∂ln s², ∂/∂v, ∂/∂rates.
EUROPEAN = 0
PREMIUM = 5
# ∂p/∂curve at the nodes.
BY_CURVE = 10
FOUND_ROWS = BY_CURVE + NODES


@piece
def european_and_slopes(lane: FloatArray, found: FloatArray) -> None:
    """The European rows of `found`."""
    for w in range(LANES):
        v = lane[V, w]
        d = (lane[LOG_SPOT, w] + lane[A, w] - lane[C, w]) / v + 0.5 * v
        cash = quick_exp(-lane[A, w])
        stock = lane[SPOT, w] * quick_exp(-lane[C, w])
        density = stock * INV_SQRT_TWO_PI * quick_exp(-0.5 * d * d)
        paid = discounted_cdf(v - d, density, cash)
        given = discounted_cdf(-d, density, stock)
        found[0, w] = paid - given
        found[1, w] = -given
        found[2, w] = density / v - given
        found[3, w] = density
        found[4, w] = lane[DC, w] * given - lane[DA, w] * paid


@piece
def premium_and_slopes(lane: FloatArray, at: FloatArray, found: FloatArray) -> None:
    """The premium's rows of `found`, and its slopes along the curve; `at` = the curve at SPOT_RULE's points."""
    for row in range(PREMIUM, FOUND_ROWS):
        for w in range(LANES):
            found[row, w] = 0.0
    for j in range(SPOT_POINTS):
        a, over_a, a2, weight = SPOT_RULE[j]
        for w in range(LANES):
            v = lane[V, w]
            rate = lane[A, w]
            c = lane[C, w]
            over_v = 1.0 / v
            inv = over_v * over_a
            d = (lane[LOG_SPOT, w] - lane[X, w] - at[j, w]) * inv + ((rate - c) * over_v + 0.5 * v) * a
            other = d - v * a
            over_boundary = quick_exp(-at[j, w] - lane[X, w])
            cash = quick_exp(-rate * a2)
            stock = lane[SPOT, w] * quick_exp(-c * a2)
            density = lane[SPOT, w] * INV_SQRT_TWO_PI * quick_exp(-c * a2 - 0.5 * d * d)
            paid = weight * discounted_cdf(-other, density * over_boundary, cash)
            given = weight * discounted_cdf(-d, density, stock)
            density = weight * density
            gain = rate * over_boundary - c
            move = gain * density * inv
            turn = (lane[DA, w] - lane[DC, w]) * a * over_v - lane[DX, w] * inv
            found[PREMIUM, w] += rate * paid - c * given
            found[PREMIUM + 1, w] -= move + c * given
            found[PREMIUM + 2, w] += (
                density * inv * ((rate * over_boundary * other - c * d) * inv + 2.0 * c) - c * given
            )
            found[PREMIUM + 3, w] += density * (rate * over_boundary * d - c * other) * over_v
            found[PREMIUM + 4, w] += (
                lane[DA, w] * (1.0 - rate * a2) * paid - lane[DC, w] * (1.0 - c * a2) * given - gain * density * turn
            )
            at[j, w] = move
    for k in range(NODES):
        for j in range(SPOT_POINTS):
            share = SPOT_WEIGHTS[j, k]
            for w in range(LANES):
                found[BY_CURVE + k, w] += share * at[j, w]


@piece
def held_value(lane: FloatArray, at: FloatArray, value: FloatArray) -> None:
    """The value of the option held on: European and premium together, without slopes."""
    for w in range(LANES):
        v = lane[V, w]
        d = (lane[LOG_SPOT, w] + lane[A, w] - lane[C, w]) / v + 0.5 * v
        cash = quick_exp(-lane[A, w])
        stock = lane[SPOT, w] * quick_exp(-lane[C, w])
        density = stock * INV_SQRT_TWO_PI * quick_exp(-0.5 * d * d)
        value[w] = discounted_cdf(v - d, density, cash) - discounted_cdf(-d, density, stock)
    for j in range(SPOT_POINTS):
        a, over_a, a2, weight = SPOT_RULE[j]
        for w in range(LANES):
            v = lane[V, w]
            rate = lane[A, w]
            c = lane[C, w]
            over_v = 1.0 / v
            d = (lane[LOG_SPOT, w] - lane[X, w] - at[j, w]) * over_v * over_a + ((rate - c) * over_v + 0.5 * v) * a
            cash = quick_exp(-rate * a2)
            stock = lane[SPOT, w] * quick_exp(-c * a2)
            density = stock * INV_SQRT_TWO_PI * quick_exp(-0.5 * d * d)
            paid = discounted_cdf(v * a - d, density * quick_exp(-at[j, w] - lane[X, w]), cash)
            given = discounted_cdf(-d, density, stock)
            value[w] += weight * (rate * paid - c * given)
