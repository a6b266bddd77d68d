"""What blocks of options with cash dividends have in common: places in their arrays, terms, European side, the search.

A block is LANES options on a strike of 1, flat, each quantity a row of LANES with its place known to the compiler. The
trap: loops over the lanes must stay free of branches, and arrays be sliced, or they do not vectorise.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.quant.elementary import exp, log
from qmterm.quant.kernel import piece
from qmterm.quant.normal import cdf, pdf
from qmterm.quant.options.escrowed_bounds import (
    IN_SPOT,
    IN_STRIKE,
    IN_YEARS,
    OUT_DELTA,
    OUT_GAMMA,
    OUT_PRICE,
    OUT_RHO,
    OUT_THETA,
    OUT_VEGA,
    OUT_VOL,
)
from qmterm.quant.options.escrowed_option import DAY, section

LANES = 16
# Where the rows of a lane begin.
LANE_ROWS = 20
LANE_SIZE = LANE_ROWS * LANES
(
    SPOT, LOG_SPOT, LATER, LOG_LATER, YEARS, RATE, VOL, OVER_VOL, DRIFT, BOUNDARY, FLOOR, TARGET, STEP, SLOPE,
    OLD_SPOT, COUNT, LEFT, DATE, FAR, NOW,
) = range(0, LANE_SIZE, LANES)  # fmt: skip
# Rows of what is found; slopes are in ln F.
FOUND_SIZE = 12 * LANES
(
    EUROPEAN, EUROPEAN_X, EUROPEAN_XX, EUROPEAN_VOL, EUROPEAN_RATE, PREMIUM, PREMIUM_X, PREMIUM_XX, TOMORROW,
    SUM, SUM_X, SUM_XX,
) = range(0, FOUND_SIZE, LANES)  # fmt: skip

VOL_TOLERANCE = 2e-3  # of the volatility: what the last step may be
SHAPE_TOLERANCE = 1e-2  # of a window's unknowns, in standard deviations: Newton's next step would be its square

RATE_BUMP = 1e-3

_TINY = 1e-12


@piece
def set_vol(lane: FloatArray, w: int, vol: float) -> None:
    lane[VOL + w] = vol
    lane[OVER_VOL + w] = 1.0 / vol
    lane[DRIFT + w] = lane[RATE + w] / vol - 0.5 * vol


@piece
def read_dividends(
    lane: FloatArray,
    w: int,
    s: float,
    k: float,
    t: float,
    r: float,
    when: FloatArray,
    cash: FloatArray,
    discounts: FloatArray,
    worths: FloatArray,
) -> None:
    """Fill lane w's terms, on a strike of 1, and each dividend's discount factor and worth; one that is none has 0."""
    share = later = s
    growth = exp(r * DAY)
    for j in range(when.size):
        at, money = when[j], cash[j]
        discount = exp(-r * at)
        counts = 0.0 < at <= t
        money = money if counts else 0.0
        discounts[j] = discount
        worths[j] = money * discount / k
        share -= money * discount
        later -= money * min(1.0, discount * growth)  # gone ex by then: counts in full
    lane[YEARS + w] = t
    lane[RATE + w] = r
    lane[SPOT + w] = share / k
    lane[LATER + w] = later / k
    lane[LOG_SPOT + w] = log(max(share / k, _TINY))
    lane[LOG_LATER + w] = log(max(later / k, _TINY))


@piece
def least_value(
    lane: FloatArray, w: int, s: float, k: float, sign: float, discounts: FloatArray, worths: FloatArray
) -> float:
    """The best of exercising now, on any ex-date (before it a call, after it a put) or at expiry if nothing moved."""
    spot = lane[SPOT + w]
    best: float = max(0.0, sign * (s / k - 1.0), sign * (spot - exp(-lane[RATE + w] * lane[YEARS + w])))
    left = 0.0
    for j in range(worths.size - 1, -1, -1):
        if worths[j] > 0.0:
            before = left
            left += worths[j]
            best = max(best, sign * (spot + (left if sign > 0.0 else before) - discounts[j]))
    return best


@section
def european_rows(lane: FloatArray, at: int, passed: float, sign: float, found: FloatArray) -> None:
    """The European rows of `found` for ln F in lane's row `at`, `passed` years from now, on a strike of 1."""
    for w in range(LANES):
        t = max(lane[YEARS + w] - passed, _TINY)
        root = np.sqrt(t)
        sd = lane[VOL + w] * root
        x = lane[at + w]
        d = (x + lane[RATE + w] * t) / sd + 0.5 * sd
        spot = exp(x)
        density = spot * pdf(d)
        cash = exp(-lane[RATE + w] * t) * cdf(sign * (d - sd))
        share = spot * cdf(sign * d)
        found[EUROPEAN + w] = max(sign * (share - cash), 0.0)
        found[EUROPEAN_X + w] = sign * share
        found[EUROPEAN_XX + w] = density / sd + sign * share
        found[EUROPEAN_VOL + w] = density * root
        found[EUROPEAN_RATE + w] = sign * t * cash


@piece
def find_vol_step(
    lane: FloatArray, found: FloatArray, before: FloatArray, first: bool, moved: FloatArray, moves: FloatArray
) -> int:
    """The step of the volatility that meets the target into `moved`; how many lanes have one to make.

    In the square root of the time value, which is close to straight where the option is about to be exercised.
    before (2 rows): volatility and premium of the last round.
    """
    count = 0
    for w in range(LANES):
        vol, premium = lane[VOL + w], found[PREMIUM + w]
        if moves[w] <= 0.0:
            continue
        run = vol - before[w]
        if not first and run != 0.0:
            lane[SLOPE + w] = (premium - before[LANES + w]) / run
        before[w] = vol
        before[LANES + w] = premium
        floor = lane[FLOOR + w]
        wanted = lane[TARGET + w] - floor
        got = max(found[EUROPEAN + w] + premium - floor, 1e-4 * wanted)
        slope = max(found[EUROPEAN_VOL + w] + lane[SLOPE + w], 0.02 * found[EUROPEAN_VOL + w] + 1e-12)
        step = 2.0 * (np.sqrt(got * wanted) - got) / slope
        moved[w] = max(-0.5 * vol, min(0.5 * vol, step))
        close = abs(moved[w]) <= VOL_TOLERANCE * vol and lane[STEP + w] <= SHAPE_TOLERANCE
        if close:
            moves[w] = 0.0
        else:
            count += 1
    return count


@piece
def write(
    numbers: FloatArray,
    i: int,
    w: int,
    sign: float,
    vol: float,
    tomorrow: float,
    exercised: bool,
    lane: FloatArray,
    kept: FloatArray,
    found: FloatArray,
    out: FloatArray,
) -> None:
    """Lane w's findings in the units of the screen; `found` has the premium at the rate moved by RATE_BUMP."""
    k, t = numbers[IN_STRIKE, i], numbers[IN_YEARS, i]
    gain = sign * (numbers[IN_SPOT, i] - k)
    most = k if sign < 0.0 else numbers[IN_SPOT, i]
    least = k * lane[FLOOR + w]
    premium = max(kept[PREMIUM + w], 0.0)
    value = k * (kept[EUROPEAN + w] + premium)
    worth = min(max(value, gain, least), most)
    out[OUT_VOL, i] = vol
    out[OUT_PRICE, i] = worth
    out[OUT_THETA, i] = np.nan
    if t > DAY:
        out[OUT_THETA, i] = min(max(k * (tomorrow + max(kept[TOMORROW + w], 0.0)), gain), most) - worth
    if exercised or gain >= value:
        out[OUT_PRICE, i] = max(gain, least)
        if out[OUT_THETA, i] != 0.0 and t - lane[LEFT + w] < DAY:
            out[OUT_THETA, i] = 0.0 if t > DAY else np.nan  # that was the decay of an option held on
        out[OUT_DELTA, i] = sign
        out[OUT_GAMMA, i] = 0.0
        out[OUT_VEGA, i] = 0.0
        out[OUT_RHO, i] = 0.0
        return
    f = lane[OLD_SPOT + w]
    by_x = kept[EUROPEAN_X + w] + kept[PREMIUM_X + w]
    bend = kept[EUROPEAN_XX + w] + kept[PREMIUM_XX + w] - by_x
    by_rate = kept[EUROPEAN_RATE + w] + kept[EUROPEAN_X + w] / f * (lane[SPOT + w] - f) / RATE_BUMP
    by_rate += (found[PREMIUM + w] - kept[PREMIUM + w]) / RATE_BUMP
    out[OUT_DELTA, i] = sign * min(max(sign * by_x / f, 0.0), 1.0)
    out[OUT_GAMMA, i] = max(0.0, bend / (f * f) / k)
    out[OUT_VEGA, i] = 0.01 * k * max(0.0, kept[EUROPEAN_VOL + w] + lane[SLOPE + w])
    out[OUT_RHO, i] = 0.01 * k * by_rate
