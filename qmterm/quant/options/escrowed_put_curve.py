"""The exercise boundary of a block of puts with cash dividends, from the last stretch backward.

With q = 0 and F = S − PV(D) the premium of early exercise is rK ∫ e^{−ru}Φ(−d2(F/B(u), u)) du over the windows, B the
boundary of F; smooth pasting at a node (F = B, K = 1) is

    Φ(d1(B; T − t))·B  =  r ∫ e^{−r(u−t)} n(d2(B/B(u), u − t)) / (σ√(u − t)) du

over the rest of its window and later ones, and Newton's method on the difference of logarithms finds each node, later
ones first. The trap: a node's own window moves with it, so the late node is found with a shape of one unknown before
the early one adds the second.
"""

from __future__ import annotations

import math

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.quant.elementary import log
from qmterm.quant.kernel import piece
from qmterm.quant.options.american_curve import INV_SQRT_TWO_PI, discounted_cdf, quick_exp
from qmterm.quant.options.escrowed_lanes import (
    BOUNDARY,
    COUNT,
    DRIFT,
    LANES,
    LEFT,
    NOW,
    OVER_VOL,
    RATE,
    STEP,
    VOL,
    YEARS,
)
from qmterm.quant.options.escrowed_option import section
from qmterm.quant.options.escrowed_put_rule import (
    AFTER,
    AT,
    BASE,
    BEND,
    EARLY,
    GROWTH,
    LAST,
    LAST_POINTS,
    LAST_RULE,
    LATE,
    LEAST_RATIO,
    LEAST_WIDTH,
    LOG_BOUNDARY,
    MOST_RATIO,
    MOST_WIDTH,
    NODE_BASE,
    NODE_BEND,
    NODE_OVER_ROOT,
    NODE_ROOT,
    NODE_SIZE,
    NODE_WIDTH,
    OWN_AT,
    OWN_BASE,
    OWN_BEND,
    OWN_OVER_ROOT,
    OWN_POINTS,
    OWN_SIZE,
    OWN_WEIGHT,
    OWN_WIDTH,
    POINT_SIZE,
    POINTS,
    START,
    TERMS,
    WEIGHT,
    WIDTH,
    WINDOW_SIZE,
)

# Rows of the scratch of a node, and of the last stretch (one row a term).
SUMS_SIZE = 12 * LANES
TOTAL, MOVE, B, B_MOVE, SLOPE_OWN, OFFSET_OWN = range(0, 6 * LANES, LANES)
REACH_ROW = TERMS * LANES
HALF_LOG = (TERMS + 1) * LANES

_WIDTH_SCALE = 2.0 / math.log(MOST_WIDTH / LEAST_WIDTH)
_WIDTH_START = math.log(LEAST_WIDTH)
_RATIO_SCALE = 2.0 / math.log(MOST_RATIO / LEAST_RATIO)
_RATIO_START = math.log(LEAST_RATIO)
_LEAST_SUM = 1e-140
_MOST_RATIO = 1e140
_MOST_STEP = 0.5
_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_ROUND = 6755399441055744.0
FIRST_TURNS = 2
NEVER = -1e3  # ln F of no exercise now


@piece
def bell(d: float) -> float:
    """e^{−d²/2} to 3e-8 relative; 0 beyond 37 deviations is 1e-297 here."""
    x = np.float64(max(-0.5 * d * d, -680.0))
    shifted = np.float64(x * _LOG2_E + _ROUND)
    whole = shifted - _ROUND
    r = (x - whole * _LN2_HIGH) - whole * _LN2_LOW
    r2 = r * r
    value = ((1.0 + r) + r2 * (0.5 + r * 0.16666666666666666)) + r2 * r2 * (
        0.041666666666666664 + r * 0.008333333333333333 + r2 * 0.001388888888888889
    )
    power = np.int64((shifted.view(np.int64) + np.int64(1023)) << np.int64(52))
    return value * power.view(np.float64)


@section
def last_stretch(lane: FloatArray, points: FloatArray, scratch: FloatArray) -> None:
    """Fill ln B at the points of the last stretch, and BOUNDARY at its start (NOW, if that is now), from the fit."""
    for w in range(LANES):
        ratio = 2.0 * lane[RATE + w] * lane[OVER_VOL + w] * lane[OVER_VOL + w]
        scratch[REACH_ROW + w] = log(1.0 + 1.0 / ratio)
        scratch[w] = min(max(_RATIO_SCALE * (log(ratio) - _RATIO_START) - 1.0, -1.0), 1.0)
        scratch[HALF_LOG + w] = 0.5 * log(lane[LEFT + w]) + log(lane[VOL + w])
    for i in range(TERMS - 1, -1, -1):  # row 0 is what the others are made of
        c0, c1, c2, c3, c4, c5, c6, c7, c8 = LAST[i]
        term = scratch[i * LANES :]
        for w in range(LANES):
            b = scratch[w]
            term[w] = c0 + b * (c1 + b * (c2 + b * (c3 + b * (c4 + b * (c5 + b * (c6 + b * (c7 + b * c8)))))))
    for p in range(LAST_POINTS + 1):
        share = LAST_RULE[p, 0] if p < LAST_POINTS else 0.0
        half_log = 0.5 * log(1.0 - share)
        row = points[p * POINT_SIZE + LOG_BOUNDARY :] if p < LAST_POINTS else lane[BOUNDARY:]
        for w in range(LANES):
            ln_width = half_log + scratch[HALF_LOG + w]
            a = min(max(_WIDTH_SCALE * (ln_width - _WIDTH_START) - 1.0, -1.0), 1.0)
            z = scratch[8 * LANES + w]
            z = scratch[6 * LANES + w] + a * (scratch[7 * LANES + w] + a * z)
            z = scratch[4 * LANES + w] + a * (scratch[5 * LANES + w] + a * z)
            z = scratch[2 * LANES + w] + a * (scratch[3 * LANES + w] + a * z)
            z = scratch[w] + a * (scratch[LANES + w] + a * z)
            reach = scratch[REACH_ROW + w]
            row[w] = reach * (quick_exp(-z * quick_exp(ln_width) / reach) - 1.0)
    for w in range(LANES):
        lane[NOW + w] = lane[BOUNDARY + w] if lane[LEFT + w] >= lane[YEARS + w] else NEVER


@piece
def _start_node(
    lane: FloatArray, window: FloatArray, node: FloatArray, late: bool, sums: FloatArray, late_bend: FloatArray
) -> None:
    """The node's ln B, how that moves with its unknown, and its window's κ = offset + slope·bend."""
    for w in range(LANES):
        bend = node[NODE_BEND + w]
        kappa = window[LATE + w] if late else window[EARLY + w]
        other = 0.0 if late else late_bend[NODE_BEND + w]
        fixed = 0.0 if late else window[LATE + w]
        run = 1.0 / (bend - other)
        sums[SLOPE_OWN + w] = (kappa - fixed) * run
        sums[OFFSET_OWN + w] = fixed - other * (kappa - fixed) * run
        sums[B + w] = lane[BOUNDARY + w] - lane[VOL + w] * (node[NODE_BASE + w] + node[NODE_WIDTH + w] * kappa)
        sums[B_MOVE + w] = -node[NODE_WIDTH + w]
        sums[TOTAL + w] = 0.0
        sums[MOVE + w] = 0.0


@piece
def _add_own(
    lane: FloatArray, node: FloatArray, late: bool, late_bend: FloatArray, own: FloatArray, sums: FloatArray
) -> None:
    """One point of the rest of the node's own window, where the boundary moves with the node."""
    for w in range(LANES):
        other = 0.0 if late else late_bend[NODE_BEND + w]
        part = (own[OWN_BEND + w] - other) / (node[NODE_BEND + w] - other)
        kappa = sums[OFFSET_OWN + w] + sums[SLOPE_OWN + w] * own[OWN_BEND + w]
        there = lane[BOUNDARY + w] - lane[VOL + w] * (own[OWN_BASE + w] + own[OWN_WIDTH + w] * kappa)
        over = own[OWN_OVER_ROOT + w]
        d = ((sums[B + w] - there) * lane[OVER_VOL + w] + lane[DRIFT + w] * own[OWN_AT + w]) * over
        term = own[OWN_WEIGHT + w] * over * bell(d)
        sums[TOTAL + w] += term
        sums[MOVE + w] -= term * d * over * (1.0 - own[OWN_WIDTH + w] * part / node[NODE_WIDTH + w])


@piece
def _add_later(
    lane: FloatArray, at: FloatArray, growth: FloatArray, point: FloatArray, pair: FloatArray, sums: FloatArray
) -> None:
    """One point of a later window or of the last stretch."""
    for w in range(LANES):
        over = pair[w]
        d = (
            (sums[B + w] - point[LOG_BOUNDARY + w]) * lane[OVER_VOL + w] + lane[DRIFT + w] * (point[AT + w] - at[w])
        ) * over
        term = point[WEIGHT + w] * growth[w] * over * bell(d)
        sums[TOTAL + w] += term
        sums[MOVE + w] -= term * d * over


@piece
def _newton(
    lane: FloatArray,
    node: FloatArray,
    unknown: FloatArray,
    moves: FloatArray,
    j: int,
    counts: float,
    sums: FloatArray,
) -> None:
    """One step of the node's unknown where `moves` allows; STEP keeps the largest of the steps that count."""
    for w in range(LANES):
        over = node[NODE_OVER_ROOT + w] * lane[OVER_VOL + w]
        d = sums[B + w] * over + (lane[DRIFT + w] + lane[VOL + w]) * node[NODE_ROOT + w]
        density = INV_SQRT_TWO_PI * quick_exp(-0.5 * d * d)
        probable = max(discounted_cdf(d, density, 1.0), _LEAST_SUM)
        total = max(sums[TOTAL + w], _LEAST_SUM)
        scale = lane[RATE + w] * INV_SQRT_TWO_PI * lane[OVER_VOL + w]
        error = sums[B + w] + log(min(max(probable / (scale * total), _LEAST_SUM), _MOST_RATIO))
        by_b = sums[B_MOVE + w] * lane[VOL + w]
        slope = by_b * (density / probable * over + 1.0) - sums[B_MOVE + w] * sums[MOVE + w] / total
        step = min(max(-error / slope, -_MOST_STEP), _MOST_STEP)
        step = step if (moves[w] > 0.0) & (lane[COUNT + w] > j) else 0.0
        lane[STEP + w] = max(lane[STEP + w], counts * abs(step))
        unknown[w] += step


@section
def earlier_windows(
    lane: FloatArray,
    windows: FloatArray,
    count: int,
    fresh: bool,
    moves: FloatArray,
    points: FloatArray,
    nodes: FloatArray,
    own: FloatArray,
    pairs: FloatArray,
    sums: FloatArray,
) -> None:
    """A Newton step of each node, later windows first; ln B at the windows' points; NOW, ln B now.

    fresh: nothing is known of the early nodes yet, and one step is not enough.
    """
    pair = 0
    for w in range(LANES):
        lane[STEP + w] = 0.0
    for number in range(2 * count):
        j = number // 2
        late = number == 2 * j
        window = windows[j * WINDOW_SIZE : (j + 1) * WINDOW_SIZE]
        node = nodes[number * NODE_SIZE : (number + 1) * NODE_SIZE]
        late_node = nodes[2 * j * NODE_SIZE : (2 * j + 1) * NODE_SIZE]
        unknown = window[LATE:] if late else window[EARLY:]
        later = LAST_POINTS + POINTS * j
        turns = FIRST_TURNS if fresh else 1
        if fresh and not late:
            for w in range(LANES):
                unknown[w] = window[LATE + w] * node[NODE_BEND + w] / late_node[NODE_BEND + w]
        for turn in range(turns):
            _start_node(lane, window, node, late, sums, late_node)
            for p in range(OWN_POINTS):
                _add_own(lane, node, late, late_node, own[(number * OWN_POINTS + p) * OWN_SIZE :], sums)
            for p in range(later):
                _add_later(lane, node, node[GROWTH:], points[p * POINT_SIZE :], pairs[(pair + p) * LANES :], sums)
            _newton(lane, node, unknown, moves, j, 1.0 if turn == turns - 1 else 0.0, sums)
        pair += later
        if late:
            continue
        for p in range(POINTS):
            row = points[(later + p) * POINT_SIZE :]
            for w in range(LANES):
                first, last = node[NODE_BEND + w], late_node[NODE_BEND + w]
                slope = (window[EARLY + w] - window[LATE + w]) / (first - last)
                kappa = window[LATE + w] + slope * (row[BEND + w] - last)
                row[LOG_BOUNDARY + w] = lane[BOUNDARY + w] - lane[VOL + w] * (row[BASE + w] + row[WIDTH + w] * kappa)
        for w in range(LANES):
            moved = node[NODE_BASE + w] + node[NODE_WIDTH + w] * window[EARLY + w]
            window[AFTER + w] = lane[BOUNDARY + w]
            lane[BOUNDARY + w] -= lane[VOL + w] * moved
            first = (lane[COUNT + w] == j + 1.0) & (window[START + w] == 0.0)
            lane[NOW + w] = lane[BOUNDARY + w] if first else lane[NOW + w]
