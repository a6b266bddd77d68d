"""The fixed points at which an exercise boundary is known and the premium of exercising early is integrated.

A boundary lives on six Chebyshev nodes of √(time left), as the logarithm of its distance below its start; integrals
are Gauss-Legendre in the angle θ of √(time from now) = √T·sin θ, √(time left) = √T·cos θ, which leaves no root at
either end. All are relative to the expiry, so every number here is the same for all options. The trap: six nodes and
six points are written out by hand in american_curve.py.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import FloatArray

NODES = 6
POINTS = 6
SPOT_POINTS = 16


def _nodes() -> FloatArray:
    """√(time left)/√T of the nodes: 1 = today's boundary first; the end at 0, where the distance is 0, is left out."""
    angles = np.arange(NODES) * (np.pi / NODES)
    return np.asarray((1.0 + np.cos(angles)) / 2.0)


def _weights_at(x: FloatArray) -> FloatArray:
    """(points, nodes): the value at x in [0, 1) of the polynomial through the nodes and through 0 at 0."""
    known = np.append(_nodes(), 0.0)
    rows = np.ones((x.size, NODES))
    for k in range(NODES):
        for other in range(NODES + 1):
            if other != k:
                rows[:, k] *= (x - known[other]) / (known[k] - known[other])
    return rows


def _angles(count: int) -> tuple[FloatArray, FloatArray]:
    """Gauss-Legendre points and weights on (0, π/2)."""
    points, weights = np.polynomial.legendre.leggauss(count)
    return (points + 1.0) * (np.pi / 4.0), weights * (np.pi / 4.0)


def _rule(reach: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
    """For integrals over the time left of a node at `reach`: rows (a, 1/a, a², weight of d(a²)), and interpolation."""
    angles, weights = _angles(count)
    a = np.outer(reach, np.sin(angles)).ravel()
    measure = (np.outer(reach**2, 2.0 * np.sin(angles) * np.cos(angles) * weights)).ravel()
    left = np.outer(reach, np.cos(angles)).ravel()
    return np.stack([a, 1.0 / a, a * a, measure], axis=1), _weights_at(left)


NODE = _nodes()
LOG_NODE = np.log(NODE)
# Row i·POINTS + j: point j of the integral that ends at node i.
CURVE_RULE, CURVE_WEIGHTS = _rule(NODE, POINTS)
# (node i, weight k, point j): the same numbers in the order in which the matrix needs them.
CURVE_COLUMNS = np.ascontiguousarray(CURVE_WEIGHTS.reshape(NODES, POINTS, NODES).transpose(0, 2, 1))
SPOT_RULE, SPOT_WEIGHTS = _rule(np.ones(1), SPOT_POINTS)
