"""Implied volatility of European prices on arrays, with a reason for every number that does not exist (QUANT.md 3.5).

The option is turned into its out-of-the-money side (parity) and its normalised Black value is inverted in the log, from
the inflection point outward, by third-order Householder steps; neither branch ever leaves z ≥ 0 of erfcx, so deep wings
and hours to expiry lose no digits. The trap: a price at its lower bound has *no* volatility, however well a
solver converges on the rounding noise; that is NO_TIME_VALUE, not a small number.
"""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.core.calendar import SECONDS_PER_YEAR
from qmterm.core.reasons import Reason
from qmterm.quant.arrays import flatten_options
from qmterm.quant.kernel import array_kernel, piece
from qmterm.quant.normal import INV_SQRT_TWO_PI, SQRT_HALF, erfcx

StatusArray = NDArray[np.int8]


class IvStatus(IntEnum):
    """Why there is, or is not, a volatility. The solver gives those it can know; the chain knows quotes and ticks."""

    OK = 0
    NO_QUOTE = 1
    CROSSED = 2
    EXPIRED = 3
    EXPIRING = 4
    ABOVE_MAX = 5
    BELOW_INTRINSIC = 6
    NO_TIME_VALUE = 7
    LOW_VEGA = 8
    NO_CONVERGENCE = 9
    BAD_INPUT = 10
    WIDE_SPREAD = 11

    @property
    def reason(self) -> Reason | None:
        """The program's reason code; None for OK."""
        return None if self is IvStatus.OK else Reason[self.name]


STATUS: tuple[Reason | None, ...] = tuple(status.reason for status in IvStatus)

TIME_VALUE_FLOOR = 1e-10  # dollars: below this a price is its lower bound
MIN_YEARS = 60.0 / SECONDS_PER_YEAR
MAX_STEPS = 64
CLOSE_ENOUGH = 1e-6  # of s: the error after a step goes with the fourth power of the step

_OK = int(IvStatus.OK)
_NO_QUOTE = int(IvStatus.NO_QUOTE)
_EXPIRED = int(IvStatus.EXPIRED)
_EXPIRING = int(IvStatus.EXPIRING)
_ABOVE_MAX = int(IvStatus.ABOVE_MAX)
_BELOW_INTRINSIC = int(IvStatus.BELOW_INTRINSIC)
_NO_TIME_VALUE = int(IvStatus.NO_TIME_VALUE)
_NO_CONVERGENCE = int(IvStatus.NO_CONVERGENCE)
_BAD_INPUT = int(IvStatus.BAD_INPUT)


def implied_vol(
    price: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    is_call: ArrayLike,
) -> tuple[FloatArray, StatusArray]:
    """(volatility, status) in the arguments' common shape; volatility is NaN wherever status is not OK.

    A NaN price is NO_QUOTE. Checked in this order: BAD_INPUT, EXPIRED, EXPIRING (under a minute), NO_QUOTE,
    ABOVE_MAX, BELOW_INTRINSIC, NO_TIME_VALUE.
    """
    shape, calls, numbers = flatten_options(
        is_call, price=price, spot=spot, strike=strike, years=years, rate=rate, dividend_yield=dividend_yield
    )
    iv = np.empty(calls.size)
    status = np.empty(calls.size, dtype=np.int8)
    _solve_all(calls.size, numbers, calls, iv, status)
    return iv.reshape(shape), status.reshape(shape)


@piece
def _lower_branch(h: float, t: float, s: float, log_beta: float) -> tuple[float, float]:
    """(value error, step) for prices below the inflection point, where 1/ln b is nearly straight."""
    pair = erfcx(-(h + t) * SQRT_HALF) - erfcx((t - h) * SQRT_HALF)
    log_b = -0.5 * (h * h + t * t) + math.log(0.5 * pair)
    slope = 2.0 * INV_SQRT_TWO_PI / pair  # b'/b
    newton = (log_beta - log_b) * log_b / log_beta / slope
    second = h * h / s - 0.25 * s
    halley = second - slope * (1.0 + 2.0 / log_b)
    third = second * second - 3.0 * (h / s) * (h / s) - 0.25
    third += 2.0 * slope * slope * (1.0 + 3.0 / log_b * (1.0 + 1.0 / log_b))
    third -= 3.0 * second * slope * (1.0 + 2.0 / log_b)
    step = newton * (1.0 + 0.5 * halley * newton) / (1.0 + newton * (halley + third * newton / 6.0))
    return newton, step


@piece
def _upper_branch(h: float, t: float, s: float, log_gap: float) -> tuple[float, float]:
    """(value error, step) for prices above it, where the log of the distance to the maximum is."""
    pair = erfcx((h + t) * SQRT_HALF) + erfcx((t - h) * SQRT_HALF)
    slope = 2.0 * INV_SQRT_TWO_PI / pair  # b'/(bmax − b)
    newton = (-0.5 * (h * h + t * t) + math.log(0.5 * pair) - log_gap) / slope
    second = h * h / s - 0.25 * s
    halley = second + slope
    third = second * second - 3.0 * (h / s) * (h / s) - 0.25 + 3.0 * second * slope + 2.0 * slope * slope
    step = newton * (1.0 + 0.5 * halley * newton) / (1.0 + newton * (halley + third * newton / 6.0))
    return newton, step


@piece
def _total_deviation(x: float, log_beta: float, log_gap: float) -> float:
    """σ√T of a normalised out-of-the-money value (x = −|ln F/K|); NaN when it does not settle."""
    s = max(math.sqrt(-2.0 * x), 1e-9)  # the inflection point; never 0, for h = x/s
    h = x / s
    t = 0.5 * s
    pair = erfcx(max(0.0, -(h + t)) * SQRT_HALF) - erfcx((t - h) * SQRT_HALF)
    below = log_beta < -0.5 * (h * h + t * t) + math.log(0.5 * pair)
    # b < exp(−h²/2) below the inflection point, so the root lies above |x|/√(−2 ln β): steps into the flat foot of
    # the curve, where they would stall, end here.
    low = -x / math.sqrt(-2.0 * log_beta) if below else s
    high = s if below else np.inf
    for _ in range(MAX_STEPS):
        h = x / s
        t = 0.5 * s
        if below:
            newton, step = _lower_branch(h, t, s, log_beta)
        else:
            newton, step = _upper_branch(h, t, s, log_gap)
        if newton < 0.0:
            high = s
        else:  # also when b underflows and the step is NaN: the root lies above
            low = s
        moved = s + step
        if low <= moved <= high:
            if abs(newton) <= CLOSE_ENOUGH * s:
                return moved
            s = moved
        elif high == np.inf:
            s = 2.0 * s
        else:
            s = 0.5 * (low + high)
            if high - low <= CLOSE_ENOUGH * CLOSE_ENOUGH * high:
                return s
    return np.nan


@piece
def _solve(numbers: FloatArray, i: int, call: bool) -> tuple[float, int]:
    p, s, k, t, r, q = numbers[0, i], numbers[1, i], numbers[2, i], numbers[3, i], numbers[4, i], numbers[5, i]
    if not (
        s > 0.0
        and k > 0.0
        and math.isfinite(s)
        and math.isfinite(k)
        and math.isfinite(t)
        and math.isfinite(r)
        and math.isfinite(q)
        and not math.isinf(p)
    ):
        return np.nan, _BAD_INPUT
    if t <= 0.0:
        return np.nan, _EXPIRED
    if t < MIN_YEARS:
        return np.nan, _EXPIRING
    if math.isnan(p):
        return np.nan, _NO_QUOTE
    forward = s * math.exp(-q * t)
    cash = k * math.exp(-r * t)
    upper = forward if call else cash
    if p >= upper:
        return np.nan, _ABOVE_MAX
    # What the out-of-the-money option of the same strike is worth, by parity.
    value = p - max(0.0, forward - cash if call else cash - forward)
    if value < -TIME_VALUE_FLOOR:
        return np.nan, _BELOW_INTRINSIC
    if value <= TIME_VALUE_FLOOR:
        return np.nan, _NO_TIME_VALUE
    scale = math.sqrt(forward * cash)
    x = -abs(math.log(s / k) + (r - q) * t)
    deviation = _total_deviation(x, math.log(value / scale), math.log((upper - p) / scale))
    if not deviation > 0.0:
        return np.nan, _NO_CONVERGENCE
    return deviation / math.sqrt(t), _OK


@array_kernel()
def _solve_all(low: int, high: int, numbers: FloatArray, calls: BoolArray, iv: FloatArray, status: StatusArray) -> None:
    for i in range(low, high):
        found, code = _solve(numbers, i, calls[i])
        iv[i] = found
        status[i] = code
