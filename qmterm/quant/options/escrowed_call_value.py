"""The early-exercise premium of a block of calls that one ex-date alone can end early.

Exercise just before that date pays where the put on the same strike, from the date to expiry, is worth less than FAR,
the dividends less the interest on the strike. With F* the boundary, y = ln F at the date, z at expiry, the premium is

    e^{−rt}·FAR·P(y > ln F*) − e^{−rT} ∫ (1 − e^z)·n(z)·P(y > ln F* | z) dz,    z from −∞ to 0,

a normal density and a Brownian bridge. The trap: F* makes it as large as it can be, so derivatives at a fixed F* are
the true ones; bumps need no second boundary.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.quant.elementary import exp, log
from qmterm.quant.kernel import piece
from qmterm.quant.options.american_curve import INV_SQRT_TWO_PI, discounted_cdf, quick_exp
from qmterm.quant.options.escrowed_lanes import (
    BOUNDARY,
    COUNT,
    DATE,
    DRIFT,
    FAR,
    LANES,
    LEFT,
    OVER_VOL,
    PREMIUM,
    RATE,
    SUM,
    SUM_X,
    SUM_XX,
    VOL,
    YEARS,
)
from qmterm.quant.options.escrowed_option import section

POINTS = 12
REACH = 5.5  # standard deviations
FAR_UP = 60.0
SOON = 1e-6  # of the life: an ex-date that close to expiry is at expiry
_MOST_STEP = 8.0  # standard deviations from the date to expiry
_LEAST_PUT = 1e-250
_TINY = 1e-14

_AT, _WEIGHT = np.polynomial.legendre.leggauss(POINTS)
RULE = np.stack([(_AT + 1.0) / 2.0, _WEIGHT / 2.0], axis=1)


@section
def find_date(
    lane: FloatArray, w: int, same: bool, when: FloatArray, discounts: FloatArray, worths: FloatArray
) -> bool:
    """Fill DATE, LEFT and FAR of lane w (COUNT 0: no date pays); whether one date at most can end the call.

    same: the date there is, at a rate that has moved a little.
    """
    t = lane[YEARS + w]
    final = exp(-lane[RATE + w] * t)
    count = 0
    best = to_come = 0.0
    known = lane[DATE + w]
    lane[DATE + w] = 0.5 * t
    lane[LEFT + w] = 0.5 * t
    lane[FAR + w] = 0.0
    for j in range(when.size - 1, -1, -1):
        if worths[j] <= 0.0:
            continue
        to_come += worths[j]
        if j > 0 and when[j - 1] == when[j]:
            continue
        far = to_come - (discounts[j] - final)
        # Exercise pays nowhere on this date if it does not pay with the call as deep in the money as can be.
        if (when[j] == known) if same else far > best:
            best = far
            count += 1
            lane[DATE + w] = when[j]
            lane[LEFT + w] = t - when[j]
            lane[FAR + w] = far / discounts[j]
    lane[COUNT + w] = count
    sure = lane[FAR + w] >= exp(-lane[RATE + w] * lane[LEFT + w])  # exercised even if the share is worth nothing else
    return bool(count == 0 or (count == 1 and lane[LEFT + w] > SOON * t and not sure))


@section
def find_boundary(lane: FloatArray, turns: int, moves: FloatArray) -> None:
    """`turns` Newton steps of BOUNDARY, ln F*, where `moves` allows: the logarithm of the put falls ever faster."""
    for _ in range(turns):
        for w in range(LANES):
            left = lane[LEFT + w]
            root = np.sqrt(left)
            sd = lane[VOL + w] * root
            y = lane[BOUNDARY + w]
            bond = quick_exp(-lane[RATE + w] * left)
            share = quick_exp(y)
            d = (y + lane[RATE + w] * left) / sd + 0.5 * sd
            density = INV_SQRT_TWO_PI * quick_exp(-0.5 * d * d)
            given = discounted_cdf(-d, share * density, share)
            put = max(discounted_cdf(sd - d, share * density, bond) - given, _LEAST_PUT)
            step = log(put / max(lane[FAR + w], _LEAST_PUT)) * put / max(given, _LEAST_PUT)
            step = min(max(step, -_MOST_STEP * sd), _MOST_STEP * sd)
            lane[BOUNDARY + w] = y + (step if (moves[w] > 0.0) & (lane[COUNT + w] > 0.0) else 0.0)


@section
def call_premium(lane: FloatArray, at: int, passed: float, scratch: FloatArray, found: FloatArray) -> None:
    """The rows SUM, SUM_X, SUM_XX of `found`: the premium `passed` years from now for ln F in lane's row `at`.

    0 when the date has passed by then. scratch: 9 rows.
    """
    for w in range(LANES):
        x = lane[at + w]
        date = max(lane[DATE + w] - passed, _TINY)
        years = date + lane[LEFT + w]
        vol, far, carry = lane[VOL + w], lane[FAR + w], lane[DRIFT + w] * lane[VOL + w]
        sd = vol * np.sqrt(date)
        b = (x + carry * date - lane[BOUNDARY + w]) / sd
        discount = quick_exp(-lane[RATE + w] * date)
        density = far * discount * INV_SQRT_TWO_PI * quick_exp(-0.5 * b * b)
        found[SUM + w] = discounted_cdf(b, density, far * discount)
        found[SUM_X + w] = density / sd
        found[SUM_XX + w] = -b * density / (sd * sd)
        over_width = lane[OVER_VOL + w] / np.sqrt(years)
        share = date / years
        over_bridge = lane[OVER_VOL + w] / np.sqrt(share * lane[LEFT + w])
        middle = x + carry * years
        centre = (x + carry * date - share * middle - lane[BOUNDARY + w]) * over_bridge
        # As far below the strike as either the share or the bridge goes.
        by_share = REACH / over_width + max(-middle, 0.0)
        by_bridge = (REACH + max(centre, 0.0)) / (share * over_bridge)
        scratch[w] = min(by_share, by_bridge)
        scratch[LANES + w] = over_width
        scratch[2 * LANES + w] = middle
        scratch[3 * LANES + w] = centre
        scratch[4 * LANES + w] = share * over_bridge
        scratch[5 * LANES + w] = (1.0 - share) * over_bridge
        scratch[6 * LANES + w] = quick_exp(-lane[RATE + w] * years) * INV_SQRT_TWO_PI
        scratch[7 * LANES + w] = 1.0 if (lane[DATE + w] > passed + 1e-9) & (lane[COUNT + w] > 0.0) else 0.0
    for p in range(POINTS):
        share, weight = RULE[p]
        for w in range(LANES):
            length, over_width = scratch[w], scratch[LANES + w]
            z = -length * share
            u = (z - scratch[2 * LANES + w]) * over_width
            c = scratch[3 * LANES + w] + scratch[4 * LANES + w] * z
            lean = scratch[5 * LANES + w]
            scale = weight * length * (1.0 - quick_exp(z)) * over_width * scratch[6 * LANES + w]
            scale = scale * quick_exp(-0.5 * u * u)
            density = scale * INV_SQRT_TWO_PI * quick_exp(-0.5 * c * c)
            inside = discounted_cdf(c, density, scale)
            found[SUM + w] -= inside
            found[SUM_X + w] -= u * over_width * inside + density * lean
            found[SUM_XX + w] -= (u * u - 1.0) * over_width * over_width * inside + (
                2.0 * u * over_width - c * lean
            ) * lean * density
    for w in range(LANES):
        pays = scratch[7 * LANES + w]
        found[SUM + w] *= pays
        found[SUM_X + w] *= pays
        found[SUM_XX + w] *= pays


@piece
def keep_premium(found: FloatArray) -> None:
    """The sums as the premium and its slopes."""
    for cell in range(3 * LANES):
        found[PREMIUM + cell] = found[SUM + cell]
