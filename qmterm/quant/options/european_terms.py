"""The arithmetic of one European option inside kernels: its out-of-the-money side, measured against the cheaper leg.

Let F = S·exp(−qT), K' = K·exp(−rT), near and far the smaller and larger of the two, m = |ln(F/K')|, s = σ√T. The option
out of the money at that strike is worth near·ν with ν = N(d) − B, where d = s/2 − m/s and B = (far/near)·N(−m/s − s/2).
Both terms share the factor exp(−d²/2), and neither asks erfcx for a negative argument, so wings lose no digits.
The trap: for d ≥ 0 it is 1 − ν, not ν, that is known to the last digit; `gap` is that number.
"""

from __future__ import annotations

import numpy as np

from qmterm.quant.elementary import exp, log
from qmterm.quant.kernel import piece
from qmterm.quant.normal import INV_SQRT_TWO_PI, SQRT_HALF, SQRT_TWO_PI, erfcx

FAR_APART = 1e-9  # m is at least this in the first guess, which divides by it
TOP = 2.42  # where the guess's last rational function is fitted to; beyond, more rounds are needed
DAYS = 365.0
MAX_ROUNDS = 64
CLOSE_ENOUGH = 1e-6  # of s: the error after a step goes with the fourth power of the step


@piece
def first_guess(m: float, value: float, near: float, far: float) -> float:
    """σ√T to about 1e-4 relative, from the dollar value of the out-of-the-money side.

    Bachelier's formula inverted by a rational function of ln(1 + (far − near)/value), carried over to lognormal by the
    relation of the two at the money (which depends on m only by m²·s²/2880 and terms of higher order: Grunspan 2011).
    """
    m = max(m, FAR_APART)
    level = log(1.0 + max(far - near, FAR_APART * near) / value)
    above = 2.506623631058833 + level * (0.2535787726 + level * (0.0498868352 + level * 0.0014285579))
    below = 1.0 + level * (0.1010842107 + level * (0.016296013 + level * 9.54695626e-05))
    z = min(m * above / (level * below), TOP)
    u = z * z
    above = z * (1.00000608 + u * (-0.29282618 + u * (0.0243311435 - u * 0.000447361323)))
    below = 1.0 + u * (-0.33445608 + u * (0.0345809 - u * 0.00104701))
    bend = 1.0 - 0.15338675653 * u
    return above * bend / (below * (bend + m * m * u * (0.00034624494 - 1.48054336e-05 * u)))


@piece
def tails(m: float, s: float) -> tuple[float, float, float, float, float]:
    """(d, e, erfcx of |d|/√2, erfcx of (d + 2m/s)/√2, 1/s) with e = exp(−d²/2)."""
    inverse = 1.0 / s
    h = m * inverse
    t = 0.5 * s
    d = t - h
    return d, exp(-0.5 * d * d), erfcx(abs(d) * SQRT_HALF), erfcx((t + h) * SQRT_HALF), inverse


@piece
def householder(m: float, s: float, inverse: float, pair: float, difference: float, sign: float) -> float:
    """The third-order step from s towards the root of ln(wanted/present), the log of ν (sign 1) or of the gap (−1).

    `pair` is the difference or sum of the two erfcx, `difference` the log itself. The error after the step goes with
    the fourth power of the error before.
    """
    h = m * inverse
    slope = sign * 2.0 * INV_SQRT_TWO_PI / pair
    newton = sign * difference * pair * (0.5 * SQRT_TWO_PI)
    second = h * h * inverse - 0.25 * s
    halley = second - slope
    bent = h * inverse
    third = second * second - 3.0 * bent * bent - 0.25 + slope * (2.0 * slope - 3.0 * second)
    return newton * (1.0 + 0.5 * halley * newton) / (1.0 + newton * (halley + third * newton * 0.16666666666666666))


@piece
def log_of_ratio(wanted: float, present: float) -> float:
    """ln(wanted/present) to 1e-15 when they are within a tenth of each other; else only about right."""
    y = (wanted - present) / (wanted + present)
    w = y * y
    return (
        y
        * 2.0
        * (1.0 + w * (0.3333333333333333 + w * (0.2 + w * (0.14285714285714285 + w * (0.1111111111111111 + w / 11)))))
    )


@piece
def bracketed(m: float, value: float, gap: float) -> float:
    """σ√T by steps kept between bounds, for the few that do not settle at once; NaN when it does not end.

    `value` is ν, `gap` 1 − ν. Steps from the foot of the curve, where the density is 0, go up; every other step that
    leaves the bounds is replaced by their middle.
    """
    low, high = 0.0, np.inf
    s = float(max(np.sqrt(2.0 * m), 1e-9))  # the inflection point
    for _ in range(MAX_ROUNDS):
        inverse = 1.0 / s
        h = m * inverse
        t = 0.5 * s
        d = t - h
        sign = 1.0 if d < 0.0 else -1.0
        pair = erfcx(abs(d) * SQRT_HALF) - sign * erfcx((t + h) * SQRT_HALF)
        difference = np.log((value if d < 0.0 else gap) * 2.0) - np.log(pair) + 0.5 * d * d
        step = householder(m, s, inverse, pair, difference, sign)
        if sign * difference < 0.0:
            high = s
        else:
            low = s
        moved = s + step
        if low <= moved <= high:
            if abs(step) <= CLOSE_ENOUGH * s:
                return moved
            s = moved
        elif high == np.inf:
            s = 2.0 * s
        elif low == 0.0:
            s = 0.25 * s
        else:
            s = 0.5 * (low + high)
            if high - low <= CLOSE_ENOUGH * CLOSE_ENOUGH * high:
                return s
    return np.nan


@piece
def shifted_cdf(d: float, by: float) -> float:
    """(N(d + by) − N(d))/n(d) for a small `by`, to its fifth power."""
    square = d * d
    return by * (
        1.0
        - by * (0.5 * d - by * ((square - 1.0) * 0.16666666666666666 - by * d * (square - 3.0) * 0.041666666666666664))
    )


@piece
def five_greeks(
    spot: float,
    years: float,
    rate: float,
    dividend_yield: float,
    asset: float,
    cash: float,
    is_call: bool,
    s: float,
    n: float,
    probable: float,
    other: float,
) -> tuple[float, float, float, float, float]:
    """(delta, gamma, theta, vega, rho) in screen units from near·n(d), near·N(d) and near·B of σ√T = s.

    `asset` F and `cash` K' as above. In the money options take theirs from the other side by parity.
    """
    root = np.sqrt(years)
    outside = is_call == (asset < cash)
    asset_part = probable if asset < cash else other
    cash_part = other if asset < cash else probable
    asset_part = asset_part if outside else asset - asset_part
    cash_part = cash_part if outside else cash - cash_part
    phi = 1.0 if is_call else -1.0
    over_spot = 1.0 / spot
    delta = phi * asset_part * over_spot
    gamma = n * over_spot * over_spot / s
    theta = -n * s / (2.0 * years) + phi * (dividend_yield * asset_part - rate * cash_part)
    return delta, gamma, theta * (1.0 / DAYS), n * root * 0.01, phi * years * cash_part * 0.01
