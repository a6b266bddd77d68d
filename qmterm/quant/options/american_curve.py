"""The early-exercise boundary of a block of puts, by Newton steps on smooth pasting at all nodes together.

Everything is a put on a strike of 1 (a call on S is the put on K with the two rates exchanged); v = σ√T, and all rates
are per life of the option. The condition is Kim's, differentiated in the spot (Andersen, Lake and Offengenden, "High
performance American option pricing", 2016, their FP-A without the terms that cancel): at each node

    ∫ (A/B(u) − C)·e^{−Ca²}n(d+)/(v·a) d(a²)  =  e^{−Cx²}Φ(d+(B/X)) + C ∫ e^{−Ca²}Φ(d+) d(a²)

and Newton's method is applied to the difference of the logarithms: from the first guess the price is good to 5e-5 of
$100 after two steps. The same matrix gives the boundary's slopes in volatility and rates, so Greeks need no second
boundary. The trap: pieces see blocks of LANES options, and loops over the lanes must stay free of branches.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.quant.elementary import log
from qmterm.quant.kernel import piece
from qmterm.quant.options.american_rule import CURVE_RULE, CURVE_WEIGHTS, LOG_NODE, NODE, NODES, POINTS

LANES = 16
INV_SQRT_TWO_PI = 0.3989422804014327

# Rows of a block's `lane` array.
SPOT, LOG_SPOT, V, A, C, DA, DC, X, DX = range(9)
LANE_ROWS = 9
# Columns of a block's system after the matrix: the error, and its slopes in v and along the rates.
ERROR, IN_VOL, IN_RATE = NODES, NODES + 1, NODES + 2
COLUMNS = NODES + 3

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_ROUND = 6755399441055744.0


@piece
def quick_exp(x: float) -> float:
    """eˣ to 1e-11 relative for x in [−700, 700]; beyond, the value at the border."""
    x = np.float64(min(max(x, -700.0), 700.0))
    shifted = np.float64(x * _LOG2_E + _ROUND)
    whole = shifted - _ROUND
    r = (x - whole * _LN2_HIGH) - whole * _LN2_LOW
    r2 = r * r
    r4 = r2 * r2
    low = (1.0 + r) + r2 * (0.5 + r * 0.16666666666666666)
    high = (0.041666666666666664 + r * 0.008333333333333333) + r2 * (0.001388888888888889 + r * 0.0001984126984126984)
    value = low + r4 * (high + r4 * (2.48015873015873e-05 + r * 2.7557319223985893e-06))
    power = np.int64((shifted.view(np.int64) + np.int64(1023)) << np.int64(52))
    return value * power.view(np.float64)


@piece
def tail_ratio(d: float) -> float:
    """Φ(−d)/n(d) for d ≥ 0, to 6e-10 relative: a Chebyshev series of (1 + d/2) times it in (d − 4.5)/(d + 4.5)."""
    above = d + 4.5
    half = 1.0 + 0.5 * d
    share = 1.0 / (above * half)
    y = (d - 4.5) * half * share
    y2 = y * y
    y4 = y2 * y2
    low = (0.6908543866419229 - 0.3138297328317238 * y) + y2 * (0.18121485486327293 - 0.073707588169019 * y)
    middle = (0.012691164422003265 + 0.008118727760219912 * y) + y2 * (-0.007971000505341492 + 0.003049807988620767 * y)
    high = (-0.00021584923992020312 - 0.00030750923744948165 * y) + y2 * (
        9.425626291470813e-05 + 1.9226161302939998e-05 * y
    )
    return (low + y4 * (middle + y4 * (high - 1.0743977192462341e-05 * y4))) * above * share


@piece
def discounted_cdf(d: float, density: float, discount: float) -> float:
    """discount·Φ(d), given density = discount·n(d)."""
    tail = density * tail_ratio(abs(d))
    return tail if d < 0.0 else discount - tail


@piece
def first_guess(lane: FloatArray, curve: FloatArray) -> None:
    """ln(B/X) at the nodes to a few percent: L·(1 − exp(−z·σ√τ/|L|)), where L belongs to the perpetual option.

    z is a quadratic, fitted to 6,000 boundaries (1 day to 3 years, volatility 5-250 %, rates 0.2-12 %), in X, ln σ√τ,
    ln (r + q)τ and (r − q)/(r + q).
    """
    for w in range(LANES):
        v = lane[V, w]
        rate = lane[A, w]
        carry = max(lane[C, w], 0.0)
        per_variance = 1.0 / (v * v)
        b = (rate - lane[C, w]) * per_variance - 0.5
        two = 2.0 * rate * per_variance
        root = np.sqrt(b * b + two)
        # The negative root of λ² + 2bλ − 2A/v² = 0 without cancellation.
        exponent = -(b + root) if b > 0.0 else -two / (root - b)
        exponent = min(exponent, -1e-12)
        reach = min(max(lane[X, w] - log(exponent / (exponent - 1.0)), 1e-6), 60.0)
        start = quick_exp(lane[X, w])
        total = rate + carry + 1e-12
        s = (rate - carry) / total
        ln_v = log(v)
        ln_t = log(total)
        z = 1.7345 - 0.1256 * ln_t + 0.6727 * ln_v + ln_v * (0.1698 * ln_v - 0.0365 * ln_t - 0.0888 * s)
        z += start * (-2.0467 + 2.3341 * start + 0.0990 * ln_v - 0.2511 * ln_t - 2.2172 * s)
        z += s * (1.3580 + 0.1845 * s - 0.0332 * ln_t) - 0.0044 * ln_t * ln_t
        slope = 0.4215 - 0.4032 * start - 0.1552 * s + 0.2666 * ln_v - 0.0541 * ln_t
        for i in range(NODES):
            g = LOG_NODE[i]
            here = min(max(z + g * (slope + g * 0.0792), 0.5), 6.0)
            curve[i, w] = reach * (quick_exp(-here * v * NODE[i] / reach) - 1.0)


@piece
def interpolate(curve: FloatArray, weights: FloatArray, at: FloatArray) -> None:
    """The curve at the points of a rule."""
    for row in range(weights.shape[0]):
        m0, m1, m2, m3, m4, m5 = weights[row]
        for w in range(LANES):
            low = m0 * curve[0, w] + m1 * curve[1, w] + m2 * curve[2, w]
            at[row, w] = low + (m3 * curve[3, w] + m4 * curve[4, w] + m5 * curve[5, w])


@piece
def newton_system(lane: FloatArray, curve: FloatArray, at: FloatArray, sums: FloatArray, system: FloatArray) -> None:
    """The matrix ∂error/∂curve of all nodes, the errors, and their slopes in v and in the direction (DA, DC) of rates.

    lane (LANE_ROWS, LANES), curve (NODES, LANES), at = the curve at CURVE_RULE's points, sums (8 + 2·POINTS, LANES)
    is scratch, system (NODES, COLUMNS, LANES).
    """
    for i in range(NODES):
        x = NODE[i]
        for w in range(LANES):
            v = lane[V, w]
            inv = 1.0 / (v * x)
            d = (lane[X, w] + curve[i, w]) * inv + ((lane[A, w] - lane[C, w]) / v + 0.5 * v) * x
            discount = quick_exp(-lane[C, w] * x * x)
            density = INV_SQRT_TWO_PI * quick_exp(-lane[C, w] * x * x - 0.5 * d * d)
            right = discounted_cdf(d, density, discount)
            turn = (lane[DA, w] - lane[DC, w]) * x / v + lane[DX, w] * inv
            sums[0, w] = 0.0
            sums[1, w] = right
            sums[2, w] = 0.0
            sums[3, w] = -density * (d - v * x) / v
            sums[4, w] = 0.0
            sums[5, w] = density * turn - lane[DC, w] * x * x * right
            sums[6, w] = 0.0
            sums[7, w] = density * inv
        for j in range(POINTS):
            a, over_a, a2, weight = CURVE_RULE[i * POINTS + j]
            for w in range(LANES):
                v = lane[V, w]
                c = lane[C, w]
                y = at[i * POINTS + j, w]
                over_v = 1.0 / v
                inv = over_v * over_a
                d = (curve[i, w] - y) * inv + ((lane[A, w] - c) * over_v + 0.5 * v) * a
                other = d - v * a
                over_boundary = quick_exp(-y - lane[X, w])
                discount = quick_exp(-c * a2)
                density = INV_SQRT_TWO_PI * quick_exp(-c * a2 - 0.5 * d * d)
                inside = weight * discounted_cdf(d, density, discount)
                density = weight * density
                h = density * inv
                rate = lane[A, w] * over_boundary
                gain = rate - c
                turn = (lane[DA, w] - lane[DC, w]) * a * over_v
                sums[0, w] += gain * h
                sums[1, w] += c * inside
                sums[2, w] += gain * h * (d * other - 1.0) * over_v
                sums[3, w] -= c * density * other * over_v
                sums[4, w] += h * (
                    lane[DA, w] * over_boundary
                    - lane[DC, w]
                    - rate * lane[DX, w]
                    - gain * (lane[DC, w] * a2 + d * turn)
                )
                sums[5, w] += lane[DC, w] * (1.0 - c * a2) * inside + c * density * turn
                step = gain * h * d * inv
                sums[6, w] -= step
                sums[7, w] += c * h
                sums[8 + j, w] = step - rate * h
                sums[8 + POINTS + j, w] = c * h
        for w in range(LANES):
            left = 1.0 / sums[0, w]
            right = 1.0 / sums[1, w]
            system[i, ERROR, w] = log(sums[0, w] * right)
            system[i, IN_VOL, w] = sums[2, w] * left - sums[3, w] * right
            system[i, IN_RATE, w] = sums[4, w] * left - sums[5, w] * right
            sums[6, w] = sums[6, w] * left - sums[7, w] * right
            for j in range(POINTS):
                sums[8 + j, w] = sums[8 + j, w] * left + sums[8 + POINTS + j, w] * right
        for k in range(NODES):
            m0, m1, m2 = (
                CURVE_WEIGHTS[i * POINTS, k],
                CURVE_WEIGHTS[i * POINTS + 1, k],
                CURVE_WEIGHTS[i * POINTS + 2, k],
            )
            m3, m4, m5 = (
                CURVE_WEIGHTS[i * POINTS + 3, k],
                CURVE_WEIGHTS[i * POINTS + 4, k],
                CURVE_WEIGHTS[i * POINTS + 5, k],
            )
            for w in range(LANES):
                low = m0 * sums[8, w] + m1 * sums[9, w] + m2 * sums[10, w]
                system[i, k, w] = low + (m3 * sums[11, w] + m4 * sums[12, w] + m5 * sums[13, w])
        for w in range(LANES):
            system[i, i, w] += sums[6, w]


@piece
def eliminate(system: FloatArray) -> None:
    """Gauss-Jordan without pivoting (the matrix is close to lower triangular); solutions replace the right sides."""
    for k in range(NODES):
        for c in range(k + 1, COLUMNS):
            for w in range(LANES):
                system[k, c, w] /= system[k, k, w]
        for row in range(NODES):
            if row != k:
                for c in range(k + 1, COLUMNS):
                    for w in range(LANES):
                        system[row, c, w] -= system[row, k, w] * system[k, c, w]
