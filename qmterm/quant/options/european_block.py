"""The kernel under every European volatility: blocks of options solved side by side, without a branch in their loops.

Per block: read and judge the prices, guess σ√T to 1e-4, one Householder step that leaves rounding error only, Greeks by
Taylor from where the step began (so they cost no further erfcx). A block in which some option has not settled takes
another step; what two steps do not settle is bracketed one by one. The trap: a lane is only as good as its check
at the end; whatever arithmetic does in a lane with bad input is thrown away there.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.core.calendar import SECONDS_PER_YEAR
from qmterm.quant.arrays import Steps
from qmterm.quant.elementary import exp, log
from qmterm.quant.kernel import array_kernel, piece
from qmterm.quant.normal import INV_SQRT_TWO_PI
from qmterm.quant.options.european_lanes import CALL, LANES, fill_lanes, makes_sense, read_lanes, write_lanes
from qmterm.quant.options.european_terms import (
    bracketed,
    first_guess,
    five_greeks,
    householder,
    log_of_ratio,
    shifted_cdf,
    tails,
)
from qmterm.quant.options.solved import IvStatus, StatusArray

TIME_VALUE_FLOOR = 1e-10  # dollars: below this a price is its lower bound
MIN_YEARS = 60.0 / SECONDS_PER_YEAR

# The Taylor series of the Greeks is good to 1e-13 for such a step (the volatility itself to 1e-16).
SMALL_STEP = 3e-4  # of s
SMALL_MOVE = 2e-3  # of d

_OK = float(IvStatus.OK)
_NO_QUOTE = float(IvStatus.NO_QUOTE)
_EXPIRED = float(IvStatus.EXPIRED)
_EXPIRING = float(IvStatus.EXPIRING)
_ABOVE_MAX = float(IvStatus.ABOVE_MAX)
_BELOW_INTRINSIC = float(IvStatus.BELOW_INTRINSIC)
_NO_TIME_VALUE = float(IvStatus.NO_TIME_VALUE)
_NO_CONVERGENCE = float(IvStatus.NO_CONVERGENCE)
_BAD_INPUT = float(IvStatus.BAD_INPUT)

# Rows of a block of lanes: the arguments in their order, then what is worked out.
PRICE, SPOT, STRIKE, YEARS, RATE, YIELD = range(6)
ASSET, CASH, MONEYNESS, TIME_VALUE, GAP, CODE, TOTAL, STEP, SETTLED, D, DENSITY, PROBABLE, OTHER = range(7, 20)
VOL, DELTA, GAMMA, THETA, VEGA, RHO = range(20, 26)
ROWS = 26


@piece
def _judge(lanes: FloatArray, count: int) -> None:
    """Each lane's out-of-the-money side, its status so far and the first guess."""
    for j in range(count):
        price, spot, strike = lanes[PRICE, j], lanes[SPOT, j], lanes[STRIKE, j]
        years, rate, dividend_yield = lanes[YEARS, j], lanes[RATE, j], lanes[YIELD, j]
        call = lanes[CALL, j] > 0.5
        quoted = price == price
        good = makes_sense(spot, strike, years, rate, dividend_yield) & ((abs(price) < np.inf) | (not quoted))
        asset = spot * exp(-dividend_yield * years)
        cash = strike * exp(-rate * years)
        near, far = min(asset, cash), max(asset, cash)
        outside = call == (asset < cash)
        upper = asset if call else cash
        value = price - (0.0 if outside else far - near)
        m = abs(log(spot / strike) + (rate - dividend_yield) * years)
        code = _NO_TIME_VALUE if value <= TIME_VALUE_FLOOR else _OK
        code = _BELOW_INTRINSIC if value < -TIME_VALUE_FLOOR else code
        code = _ABOVE_MAX if price >= upper else code
        code = code if quoted else _NO_QUOTE
        code = _EXPIRING if years < MIN_YEARS else code
        code = _EXPIRED if years <= 0.0 else code
        code = code if good else _BAD_INPUT
        scale = 1.0 / near
        lanes[ASSET, j] = asset
        lanes[CASH, j] = cash
        lanes[MONEYNESS, j] = m
        lanes[TIME_VALUE, j] = value * scale
        lanes[GAP, j] = (upper - price) * scale
        lanes[CODE, j] = code
        lanes[TOTAL, j] = first_guess(m, value, near, far)


@piece
def _step(lanes: FloatArray, count: int) -> int:
    """One step for every lane; how many good lanes have not settled."""
    for j in range(count):
        m, s = lanes[MONEYNESS, j], lanes[TOTAL, j]
        # Both are read before one is chosen: a load from a chosen place does not vectorise.
        value, gap = lanes[TIME_VALUE, j], lanes[GAP, j]
        d, e, near_tail, far_tail, inverse = tails(m, s)
        sign = 1.0 if d < 0.0 else -1.0
        pair = near_tail - sign * far_tail
        wanted = value if d < 0.0 else gap
        step = householder(m, s, inverse, pair, log_of_ratio(wanted, 0.5 * pair * e), sign)
        move = (m * inverse + 0.5 * s) * inverse * step
        settled = (abs(step) <= SMALL_STEP * s) & (abs(move) <= SMALL_MOVE)
        probable = 0.5 * near_tail * e
        lanes[STEP, j] = step
        lanes[SETTLED, j] = 1.0 if settled else 0.0
        lanes[D, j] = d
        lanes[DENSITY, j] = e
        lanes[PROBABLE, j] = probable if d < 0.0 else 1.0 - probable
        lanes[OTHER, j] = 0.5 * far_tail * e
    waiting = 0
    for j in range(count):
        waiting += 1 if (lanes[SETTLED, j] == 0.0) & (lanes[CODE, j] == _OK) else 0
    return waiting


@piece
def _settle(lanes: FloatArray, count: int) -> None:
    """Rounds until every good lane is a small step from its root, or known to have none."""
    for number in range(3):
        if _step(lanes, count) == 0 or number == 2:
            return
        for j in range(count):
            if lanes[SETTLED, j] == 1.0 or lanes[CODE, j] != _OK:
                continue
            if number == 0:
                lanes[TOTAL, j] += lanes[STEP, j]
            else:
                found = bracketed(lanes[MONEYNESS, j], lanes[TIME_VALUE, j], lanes[GAP, j])
                lanes[TOTAL, j] = found
                lanes[CODE, j] = _OK if found > 0.0 else _NO_CONVERGENCE


@piece
def _write_vols(lanes: FloatArray, first: int, count: int, out: FloatArray, status: StatusArray) -> None:
    for j in range(count):
        step = lanes[STEP, j] if lanes[SETTLED, j] == 1.0 else 0.0
        s = lanes[TOTAL, j] + step
        vol = s / np.sqrt(lanes[YEARS, j])
        lanes[STEP, j] = step
        lanes[VOL, j] = vol if lanes[CODE, j] == _OK else np.nan
    write_lanes(lanes, VOL, first, count, out, 1)
    codes, to = lanes[CODE], status[first:]
    for j in range(count):
        to[j] = np.int8(codes[j])


@piece
def _write_greeks(lanes: FloatArray, first: int, count: int, out: FloatArray) -> None:
    """The Greeks at the root, from the terms where the last step began."""
    for j in range(count):
        m, step, d, e = lanes[MONEYNESS, j], lanes[STEP, j], lanes[D, j], lanes[DENSITY, j]
        asset, cash = lanes[ASSET, j], lanes[CASH, j]
        s = lanes[TOTAL, j] + step
        move = (0.5 * s - m / s) - d
        probable = lanes[PROBABLE, j] + INV_SQRT_TWO_PI * e * shifted_cdf(d, move)
        other = lanes[OTHER, j] + INV_SQRT_TWO_PI * e * shifted_cdf(d - lanes[TOTAL, j], move - step)
        u = -move * (d + 0.5 * move)
        near = min(asset, cash)
        density = near * INV_SQRT_TWO_PI * e * (1.0 + u * (1.0 + u * (0.5 + u * (1.0 / 6.0 + u * (1.0 / 24.0)))))
        delta, gamma, theta, vega, rho = five_greeks(
            lanes[SPOT, j],
            lanes[YEARS, j],
            lanes[RATE, j],
            lanes[YIELD, j],
            asset,
            cash,
            lanes[CALL, j] > 0.5,
            s,
            density,
            near * probable,
            near * max(0.0, other),
        )
        good = lanes[CODE, j] == _OK
        lanes[DELTA, j] = delta if good else np.nan
        lanes[GAMMA, j] = gamma if good else np.nan
        lanes[THETA, j] = theta if good else np.nan
        lanes[VEGA, j] = vega if good else np.nan
        lanes[RHO, j] = rho if good else np.nan
    write_lanes(lanes, DELTA, first, count, out[1:], 5)


@array_kernel()
def solve_block(
    low: int,
    high: int,
    numbers: tuple[FloatArray, ...],
    calls: BoolArray,
    steps: Steps,
    out: FloatArray,
    status: StatusArray,
) -> None:
    """Fills `out` (1, n) with volatilities, or (6, n) with volatilities and the Greeks in the order of `Solved`.

    `numbers`: price, spot, strike, years, rate, dividend yield, as `arrays.option_columns` gives them.
    """
    lanes = np.empty((ROWS, LANES))
    fill_lanes(lanes, numbers, calls, steps)
    for first in range(low, high, LANES):
        count = min(LANES, high - first)
        read_lanes(lanes, first, count, numbers, calls, steps)
        _judge(lanes, count)
        _settle(lanes, count)
        _write_vols(lanes, first, count, out, status)
        if out.shape[0] > 1:
            _write_greeks(lanes, first, count, out)
