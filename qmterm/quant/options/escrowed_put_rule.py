"""The fixed numbers of the boundary method for puts with cash dividends: points, weights, places in its arrays, fits.

Time from now to expiry falls into stretches between ex-dates. In the last one the put is a plain American put, whose
exercise boundary (no yield) is a function of σ√τ and 2r/σ² alone: LAST fits it. In each earlier one exercise pays for a
while after its start only: its boundary is known at two nodes. The trap: everything works on blocks of LANES options,
flat, with distances between rows known to the compiler; see american_curve.py for why.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.quant.options.escrowed_lanes import (
    LANES,
)

MOST_WINDOWS = 12  # before the last stretch
LAST_POINTS = 8
POINTS = 4  # of a window, seen from before it
OWN_POINTS = 4  # of what is left of a window, seen from a node in it
LATE_NODE = 0.75  # of a window; its other node is its start

# Rows of a window: when it begins, when exercise no longer pays, when it pays again; its two unknowns;
# ln B when it pays again; the discount factor of its beginning.
WINDOW_ROWS = 7
WINDOW_SIZE = WINDOW_ROWS * LANES
START, END, NEXT, LATE, EARLY, AFTER, DISCOUNT = range(0, WINDOW_SIZE, LANES)
# Rows of a point: years from now, discounted weight, ln boundary, 1/√years; of the shape of the boundary there.
POINT_ROWS = 7
POINT_SIZE = POINT_ROWS * LANES
AT, WEIGHT, LOG_BOUNDARY, OVER_ROOT, BASE, WIDTH, BEND = range(0, POINT_SIZE, LANES)
# Rows of a node: years from now, growth to it, the shape there, 1/√(years left) and √; years left of its
# window and 1/√ of them.
NODE_ROWS = 9
NODE_SIZE = NODE_ROWS * LANES
NODE_AT, GROWTH, NODE_BASE, NODE_WIDTH, NODE_BEND, NODE_OVER_ROOT, NODE_ROOT, SPAN, OVER_SPAN = range(
    0, NODE_SIZE, LANES
)
# Rows of a node's own points: years from the node, 1/√ of it, discounted weight, the shape.
OWN_ROWS = 6
OWN_SIZE = OWN_ROWS * LANES
OWN_AT, OWN_OVER_ROOT, OWN_WEIGHT, OWN_BASE, OWN_WIDTH, OWN_BEND = range(0, OWN_SIZE, LANES)

ALL_POINTS = LAST_POINTS + POINTS * MOST_WINDOWS
NODES = 2 * MOST_WINDOWS


def pairs_before(window: int) -> int:
    """Pairs (node, later point) of the windows that come later in time than this one (0: the last but one stretch)."""
    return 2 * (LAST_POINTS * window + POINTS * window * (window - 1) // 2)


PAIRS = pairs_before(MOST_WINDOWS)


def _unit(count: int) -> tuple[FloatArray, FloatArray]:
    """Gauss-Legendre on (0, 1)."""
    points, weights = np.polynomial.legendre.leggauss(count)
    return (points + 1.0) / 2.0, weights / 2.0


def _crowded_at_both_ends(count: int) -> FloatArray:
    """(points, 2): where and weight; points gather at either end, where the boundary is steep."""
    x, weight = _unit(count)
    angle = 0.5 * np.pi * x
    return np.stack([np.sin(angle) ** 2, weight * np.pi * np.sin(angle) * np.cos(angle)], axis=1)


def _crowded_at_start(count: int) -> FloatArray:
    """(points, 2): as the root of the time, which integrals from a node have in the denominator."""
    x, weight = _unit(count)
    return np.stack([x * x, 2.0 * x * weight], axis=1)


LAST_RULE = _crowded_at_both_ends(LAST_POINTS)
RULE = _crowded_at_both_ends(POINTS)
OWN_RULE = _crowded_at_start(OWN_POINTS)

# The shape of a window's boundary: ln B(next start) − σ√(next start − t)·(z0 − SHIFT + κ·(1/(1 + w) − ORIGIN) …), where
# w = √(−2 ln((end − t)/(next start − t))) and z0(w) solves E[(N − z)²₊] = e^{−w²/2}: what the curvature of the value at
# the next start makes of waiting for it. SHIFT and ORIGIN fit how far true boundaries are from that.
SHIFT = 0.24
ORIGIN = 0.052
MOST_W = 8.0
SHAPE = np.array(
    [
        -0.46928823949,
        -0.01646228589,
        0.41097903271,
        -0.03707314054,
        -0.01551664897,
        0.00496469967,
        -0.00055927776,
        0.00002294119,
    ]
)

# The boundary of a plain put on a strike of 1 without yield: ln B = −L·(1 − exp(−z·σ√τ/L)), L = ln(1 + σ²/2r) the
# distance of the perpetual option's, z a polynomial: LAST[i, j]·a^i·b^j, where a = −1 … 1 as ln σ√τ goes from
# ln LEAST_WIDTH to ln MOST_WIDTH and b likewise with ln 2r/σ² between LEAST_RATIO and MOST_RATIO. Fitted to 1,000
# boundaries found by the fixed point of Andersen, Lake and Offengenden; off by at most 3e-4 of σ√τ, 6e-5 rms.
LEAST_WIDTH, MOST_WIDTH = 0.004, 3.5
LEAST_RATIO, MOST_RATIO = 3e-4, 45.0
TERMS = 9
LAST = np.array(
    [
        [2.8068265, -1.9362610, -0.3199580, 0.2217455, 0.4300941, 0.2386853, -0.0074181, -0.0217261, 0.0109119],
        [-0.8337941, -0.3672445, 0.1614191, 0.5715439, 0.7109449, 0.5729295, 0.0809964, -0.2172462, -0.0949071],
        [0.2377600, -0.0547173, 0.0999932, 0.5765860, 1.3478790, 0.6298654, -0.7402994, -0.4610895, 0.0819566],
        [0.2417463, -0.2342769, 0.4210152, 1.7802424, -0.3850577, -2.7528891, 1.1105298, 1.5808847, -0.5140232],
        [0.1181309, 0.2070205, 1.0990038, -1.2533072, -4.1522743, 2.6671131, 3.2149012, -0.1058458, 0.4410971],
        [0.2901973, 0.0631148, -1.7775910, -4.1800656, 6.1818338, 7.0185414, -4.1643468, -1.7463589, 2.2193334],
        [0.0330710, -0.9947570, -1.6633825, 4.8689659, 5.8053014, -6.3367844, 1.3153049, 3.3129018, -2.9305611],
        [-0.1909077, 0.0118670, 2.1759644, 3.6724813, -6.8394736, 2.1324931, 3.4515116, -2.8670124, -0.1238649],
        [0.2138350, 0.1401549, 0.8992850, -1.8679838, 2.3077082, -0.2581838, -2.7136060, 0.6944336, 0.8562903],
    ]
)
