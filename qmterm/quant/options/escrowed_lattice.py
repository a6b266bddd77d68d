"""The early-exercise premium of options under the escrowed dividend model, by a trinomial lattice over eight at once.

The escrowed part F = S − PV(D) is lognormal; exercise at t is worth φ(F + A(t) − K), A(t) the dividends still to come,
each at its value at t (QUANT.md 3.4). The values one step before expiry are Black–Scholes. The same lattice carries
the European value: the difference is the premium, free of the lattice's own error. The trap: only the premium is
meant to be used; the caller adds it to the exact European value.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.quant.elementary import exp, log
from qmterm.quant.kernel import piece
from qmterm.quant.normal import cdf
from qmterm.quant.options.escrowed_levels import (
    COST,
    ESCROWED,
    FINAL_STRIKE,
    LANES,
    LAST_SCALE,
    LAST_STEP,
    LATER,
    RATE,
    SCALE,
    SIGN,
    SPACING,
    STRIKE,
    VOL,
    YEARS,
    YIELD,
    allot,
    half_width,
    lay_out,
    stretches,
)
from qmterm.quant.options.escrowed_step import advance

AROUND_STRIKE = 14  # nodes whose last-step value is Black-Scholes; beyond them it is a straight line to 1e-9

# Rows of what the lattice finds: premium, its first and second derivative in F, and the premium a day later.
PREMIUM, SLOPE, CURVE, NEXT_DAY = range(4)
FOUND = 4


@piece
def black(f: float, k: float, deviation: float, discount: float, sign: float) -> float:
    """Undiscounted forward f against strike k > 0, discounted."""
    d = log(f / k) / deviation + 0.5 * deviation
    return discount * sign * (f * cdf(sign * d) - k * cdf(sign * (d - deviation)))


@piece
def end_values(
    levels: int,
    middle: int,
    parameters: FloatArray,
    coefficients: FloatArray,
    last: FloatArray,
    power: FloatArray,
    values: FloatArray,
    europeans: FloatArray,
) -> None:
    """The values at the start of the last step: European over that step, or exercise there."""
    nodes = 2 * middle + 1
    for lane in range(LANES):
        sign, strike, step = parameters[SIGN, lane], parameters[STRIKE, lane], last[LAST_STEP, lane]
        deviation = parameters[VOL, lane] * np.sqrt(step)
        discount = exp(-parameters[RATE, lane] * step)
        forward = exp((parameters[RATE, lane] - parameters[YIELD, lane]) * step) * last[LAST_SCALE, lane]
        final = last[FINAL_STRIKE, lane]
        for k in range(nodes):
            europeans[k, lane] = discount * max(0.0, sign * (forward * power[k, lane] - strike))
        at_strike = middle + log(strike / forward) / last[SPACING, lane]
        begin = max(0, int(min(at_strike, nodes + AROUND_STRIKE)) - AROUND_STRIKE // 2 + 1)
        for k in range(begin, min(begin + AROUND_STRIKE, nodes)):
            europeans[k, lane] = black(forward * power[k, lane], strike, deviation, discount, sign)
        for k in range(nodes):
            held = europeans[k, lane]
            if final < strike:  # a call with a dividend at its expiry
                ahead = forward * power[k, lane]
                held = black(ahead, final, deviation, discount, sign) if final > 0.0 else discount * (ahead - final)
            now = coefficients[levels - 1, SCALE, lane] * power[k, lane] - coefficients[levels - 1, COST, lane]
            values[k, lane] = max(held, now)


@piece
def read(
    lane: int, row: int, spacing: float, scale: float, at: float, values: FloatArray, europeans: FloatArray
) -> tuple[float, float, float]:
    """The premium and its first two derivatives in F at F = `at`, around the node in `row` where F is `scale`."""
    a = values[row - 2, lane] - europeans[row - 2, lane]
    b = values[row - 1, lane] - europeans[row - 1, lane]
    c = values[row, lane] - europeans[row, lane]
    d = values[row + 1, lane] - europeans[row + 1, lane]
    e = values[row + 2, lane] - europeans[row + 2, lane]
    first = (a - 8.0 * b + 8.0 * d - e) / 12.0
    second = (16.0 * (b + d) - 30.0 * c - a - e) / 12.0
    y = min(max(log(at / scale) / spacing, -2.0), 2.0)
    slope = (first + y * second) / spacing
    return c + y * (first + 0.5 * y * second), slope / at, (second / (spacing * spacing) - slope) / (at * at)


@piece
def premiums(
    base: int,
    times: int,
    parameters: FloatArray,
    when: FloatArray,
    cash: FloatArray,
    ends: FloatArray,
    paid: FloatArray,
    coefficients: FloatArray,
    power: FloatArray,
    values: FloatArray,
    europeans: FloatArray,
    found: FloatArray,
) -> None:
    """Fill found[PREMIUM … NEXT_DAY, lane] for the options in the lanes of `parameters`.

    base·times: steps over the whole life, a multiple of `times` in each stretch, so that lattices of one base and
    several times are refinements of each other. when, cash (LANES, k): the dividends of each lane. The other arrays
    are room to work in: ends, paid (LANES, k + 3); coefficients (levels, 4, LANES); power (nodes, LANES), values and
    europeans (2, nodes, LANES), nodes = 2·half_width + 1.
    """
    last = np.empty((4, LANES))
    up = np.empty(LANES)
    counts = np.empty(LANES, np.int64)
    totals = np.empty(LANES, np.int64)
    day_level = np.empty(LANES, np.int64)
    levels = 0
    for lane in range(LANES):
        count = stretches(lane, parameters, when[lane], cash[lane], ends[lane], paid[lane])
        total = 0
        start = 0.0
        for s in range(count):
            total += allot(ends[lane, s] - start, parameters[YEARS, lane], base, times)
            start = ends[lane, s]
        counts[lane] = count
        totals[lane] = total
        levels = max(levels, total)
    latest_day = -1
    middle = half_width(base * times)
    for lane in range(LANES):
        day_level[lane] = lay_out(
            lane,
            levels,
            totals[lane],
            counts[lane],
            base,
            times,
            parameters,
            ends[lane],
            paid[lane],
            coefficients,
            last,
        )
        latest_day = max(latest_day, day_level[lane])
        up[lane] = exp(last[SPACING, lane])
        power[middle, lane] = 1.0
        for k in range(1, middle + 1):
            power[middle + k, lane] = power[middle + k - 1, lane] * up[lane]
            power[middle - k, lane] = power[middle - k + 1, lane] / up[lane]
        found[NEXT_DAY, lane] = np.nan
    end_values(levels, middle, parameters, coefficients, last, power, values[0], europeans[0])
    old, new = 0, 1
    for i in range(levels - 2, -1, -1):
        reach = min(i + 2, middle)
        whole = i + 2 >= middle
        inner = reach - 1 if whole else reach
        advance(
            values[old],
            europeans[old],
            values[new],
            europeans[new],
            power,
            coefficients[i],
            up,
            middle - inner,
            middle + inner,
            whole,
        )
        old, new = new, old
        if i <= latest_day:
            for lane in range(LANES):
                if day_level[lane] == i:
                    scale = coefficients[i, SCALE, lane] * parameters[SIGN, lane]
                    found[NEXT_DAY, lane], _, _ = read(
                        lane, middle, last[SPACING, lane], scale, parameters[LATER, lane], values[old], europeans[old]
                    )
    for lane in range(LANES):
        spot = parameters[ESCROWED, lane]
        found[PREMIUM, lane], found[SLOPE, lane], found[CURVE, lane] = read(
            lane, middle, last[SPACING, lane], spot, spot, values[old], europeans[old]
        )
