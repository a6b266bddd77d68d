"""Volatility, value and Greeks of calls that at most one ex-date can end early (no yield, rate ≥ 0), in blocks.

The trap: calls that several dates can end, and those the search does not settle, are marked NO_CONVERGENCE, for the
caller to give to the quadrature from date to date. A lane that has settled moves no more.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import FloatArray, IntArray
from qmterm.quant.kernel import array_kernel
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
from qmterm.quant.options.escrowed_call_value import (
    FAR_UP,
    call_premium,
    find_boundary,
    find_date,
    keep_premium,
)
from qmterm.quant.options.escrowed_lanes import (
    BOUNDARY,
    COUNT,
    EUROPEAN,
    FLOOR,
    FOUND_SIZE,
    LANE_SIZE,
    LANES,
    LOG_LATER,
    LOG_SPOT,
    OLD_SPOT,
    PREMIUM,
    RATE_BUMP,
    SLOPE,
    SPOT,
    STEP,
    SUM,
    TARGET,
    TOMORROW,
    VOL,
    european_rows,
    find_vol_step,
    least_value,
    read_dividends,
    set_vol,
    write,
)
from qmterm.quant.options.escrowed_option import DAY
from qmterm.quant.options.implied_vol import IvStatus, StatusArray

ROUNDS = 10
FIRST_TURNS = 8  # Newton steps of the boundary from nothing
TURNS = 2
VOL_BUMP = 1e-3  # of the volatility
LEAST_VOL = 1e-4
MOST_VOL = 10.0
MOST_WIDTH = 20.0
START_VOL = 0.5

_OK = int(IvStatus.OK)
_NO_CONVERGENCE = int(IvStatus.NO_CONVERGENCE)


@array_kernel(small=4, parallel_from=2_000)
def call_block(
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
    lane = np.zeros(LANE_SIZE)
    found = np.empty(FOUND_SIZE)
    kept = np.empty(FOUND_SIZE)
    scratch = np.empty(9 * LANES)
    before = np.empty(2 * LANES)
    moved = np.empty(LANES)
    moves = np.empty(LANES)
    seen = np.empty(LANES)
    discounts = np.empty(times.shape[1])
    worths = np.empty(times.shape[1])
    for first in range(low, high, LANES):
        used = min(LANES, high - first)
        for w in range(LANES):
            moves[w] = 0.0
            moved[w] = 0.0
            lane[SLOPE + w] = 0.0
            lane[STEP + w] = 0.0
            # Lanes beyond the last repeat it.
            i = order[min(first + w, high - 1)]
            row = i if times.shape[0] > 1 else 0
            when, cash = times[row], amounts[row]
            s, k, t, r = numbers[IN_SPOT, i], numbers[IN_STRIKE, i], numbers[IN_YEARS, i], numbers[IN_RATE, i]
            read_dividends(lane, w, s, k, t, r, when, cash, discounts, worths)
            lane[FLOOR + w] = least_value(lane, w, s, k, 1.0, discounts, worths)
            lane[TARGET + w] = numbers[IN_PRICE, i] / k
            code = admit(numbers, i, True, mode == SOLVE, lane[SPOT + w] * k, lane[FLOOR + w] * k)
            if code == _OK and not find_date(lane, w, False, when, discounts, worths):
                code = _NO_CONVERGENCE
            status[i] = code
            vol = numbers[IN_VOL, i] if code == _OK else 1.0
            if mode == SOLVE and not vol < MOST_VOL:
                vol = min(START_VOL, 1.0 / np.sqrt(t))
            if not LEAST_VOL < vol < MOST_WIDTH / np.sqrt(t):
                status[i] = _NO_CONVERGENCE if code == _OK else code
                vol = 1.0
            set_vol(lane, w, vol)
            lane[BOUNDARY + w] = 0.0 if lane[COUNT + w] > 0.0 else FAR_UP
            moves[w] = 1.0 if status[i] == _OK else 0.0
        for turn in range(ROUNDS):
            find_boundary(lane, FIRST_TURNS if turn == 0 else TURNS, moves)
            if mode != SOLVE:
                break
            call_premium(lane, LOG_SPOT, 0.0, scratch, found)
            keep_premium(found)
            european_rows(lane, LOG_SPOT, 0.0, 1.0, found)
            waiting = find_vol_step(lane, found, before, turn == 0, moved, moves)
            if waiting == 0 or turn == ROUNDS - 1:
                break
            for w in range(LANES):
                if moves[w] > 0.0:
                    set_vol(lane, w, max(lane[VOL + w] + moved[w], LEAST_VOL))
        for w in range(used):
            i = order[first + w]
            if status[i] == _OK and mode == SOLVE and (moves[w] > 0.0 or not lane[VOL + w] < MOST_VOL):
                status[i] = _NO_CONVERGENCE
        call_premium(lane, LOG_SPOT, 0.0, scratch, found)
        keep_premium(found)
        if mode != PRICES:
            call_premium(lane, LOG_LATER, DAY, scratch, found)
        for cell in range(PREMIUM, FOUND_SIZE):
            kept[cell] = found[cell]
        for w in range(LANES):
            kept[TOMORROW + w] = found[SUM + w]
            seen[w] = lane[VOL + w]
            set_vol(lane, w, seen[w] + moved[w])
        european_rows(lane, LOG_SPOT, 0.0, 1.0, kept)
        if mode == PRICES:
            for w in range(used):
                i = order[first + w]
                k = numbers[IN_STRIKE, i]
                value = max(lane[FLOOR + w], kept[EUROPEAN + w] + max(kept[PREMIUM + w], 0.0))
                value = min(max(numbers[IN_SPOT, i] - k, k * value), numbers[IN_SPOT, i])
                out[OUT_PRICE, i] = value if status[i] == _OK else np.nan
            continue
        european_rows(lane, LOG_LATER, DAY, 1.0, found)
        for w in range(LANES):
            before[w] = found[EUROPEAN + w]
            lane[OLD_SPOT + w] = lane[SPOT + w]
            set_vol(lane, w, seen[w] * (1.0 + VOL_BUMP))
        call_premium(lane, LOG_SPOT, 0.0, scratch, found)
        for w in range(LANES):
            lane[SLOPE + w] = (found[SUM + w] - kept[PREMIUM + w]) / (VOL_BUMP * seen[w])
        for w in range(used):
            i = order[first + w]
            row = i if times.shape[0] > 1 else 0
            when, cash = times[row], amounts[row]
            s, k, t, r = numbers[IN_SPOT, i], numbers[IN_STRIKE, i], numbers[IN_YEARS, i], numbers[IN_RATE, i]
            read_dividends(lane, w, s, k, t, r + RATE_BUMP, when, cash, discounts, worths)
            if lane[COUNT + w] > 0.0:
                find_date(lane, w, True, when, discounts, worths)
        for w in range(LANES):
            set_vol(lane, w, seen[w])
        call_premium(lane, LOG_SPOT, 0.0, scratch, found)
        keep_premium(found)
        for w in range(used):
            i = order[first + w]
            if status[i] != _OK:
                for row in range(OUTPUTS):
                    out[row, i] = np.nan
                continue
            write(numbers, i, w, 1.0, seen[w] + moved[w], before[w], False, lane, kept, found, out)
