"""The kernel of American prices alone: one exercise boundary for each option, and as many spots as wanted on it.

The trap: a boundary belongs to a volatility, an expiry and rates, not to a spot; so a stress test is cheap.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.quant.kernel import array_kernel
from qmterm.quant.options.american_curve import (
    LANE_SIZE,
    LANES,
    LOG_SPOT,
    SPOT,
    SUMS_SIZE,
    SYSTEM_SIZE,
    WORK_SIZE,
    X,
    eliminate,
    first_guess,
    interpolate,
    newton_system,
)
from qmterm.quant.options.american_lanes import (
    CURVE_STILL_GOOD,
    CURVE_TOLERANCE,
    RATE,
    STRIKE,
    VOL,
    YEARS,
    YIELD,
    is_usable,
    load,
    load_nothing,
    move_curve,
    unsettled,
)
from qmterm.quant.options.american_rule import CURVE_WEIGHTS, NODES, POINTS, SPOT_WEIGHTS
from qmterm.quant.options.american_value import held_value
from qmterm.quant.options.european_lanes import LEAST, MOST

# In the tolerance of `unsettled`: the last step, whose square is left.
LAST_STEP = 12.0


@array_kernel(small=LANES, parallel_from=4_000)
def price_block(
    low: int,
    high: int,
    spots: FloatArray,
    numbers: FloatArray,
    calls: BoolArray,
    rounds: int,
    out: FloatArray,
) -> None:
    """Prices at spots (options, spots of each), one boundary for each option; numbers as above, PRICE and STOCK unread.

    Not settled within `rounds`: NaN.
    """
    lane = np.empty(LANE_SIZE)
    sums = np.empty(SUMS_SIZE)
    curve = np.empty(NODES * LANES)
    at = np.empty((NODES * POINTS, LANES))
    work = np.empty(WORK_SIZE)
    system = np.empty(SYSTEM_SIZE)
    moved = np.zeros(LANES)
    value = np.empty(LANES)
    premium = np.empty(LANES)
    usable = np.zeros(LANES)
    moving = np.empty(LANES)
    waits = np.empty(LANES)
    for first in range(low, high, LANES):
        count = min(LANES, high - first)
        for w in range(LANES):
            usable[w] = 0.0
            if w < count:
                i = first + w
                k, t, r = numbers[STRIKE, i], numbers[YEARS, i], numbers[RATE, i]
                q, vol = numbers[YIELD, i], numbers[VOL, i]
                if is_usable(k, k, t, r, q, vol):
                    usable[w] = 1.0
                    load(lane, w, k, k, t, r, q, vol, calls[i])
            if usable[w] == 0.0:
                load_nothing(lane, w)
        first_guess(lane, curve)
        for w in range(LANES):
            moving[w] = usable[w]
        for _ in range(rounds):
            interpolate(curve, CURVE_WEIGHTS, at)
            newton_system(lane, curve, at, sums, work, system)
            eliminate(system)
            move_curve(lane, curve, system, moved, moving)
            unsettled(lane, system, waits)
            left = 0
            for w in range(LANES):
                # What moves no more has settled, whatever the system says of it later.
                moving[w] = waits[w] if (moving[w] > 0.0) & (waits[w] > LAST_STEP) else 0.0
                left += 1 if moving[w] > 0.0 else 0
            if left == 0:
                break
        for w in range(LANES):
            if moving[w] * CURVE_TOLERANCE > CURVE_STILL_GOOD:
                usable[w] = 0.0
        interpolate(curve, SPOT_WEIGHTS, at)
        for column in range(spots.shape[1]):
            for w in range(LANES):
                lane[SPOT + w] = 1.0
                lane[LOG_SPOT + w] = 0.0
                if w < count and LEAST <= spots[first + w, column] <= MOST:
                    i = first + w
                    s = spots[i, column] / numbers[STRIKE, i]
                    lane[SPOT + w] = 1.0 / s if calls[i] else s
                    lane[LOG_SPOT + w] = np.log(lane[SPOT + w])
            held_value(lane, at, value, premium)
            for w in range(count):
                i = first + w
                spot = spots[i, column]
                strike = numbers[STRIKE, i]
                gain = spot - strike if calls[i] else strike - spot
                boundary = np.exp(lane[X + w] + curve[w])
                held = (spot if calls[i] else strike) * (value[w] + max(premium[w], 0.0))
                worth = gain if gain > 0.0 and lane[SPOT + w] <= boundary else max(0.0, gain, held)
                known = usable[w] == 1.0 and LEAST <= spot <= MOST
                out[i, column] = worth if known else np.nan
