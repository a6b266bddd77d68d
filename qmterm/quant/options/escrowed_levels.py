"""The levels of a lattice under the escrowed model: where in time they lie, and what is multiplied at each.

The end of the first day, every ex-date and the expiry are levels; steps are equal inside each stretch between them.
One spacing of the nodes serves all stretches: its square is three times the variance of a step (averaged over the
life), where three points match a normal distribution to the fifth moment. The trap: a level on an ex-date is just
before it for a call, and just after it for a put: the better moment to exercise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.quant.elementary import exp
from qmterm.quant.kernel import piece
from qmterm.quant.options.escrowed_option import DAY, Escrowed, section

SAME_MOMENT = 1e-8  # years: two dividends closer than this share a level
REACH = 5.0  # standard deviations the nodes go to either side

# Rows of a level's coefficients: weights of the node and of its neighbours, exercise value = scale·e^{x} − cost.
MIDDLE, SIDE, SCALE, COST = range(4)


class Layout(NamedTuple):
    """What the levels of one option are like."""

    levels: int  # steps; the coefficients of level `levels` (the expiry) are not kept
    day_level: int  # the level at the end of the first day; −1 if the option does not live to see it
    spacing: float  # of the nodes, in ln F
    last_step: float  # years
    last_scale: float  # F of the middle node where the last step begins
    final_strike: float  # less than the strike for a call with a dividend at its expiry


@piece
def half_width(steps: int) -> int:
    """Nodes on either side of the middle one."""
    return int(REACH * np.sqrt(steps / 3.0)) + 2


@piece
def most_levels(base: int, times: int, dividends: int) -> int:
    """An upper bound of the levels of a lattice: each stretch is rounded to a multiple of `times`."""
    return times * (base + dividends + 3)


@piece
def allot(stretch: float, years: float, base: int, times: int) -> int:
    """Steps of a stretch: its share of the time, at least one, times `times`."""
    return max(1, int(base * stretch / years + 0.5)) * times


@section
def stretches(years: float, when: FloatArray, cash: FloatArray, ends: FloatArray, paid: FloatArray) -> int:
    """Fill the ends of the stretches (first day, ex-dates, expiry) with the cash paid at each; how many there are."""
    count = 0
    day_left = years > DAY + SAME_MOMENT
    for k in range(when.size + 1):
        t = when[k] if k < when.size else years
        money = cash[k] if k < when.size else 0.0
        if t <= 0.0 or t > years or (money <= 0.0 and k < when.size):
            continue
        if t > years - SAME_MOMENT:
            t = years
        if day_left and t > DAY - SAME_MOMENT:
            day_left = False
            if t > DAY + SAME_MOMENT:
                ends[count] = DAY
                paid[count] = 0.0
                count += 1
        if count > 0 and t - ends[count - 1] < SAME_MOMENT:
            paid[count - 1] += money
        else:
            ends[count] = t
            paid[count] = money
            count += 1
    return count


@section
def lay_out(
    option: Escrowed,
    base: int,
    times: int,
    when: FloatArray,
    cash: FloatArray,
    ends: FloatArray,
    paid: FloatArray,
    coefficients: FloatArray,
) -> Layout:
    """Fill coefficients (4, levels) with base·times steps over the life, a multiple of `times` in each stretch.

    So lattices of one base and several times refine each other. ends, paid (k + 2,) are room to work in.
    """
    years, rate, vol, sign, strike = option.years, option.rate, option.vol, option.sign, option.strike
    count = stretches(years, when, cash, ends, paid)
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
    level = 0
    day_level = -1
    scale = option.spot
    cost = strike - to_come
    step = 0.0
    growth = 1.0
    start = 0.0
    for s in range(count):
        stretch = ends[s] - start
        steps = allot(stretch, years, base, times)
        step = stretch / steps
        weight = vol * vol * step / (spacing * spacing)
        discount = exp(-rate * step)
        interest = 1.0 / discount
        growth = exp((rate - option.dividend_yield) * step) / (1.0 + 0.5 * weight * widening)
        for _ in range(steps):
            coefficients[MIDDLE, level] = discount * (1.0 - weight)
            coefficients[SIDE, level] = discount * 0.5 * weight
            coefficients[SCALE, level] = sign * scale
            coefficients[COST, level] = sign * cost
            level += 1
            scale *= growth
            to_come *= interest
            cost = strike - to_come
        if sign < 0.0:
            cost = strike - (to_come - paid[s])
        to_come -= paid[s]
        start = ends[s]
        if abs(ends[s] - DAY) <= SAME_MOMENT:
            day_level = level
    final_strike = strike - paid[count - 1] if sign > 0.0 else strike
    return Layout(level, day_level if day_level < level else -1, spacing, step, scale / growth, final_strike)
