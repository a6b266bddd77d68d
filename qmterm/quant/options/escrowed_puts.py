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
    OUT_PRICE,
    OUTPUTS,
    PRICES,
    SOLVE,
    admit,
)
from qmterm.quant.options.escrowed_lanes import (
    EUROPEAN,
    FLOOR,
    FOUND_SIZE,
    LANE_SIZE,
    LANES,
    LATER,
    LEFT,
    LOG_LATER,
    LOG_SPOT,
    NOW,
    OLD_SPOT,
    PREMIUM,
    RATE,
    RATE_BUMP,
    SHAPE_TOLERANCE,
    SLOPE,
    SPOT,
    STEP,
    TARGET,
    VOL,
    YEARS,
    european_rows,
    find_vol_step,
    least_value,
    read_dividends,
    set_vol,
    write,
)
from qmterm.quant.options.escrowed_option import DAY
from qmterm.quant.options.escrowed_put_curve import (
    SUMS_SIZE,
    earlier_windows,
    last_stretch,
)
from qmterm.quant.options.escrowed_put_rule import (
    ALL_POINTS,
    LEAST_RATIO,
    MOST_RATIO,
    MOST_WIDTH,
    MOST_WINDOWS,
    NODE_SIZE,
    NODES,
    OWN_POINTS,
    OWN_SIZE,
    PAIRS,
    POINT_SIZE,
    WINDOW_SIZE,
)
from qmterm.quant.options.escrowed_put_value import (
    premium_rows,
    tomorrow_row,
)
from qmterm.quant.options.escrowed_put_windows import (
    expect_shape,
    lay_nodes,
    lay_points,
    list_windows,
)
from qmterm.quant.options.implied_vol import IvStatus, StatusArray

ROUNDS = 8
STILL_GOOD = 0.05
VOL_BUMP = 0.01  # of the volatility
LEAST_VOL = 1e-3
START_VOL = 0.5

# What a block is at: laying out and the first round, further rounds, the bumps.
_LAY, _SEARCH, _VOL, _RATE, _DONE = range(5)

_OK = int(IvStatus.OK)
_NO_CONVERGENCE = int(IvStatus.NO_CONVERGENCE)


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
def _search_on(
    solving: bool,
    turn: int,
    lane: FloatArray,
    found: FloatArray,
    before: FloatArray,
    moved: FloatArray,
    moves: FloatArray,
) -> bool:
    """The next step of the volatility, if that is wanted; whether any lane has another round to go."""
    waiting = 0
    if solving:
        european_rows(lane, LOG_SPOT, 0.0, -1.0, found)
        waiting = find_vol_step(lane, found, before, turn == 1, moved, moves)
    else:
        for w in range(LANES):
            moves[w] = 1.0 if moves[w] > 0.0 and lane[STEP + w] > SHAPE_TOLERANCE else 0.0
            waiting += 1 if moves[w] > 0.0 else 0
    if waiting == 0 or turn == ROUNDS:
        return False
    for w in range(LANES):
        if solving and moves[w] > 0.0:
            set_vol(lane, w, max(lane[VOL + w] + moved[w], LEAST_VOL))
    return True


@piece
def _judge(first: int, used: int, order: IntArray, lane: FloatArray, moves: FloatArray, status: StatusArray) -> None:
    """Which lanes have an answer. All may move again."""
    for w in range(LANES):
        vol = lane[VOL + w]
        ratio = 2.0 * lane[RATE + w] / (vol * vol)
        good = LEAST_RATIO < ratio < MOST_RATIO and vol * vol * lane[LEFT + w] < MOST_WIDTH * MOST_WIDTH
        if (
            w < used
            and status[order[first + w]] == _OK
            and (moves[w] > 0.0 or not good or not lane[STEP + w] <= STILL_GOOD)
        ):
            status[order[first + w]] = _NO_CONVERGENCE
        moves[w] = 1.0


@piece
def _keep(
    mode: int,
    lane: FloatArray,
    windows: FloatArray,
    points: FloatArray,
    count: int,
    moved: FloatArray,
    seen: FloatArray,
    before: FloatArray,
    found: FloatArray,
    kept: FloatArray,
) -> None:
    """What was found into `kept`, the volatility of it into `seen`, into `before` tomorrow's European value and
    whether exercise pays now."""
    if mode != PRICES:
        tomorrow_row(lane, windows, points, count, before, found)
    for cell in range(PREMIUM, FOUND_SIZE):
        kept[cell] = found[cell]
    for w in range(LANES):
        seen[w] = lane[VOL + w]
        lane[OLD_SPOT + w] = lane[SPOT + w]
        set_vol(lane, w, seen[w] + moved[w])
    european_rows(lane, LOG_SPOT, 0.0, -1.0, kept)
    european_rows(lane, LOG_LATER, DAY, -1.0, found)
    for w in range(LANES):
        before[w] = found[EUROPEAN + w]
        before[LANES + w] = 1.0 if lane[LOG_SPOT + w] <= lane[NOW + w] else 0.0


@piece
def _move_rate(
    first: int,
    used: int,
    order: IntArray,
    numbers: FloatArray,
    times: FloatArray,
    amounts: FloatArray,
    status: StatusArray,
    lane: FloatArray,
    windows: FloatArray,
    discounts: FloatArray,
    worths: FloatArray,
) -> None:
    """All terms at a rate that is RATE_BUMP higher."""
    for w in range(used):
        i = order[first + w]
        row = i if times.shape[0] > 1 else 0
        if status[i] == _OK:
            s, k, t, r = numbers[IN_SPOT, i], numbers[IN_STRIKE, i], numbers[IN_YEARS, i], numbers[IN_RATE, i]
            when, cash = times[row], amounts[row]
            read_dividends(lane, w, s, k, t, r + RATE_BUMP, when, cash, discounts, worths)
            list_windows(lane, w, True, when, discounts, worths, windows)


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
                lane[FLOOR + w] = least_value(lane, w, s, k, -1.0, discounts, worths)
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
        # One call of each long section for all that follows: the compiler would copy it to every other.
        stage = _LAY
        turn = 0
        while stage != _DONE:
            if stage in (_LAY, _RATE):
                lay_points(lane, windows, count, points)
                lay_nodes(lane, windows, count, nodes, own, points, pairs)
            last_stretch(lane, points, sums)
            earlier_windows(lane, windows, count, stage == _LAY, moves, points, nodes, own, pairs, sums)
            premium_rows(lane, points, count, found)
            if stage <= _SEARCH:
                stage = _SEARCH
                turn += 1
                if _search_on(mode == SOLVE, turn, lane, found, before, moved, moves):
                    continue
                _judge(first, used, order, lane, moves, status)
                _keep(mode, lane, windows, points, count, moved, seen, before, found, kept)
                stage = _DONE if mode == PRICES else _VOL
                for w in range(LANES):
                    set_vol(lane, w, seen[w] * (1.0 + VOL_BUMP))
            elif stage == _VOL:
                for w in range(LANES):
                    lane[SLOPE + w] = (found[PREMIUM + w] - kept[PREMIUM + w]) / (VOL_BUMP * seen[w])
                _move_rate(first, used, order, numbers, times, amounts, status, lane, windows, discounts, worths)
                for w in range(LANES):
                    set_vol(lane, w, seen[w])
                stage = _RATE
            else:
                stage = _DONE
        for w in range(used):
            i = order[first + w]
            for row in range(OUTPUTS):
                out[row, i] = np.nan
            exercised = before[LANES + w] > 0.0
            if exercised and mode == SOLVE and status[i] == _OK:
                status[i] = _NO_CONVERGENCE  # a solution on the exercise side is none
            if status[i] != _OK:
                continue
            if mode == PRICES:
                k = numbers[IN_STRIKE, i]
                held = kept[EUROPEAN + w] + max(kept[PREMIUM + w], 0.0)
                value = lane[FLOOR + w] if exercised else max(lane[FLOOR + w], held)
                out[OUT_PRICE, i] = max(k - numbers[IN_SPOT, i], k * value)
            else:
                write(numbers, i, w, -1.0, seen[w] + moved[w], before[w], exercised, lane, kept, found, out)
