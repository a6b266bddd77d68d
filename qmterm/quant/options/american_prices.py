"""The kernel of American prices alone: one exercise boundary for each option, and as many spots as wanted on it.

The trap: a boundary belongs to a volatility, an expiry and rates, not to a spot; so a stress test is cheap.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.quant.kernel import array_kernel
from qmterm.quant.options.american_curve import (
    ERROR,
    LANE_SIZE,
    LANES,
    LOG_SPOT,
    ROW_SIZE,
    SPOT,
    SUMS_SIZE,
    SYSTEM_SIZE,
    WORK_SIZE,
    V,
    X,
    eliminate,
    first_guess,
    interpolate,
    newton_system,
)
from qmterm.quant.options.american_lanes import (
    CURVE_TOLERANCE,
    RATE,
    STRIKE,
    VOL,
    YEARS,
    YIELD,
    furthest_step,
    is_usable,
    load,
    load_nothing,
    move_curve,
)
from qmterm.quant.options.american_rule import CURVE_WEIGHTS, NODES, POINTS, SPOT_WEIGHTS
from qmterm.quant.options.american_value import held_value


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
        for _ in range(rounds):
            interpolate(curve, CURVE_WEIGHTS, at)
            newton_system(lane, curve, at, sums, work, system)
            eliminate(system)
            move_curve(lane, curve, system, moved)
            if furthest_step(lane, system) <= 2.0 * CURVE_TOLERANCE:
                break
        for w in range(LANES):
            for k in range(NODES):
                if not abs(system[k * ROW_SIZE + ERROR + w]) <= 10.0 * CURVE_TOLERANCE * lane[V + w]:
                    usable[w] = 0.0
        interpolate(curve, SPOT_WEIGHTS, at)
        for column in range(spots.shape[1]):
            for w in range(LANES):
                lane[SPOT + w] = 1.0
                lane[LOG_SPOT + w] = 0.0
                if w < count and spots[first + w, column] > 0.0:
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
                worth = gain if lane[SPOT + w] <= boundary else max(0.0, gain, held)
                known = usable[w] == 1.0 and spot > 0.0 and np.isfinite(spot)
                out[i, column] = worth if known else np.nan
