"""Volatility, value and Greeks of puts with cash dividends and no yield, by the boundary method, in blocks of options.

The trap: what it cannot do (a boundary that does not settle, a volatility outside the fitted range) is marked
NO_CONVERGENCE, for the caller to give to the lattice. A lane that has settled moves no more, so that no number depends
on its neighbours.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import FloatArray, IntArray
from qmterm.quant.kernel import array_kernel, piece
from qmterm.quant.options.escrowed_bounds import (
    IN_PRICE,
    IN_RATE,
    IN_SPOT,
    IN_STRIKE,
    IN_VOL,
    IN_YEARS,
    admit,
)
from qmterm.quant.options.escrowed_option import DAY
from qmterm.quant.options.escrowed_put_curve import SUMS_SIZE, earlier_windows, last_stretch
from qmterm.quant.options.escrowed_put_rule import (
    ALL_POINTS,
    DRIFT,
    FLOOR,
    LANE_SIZE,
    LANES,
    LATER,
    LEAST_RATIO,
    LEFT,
    LOG_LATER,
    LOG_SPOT,
    MOST_RATIO,
    MOST_WIDTH,
    MOST_WINDOWS,
    NODE_SIZE,
    NODES,
    OVER_VOL,
    OWN_POINTS,
    OWN_SIZE,
    PAIRS,
    POINT_SIZE,
    RATE,
    SLOPE,
    SPOT,
    STEP,
    TARGET,
    VALUE,
    VOL,
    WINDOW_SIZE,
    YEARS,
)
from qmterm.quant.options.escrowed_put_value import (
    EUROPEAN,
    EUROPEAN_RATE,
    EUROPEAN_VOL,
    EUROPEAN_X,
    EUROPEAN_XX,
    FOUND_SIZE,
    PREMIUM,
    PREMIUM_X,
    PREMIUM_XX,
    TOMORROW,
    european_rows,
    premium_rows,
    tomorrow_row,
)
from qmterm.quant.options.escrowed_put_windows import (
    expect_shape,
    lay_nodes,
    lay_points,
    least_value,
    list_windows,
    read_dividends,
)
from qmterm.quant.options.escrowed_work import (
    OUT_DELTA,
    OUT_GAMMA,
    OUT_PRICE,
    OUT_RHO,
    OUT_THETA,
    OUT_VEGA,
    OUT_VOL,
    OUTPUTS,
    PRICES,
    SOLVE,
)
from qmterm.quant.options.implied_vol import IvStatus, StatusArray

ROUNDS = 8
VOL_TOLERANCE = 2e-3  # of the volatility: what the last step may be
SHAPE_TOLERANCE = 1e-2  # of a window's unknowns, in standard deviations: Newton's next step would be its square
STILL_GOOD = 0.05
VOL_BUMP = 0.01  # of the volatility
RATE_BUMP = 1e-3
LEAST_VOL = 1e-3
START_VOL = 0.5

_OK = int(IvStatus.OK)
_NO_CONVERGENCE = int(IvStatus.NO_CONVERGENCE)


@piece
def set_vol(lane: FloatArray, w: int, vol: float) -> None:
    lane[VOL + w] = vol
    lane[OVER_VOL + w] = 1.0 / vol
    lane[DRIFT + w] = lane[RATE + w] / vol - 0.5 * vol


@piece
def load_nothing(
    lane: FloatArray, windows: FloatArray, w: int, when: FloatArray, discounts: FloatArray, worths: FloatArray
) -> None:
    """An easy option for a lane without one."""
    for j in range(worths.size):
        worths[j] = 0.0
    lane[YEARS + w] = 0.25
    lane[RATE + w] = 0.04
    lane[SPOT + w] = lane[LATER + w] = 1.0
    lane[LOG_SPOT + w] = lane[LOG_LATER + w] = 0.0
    lane[FLOOR + w] = 0.0
    lane[TARGET + w] = 0.1
    set_vol(lane, w, 0.4)
    list_windows(lane, w, False, when, discounts, worths, windows)


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


@array_kernel(small=4, parallel_from=512)
def put_block(
    low: int,
    high: int,
    mode: int,
    order: IntArray,
    numbers: FloatArray,
    times: FloatArray,
    amounts: FloatArray,
    out: FloatArray,
    status: StatusArray,
) -> None:
    """The options order[low … high], as `work` does; NO_CONVERGENCE for what it cannot do."""
    lane = np.empty(LANE_SIZE)
    windows = np.empty(MOST_WINDOWS * WINDOW_SIZE)
    points = np.empty(ALL_POINTS * POINT_SIZE)
    nodes = np.empty(NODES * NODE_SIZE)
    own = np.empty(NODES * OWN_POINTS * OWN_SIZE)
    pairs = np.empty(PAIRS * LANES)
    sums = np.empty(SUMS_SIZE)
    found = np.empty(FOUND_SIZE)
    before = np.empty(2 * LANES)
    moved = np.empty(LANES)
    moves = np.empty(LANES)
    seen = np.empty(LANES)
    kept = np.empty(FOUND_SIZE)
    discounts = np.empty(times.shape[1])
    worths = np.empty(times.shape[1])
    for first in range(low, high, LANES):
        used = min(LANES, high - first)
        count = 0
        for w in range(LANES):
            moves[w] = 0.0
            moved[w] = 0.0
            lane[SLOPE + w] = 0.0
            i = order[first + w] if w < used else 0
            row = i if times.shape[0] > 1 else 0
            when, cash = times[row], amounts[row]
            s, k, t, r = numbers[IN_SPOT, i], numbers[IN_STRIKE, i], numbers[IN_YEARS, i], numbers[IN_RATE, i]
            if w < used:
                read_dividends(lane, w, s, k, t, r, when, cash, discounts, worths)
                lane[FLOOR + w] = least_value(lane, w, s, k, discounts, worths)
                lane[TARGET + w] = numbers[IN_PRICE, i] / k
                status[i] = admit(numbers, i, False, mode == SOLVE, lane[SPOT + w] * k, lane[FLOOR + w] * k)
            if w >= used or status[i] != _OK:
                load_nothing(lane, windows, w, when, discounts, worths)
                continue
            moves[w] = 1.0
            vol = numbers[IN_VOL, i]
            set_vol(lane, w, vol if vol < MOST_WIDTH / np.sqrt(t) else min(START_VOL, 1.0 / np.sqrt(t)))
            count = max(count, list_windows(lane, w, False, when, discounts, worths, windows))
        expect_shape(windows)
        lay_points(lane, windows, count, points)
        lay_nodes(lane, windows, count, nodes, own, points, pairs)
        for turn in range(ROUNDS):
            last_stretch(lane, points, sums)
            earlier_windows(lane, windows, count, turn == 0, moves, points, nodes, own, pairs, sums)
            waiting = 0
            if mode == SOLVE:
                premium_rows(lane, points, count, found)
                european_rows(lane, LOG_SPOT, 0.0, found)
                waiting = find_vol_step(lane, found, before, turn == 0, moved, moves)
            else:
                for w in range(LANES):
                    moves[w] = 1.0 if moves[w] > 0.0 and lane[STEP + w] > SHAPE_TOLERANCE else 0.0
                    waiting += 1 if moves[w] > 0.0 else 0
            if waiting == 0 or turn == ROUNDS - 1:
                break
            if mode == SOLVE:
                for w in range(LANES):
                    if moves[w] > 0.0:
                        set_vol(lane, w, max(lane[VOL + w] + moved[w], LEAST_VOL))
        for w in range(used):
            i = order[first + w]
            vol = lane[VOL + w]
            ratio = 2.0 * lane[RATE + w] / (vol * vol)
            good = LEAST_RATIO < ratio < MOST_RATIO and vol * vol * lane[LEFT + w] < MOST_WIDTH * MOST_WIDTH
            if status[i] == _OK and (moves[w] > 0.0 or not good or not lane[STEP + w] <= STILL_GOOD):
                status[i] = _NO_CONVERGENCE
            moves[w] = 1.0
        premium_rows(lane, points, count, found)
        if mode != PRICES:
            tomorrow_row(lane, windows, points, count, before, found)
        for cell in range(PREMIUM, FOUND_SIZE):
            kept[cell] = found[cell]
        for w in range(LANES):
            seen[w] = lane[VOL + w]
            set_vol(lane, w, seen[w] + moved[w])
        european_rows(lane, LOG_SPOT, 0.0, kept)
        if mode == PRICES:
            for w in range(used):
                i = order[first + w]
                k = numbers[IN_STRIKE, i]
                value = max(lane[FLOOR + w], kept[EUROPEAN + w] + max(kept[PREMIUM + w], 0.0))
                out[OUT_PRICE, i] = max(k - numbers[IN_SPOT, i], k * value) if status[i] == _OK else np.nan
            continue
        european_rows(lane, LOG_LATER, DAY, found)
        for w in range(LANES):
            before[w] = found[EUROPEAN + w]
            lane[VALUE + w] = lane[SPOT + w]
            set_vol(lane, w, seen[w] * (1.0 + VOL_BUMP))
        last_stretch(lane, points, sums)
        earlier_windows(lane, windows, count, False, moves, points, nodes, own, pairs, sums)
        premium_rows(lane, points, count, found)
        for w in range(LANES):
            lane[SLOPE + w] = (found[PREMIUM + w] - kept[PREMIUM + w]) / (VOL_BUMP * seen[w])
        for w in range(used):
            i = order[first + w]
            row = i if times.shape[0] > 1 else 0
            if status[i] == _OK:
                s, k, t, r = numbers[IN_SPOT, i], numbers[IN_STRIKE, i], numbers[IN_YEARS, i], numbers[IN_RATE, i]
                when, cash = times[row], amounts[row]
                read_dividends(lane, w, s, k, t, r + RATE_BUMP, when, cash, discounts, worths)
                list_windows(lane, w, True, when, discounts, worths, windows)
        for w in range(LANES):
            set_vol(lane, w, seen[w])
        lay_points(lane, windows, count, points)
        lay_nodes(lane, windows, count, nodes, own, points, pairs)
        last_stretch(lane, points, sums)
        earlier_windows(lane, windows, count, False, moves, points, nodes, own, pairs, sums)
        premium_rows(lane, points, count, found)
        for w in range(used):
            i = order[first + w]
            if status[i] != _OK:
                for row in range(OUTPUTS):
                    out[row, i] = np.nan
                continue
            _write(numbers, i, w, seen[w] + moved[w], before[w], lane, kept, found, out)


@piece
def _write(
    numbers: FloatArray,
    i: int,
    w: int,
    vol: float,
    tomorrow: float,
    lane: FloatArray,
    kept: FloatArray,
    found: FloatArray,
    out: FloatArray,
) -> None:
    """Lane w's findings in the units of the screen; `found` has the premium at the moved rate."""
    k, t = numbers[IN_STRIKE, i], numbers[IN_YEARS, i]
    gain = k - numbers[IN_SPOT, i]
    least = k * lane[FLOOR + w]
    premium = max(kept[PREMIUM + w], 0.0)
    value = k * (kept[EUROPEAN + w] + premium)
    worth = min(max(value, gain, least), k)
    out[OUT_VOL, i] = vol
    out[OUT_PRICE, i] = worth
    out[OUT_THETA, i] = np.nan
    if t > DAY:
        out[OUT_THETA, i] = min(max(k * (tomorrow + max(kept[TOMORROW + w], 0.0)), gain), k) - worth
    if gain >= value:
        out[OUT_DELTA, i] = -1.0
        out[OUT_GAMMA, i] = 0.0
        out[OUT_VEGA, i] = 0.0
        out[OUT_RHO, i] = 0.0
        return
    f = lane[VALUE + w]
    by_x = kept[EUROPEAN_X + w] + kept[PREMIUM_X + w]
    bend = kept[EUROPEAN_XX + w] + kept[PREMIUM_XX + w] - by_x
    by_rate = kept[EUROPEAN_RATE + w] + kept[EUROPEAN_X + w] / f * (lane[SPOT + w] - f) / RATE_BUMP
    by_rate += (found[PREMIUM + w] - kept[PREMIUM + w]) / RATE_BUMP
    out[OUT_DELTA, i] = -min(max(-by_x / f, 0.0), 1.0)
    out[OUT_GAMMA, i] = max(0.0, bend / (f * f) / k)
    out[OUT_VEGA, i] = 0.01 * k * max(0.0, kept[EUROPEAN_VOL + w] + lane[SLOPE + w])
    out[OUT_RHO, i] = 0.01 * k * by_rate
