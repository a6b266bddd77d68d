"""The kernels of American options: blocks of sixteen, priced at a volatility or solved for it.

A solve is one Newton iteration in boundary and volatility together: each round moves all nodes of the boundary and the
volatility at once, so a price costs three rounds from start to Greeks; a lane that has settled moves no more, however
long its neighbours take. The trap: what has not settled when the rounds end is marked NO_CONVERGENCE, for the caller
to search safely.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.quant.elementary import log
from qmterm.quant.kernel import array_kernel, piece
from qmterm.quant.options.american_curve import (
    ERROR,
    IN_RATE,
    IN_VOL,
    INV_SQRT_TWO_PI,
    LANE_SIZE,
    LANES,
    LOG_SPOT,
    ROW_SIZE,
    SPOT,
    SUMS_SIZE,
    SYSTEM_SIZE,
    WORK_SIZE,
    A,
    C,
    V,
    X,
    discounted_cdf,
    eliminate,
    first_guess,
    interpolate,
    newton_system,
    quick_exp,
)
from qmterm.quant.options.american_lanes import (
    CURVE_STILL_GOOD,
    FAR,
    PRICE,
    RATE,
    STOCK,
    STRIKE,
    VOL,
    YEARS,
    YIELD,
    is_usable,
    load,
    load_nothing,
    move_curve,
    price_status,
    unsettled,
    waiting,
)
from qmterm.quant.options.american_rule import CURVE_WEIGHTS, NODES, POINTS, SPOT_WEIGHTS
from qmterm.quant.options.american_value import (
    EUROPEAN,
    EUROPEAN_RATE,
    EUROPEAN_VOL,
    EUROPEAN_X,
    EUROPEAN_XX,
    FOUND_SIZE,
    PREMIUM,
    PREMIUM_RATE,
    PREMIUM_VOL,
    PREMIUM_X,
    PREMIUM_XX,
    european_and_slopes,
    premium_and_slopes,
)
from qmterm.quant.options.solved import IvStatus, StatusArray

# Rows of `out`.
OUT_IV, OUT_PRICE, OUT_DELTA, OUT_GAMMA, OUT_THETA, OUT_VEGA, OUT_RHO = range(7)

# Relative: where the search stands still (Greeks are taken before the last step), and what may be left at its end.
VOL_TOLERANCE = 1e-6
VOL_STILL_GOOD = 2e-4
ONE_DAY = 1.0 / 365.0
_TINY = 1e-14

_OK = int(IvStatus.OK)
_NO_CONVERGENCE = int(IvStatus.NO_CONVERGENCE)
_BAD_INPUT = int(IvStatus.BAD_INPUT)


@piece
def find_vol_step(
    lane: FloatArray,
    target: FloatArray,
    floor: FloatArray,
    system: FloatArray,
    found: FloatArray,
    by_curve: FloatArray,
    moved: FloatArray,
    waits: FloatArray,
) -> None:
    """The step of v that meets the target into `moved`; `waits` grows to its size in VOL_TOLERANCE of v.

    In the square root of the time value, which is close to straight where the option is about to be exercised.
    """
    for w in range(LANES):
        value = found[EUROPEAN + w] + found[PREMIUM + w]
        slope = found[EUROPEAN_VOL + w] + found[PREMIUM_VOL + w]
        for k in range(NODES):
            value -= by_curve[k * LANES + w] * system[k * ROW_SIZE + ERROR + w]
            slope -= by_curve[k * LANES + w] * system[k * ROW_SIZE + IN_VOL + w]
        wanted = target[w] - floor[w]
        got = max(value - floor[w], 1e-6 * wanted)
        step = 2.0 * (np.sqrt(got * wanted) - got) / max(slope, 1e-12)
        v = lane[V + w]
        step = max(-0.5 * v, min(0.5 * v, step))
        moved[w] = step
        part = abs(step) / (VOL_TOLERANCE * v)
        waits[w] = max(waits[w], part if part < FAR else np.inf)


@array_kernel(small=LANES, parallel_from=2_000)
def solve_block(
    low: int,
    high: int,
    numbers: FloatArray,
    calls: BoolArray,
    search: bool,
    rounds: int,
    out: FloatArray,
    status: StatusArray,
) -> None:
    """Volatility (if `search`, from the start in VOL), price and Greeks of options low … high; see PRICE, OUT_IV."""
    lane = np.empty(LANE_SIZE)
    sums = np.empty(SUMS_SIZE)
    curve = np.empty(NODES * LANES)
    at = np.empty((NODES * POINTS, LANES))
    work = np.empty(WORK_SIZE)
    system = np.empty(SYSTEM_SIZE)
    found = np.empty(FOUND_SIZE)
    by_curve = np.empty(NODES * LANES)
    moved = np.empty(LANES)
    used = np.empty(LANES)
    waits = np.empty(LANES)
    target = np.empty(LANES)
    floor = np.empty(LANES)
    for first in range(low, high, LANES):
        count = min(LANES, high - first)
        for w in range(LANES):
            moved[w] = 0.0
            used[w] = 0.0
            target[w] = 0.5
            floor[w] = 0.0
            if w >= count:
                load_nothing(lane, w)
                continue
            i = first + w
            p, s, k, t = numbers[PRICE, i], numbers[STOCK, i], numbers[STRIKE, i], numbers[YEARS, i]
            r, q, vol, call = numbers[RATE, i], numbers[YIELD, i], numbers[VOL, i], calls[i]
            if search:
                status[i] = price_status(p, s, k, t, r, q, call)
            else:
                status[i] = _OK if is_usable(s, k, t, r, q, vol) else _BAD_INPUT
            if status[i] != _OK:
                load_nothing(lane, w)
                continue
            used[w] = 1.0
            load(lane, w, s, k, t, r, q, vol, call)
            target[w] = p / (s if call else k)
            held = np.exp(-lane[A + w]) - lane[SPOT + w] * np.exp(-lane[C + w])
            floor[w] = max(0.0, 1.0 - lane[SPOT + w], held)
        first_guess(lane, curve)
        for turn in range(rounds):
            interpolate(curve, CURVE_WEIGHTS, at)
            newton_system(lane, curve, at, sums, work, system)
            eliminate(system)
            unsettled(lane, system, waits)
            last = turn == rounds - 1
            if search or last or waiting(used, waits) == 0:
                interpolate(curve, SPOT_WEIGHTS, at)
                european_and_slopes(lane, found)
                premium_and_slopes(lane, at, found, by_curve)
                if search:
                    find_vol_step(lane, target, floor, system, found, by_curve, moved, waits)
                if last or waiting(used, waits) == 0:
                    break
            move_curve(lane, curve, system, moved, waits)
            for w in range(LANES):
                lane[V + w] += moved[w] if waits[w] > 0.0 else 0.0
        for w in range(count):
            i = first + w
            if status[i] != _OK:
                for row in range(out.shape[0]):
                    out[row, i] = np.nan
                continue
            _write(numbers, calls, i, w, search, lane, curve, system, found, by_curve, moved, target, out, status)


@piece
def _write(
    numbers: FloatArray,
    calls: BoolArray,
    i: int,
    w: int,
    search: bool,
    lane: FloatArray,
    curve: FloatArray,
    system: FloatArray,
    found: FloatArray,
    by_curve: FloatArray,
    moved: FloatArray,
    target: FloatArray,
    out: FloatArray,
    status: StatusArray,
) -> None:
    """Lane w's findings in the units of the screen."""
    call = calls[i]
    t = numbers[YEARS, i]
    stock = numbers[STOCK, i]
    scale = stock if call else numbers[STRIKE, i]
    s, v, a, c = lane[SPOT + w], lane[V + w], lane[A + w], lane[C + w]
    premium = found[PREMIUM + w]
    by_vol = found[EUROPEAN_VOL + w] + found[PREMIUM_VOL + w]
    by_rate = found[EUROPEAN_RATE + w] + found[PREMIUM_RATE + w]
    # NaN is not settled either.
    settled = abs(moved[w]) <= VOL_STILL_GOOD * v
    for k in range(NODES):
        slope = by_curve[k * LANES + w]
        premium -= slope * system[k * ROW_SIZE + ERROR + w]
        by_vol -= slope * system[k * ROW_SIZE + IN_VOL + w]
        by_rate -= slope * system[k * ROW_SIZE + IN_RATE + w]
        settled = settled and abs(system[k * ROW_SIZE + ERROR + w]) <= CURVE_STILL_GOOD * v
    premium = max(premium, 0.0)
    boundary = np.exp(lane[X + w] + curve[w] - system[ERROR + w] - system[IN_VOL + w] * moved[w])
    # A solution on the exercise side is none.
    if not settled or (search and s <= boundary):
        status[i] = _NO_CONVERGENCE
        for row in range(out.shape[0]):
            out[row, i] = np.nan
        return
    gain = stock - numbers[STRIKE, i] if call else numbers[STRIKE, i] - stock
    out[OUT_IV, i] = (v + moved[w]) / np.sqrt(t) if search else numbers[VOL, i]
    if s <= boundary and gain > 0.0:
        out[OUT_PRICE, i] = gain
        out[OUT_DELTA, i] = 1.0 if call else -1.0
        out[OUT_GAMMA, i] = 0.0
        out[OUT_THETA, i] = 0.0 if t > ONE_DAY else np.nan
        out[OUT_VEGA, i] = 0.0
        out[OUT_RHO, i] = 0.0
        return
    value = max(0.0, gain, scale * (found[EUROPEAN + w] + premium))
    slope = found[EUROPEAN_X + w] + found[PREMIUM_X + w]
    bend = found[EUROPEAN_XX + w] + found[PREMIUM_XX + w] - slope
    out[OUT_PRICE, i] = numbers[PRICE, i] if search else value
    out[OUT_DELTA, i] = value / scale - slope if call else slope / s
    out[OUT_GAMMA, i] = (bend if call else bend / (s * s)) / scale
    out[OUT_VEGA, i] = 0.01 * scale * by_vol * np.sqrt(t)
    out[OUT_RHO, i] = 0.01 * scale * by_rate
    out[OUT_THETA, i] = np.nan
    if t > ONE_DAY:
        left = 1.0 - ONE_DAY / t
        # The premium alone obeys the pricing equation; in one day it moves as the power of time it has just now.
        decay = 0.5 * v * v * (found[PREMIUM_XX + w] - found[PREMIUM_X + w]) + (a - c) * found[PREMIUM_X + w]
        power = min(max((decay - a * premium) / max(premium, _TINY), 0.0), 20.0)
        sd = v * np.sqrt(left)
        d = (lane[LOG_SPOT + w] + (a - c) * left) / sd + 0.5 * sd
        cash = np.exp(-a * left)
        held = s * np.exp(-c * left)
        density = held * INV_SQRT_TWO_PI * quick_exp(-0.5 * d * d)
        tomorrow = discounted_cdf(sd - d, density, cash) - discounted_cdf(-d, density, held)
        tomorrow += premium * quick_exp(power * log(left))
        out[OUT_THETA, i] = max(gain, scale * tomorrow) - value
