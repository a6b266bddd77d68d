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
from qmterm.quant.options.american_rule import CURVE_COLUMNS, CURVE_RULE, LOG_NODE, NODE, NODES, POINTS

LANES = 16
INV_SQRT_TWO_PI = 0.3989422804014327

# Where the rows of a block's `lane` begin. Flat, and with LANES known to the compiler, because the distance between two
# rows must be: what it cannot tell apart it does not vectorise.
LANE_SIZE = 9 * LANES
SPOT, LOG_SPOT, V, A, C, DA, DC, X, DX = range(0, LANE_SIZE, LANES)
# The same of the sums of one node: the two sides of its condition, their slopes in v, rates and the node itself.
SUMS_SIZE = 8 * LANES
GAIN, LOSS, GAIN_VOL, LOSS_VOL, GAIN_RATE, LOSS_RATE, GAIN_NODE, LOSS_NODE = range(0, SUMS_SIZE, LANES)
# Columns of a block's system after the matrix: the error, and its slopes in v and along the rates.
COLUMNS = NODES + 3
ERROR, IN_VOL, IN_RATE = range(NODES * LANES, COLUMNS * LANES, LANES)
ROW_SIZE = COLUMNS * LANES
SYSTEM_SIZE = NODES * ROW_SIZE
WORK_SIZE = 2 * POINTS * LANES

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
    ln (r + q)τ and (r − q)/(r + q); a negative q counts as 0.
    """
    for w in range(LANES):
        v = lane[V + w]
        rate = lane[A + w]
        carry = max(lane[C + w], 0.0)
        per_variance = 1.0 / (v * v)
        b = (rate - carry) * per_variance - 0.5
        two = 2.0 * rate * per_variance
        root = np.sqrt(b * b + two)
        # The negative root of λ² + 2bλ − 2A/v² = 0 without cancellation.
        exponent = -(b + root) if b > 0.0 else -two / (root - b)
        exponent = min(exponent, -1e-12)
        reach = min(max(lane[X + w] - log(exponent / (exponent - 1.0)), 1e-6), 60.0)
        start = quick_exp(lane[X + w])
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
            curve[i * LANES + w] = reach * (quick_exp(-here * v * NODE[i] / reach) - 1.0)


@piece
def interpolate(curve: FloatArray, weights: FloatArray, at: FloatArray) -> None:
    """The curve at the points of a rule, two points at a time: a shorter loop would be unrolled."""
    for row in range(0, weights.shape[0], 2):
        a0, a1, a2, a3, a4, a5 = weights[row]
        b0, b1, b2, b3, b4, b5 = weights[row + 1]
        first = at[row]
        second = at[row + 1]
        for w in range(LANES):
            y0, y1, y2 = curve[w], curve[LANES + w], curve[2 * LANES + w]
            y3, y4, y5 = curve[3 * LANES + w], curve[4 * LANES + w], curve[5 * LANES + w]
            first[w] = (a0 * y0 + a1 * y1 + a2 * y2) + (a3 * y3 + a4 * y4 + a5 * y5)
            second[w] = (b0 * y0 + b1 * y1 + b2 * y2) + (b3 * y3 + b4 * y4 + b5 * y5)


@piece
def newton_system(
    lane: FloatArray, curve: FloatArray, at: FloatArray, sums: FloatArray, work: FloatArray, system: FloatArray
) -> None:
    """The matrix ∂error/∂curve of all nodes, the errors, and their slopes in v and in the direction (DA, DC) of rates.

    lane (LANE_SIZE), curve (NODES·LANES), at (points, LANES) = the curve at CURVE_RULE's points; sums (SUMS_SIZE) and
    work (WORK_SIZE) are scratch; system (SYSTEM_SIZE), a node's row after another.
    """
    for i in range(NODES):
        here = curve[i * LANES : (i + 1) * LANES]
        line = system[i * ROW_SIZE : (i + 1) * ROW_SIZE]
        _start_node(lane, here, NODE[i], sums)
        for j in range(POINTS):
            row = i * POINTS + j
            a, over_a, a2, weight = CURVE_RULE[row]
            _add_point(lane, here, at[row], a, over_a, a2, weight, sums, work[2 * j * LANES :])
        for w in range(LANES):
            over_gain = 1.0 / sums[GAIN + w]
            over_loss = 1.0 / sums[LOSS + w]
            line[ERROR + w] = log(sums[GAIN + w] * over_loss)
            line[IN_VOL + w] = sums[GAIN_VOL + w] * over_gain - sums[LOSS_VOL + w] * over_loss
            line[IN_RATE + w] = sums[GAIN_RATE + w] * over_gain - sums[LOSS_RATE + w] * over_loss
            sums[GAIN_NODE + w] = sums[GAIN_NODE + w] * over_gain - sums[LOSS_NODE + w] * over_loss
            sums[GAIN + w] = over_gain
            sums[LOSS + w] = over_loss
        _fill_row(work, sums, i, line)
        diagonal = line[i * LANES :]
        for w in range(LANES):
            diagonal[w] += sums[GAIN_NODE + w]


@piece
def _fill_row(work: FloatArray, sums: FloatArray, i: int, line: FloatArray) -> None:
    """Row i of the matrix without the node's own part: the sums over its points, times how a point hangs on a node."""
    for k in range(0, NODES, 2):
        a0, a1, a2, a3, a4, a5 = CURVE_COLUMNS[i, k]
        b0, b1, b2, b3, b4, b5 = CURVE_COLUMNS[i, k + 1]
        pair = line[k * LANES :]
        for w in range(LANES):
            gain, loss = sums[GAIN + w], sums[LOSS + w]
            y0 = work[w] * gain + work[LANES + w] * loss
            y1 = work[2 * LANES + w] * gain + work[3 * LANES + w] * loss
            y2 = work[4 * LANES + w] * gain + work[5 * LANES + w] * loss
            y3 = work[6 * LANES + w] * gain + work[7 * LANES + w] * loss
            y4 = work[8 * LANES + w] * gain + work[9 * LANES + w] * loss
            y5 = work[10 * LANES + w] * gain + work[11 * LANES + w] * loss
            pair[w] = (a0 * y0 + a1 * y1 + a2 * y2) + (a3 * y3 + a4 * y4 + a5 * y5)
            pair[LANES + w] = (b0 * y0 + b1 * y1 + b2 * y2) + (b3 * y3 + b4 * y4 + b5 * y5)


@piece
def _start_node(lane: FloatArray, here: FloatArray, x: float, sums: FloatArray) -> None:
    """The terms of a node without an integral."""
    for w in range(LANES):
        v = lane[V + w]
        c = lane[C + w]
        inv = 1.0 / (v * x)
        d = (lane[X + w] + here[w]) * inv + ((lane[A + w] - c) / v + 0.5 * v) * x
        discount = quick_exp(-c * x * x)
        density = INV_SQRT_TWO_PI * quick_exp(-c * x * x - 0.5 * d * d)
        loss = discounted_cdf(d, density, discount)
        turn = (lane[DA + w] - lane[DC + w]) * x / v + lane[DX + w] * inv
        sums[GAIN + w] = 0.0
        sums[LOSS + w] = loss
        sums[GAIN_VOL + w] = 0.0
        sums[LOSS_VOL + w] = -density * (d - v * x) / v
        sums[GAIN_RATE + w] = 0.0
        sums[LOSS_RATE + w] = density * turn - lane[DC + w] * x * x * loss
        sums[GAIN_NODE + w] = 0.0
        sums[LOSS_NODE + w] = density * inv


@piece
def _add_point(
    lane: FloatArray,
    here: FloatArray,
    there: FloatArray,
    a: float,
    over_a: float,
    a2: float,
    weight: float,
    sums: FloatArray,
    by_point: FloatArray,
) -> None:
    """One point of both integrals of a node: the boundary is `here` at the node, `there` at the point.

    by_point: how the two sides of the condition move with the boundary there.
    """
    for w in range(LANES):
        v = lane[V + w]
        c = lane[C + w]
        over_v = 1.0 / v
        inv = over_v * over_a
        y = there[w]
        d = (here[w] - y) * inv + ((lane[A + w] - c) * over_v + 0.5 * v) * a
        other = d - v * a
        over_boundary = quick_exp(-y - lane[X + w])
        discount = quick_exp(-c * a2)
        density = INV_SQRT_TWO_PI * quick_exp(-c * a2 - 0.5 * d * d)
        inside = weight * discounted_cdf(d, density, discount)
        density = weight * density
        h = density * inv
        rate = lane[A + w] * over_boundary
        gain = rate - c
        turn = (lane[DA + w] - lane[DC + w]) * a * over_v
        by_rate = lane[DA + w] * over_boundary - lane[DC + w] - rate * lane[DX + w]
        step = gain * h * d * inv
        sums[GAIN + w] += gain * h
        sums[LOSS + w] += c * inside
        sums[GAIN_VOL + w] += gain * h * (d * other - 1.0) * over_v
        sums[LOSS_VOL + w] -= c * density * other * over_v
        sums[GAIN_RATE + w] += h * (by_rate - gain * (lane[DC + w] * a2 + d * turn))
        sums[LOSS_RATE + w] += lane[DC + w] * (1.0 - c * a2) * inside + c * density * turn
        sums[GAIN_NODE + w] -= step
        sums[LOSS_NODE + w] += c * h
        by_point[w] = step - rate * h
        by_point[LANES + w] = c * h


@piece
def eliminate(system: FloatArray) -> None:
    """Gauss without pivoting (the matrix is close to triangular); the solutions replace the right sides."""
    # One by one: with all distances known the compiler need not check whether rows overlap, which took longer.
    _clear(system, 1, 0)
    _clear(system, 2, 0)
    _clear(system, 3, 0)
    _clear(system, 4, 0)
    _clear(system, 5, 0)
    _clear(system, 2, 1)
    _clear(system, 3, 1)
    _clear(system, 4, 1)
    _clear(system, 5, 1)
    _clear(system, 3, 2)
    _clear(system, 4, 2)
    _clear(system, 5, 2)
    _clear(system, 4, 3)
    _clear(system, 5, 3)
    _clear(system, 5, 4)
    _substitute(system, 5)
    _substitute(system, 4)
    _substitute(system, 3)
    _substitute(system, 2)
    _substitute(system, 1)
    _substitute(system, 0)


@piece
def _clear(system: FloatArray, row: int, k: int) -> None:
    """Column k of a row becomes 0 (and is not written, for nobody reads it again)."""
    for w in range(LANES):
        line = row * ROW_SIZE + w
        pivot = k * ROW_SIZE + w
        f = system[line + k * LANES] / system[pivot + k * LANES]
        if k < 1:
            system[line + 1 * LANES] -= f * system[pivot + 1 * LANES]
        if k < 2:
            system[line + 2 * LANES] -= f * system[pivot + 2 * LANES]
        if k < 3:
            system[line + 3 * LANES] -= f * system[pivot + 3 * LANES]
        if k < 4:
            system[line + 4 * LANES] -= f * system[pivot + 4 * LANES]
        if k < 5:
            system[line + 5 * LANES] -= f * system[pivot + 5 * LANES]
        system[line + ERROR] -= f * system[pivot + ERROR]
        system[line + IN_VOL] -= f * system[pivot + IN_VOL]
        system[line + IN_RATE] -= f * system[pivot + IN_RATE]


@piece
def _substitute(system: FloatArray, row: int) -> None:
    """One row's solutions for the three right sides, from those of the rows below."""
    for w in range(LANES):
        line = row * ROW_SIZE + w
        error, in_vol, in_rate = system[line + ERROR], system[line + IN_VOL], system[line + IN_RATE]
        for k in range(row + 1, NODES):
            m = system[line + k * LANES]
            error -= m * system[k * ROW_SIZE + ERROR + w]
            in_vol -= m * system[k * ROW_SIZE + IN_VOL + w]
            in_rate -= m * system[k * ROW_SIZE + IN_RATE + w]
        over = 1.0 / system[line + row * LANES]
        system[line + ERROR] = error * over
        system[line + IN_VOL] = in_vol * over
        system[line + IN_RATE] = in_rate * over
