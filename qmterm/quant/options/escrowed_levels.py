"""The levels of a lattice under the escrowed model: where in time they lie, and what is multiplied at each.

The end of the first day, every ex-date and the expiry are levels; steps are equal inside each stretch between them.
One spacing of the nodes serves all stretches: its square is three times the variance of a step (averaged over the
life), where three points match a normal distribution to the fifth moment. The trap: a level on an ex-date is just
before it for a call, and just after it for a put: the better moment to exercise.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.quant.elementary import exp
from qmterm.quant.kernel import piece

LANES = 8  # options side by side: one AVX-512 register
DAY = 1.0 / 365.0
SAME_MOMENT = 1e-8  # years: two dividends closer than this share a level
REACH = 6.0  # standard deviations the nodes go to either side

# Rows of the lanes' parameters.
ESCROWED, STRIKE, YEARS, RATE, YIELD, VOL, SIGN, LATER = range(8)
PARAMETERS = 8
# Rows of a level's coefficients: weights of the node and of its neighbours, exercise value = scale·e^{x} − cost.
MIDDLE, SIDE, SCALE, COST = range(4)
# Rows of what the end of a lane needs to know: spacing, length of the last step, F's scale there, final strike.
SPACING, LAST_STEP, LAST_SCALE, FINAL_STRIKE = range(4)


@piece
def half_width(steps: int) -> int:
    """Nodes on either side of the middle one."""
    return int(REACH * np.sqrt(steps / 3.0)) + 2


@piece
def most_levels(base: int, times: int, dividends: int) -> int:
    """An upper bound of the levels of a lattice: each stretch is rounded to the next multiple of `times`."""
    return times * (base + dividends + 3)


@piece
def stretches(
    lane: int,
    parameters: FloatArray,
    when: FloatArray,
    cash: FloatArray,
    ends: FloatArray,
    paid: FloatArray,
) -> int:
    """Fill the ends of the stretches of one option (the first day, ex-dates, expiry) with the cash paid at each."""
    years = parameters[YEARS, lane]
    count = 0
    day_left = years > DAY + SAME_MOMENT
    for k in range(when.size):
        t = when[k]
        if t <= 0.0 or t > years or cash[k] <= 0.0:
            continue
        if day_left and t > DAY - SAME_MOMENT:
            day_left = False
            if t > DAY + SAME_MOMENT:
                ends[count] = DAY
                paid[count] = 0.0
                count += 1
        if count > 0 and t - ends[count - 1] < SAME_MOMENT:
            paid[count - 1] += cash[k]
        elif t < years - SAME_MOMENT:
            ends[count] = t
            paid[count] = cash[k]
            count += 1
        else:
            ends[count] = years
            paid[count] = cash[k]
            count += 1
    if day_left:
        ends[count] = DAY
        paid[count] = 0.0
        count += 1
    if count == 0 or ends[count - 1] < years - SAME_MOMENT:
        ends[count] = years
        paid[count] = 0.0
        count += 1
    ends[count - 1] = years
    return count


@piece
def allot(stretch: float, years: float, base: int, times: int) -> int:
    """Steps of a stretch: its share of the time, at least one, times `times`."""
    return max(1, int(base * stretch / years + 0.5)) * times


@piece
def lay_out(
    lane: int,
    levels: int,
    total: int,
    count: int,
    base: int,
    times: int,
    parameters: FloatArray,
    ends: FloatArray,
    paid: FloatArray,
    coefficients: FloatArray,
    last: FloatArray,
) -> int:
    """Coefficients of one lane's `total` levels, after levels − total idle ones; the level at the end of day one.

    `last` gets the rows SPACING … FINAL_STRIKE (less than the strike for a call with a dividend at expiry).
    """
    years, rate, vol = parameters[YEARS, lane], parameters[RATE, lane], parameters[VOL, lane]
    drift = rate - parameters[YIELD, lane]
    sign = parameters[SIGN, lane]
    strike = parameters[STRIKE, lane]
    squares = 0.0
    start = 0.0
    to_come = 0.0
    for s in range(count):
        stretch = ends[s] - start
        squares += stretch * stretch / allot(stretch, years, base, times)
        to_come += paid[s] * exp(-rate * ends[s])
        start = ends[s]
    spacing = np.sqrt(3.0 * vol * vol * squares / years)
    widening = exp(spacing) + exp(-spacing) - 2.0
    level = levels - total
    scale = parameters[ESCROWED, lane]
    for i in range(level):
        coefficients[i, MIDDLE, lane] = 1.0
        coefficients[i, SIDE, lane] = 0.0
        coefficients[i, SCALE, lane] = sign * scale
        coefficients[i, COST, lane] = sign * (strike - to_come)
    start = 0.0
    end_of_day = -1
    cost = strike - to_come
    step = 0.0
    for s in range(count):
        stretch = ends[s] - start
        steps = allot(stretch, years, base, times)
        step = stretch / steps
        weight = vol * vol * step / (spacing * spacing)
        discount = exp(-rate * step)
        growth = exp(drift * step) / (1.0 + 0.5 * weight * widening)
        for _ in range(steps):
            coefficients[level, MIDDLE, lane] = discount * (1.0 - weight)
            coefficients[level, SIDE, lane] = discount * 0.5 * weight
            coefficients[level, SCALE, lane] = sign * scale
            coefficients[level, COST, lane] = sign * cost
            scale *= growth
            to_come /= discount
            cost = strike - to_come
            level += 1
        # On the ex-date: a call counts the dividend, a put no longer does.
        if sign < 0.0:
            cost = strike - (to_come - paid[s])
        to_come -= paid[s]
        start = ends[s]
        if abs(ends[s] - DAY) <= SAME_MOMENT:
            end_of_day = level
    last[SPACING, lane] = spacing
    last[LAST_STEP, lane] = step
    last[LAST_SCALE, lane] = scale / growth
    last[FINAL_STRIKE, lane] = cost if sign > 0.0 else strike
    return end_of_day
