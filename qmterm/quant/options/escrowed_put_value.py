"""What a block of puts with cash dividends is worth once the boundary is known, today and a day later.

The trap: these are the numbers of an option held on; where they are below exercise the caller must put exercise.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.quant.elementary import exp, log
from qmterm.quant.kernel import piece
from qmterm.quant.options.american_curve import INV_SQRT_TWO_PI, discounted_cdf, quick_exp
from qmterm.quant.options.escrowed_lanes import (
    COUNT,
    DRIFT,
    LANES,
    LEFT,
    LOG_LATER,
    LOG_SPOT,
    OVER_VOL,
    PREMIUM,
    PREMIUM_X,
    PREMIUM_XX,
    RATE,
    SUM,
    SUM_X,
    SUM_XX,
    TOMORROW,
    VOL,
    YEARS,
)
from qmterm.quant.options.escrowed_option import DAY, section
from qmterm.quant.options.escrowed_put_rule import (
    AFTER,
    AT,
    EARLY,
    END,
    LAST_POINTS,
    LATE,
    LATE_NODE,
    LOG_BOUNDARY,
    NEXT,
    OVER_ROOT,
    OWN_POINTS,
    OWN_RULE,
    POINT_SIZE,
    POINTS,
    START,
    WEIGHT,
    WINDOW_SIZE,
)
from qmterm.quant.options.escrowed_put_windows import (
    shape_at,
)

_TINY = 1e-14
_LEAST_GAP = 1e-12


@piece
def _add_point(lane: FloatArray, point: FloatArray, found: FloatArray) -> None:
    for w in range(LANES):
        inv = lane[OVER_VOL + w] * point[OVER_ROOT + w]
        d = (lane[LOG_SPOT + w] - point[LOG_BOUNDARY + w]) * inv
        d += lane[DRIFT + w] * point[AT + w] * point[OVER_ROOT + w]
        weight = point[WEIGHT + w]
        density = INV_SQRT_TWO_PI * quick_exp(-0.5 * d * d)
        move = weight * density * inv
        found[SUM + w] += weight * discounted_cdf(-d, density, 1.0)
        found[SUM_X + w] -= move
        found[SUM_XX + w] += move * d * inv


@section
def premium_rows(lane: FloatArray, points: FloatArray, count: int, found: FloatArray) -> None:
    """The premium today and its slopes."""
    for w in range(LANES):
        found[SUM + w] = 0.0
        found[SUM_X + w] = 0.0
        found[SUM_XX + w] = 0.0
    for p in range(LAST_POINTS + POINTS * count):
        _add_point(lane, points[p * POINT_SIZE :], found)
    for w in range(LANES):
        found[PREMIUM + w] = lane[RATE + w] * found[SUM + w]
        found[PREMIUM_X + w] = lane[RATE + w] * found[SUM_X + w]
        found[PREMIUM_XX + w] = lane[RATE + w] * found[SUM_XX + w]


@piece
def _add_tomorrow(
    lane: FloatArray, point: FloatArray, starts: FloatArray, growth: FloatArray, found: FloatArray
) -> None:
    for w in range(LANES):
        gap = point[AT + w] - DAY
        over = 1.0 / np.sqrt(max(gap, _LEAST_GAP))
        d = ((lane[LOG_LATER + w] - point[LOG_BOUNDARY + w]) * lane[OVER_VOL + w] + lane[DRIFT + w] * gap) * over
        density = INV_SQRT_TWO_PI * quick_exp(-0.5 * d * d)
        weight = point[WEIGHT + w] * growth[w] if starts[w] >= DAY else 0.0
        found[SUM + w] += weight * discounted_cdf(-d, density, 1.0)


@piece
def _broken_window(lane: FloatArray, windows: FloatArray, w: int, found: FloatArray) -> None:
    """What is left tomorrow of the window that has begun by then."""
    for j in range(int(lane[COUNT + w])):
        here = j * WINDOW_SIZE + w
        start, end, following = windows[here + START], windows[here + END], windows[here + NEXT]
        if not start < DAY < end:
            continue
        _, _, late_bend = shape_at(start + (end - start) * LATE_NODE, end, following)
        _, _, first_bend = shape_at(start, end, following)
        slope = (windows[here + EARLY] - windows[here + LATE]) / (first_bend - late_bend)
        vol, rate = lane[VOL + w], lane[RATE + w]
        for p in range(OWN_POINTS):
            gap = (end - DAY) * OWN_RULE[p, 0]
            base, width, bend = shape_at(DAY + gap, end, following)
            kappa = windows[here + LATE] + slope * (bend - late_bend)
            boundary = windows[here + AFTER] - vol * (base + width * kappa)
            d = ((lane[LOG_LATER + w] - boundary) / vol + lane[DRIFT + w] * gap) / np.sqrt(gap)
            density = INV_SQRT_TWO_PI * quick_exp(-0.5 * d * d)
            weight = (end - DAY) * OWN_RULE[p, 1] * exp(-rate * gap)
            found[SUM + w] += weight * discounted_cdf(-d, density, 1.0)


@section
def tomorrow_row(
    lane: FloatArray, windows: FloatArray, points: FloatArray, count: int, growth: FloatArray, found: FloatArray
) -> None:
    """The premium a day later with ln F as lane's LOG_LATER; growth (2 rows) is scratch. Needs the premium's rows."""
    starts = growth[LANES:]
    for w in range(LANES):
        growth[w] = exp(lane[RATE + w] * DAY)
        starts[w] = lane[YEARS + w] - lane[LEFT + w]
        found[SUM + w] = 0.0
    for p in range(LAST_POINTS):
        _add_tomorrow(lane, points[p * POINT_SIZE :], starts, growth, found)
    for p in range(LAST_POINTS, LAST_POINTS + POINTS * count):
        window = windows[((p - LAST_POINTS) // POINTS) * WINDOW_SIZE :]
        _add_tomorrow(lane, points[p * POINT_SIZE :], window[START:], growth, found)
    for w in range(LANES):
        t, v, r = lane[YEARS + w], lane[VOL + w], lane[RATE + w]
        if t - lane[LEFT + w] < DAY < t:
            # In the last stretch already: the premium obeys the pricing equation, and fades as a power of time.
            premium = max(found[PREMIUM + w], 0.0)
            decay = 0.5 * v * v * (found[PREMIUM_XX + w] - found[PREMIUM_X + w]) + r * (found[PREMIUM_X + w] - premium)
            power = min(max(decay * t / max(premium, _TINY), 0.0), 20.0)
            later = premium + found[PREMIUM_X + w] * (lane[LOG_LATER + w] - lane[LOG_SPOT + w])
            found[TOMORROW + w] = max(later, 0.0) * exp(power * log(1.0 - DAY / t))
            continue
        _broken_window(lane, windows, w, found)
        found[TOMORROW + w] = lane[RATE + w] * found[SUM + w]
